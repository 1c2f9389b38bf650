//! From the `sigstoreKeys` of a TrustRoot to a `trusted_root.json` (`application/vnd.dev.sigstore.trustedroot+json;version=0.1`).
//!
//! The resource has no validity windows, so everything in it is valid at any time, as in policy-controller. The id of a log is computed
//! from its key (RFC 6962 §3.2). Logs with Ed25519 keys may be of Rekor v1 or v2, which compute the id in different ways (v2 as
//! the key id of a signed note): such a log is listed under both, and either finds the same key.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::BasicConstraints;

use crate::api;
use crate::limits::pem::{self, PemError};

/// What a `trusted_root.json` says it is.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";

/// The most certificates of one chain.
const CERTIFICATES: usize = 32;

/// The start of every validity window: that of policy-controller, and the beginning of time as far as Sigstore is concerned.
const ALWAYS: &str = "1970-01-01T00:00:00Z";

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// A field of a TrustRoot that nothing can be made of, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {detail}")]
pub struct UnusableField {
    /// Its path, such as `spec.sigstoreKeys.tLogs[0].publicKey`.
    pub field: String,
    /// What is wrong with it.
    pub detail: String,
}

/// What one list gives: entries, or every problem of every element.
struct Reading {
    problems: Vec<UnusableField>,
}

/// A log's key in a log's terms.
struct LogKey {
    der: Vec<u8>,
    details: &'static str,
    is_ed25519: bool,
}

/// The `trusted_root.json` that says what these keys say.
///
/// # Errors
/// Every field that cannot be used; nothing is left out in silence.
pub fn trusted_root(keys: &api::SigstoreKeys) -> Result<Vec<u8>, Vec<UnusableField>> {
    const AT: &str = api::SigstoreKeys::PATH;
    let mut reading = Reading {
        problems: Vec::new(),
    };
    let root = json!({
        "mediaType": MEDIA_TYPE,
        "tlogs": reading.logs(&keys.t_logs, &format!("{AT}.tLogs"), true),
        "certificateAuthorities": reading.certificate_authorities(
            &keys.certificate_authorities,
            &format!("{AT}.certificateAuthorities"),
        ),
        "ctlogs": reading.logs(&keys.ct_logs, &format!("{AT}.ctLogs"), false),
        "timestampAuthorities": reading.timestamp_authorities(
            &keys.timestamp_authorities,
            &format!("{AT}.timestampAuthorities"),
        ),
    });
    if reading.problems.is_empty() {
        return Ok(root.to_string().into_bytes());
    }
    Err(reading.problems)
}

// === impl Reading ===

impl Reading {
    fn noted<T>(&mut self, field: String, result: Result<T, String>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(detail) => {
                self.problems.push(UnusableField { field, detail });
                None
            }
        }
    }

    fn certificate_authorities(
        &mut self,
        written: &[api::CertificateAuthority],
        at: &str,
    ) -> Vec<Value> {
        let read = written.iter().enumerate().map(|(index, authority)| {
            let chain = certificates(&authority.cert_chain.0);
            let chain = self.noted(format!("{at}[{index}].certChain"), chain)?;
            Some(authority_entry(authority, &chain))
        });
        read.flatten().collect()
    }

    fn timestamp_authorities(
        &mut self,
        written: &[api::CertificateAuthority],
        at: &str,
    ) -> Vec<Value> {
        let read = written.iter().enumerate().map(|(index, authority)| {
            let chain = certificates(&authority.cert_chain.0).and_then(leaf_first);
            let chain = self.noted(format!("{at}[{index}].certChain"), chain)?;
            Some(authority_entry(authority, &chain))
        });
        read.flatten().collect()
    }

    /// `is_rekor`: whether the log's id may be that of a signed note. The same log twice is one log.
    fn logs(&mut self, written: &[api::TransparencyLog], at: &str, is_rekor: bool) -> Vec<Value> {
        let mut entries = Vec::new();
        let mut seen = BTreeSet::new();
        for (index, log) in written.iter().enumerate() {
            let hash = hash_algorithm(&log.hash_algorithm);
            let hash = self.noted(format!("{at}[{index}].hashAlgorithm"), hash);
            let key = LogKey::read(&log.public_key.0);
            let key = self.noted(format!("{at}[{index}].publicKey"), key);
            let (Some(hash), Some(key)) = (hash, key) else {
                continue;
            };
            let mut ids = vec![Sha256::digest(&key.der)];
            if is_rekor && key.is_ed25519 {
                ids.push(key.note_id(&log.base_url));
            }
            for id in ids.into_iter().filter(|id| seen.insert(*id)) {
                entries.push(json!({
                    "baseUrl": log.base_url,
                    "hashAlgorithm": hash,
                    "publicKey": {
                        "rawBytes": STANDARD.encode(&key.der),
                        "keyDetails": key.details,
                        "validFor": {"start": ALWAYS},
                    },
                    "logId": {"keyId": STANDARD.encode(id)},
                }));
            }
        }
        entries
    }
}

fn authority_entry(authority: &api::CertificateAuthority, chain: &[Certified]) -> Value {
    let certificates: Vec<Value> = chain
        .iter()
        .map(|certificate| json!({"rawBytes": STANDARD.encode(&certificate.der)}))
        .collect();
    json!({
        "subject": {
            "organization": authority.subject.organization,
            "commonName": authority.subject.common_name,
        },
        "uri": authority.uri,
        "certChain": {"certificates": certificates},
        "validFor": {"start": ALWAYS},
    })
}

/// A certificate, and where it stands in a chain.
struct Certified {
    der: Vec<u8>,
    is_ca: bool,
    is_self_issued: bool,
}

/// Every certificate of a PEM text. A block that is none is never passed over.
fn certificates(text: &[u8]) -> Result<Vec<Certified>, String> {
    let blocks = pem::certificates(text, CERTIFICATES).map_err(|error| refused(&error))?;
    blocks.into_iter().map(certified).collect()
}

/// Why a field is no PEM. Where nothing is found, it is most often base64 once too often or once too little.
fn refused(error: &PemError) -> String {
    match error {
        PemError::Nothing(_) => format!("{error} (the field is base64 of PEM)"),
        _ => error.to_string(),
    }
}

fn certified(der: Vec<u8>) -> Result<Certified, String> {
    let unreadable =
        |error: x509_cert::der::Error| format!("a certificate cannot be read: {error}");
    let certificate = Certificate::from_der(&der).map_err(unreadable)?;
    let body = &certificate.tbs_certificate;
    let constraints: Option<(bool, BasicConstraints)> = body.get().map_err(unreadable)?;
    Ok(Certified {
        is_ca: constraints.is_some_and(|(_, constraints)| constraints.ca),
        is_self_issued: body.subject == body.issuer,
        der,
    })
}

/// The order in which a timestamp's chain is read: the certificate that signs, those between, the root. As written it may be any.
fn leaf_first(mut chain: Vec<Certified>) -> Result<Vec<Certified>, String> {
    if chain
        .iter()
        .filter(|certificate| !certificate.is_ca)
        .count()
        > 1
    {
        return Err("at most one certificate may be that of the timestamp authority, the others are of certificate authorities".to_owned());
    }
    chain.sort_by_key(|certificate| (certificate.is_ca, certificate.is_self_issued));
    Ok(chain)
}

/// `sha256`, `sha-256`, `SHA2_256` and the like.
fn hash_algorithm(written: &str) -> Result<&'static str, String> {
    let plain: String = written
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    match plain.as_str() {
        "sha256" | "sha2256" => Ok("SHA2_256"),
        "sha384" | "sha2384" => Ok("SHA2_384"),
        "sha512" | "sha2512" => Ok("SHA2_512"),
        _ => Err("none of sha-256, sha-384, sha-512".to_owned()),
    }
}

// === impl LogKey ===

impl LogKey {
    /// Reads a `PUBLIC KEY` in PEM.
    fn read(text: &[u8]) -> Result<Self, String> {
        let der = pem::public_key(text).map_err(|error| refused(&error))?;
        let (details, is_ed25519) = details(&der)?;
        Ok(Self {
            der,
            details,
            is_ed25519,
        })
    }

    /// The key id of a signed note by this Ed25519 key, in full, which is the log id of Rekor v2: `SHA-256(origin, '\n', 1, key)`.
    fn note_id(&self, base_url: &str) -> sha2::digest::Output<Sha256> {
        let origin = base_url
            .split_once("://")
            .map_or(base_url, |(_, rest)| rest)
            .trim_end_matches('/');
        let start = self.der.len().saturating_sub(32);
        let mut hash = Sha256::new();
        hash.update(origin);
        hash.update(b"\n\x01");
        hash.update(self.der.get(start..).unwrap_or_default());
        hash.finalize()
    }
}

/// What a key is in the words of Sigstore's `PublicKeyDetails`, and whether it is an Ed25519 key.
fn details(der: &[u8]) -> Result<(&'static str, bool), String> {
    let info = SubjectPublicKeyInfoRef::try_from(der)
        .map_err(|error| format!("the key cannot be read: {error}"))?;
    let curve = || {
        info.algorithm
            .parameters_oid()
            .map(|curve| curve.to_string())
    };
    match info.algorithm.oid {
        ED25519 => Ok(("PKIX_ED25519", true)),
        EC => match curve().as_deref() {
            Ok("1.2.840.10045.3.1.7") => Ok(("PKIX_ECDSA_P256_SHA_256", false)),
            Ok("1.3.132.0.34") => Ok(("PKIX_ECDSA_P384_SHA_384", false)),
            Ok("1.3.132.0.35") => Ok(("PKIX_ECDSA_P521_SHA_512", false)),
            _ => Err("an ECDSA key on a curve other than P-256, P-384 and P-521".to_owned()),
        },
        // The name by its length: 2048 and 3072 bits have a bit string of 270 and 398 bytes.
        RSA => match info.subject_public_key.raw_bytes().len() {
            0..=300 => Ok(("PKIX_RSA_PKCS1V15_2048_SHA256", false)),
            301..=450 => Ok(("PKIX_RSA_PKCS1V15_3072_SHA256", false)),
            _ => Ok(("PKIX_RSA_PKCS1V15_4096_SHA256", false)),
        },
        other => Err(format!("a key of kind {other}, which no log signs with")),
    }
}
