//! What an entry is about: the signature, what verifies it, and the payload must be those that are judged.
//!
//! | kind | signature | verifier | payload |
//! |---|---|---|---|
//! | `hashedrekord` 0.0.1, `rekord` 0.0.1 | its bytes | certificate or key | hash of the message |
//! | `hashedrekord` 0.0.2 | its bytes | certificate or key | hash of the message, or of an envelope's pre-authentication encoding |
//! | `dsse` 0.0.1, `dsse` 0.0.2 | its bytes | certificate or key | hash of the payload |
//! | `intoto` 0.0.2 | its bytes | certificate or key | hash of the payload, and its type |
//! | `intoto` 0.0.1 | in the hash of the whole envelope | certificate or key | the same |

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sigstore_types::{DerCertificate, KindVersion};
use sigstore_verify::rekor::body::{
    DsseV002Body, PublicKeyRaw, RekorEntryBody, X509CertificateRaw,
};

use super::Verifier;
use crate::evidence::{EntryKind, Envelope, LogEntry};
use crate::image::{Algorithm, Digest};
use crate::limits::json::{brief, parse_small};
use crate::verify::PublicKey;
use crate::verify::signed::{Message, Signed};

/// Nesting of a body.
const DEPTH: usize = 16;
/// Values in a body.
const VALUES: usize = 4_096;

/// What every body says of itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    kind: String,
    api_version: String,
}

/// The body of an `intoto` 0.0.1 entry.
#[derive(Deserialize)]
struct IntotoV001 {
    spec: IntotoV001Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoV001Spec {
    content: IntotoV001Content,
    public_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoV001Content {
    hash: Hash,
    payload_hash: Option<Hash>,
}

#[derive(Deserialize)]
struct Hash {
    algorithm: String,
    value: String,
}

/// Whether the entry is of the kind that it is said to be. What is said stands beside the body, and nobody signs it.
pub(super) fn is_of_its_kind(entry: &LogEntry) -> Result<(), String> {
    let head: Head = read(entry)?;
    let (kind, version) = entry.kind.name();
    if (head.kind.as_str(), head.api_version.as_str()) == (kind, version) {
        return Ok(());
    }
    let found = brief(&format_args!("{}/{}", head.kind, head.api_version));
    Err(format!(
        "an entry of kind {found} is said to be of kind {kind}/{version}"
    ))
}

/// Whether the entry is about this signature, made with this.
pub(super) fn is_about(
    entry: &LogEntry,
    signed: &Signed<'_>,
    verifier: Verifier<'_>,
) -> Result<(), String> {
    is_of_its_kind(entry)?;
    match entry.kind {
        EntryKind::IntotoV001 => return intoto_v001(entry, signed, verifier),
        EntryKind::DsseV002 => return dsse_v002(entry, signed, verifier),
        EntryKind::Current(_) | EntryKind::RekordV001 => {}
    }
    let body = RekorEntryBody::parse(&entry.wire.canonicalized_body, entry.wire.kind_version)
        .map_err(|e| brief(&e))?;
    match (&body, signed) {
        (RekorEntryBody::HashedRekordV001(body), Signed::Message { message, .. }) => {
            let hash = &body.spec.data.hash;
            same_message(*message, hash.algorithm.as_rekor_str(), hash.value.as_str())?;
            same_signature(signed, body.spec.signature.content.as_bytes())?;
            same_verifier(verifier, body.spec.signature.public_key.content.as_bytes())
        }
        (RekorEntryBody::HashedRekordV002(body), _) => {
            let logged = &body.spec.hashed_rekord_v002;
            let (algorithm, hex) = (
                logged.data.algorithm.as_rekor_str(),
                logged.data.digest.to_hex(),
            );
            match signed {
                Signed::Message { message, .. } => same_message(*message, algorithm, &hex)?,
                Signed::Envelope { envelope, .. } => {
                    same_message(Message::Bytes(&envelope.signed_bytes()), algorithm, &hex)?;
                }
            }
            same_signature(signed, logged.signature.content.as_bytes())?;
            let who = &logged.signature.verifier;
            same_raw_verifier(
                verifier,
                who.x509_certificate.as_ref(),
                who.public_key.as_ref(),
            )
        }
        (RekorEntryBody::DsseV001(body), Signed::Envelope { envelope, .. }) => {
            let hash = &body.spec.payload_hash;
            same_payload(envelope, hash.algorithm.as_rekor_str(), &hash.value)?;
            let [logged] = body.spec.signatures.as_slice() else {
                return Err("it is not about exactly one signature".to_owned());
            };
            same_signature(signed, logged.signature.as_bytes())?;
            same_verifier(verifier, logged.verifier.as_bytes())
        }
        (RekorEntryBody::IntotoV002(body), Signed::Envelope { envelope, .. }) => {
            let content = &body.spec.content;
            let hash = &content.payload_hash;
            same_payload(envelope, hash.algorithm.as_rekor_str(), hash.value.as_str())?;
            if content.envelope.payload_type != envelope.payload_type {
                return Err("it is about a payload of another type".to_owned());
            }
            let [logged] = content.envelope.signatures.as_slice() else {
                return Err("it is not about exactly one signature".to_owned());
            };
            // Rekor writes it in base64 of base64.
            let signature = STANDARD
                .decode(logged.sig.as_bytes())
                .map_err(|e| brief(&e))?;
            same_signature(signed, &signature)?;
            same_verifier(verifier, logged.public_key.as_bytes())
        }
        _ => Err(format!(
            "an entry of kind {} is not about a signature of this kind",
            KindVersion::kind(entry.wire.kind_version)
        )),
    }
}

/// It names no signature: the hash of the whole envelope, as it was uploaded, covers it.
fn intoto_v001(
    entry: &LogEntry,
    signed: &Signed<'_>,
    verifier: Verifier<'_>,
) -> Result<(), String> {
    let body: IntotoV001 = read(entry)?;
    let Signed::Envelope { envelope, .. } = signed else {
        return Err("an entry of kind intoto is not about a signature of this kind".to_owned());
    };
    if envelope.document.is_empty() {
        return Err("an entry of kind intoto/0.0.1 is about a whole envelope as it was uploaded, which a bundle does not keep".to_owned());
    }
    let whole = &body.spec.content.hash;
    if !is_hash_of(&whole.algorithm, &whole.value, &envelope.document) {
        return Err("it is about another envelope".to_owned());
    }
    if let Some(hash) = &body.spec.content.payload_hash {
        same_payload(envelope, &hash.algorithm, &hash.value)?;
    }
    let pem = STANDARD
        .decode(&body.spec.public_key)
        .map_err(|e| brief(&e))?;
    same_verifier(verifier, &pem)
}

/// The same as the first version, with the verifier in DER.
fn dsse_v002(entry: &LogEntry, signed: &Signed<'_>, verifier: Verifier<'_>) -> Result<(), String> {
    let body: DsseV002Body = read(entry)?;
    let Signed::Envelope { envelope, .. } = signed else {
        return Err("an entry of kind dsse is not about a signature of this kind".to_owned());
    };
    let content = &body.spec.dsse_v002;
    let hash = &content.payload_hash;
    same_payload(
        envelope,
        hash.algorithm.as_rekor_str(),
        &hash.digest.to_hex(),
    )?;
    let [logged] = content.signatures.as_slice() else {
        return Err("it is not about exactly one signature".to_owned());
    };
    same_signature(signed, logged.content.as_bytes())?;
    let who = &logged.verifier;
    same_raw_verifier(
        verifier,
        who.x509_certificate.as_ref(),
        who.public_key.as_ref(),
    )
}

/// A body that the library does not read.
fn read<T: DeserializeOwned>(entry: &LogEntry) -> Result<T, String> {
    let value = parse_small(entry.wire.canonicalized_body.as_bytes(), DEPTH, VALUES);
    serde_json::from_value(value.map_err(|e| brief(&e))?).map_err(|e| brief(&e))
}

fn same_signature(signed: &Signed<'_>, logged: &[u8]) -> Result<(), String> {
    if signed.signature() == logged {
        return Ok(());
    }
    Err("it is about another signature".to_owned())
}

fn same_message(message: Message<'_>, algorithm: &str, hex: &str) -> Result<(), String> {
    let same = match message {
        Message::Bytes(bytes) => is_hash_of(algorithm, hex, bytes),
        Message::Digest(digest) => logged_digest(algorithm, hex).as_ref() == Some(digest),
    };
    same.then_some(())
        .ok_or_else(|| "it is about something else that was signed".to_owned())
}

fn same_payload(envelope: &Envelope, algorithm: &str, hex: &str) -> Result<(), String> {
    is_hash_of(algorithm, hex, &envelope.payload)
        .then_some(())
        .ok_or_else(|| "it is about another payload".to_owned())
}

fn is_hash_of(algorithm: &str, hex: &str, bytes: &[u8]) -> bool {
    logged_digest(algorithm, hex).is_some_and(|logged| logged.is_digest_of(bytes))
}

fn logged_digest(algorithm: &str, hex: &str) -> Option<Digest> {
    let algorithm: Algorithm = algorithm.parse().ok()?;
    format!("{algorithm}:{hex}").parse().ok()
}

/// A certificate or a key in PEM.
fn same_verifier(verifier: Verifier<'_>, pem: &[u8]) -> Result<(), String> {
    let pem = std::str::from_utf8(pem).map_err(|e| brief(&e))?;
    let same = match verifier {
        Verifier::Certificate(certificate) => {
            DerCertificate::from_pem(pem).is_ok_and(|logged| logged == *certificate)
        }
        Verifier::Key(key) => {
            PublicKey::from_pem(pem).is_ok_and(|logged| logged.fingerprint() == key)
        }
    };
    same.then_some(())
        .ok_or_else(|| "it is about a signature by somebody else".to_owned())
}

/// A certificate or a key in DER.
fn same_raw_verifier(
    verifier: Verifier<'_>,
    certificate: Option<&X509CertificateRaw>,
    key: Option<&PublicKeyRaw>,
) -> Result<(), String> {
    let same = match verifier {
        Verifier::Certificate(ours) => certificate.is_some_and(|logged| logged.raw_bytes == *ours),
        Verifier::Key(ours) => {
            key.is_some_and(|logged| ours.is_of_spki(logged.raw_bytes.as_bytes()))
        }
    };
    same.then_some(())
        .ok_or_else(|| "it is about a signature by somebody else".to_owned())
}
