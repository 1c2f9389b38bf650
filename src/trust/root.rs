//! The document: [`TrustedRoot`] of the sigstore protobuf specification, in its JSON form, under bounds.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sigstore_trust_root::TrustedRoot;

use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::InvalidTrustRoot;
use crate::limits::json::{brief, parse_small};
use crate::limits::pem;

/// The longest document, in bytes. That of the public Sigstore has 12 KiB.
const BYTES: usize = 1 << 20;
/// Nesting of a document. Real ones need six levels.
const DEPTH: usize = 16;
/// Values in a document.
const VALUES: usize = 16_384;
/// Logs or authorities of one kind.
const ENTRIES: usize = 64;
/// Certificates of one authority.
const CHAIN: usize = 16;

/// The types of document that are read.
const MEDIA_TYPES: [&str; 2] = [V01, "application/vnd.dev.sigstore.trustedroot.v0.2+json"];
/// The one that is written.
const V01: &str = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";

/// Reads a document.
pub(super) fn parse(bytes: &[u8]) -> Result<TrustedRoot, InvalidTrustRoot> {
    if bytes.len() > BYTES {
        return Err(InvalidTrustRoot::TooLarge {
            found: bytes.len(),
            limit: BYTES,
        });
    }
    let value = parse_small(bytes, DEPTH, VALUES).map_err(|e| InvalidTrustRoot::malformed(&e))?;
    let root = from_json(value)?;
    if !MEDIA_TYPES.contains(&root.media_type.as_str()) {
        return Err(InvalidTrustRoot::MediaType {
            found: brief(&root.media_type),
        });
    }
    check_counts(&root)?;
    Ok(root)
}

/// A root that trusts nobody.
pub(super) fn empty() -> Result<TrustedRoot, InvalidTrustRoot> {
    from_json(json!({ "mediaType": V01 }))
}

/// A root with one certificate authority, whose certificates stand in PEM.
pub(super) fn of_certificates(text: &str) -> Result<TrustedRoot, InvalidTrustRoot> {
    if text.len() > BYTES {
        return Err(InvalidTrustRoot::TooLarge {
            found: text.len(),
            limit: BYTES,
        });
    }
    let chain = pem::certificates(text.as_bytes(), CHAIN);
    let chain = chain.map_err(|e| InvalidTrustRoot::unusable(&e))?;
    let certificates: Result<Vec<Value>, _> = chain
        .iter()
        .map(|der| Certificate::from_der(der).map(|_| json!({ "rawBytes": STANDARD.encode(der) })))
        .collect();
    let certificates = certificates.map_err(|e| {
        InvalidTrustRoot::unusable(&format_args!("a certificate cannot be read: {e}"))
    })?;
    of_authorities(&[json!({ "uri": "", "certChain": { "certificates": certificates } })])
}

/// A root with these certificate authorities.
pub(super) fn of_authorities(authorities: &[Value]) -> Result<TrustedRoot, InvalidTrustRoot> {
    let root = from_json(json!({ "mediaType": V01, "certificateAuthorities": authorities }))?;
    check_counts(&root)?;
    Ok(root)
}

fn from_json(mut value: Value) -> Result<TrustedRoot, InvalidTrustRoot> {
    spell_out(&mut value);
    serde_json::from_value(value).map_err(|e| InvalidTrustRoot::malformed(&e))
}

/// Members that protobuf's JSON leaves out where they are empty, and that no check looks at: addresses, and the hash of a log's tree.
fn spell_out(root: &mut Value) {
    let members = [
        ("certificateAuthorities", "uri", ""),
        ("tlogs", "baseUrl", ""),
        ("ctlogs", "baseUrl", ""),
        ("tlogs", "hashAlgorithm", "SHA2_256"),
        ("ctlogs", "hashAlgorithm", "SHA2_256"),
    ];
    for (list, member, unsaid) in members {
        let entries = root.get_mut(list).and_then(Value::as_array_mut);
        for entry in entries.into_iter().flatten() {
            if let Value::Object(entry) = entry {
                let value = entry.entry(member).or_insert(Value::Null);
                if value.is_null() || *value == "HASH_ALGORITHM_UNSPECIFIED" {
                    *value = unsaid.into();
                }
            }
        }
    }
}

fn check_counts(root: &TrustedRoot) -> Result<(), InvalidTrustRoot> {
    let authorities = root.certificate_authorities.iter().map(|a| &a.cert_chain);
    let stamping = root.timestamp_authorities.iter().map(|a| &a.cert_chain);
    let longest = authorities
        .chain(stamping)
        .map(|chain| chain.certificates.len())
        .max();
    let counts = [
        ("transparency logs", root.tlogs.len(), ENTRIES),
        ("certificate transparency logs", root.ctlogs.len(), ENTRIES),
        (
            "certificate authorities",
            root.certificate_authorities.len(),
            ENTRIES,
        ),
        (
            "timestamp authorities",
            root.timestamp_authorities.len(),
            ENTRIES,
        ),
        (
            "certificates of one authority",
            longest.unwrap_or_default(),
            CHAIN,
        ),
    ];
    match counts.into_iter().find(|(_, found, limit)| found > limit) {
        Some((what, found, limit)) => Err(InvalidTrustRoot::TooMany { what, found, limit }),
        None => Ok(()),
    }
}
