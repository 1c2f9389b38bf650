//! Keys as a policy names them: which of the three places, and whether what stands there can be a key at all.
//!
//! Whether it is a key that we verify with is [`crate::verify`]'s to say; here a key is well-formed when it is a PEM block whose DER
//! is a `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7) or an `RSAPublicKey` (RFC 8017 §A.1.1).

use spki::SubjectPublicKeyInfoRef;
use spki::der::asn1::UintRef;
use spki::der::{Decode, Document, Reader, SliceReader};

use super::super::problem::Problem;
use super::kms;
use crate::api;
use crate::verify::PublicKey;

/// The longest PEM text that is looked at, in bytes. A 16384-bit RSA key takes 2,900.
const PEM_BYTES: usize = 64 << 10;
/// The longest text that a message repeats, in bytes: whatever is longer could be a private key that was pasted here.
const SHOWN_BYTES: usize = 64;

/// What is wrong with a public key.
pub(super) fn public_key(key: &api::KeyRef, path: &str) -> Vec<Problem> {
    check(key, path, is_public_key)
}

/// What is wrong with the certificate authority of a keyless authority: certificates, or what policy-controller reads there.
pub(super) fn certificate_authority(key: &api::KeyRef, path: &str) -> Vec<Problem> {
    check(key, path, |pem| is_certificate(pem) || is_public_key(pem))
}

fn check(key: &api::KeyRef, path: &str, is_well_formed: impl Fn(&str) -> bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    let places = || ["data", "kms", "secretref"].map(|field| format!("{path}.{field}"));
    let given = [
        !key.data.is_empty(),
        !key.kms.is_empty(),
        key.secret_ref.is_some(),
    ];
    match given.iter().filter(|given| **given).count() {
        0 => problems.push(Problem::neither(places())),
        1 => {}
        _ => problems.push(Problem::both(places())),
    }
    if !key.data.is_empty() && !is_well_formed(&key.data) {
        let why = PublicKey::from_pem(&key.data).err();
        let details = why.map_or_else(String::new, |why| why.to_string());
        problems.push(Problem::invalid(
            shown(&key.data),
            format!("{path}.data"),
            details,
        ));
    }
    if !key.kms.is_empty() {
        problems.extend(kms::reference(&key.kms, &format!("{path}.kms")));
    }
    let hash = key.hash_algorithm.trim().to_ascii_lowercase();
    if !["", "sha224", "sha256", "sha384", "sha512"].contains(&hash.as_str()) {
        problems.push(Problem::invalid(
            &key.hash_algorithm,
            format!("{path}.hashAlgorithm"),
            "",
        ));
    }
    problems
}

fn shown(data: &str) -> String {
    if data.len() > SHOWN_BYTES {
        return format!("a text of {} bytes", data.len());
    }
    data.to_owned()
}

/// The label and the bytes of the first PEM block: the first counts, as in policy-controller.
fn first_block(pem: &str) -> Option<(String, Document)> {
    const END: &str = "-----END ";
    if pem.len() > PEM_BYTES {
        return None;
    }
    let block = pem.get(pem.find(api::PEM_BEGIN)?..)?;
    let after = block.find(END)?.checked_add(END.len())?;
    let dashes = block.get(after..)?.find("-----")?;
    let end = after.checked_add(dashes)?.checked_add("-----".len())?;
    let (label, document) = Document::from_pem(block.get(..end)?).ok()?;
    Some((label.to_owned(), document))
}

fn is_public_key(pem: &str) -> bool {
    match first_block(pem) {
        Some((label, der)) if label == "PUBLIC KEY" => {
            SubjectPublicKeyInfoRef::from_der(der.as_bytes()).is_ok()
        }
        Some((label, der)) if label == "RSA PUBLIC KEY" => is_rsa_public_key(der.as_bytes()),
        _ => false,
    }
}

/// `SEQUENCE { modulus INTEGER, publicExponent INTEGER }`.
fn is_rsa_public_key(der: &[u8]) -> bool {
    let read = || {
        let mut reader = SliceReader::new(der)?;
        reader.sequence(|numbers: &mut SliceReader<'_>| {
            UintRef::decode(numbers)?;
            UintRef::decode(numbers).map(|_| ())
        })?;
        reader.finish()
    };
    let result: Result<(), spki::der::Error> = read();
    result.is_ok()
}

fn is_certificate(pem: &str) -> bool {
    first_block(pem).is_some_and(|(label, _)| label == "CERTIFICATE")
}
