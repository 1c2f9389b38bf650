//! Signed certificate timestamps (RFC 6962 §3.2) inside a certificate: whether a certificate transparency log of the root has logged it.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use sigstore_crypto::SigningScheme;
use sigstore_types::{DerCertificate, Sha256Hash, SignatureBytes};
use x509_cert::Certificate;
use x509_cert::der::oid::AssociatedOid as _;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::sct::{HashAlgorithm, SignatureAlgorithm, SignatureAndHashAlgorithm};
use x509_cert::ext::pkix::{SignedCertificateTimestamp, SignedCertificateTimestampList};

use crate::limits::json::brief;
use crate::trust::TrustMaterial;

/// `v1`, `certificate_timestamp`: how what is signed begins.
const HEAD: [u8; 2] = [0, 0];
/// `precert_entry`.
const PRECERTIFICATE: [u8; 2] = [0, 1];
/// The most timestamps that are tried. Fulcio writes one.
const TIMESTAMPS: usize = 8;

/// Whether one of the timestamps in the certificate is by a log of the root, at a time when its key was valid.
pub(super) fn logged(
    certificate: &DerCertificate,
    issuer: &[u8],
    trust: &TrustMaterial,
) -> Result<(), String> {
    let certificate = Certificate::from_der(certificate.as_bytes()).map_err(|e| brief(&e))?;
    let list = certificate
        .tbs_certificate
        .get::<SignedCertificateTimestampList>()
        .map_err(|e| brief(&e))?;
    let (_, list) = list.ok_or("the certificate has no signed certificate timestamp")?;
    let timestamps = list
        .parse_timestamps()
        .map_err(|_| "its signed certificate timestamps cannot be read")?;
    let entry = precertificate(&certificate, issuer)?;
    let mut wrong = "its list of signed certificate timestamps is empty".to_owned();
    for timestamp in timestamps.iter().take(TIMESTAMPS) {
        let timestamp = timestamp
            .parse_timestamp()
            .map_err(|_| "a signed certificate timestamp cannot be read")?;
        match one(&timestamp, &entry, trust) {
            Ok(()) => return Ok(()),
            Err(detail) => wrong = detail,
        }
    }
    Err(wrong)
}

/// The entry that the log signed: the issuer's key and the certificate without its timestamps.
fn precertificate(certificate: &Certificate, issuer: &[u8]) -> Result<Vec<u8>, String> {
    let mut unsigned = certificate.tbs_certificate.clone();
    if let Some(extensions) = &mut unsigned.extensions {
        extensions.retain(|extension| extension.extn_id != SignedCertificateTimestampList::OID);
    }
    let der = unsigned.to_der().map_err(|e| brief(&e))?;
    let length = u32::try_from(der.len()).map_err(|e| brief(&e))?;
    let [0, length @ ..] = length.to_be_bytes() else {
        return Err("the certificate is too long".to_owned());
    };
    let key: [u8; 32] = Sha256::digest(issuer).into();
    Ok([PRECERTIFICATE.as_slice(), &key, &length, &der].concat())
}

fn one(
    timestamp: &SignedCertificateTimestamp,
    entry: &[u8],
    trust: &TrustMaterial,
) -> Result<(), String> {
    let scheme = scheme(&timestamp.signature.algorithm)?;
    let milliseconds = i64::try_from(timestamp.timestamp).map_err(|e| brief(&e))?;
    let time = Timestamp::from_millisecond(milliseconds).map_err(|e| brief(&e))?;
    let extensions = timestamp.extensions.as_slice();
    let length = u16::try_from(extensions.len()).map_err(|e| brief(&e))?;
    let message = [
        HEAD.as_slice(),
        &timestamp.timestamp.to_be_bytes(),
        entry,
        &length.to_be_bytes(),
        extensions,
    ]
    .concat();
    let keys = trust
        .certificate_logs(scheme)
        .ok_or("no certificate transparency log is trusted")?;
    let signature = SignatureBytes::from_bytes(timestamp.signature.signature.as_slice());
    let log = Sha256Hash::new(timestamp.log_id.key_id);
    keys.verify_with_key_id_at(&log, time, message, &signature)
        .map_err(|e| format!("invalid signed certificate timestamp: {}", brief(&e)))
}

fn scheme(algorithm: &SignatureAndHashAlgorithm) -> Result<SigningScheme, String> {
    match (&algorithm.signature, &algorithm.hash) {
        (SignatureAlgorithm::Ecdsa, HashAlgorithm::Sha256) => Ok(SigningScheme::EcdsaP256Sha256),
        (SignatureAlgorithm::Ecdsa, HashAlgorithm::Sha384) => Ok(SigningScheme::EcdsaP384Sha384),
        (SignatureAlgorithm::Rsa, HashAlgorithm::Sha256) => Ok(SigningScheme::RsaPkcs1Sha256),
        _ => Err("a signed certificate timestamp by an algorithm that is not known".to_owned()),
    }
}
