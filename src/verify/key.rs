//! Public keys as policies name them: PEM of a `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7), and what they verify.

use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};
use sha2::{Digest as _, Sha256};
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use crate::image::{Algorithm, Digest};

/// `id-ecPublicKey`, RFC 5480.
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// `secp256r1`, RFC 5480.
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// The longest PEM text that is read, in bytes. A 4096-bit RSA key takes 800.
const PEM_BYTES: usize = 64 << 10;

/// A public key, parsed once when the policy is compiled.
#[derive(Clone)]
pub struct PublicKey {
    key: ParsedPublicKey,
    fingerprint: KeyFingerprint,
}

/// SHA-256 of a key's `SubjectPublicKeyInfo`, the same that `openssl pkey -pubin -outform DER | sha256sum` prints.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyFingerprint([u8; 32]);

/// Why a text is no key that we verify with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKey {
    /// No PEM block of a public key.
    #[error("no PEM block \"PUBLIC KEY\" was found")]
    NoPem,
    /// The text is longer than any key.
    #[error("{found} bytes are too long for a key, {limit} are read")]
    TooLong {
        /// Its length in bytes.
        found: usize,
        /// The bound.
        limit: usize,
    },
    /// A PEM block of something else, such as a private key or a certificate.
    #[error("a PEM block {found:?} is no public key")]
    Label {
        /// The block's label.
        found: String,
    },
    /// A block that cannot be decoded.
    #[error("the key cannot be decoded: {detail}")]
    Encoding {
        /// What is wrong with it.
        detail: String,
    },
    /// A key of an algorithm that we do not verify with.
    #[error("keys of the algorithm {found} are not supported, ECDSA P-256 is")]
    Algorithm {
        /// The algorithm's object identifier, and the curve's.
        found: String,
    },
}

// === impl PublicKey ===

impl PublicKey {
    /// Reads the first PEM block of `pem`.
    ///
    /// # Errors
    /// See [`InvalidKey`].
    pub fn from_pem(pem: &str) -> Result<Self, InvalidKey> {
        if pem.len() > PEM_BYTES {
            return Err(InvalidKey::TooLong {
                found: pem.len(),
                limit: PEM_BYTES,
            });
        }
        let start = pem.find("-----BEGIN ").ok_or(InvalidKey::NoPem)?;
        let block = first_block(pem.get(start..).unwrap_or_default());
        let (label, document) =
            spki::Document::from_pem(block).map_err(|e| InvalidKey::Encoding {
                detail: e.to_string(),
            })?;
        if label != "PUBLIC KEY" {
            return Err(InvalidKey::Label {
                found: label.to_owned(),
            });
        }
        Self::from_spki(document.as_bytes())
    }

    fn from_spki(der: &[u8]) -> Result<Self, InvalidKey> {
        let undecodable = |detail: String| InvalidKey::Encoding { detail };
        let info =
            SubjectPublicKeyInfoRef::try_from(der).map_err(|e| undecodable(e.to_string()))?;
        let oid = info.algorithm.oid;
        let curve = info.algorithm.parameters_oid().ok();
        if oid != EC_PUBLIC_KEY || curve != Some(P256) {
            let found = curve.map_or_else(
                || oid.to_string(),
                |curve| format!("{oid} on curve {curve}"),
            );
            return Err(InvalidKey::Algorithm { found });
        }
        let point = info.subject_public_key.raw_bytes();
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
            .map_err(|_| undecodable("not a point on P-256".to_owned()))?;
        Ok(Self {
            key,
            fingerprint: KeyFingerprint(Sha256::digest(der).into()),
        })
    }

    /// Its fingerprint.
    pub fn fingerprint(&self) -> KeyFingerprint {
        self.fingerprint
    }

    /// Whether `signature` (ASN.1 DER) is this key's over `message`.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }

    /// Whether `signature` (ASN.1 DER) is this key's over the bytes that have this SHA-256. Another hash is never what was signed.
    pub(super) fn verifies_digest(&self, message: &Digest, signature: &[u8]) -> bool {
        message.algorithm() == Algorithm::Sha256
            && digest::Digest::import_less_safe(message.as_bytes(), &digest::SHA256)
                .is_ok_and(|digest| self.key.verify_digest_sig(&digest, signature).is_ok())
    }
}

/// The text up to the end of its first PEM block: the first counts, as in policy-controller.
fn first_block(pem: &str) -> &str {
    const END: &str = "-----END ";
    let Some(end) = pem.find(END) else { return pem };
    let after = end + END.len();
    match pem.get(after..).and_then(|rest| rest.find("-----")) {
        Some(dashes) => pem.get(..after + dashes + 5).unwrap_or(pem),
        None => pem,
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint)
    }
}

// === impl KeyFingerprint ===

impl KeyFingerprint {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A form for people: `9a3f…12`.
    pub fn short(&self) -> String {
        let hex = self.to_string();
        format!(
            "{}…{}",
            hex.get(..8).unwrap_or_default(),
            hex.get(60..).unwrap_or_default()
        )
    }
}

impl fmt::Display for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyFingerprint({self})")
    }
}
