//! Public keys as policies name them, and what they verify.
//!
//! *In*: the text of `key.data`, whose first PEM block counts (`PUBLIC KEY`, RFC 5280 §4.1.2.7, or `RSA PUBLIC KEY`, RFC 8017 A.1.1), and
//! `key.hashAlgorithm`. *Out*: a [`PublicKey`], or the reason why it is none. ECDSA on P-256, P-384 and P-521, RSA of 2048 to 4096 bits,
//! Ed25519; the table of hashes is in [`scheme`].

mod error;
mod hash;
mod material;
mod pem;
mod scheme;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use sha2::{Digest as _, Sha256};

pub use error::InvalidKey;
pub use hash::{HashAlgorithm, UnknownHash};
use material::Material;
use scheme::Scheme;

use crate::image::Digest;

/// A public key, parsed once when the policy is compiled, with the hashes that its signatures may be made with.
#[derive(Clone)]
pub struct PublicKey {
    schemes: Arc<[Scheme]>,
    hash: Option<HashAlgorithm>,
    fingerprint: KeyFingerprint,
}

/// SHA-256 of a key's `SubjectPublicKeyInfo`, the same that `openssl pkey -pubin -outform DER | sha256sum` prints.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyFingerprint([u8; 32]);

// === impl PublicKey ===

impl PublicKey {
    /// Reads the first PEM block of `pem`. Signatures may be made with the hashes that such keys are used with by default.
    ///
    /// # Errors
    /// See [`InvalidKey`].
    pub fn from_pem(pem: &str) -> Result<Self, InvalidKey> {
        Self::read(pem, None)
    }

    /// Reads the first PEM block of `pem`. Signatures must be made with this hash.
    ///
    /// # Errors
    /// See [`InvalidKey`]; also when such keys are not used with this hash.
    pub fn from_pem_with_hash(pem: &str, hash: HashAlgorithm) -> Result<Self, InvalidKey> {
        Self::read(pem, Some(hash))
    }

    /// Reads a `SubjectPublicKeyInfo` in DER, such as that of a certificate.
    pub(super) fn from_spki(der: &[u8]) -> Result<Self, InvalidKey> {
        Ok(Self {
            schemes: scheme::schemes(&Material::from_spki(der)?, None)?.into(),
            hash: None,
            fingerprint: KeyFingerprint::of_spki(der),
        })
    }

    fn read(pem: &str, hash: Option<HashAlgorithm>) -> Result<Self, InvalidKey> {
        let pem::Block { label, der } = pem::first_block(pem)?;
        let (key, fingerprint) = match label.as_str() {
            "PUBLIC KEY" => (Material::from_spki(&der)?, KeyFingerprint::of_spki(&der)),
            "RSA PUBLIC KEY" => (
                Material::from_rsa_public_key(&der)?,
                KeyFingerprint::of_rsa_public_key(&der)?,
            ),
            _ if label.ends_with("PRIVATE KEY") => {
                return Err(InvalidKey::PrivateKey { found: label });
            }
            _ if label.ends_with("CERTIFICATE") => {
                return Err(InvalidKey::Certificate { found: label });
            }
            _ => return Err(InvalidKey::Label { found: label }),
        };
        Ok(Self {
            schemes: scheme::schemes(&key, hash)?.into(),
            hash,
            fingerprint,
        })
    }

    /// Its fingerprint. The same for every hash, and for every PEM form of one key.
    pub fn fingerprint(&self) -> KeyFingerprint {
        self.fingerprint
    }

    /// The hash that its signatures must be made with, where the policy names one.
    pub fn hash_algorithm(&self) -> Option<HashAlgorithm> {
        self.hash
    }

    /// Whether `signature` is this key's over `message`.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.schemes
            .iter()
            .any(|scheme| scheme.verifies(message, signature))
    }

    /// Whether `signature` is this key's over the bytes that have this SHA-256, made with that hash. Of other schemes the bytes
    /// themselves would be needed: their signatures count as somebody else's.
    pub(super) fn verifies_digest(&self, message: &Digest, signature: &[u8]) -> bool {
        self.schemes
            .iter()
            .any(|scheme| scheme.verifies_sha256(message, signature))
    }
}

/// Equal keys give equal answers: the same key, used with the same hashes.
impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        (self.fingerprint, self.hash) == (other.fingerprint, other.hash)
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}", self.fingerprint)?;
        if let Some(hash) = self.hash {
            write!(f, " with {hash}")?;
        }
        f.write_str(")")
    }
}

// === impl KeyFingerprint ===

impl KeyFingerprint {
    fn of_spki(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    /// That of the `SubjectPublicKeyInfo` which holds this `RSAPublicKey`.
    fn of_rsa_public_key(der: &[u8]) -> Result<Self, InvalidKey> {
        let info: Result<PublicKeyX509Der<'_>, _> = aws_lc_rs::rsa::PublicKey::from_der(der)
            .map_err(|_| aws_lc_rs::error::Unspecified)
            .and_then(|key| key.as_der());
        match info {
            Ok(info) => Ok(Self::of_spki(info.as_ref())),
            Err(_) => Err(InvalidKey::Encoding {
                detail: "not an RSAPublicKey".to_owned(),
            }),
        }
    }

    /// Whether it is that of the key in this `SubjectPublicKeyInfo`.
    pub(super) fn is_of_spki(&self, der: &[u8]) -> bool {
        Self::of_spki(der) == *self
    }

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
