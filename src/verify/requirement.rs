//! What an authority asks of a signature.

use sha2::{Digest as _, Sha256};

use super::{HashAlgorithm, PublicKey, Rejection, Signer};
use crate::image::Digest;

/// What must be proven for an authority. There is no variant that accepts anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Signed by the holder of this key.
    Key(PublicKey),
}

/// The identity of a requirement: equal identity, equal answer for the same evidence. It keys what is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VerifierId([u8; 32]);

impl Requirement {
    /// Checks a signature over `message`, byte for byte.
    pub(super) fn check(&self, message: &[u8], signature: &[u8]) -> Result<Signer, Rejection> {
        match self {
            Self::Key(key) if key.verifies(message, signature) => {
                Ok(Signer::Key(key.fingerprint()))
            }
            Self::Key(key) => Err(Rejection::WrongKey {
                wanted: key.fingerprint(),
            }),
        }
    }

    /// Checks a signature over bytes of which only the digest is at hand.
    pub(super) fn check_digest(
        &self,
        digest: &Digest,
        signature: &[u8],
    ) -> Result<Signer, Rejection> {
        match self {
            Self::Key(key) if key.verifies_digest(digest, signature) => {
                Ok(Signer::Key(key.fingerprint()))
            }
            Self::Key(key) => Err(Rejection::WrongKey {
                wanted: key.fingerprint(),
            }),
        }
    }

    /// Its identity.
    pub fn id(&self) -> VerifierId {
        match self {
            Self::Key(key) => {
                let mut hash = Sha256::new();
                hash.update(b"key\0");
                hash.update(key.fingerprint().as_bytes());
                // The same key with another hash accepts other signatures.
                hash.update(key.hash_algorithm().map_or("any", HashAlgorithm::as_str));
                VerifierId(hash.finalize().into())
            }
        }
    }
}

impl VerifierId {
    /// The bytes that key what is remembered.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
