//! Keys of every kind that a Sigstore meets: made for one test, never written down.
//!
//! Nothing comes in; out come the public key (DER and PEM), signatures as its owner makes them, and the names that certificates, logs and
//! certificate timestamps have for them.

use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use sha2::{Digest as _, Sha256};
use x509_cert::der::asn1::{Any, ObjectIdentifier};
use x509_cert::der::pem::{self, LineEnding};
use x509_cert::spki::AlgorithmIdentifierOwned;

/// The kind of a key; the hash is the one that goes with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// ECDSA on P-256, SHA-256: what cosign makes.
    #[default]
    P256,
    /// ECDSA on P-384, SHA-384: what Fulcio's own certificates have.
    P384,
    /// ECDSA on P-521, SHA-512.
    P521,
    /// Ed25519.
    Ed25519,
    /// RSA of 2048 bits, PKCS #1 v1.5, SHA-256.
    Rsa,
}

/// A key pair. Clones are the same key.
#[derive(Clone)]
pub(crate) struct Key {
    algorithm: Algorithm,
    pair: Arc<Pair>,
    spki: Vec<u8>,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

// === impl Algorithm ===

impl Algorithm {
    /// The algorithm that a certificate says it is signed with (RFC 5758, 8410, 8017).
    fn certificate_algorithm(self) -> AlgorithmIdentifierOwned {
        let (oid, parameters) = match self {
            Self::P256 => ("1.2.840.10045.4.3.2", None),
            Self::P384 => ("1.2.840.10045.4.3.3", None),
            Self::P521 => ("1.2.840.10045.4.3.4", None),
            Self::Ed25519 => ("1.3.101.112", None),
            Self::Rsa => ("1.2.840.113549.1.1.11", Some(Any::null())),
        };
        AlgorithmIdentifierOwned {
            oid: ObjectIdentifier::new_unwrap(oid),
            parameters,
        }
    }

    /// Hash and signature as TLS 1.2 numbers them (RFC 5246, 7.4.1.4.1), for certificate timestamps.
    fn tls_algorithm(self) -> [u8; 2] {
        match self {
            Self::P256 => [4, 3],
            Self::P384 => [5, 3],
            Self::P521 => [6, 3],
            Self::Ed25519 => [8, 7],
            Self::Rsa => [4, 1],
        }
    }

    /// The name of the key's kind in `trusted_root.json` and in entries of Rekor v2 (protobuf-specs, `PublicKeyDetails`).
    pub(crate) fn key_details(self) -> &'static str {
        match self {
            Self::P256 => "PKIX_ECDSA_P256_SHA_256",
            Self::P384 => "PKIX_ECDSA_P384_SHA_384",
            Self::P521 => "PKIX_ECDSA_P521_SHA_512",
            Self::Ed25519 => "PKIX_ED25519",
            Self::Rsa => "PKIX_RSA_PKCS1V15_2048_SHA256",
        }
    }
}

// === impl Key ===

impl Key {
    pub(crate) fn generate(algorithm: Algorithm) -> Self {
        let ecdsa = |kind: &'static EcdsaSigningAlgorithm| EcdsaKeyPair::generate(kind).unwrap();
        let pair = match algorithm {
            Algorithm::P256 => Pair::Ecdsa(ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING)),
            Algorithm::P384 => Pair::Ecdsa(ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING)),
            Algorithm::P521 => Pair::Ecdsa(ecdsa(&ECDSA_P521_SHA512_ASN1_SIGNING)),
            Algorithm::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate().unwrap()),
            Algorithm::Rsa => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
        };
        let spki: PublicKeyX509Der<'_> = match &pair {
            Pair::Ecdsa(pair) => pair.public_key().as_der().unwrap(),
            Pair::Ed25519(pair) => pair.public_key().as_der().unwrap(),
            Pair::Rsa(pair) => pair.public_key().as_der().unwrap(),
        };
        let spki = spki.as_ref().to_vec();
        Self {
            algorithm,
            pair: Arc::new(pair),
            spki,
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &*self.pair {
            Pair::Ecdsa(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .unwrap();
                signature
            }
        }
    }

    /// Its `SubjectPublicKeyInfo`, in DER.
    pub(crate) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The same in PEM, as a policy's `key.data` holds it.
    pub(crate) fn pem(&self) -> String {
        pem::encode_string("PUBLIC KEY", LineEnding::LF, &self.spki).unwrap()
    }

    /// The key id of logs: SHA-256 of the public key (RFC 6962, 3.2).
    pub(crate) fn id(&self) -> [u8; 32] {
        Sha256::digest(&self.spki).into()
    }

    /// The id under which a signed note names an Ed25519 key: with the name of its owner and the kind of signature, and without the
    /// encoding around the key. ECDSA keys are named by their hash alone, as Rekor does it.
    pub(crate) fn note_id(&self, name: &str, kind: u8) -> [u8; 32] {
        match &*self.pair {
            Pair::Ed25519(pair) => Sha256::new()
                .chain_update(name)
                .chain_update([b'\n', kind])
                .chain_update(pair.public_key())
                .finalize()
                .into(),
            Pair::Ecdsa(_) | Pair::Rsa(_) => self.id(),
        }
    }

    pub(crate) fn certificate_algorithm(&self) -> AlgorithmIdentifierOwned {
        self.algorithm.certificate_algorithm()
    }

    pub(crate) fn tls_algorithm(&self) -> [u8; 2] {
        self.algorithm.tls_algorithm()
    }

    pub(crate) fn key_details(&self) -> &'static str {
        self.algorithm.key_details()
    }
}
