//! Signing keys: P-256 with SHA-256, what `cosign generate-key-pair` makes.
//!
//! Nothing comes in; out come the public key as a policy holds it (PEM) and signatures as cosign writes them (ASN.1 DER).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};
use spki::der::pem::{self, LineEnding};

use super::SigningError;

/// A key that exists for one process and is never written down. Clones are the same key.
#[derive(Clone)]
pub struct SigningKey {
    pair: Arc<EcdsaKeyPair>,
    public_key_pem: String,
}

// === impl SigningKey ===

impl SigningKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`SigningError::Crypto`] when the library gives none.
    pub fn generate() -> Result<Self, SigningError> {
        let refused = SigningError::Crypto {
            action: "make a key",
        };
        let Ok(pair) = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING) else {
            return Err(refused);
        };
        let Ok(spki): Result<PublicKeyX509Der<'_>, _> = pair.public_key().as_der() else {
            return Err(refused);
        };
        let Ok(public_key_pem) = pem::encode_string("PUBLIC KEY", LineEnding::LF, spki.as_ref())
        else {
            return Err(refused);
        };
        Ok(Self {
            pair: Arc::new(pair),
            public_key_pem,
        })
    }

    /// The public key as `SubjectPublicKeyInfo` in PEM, as a policy's `key.data` holds it.
    pub fn public_key_pem(&self) -> &str {
        &self.public_key_pem
    }

    /// An ECDSA signature over the SHA-256 of `message`, in ASN.1 DER.
    ///
    /// # Errors
    /// [`SigningError::Crypto`] when the library gives none.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        match self.pair.sign(&SystemRandom::new(), message) {
            Ok(signature) => Ok(signature.as_ref().to_vec()),
            Err(_) => Err(SigningError::Crypto { action: "sign" }),
        }
    }

    /// The `keyid` that Tekton Chains writes: `SHA256:` and the hash of the public key in the form of SSH (RFC 5656, 3.1).
    pub fn key_id(&self) -> String {
        let point = self.pair.public_key().as_ref();
        let mut hash = Sha256::new();
        for part in [b"ecdsa-sha2-nistp256".as_slice(), b"nistp256", point] {
            hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            hash.update(part);
        }
        format!("SHA256:{}", STANDARD_NO_PAD.encode(hash.finalize()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.key_id())
    }
}
