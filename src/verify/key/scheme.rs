//! Which signatures a key vouches with: kind of key × hash → ways to verify.
//!
//! | key | no hash given | a hash given |
//! |---|---|---|
//! | ECDSA P-256 | SHA-256 | that one |
//! | ECDSA P-384 | SHA-256, SHA-384 | that one |
//! | ECDSA P-521 | SHA-256, SHA-512 | that one |
//! | RSA | SHA-256 | that one; SHA-224 is refused |
//! | Ed25519 | pure and Ed25519ph | SHA-512: the same two, it is the hash of both; others are refused |
//!
//! What cosign 3 writes is the reason for the curve's own hash and for Ed25519ph. ECDSA signatures are ASN.1 DER (RFC 3279 §2.2.3) and
//! nothing else. RSA signatures are PKCS#1 v1.5, or PSS with a salt as long as the hash or as long as fits (RFC 8017); Ed25519 is
//! RFC 8032, Ed25519ph with an empty context.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA224_ASN1, ECDSA_P521_SHA256_ASN1,
    ECDSA_P521_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPssSaltLength, VerificationAlgorithm,
};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha224, Sha512};

use super::material::{Curve, Material};
use super::{HashAlgorithm, InvalidKey};
use crate::image::{Algorithm, Digest};

/// One way to verify: a key, a hash, an encoding.
pub(super) enum Scheme {
    /// As the library names it.
    Named(ParsedPublicKey),
    /// ECDSA over SHA-224 on a curve for which the library does not name it.
    EcdsaSha224 {
        key: ParsedPublicKey,
        /// The hash that the library does name for the curve. Its length is that of the curve's order.
        carrier: &'static digest::Algorithm,
    },
    /// Ed25519ph.
    Ed25519ph(VerifyingKey),
}

/// PSS with the longest salt that fits, for each hash.
static RSA_PSS_MAX_SHA256: RsaParameters =
    RSA_PSS_2048_8192_SHA256.with_pss_salt_length(RsaPssSaltLength::Max);
static RSA_PSS_MAX_SHA384: RsaParameters =
    RSA_PSS_2048_8192_SHA384.with_pss_salt_length(RsaPssSaltLength::Max);
static RSA_PSS_MAX_SHA512: RsaParameters =
    RSA_PSS_2048_8192_SHA512.with_pss_salt_length(RsaPssSaltLength::Max);

/// All ways in which a signature by this key may be made; any of them counts.
pub(super) fn schemes(
    key: &Material,
    hash: Option<HashAlgorithm>,
) -> Result<Vec<Scheme>, InvalidKey> {
    match key {
        Material::Ecdsa { curve, point } => {
            let hashes = match &hash {
                Some(hash) => std::slice::from_ref(hash),
                None => own_hashes(*curve),
            };
            hashes
                .iter()
                .map(|hash| ecdsa(*curve, *hash, point))
                .collect()
        }
        Material::Rsa(der) => rsa(hash.unwrap_or(HashAlgorithm::Sha256), der),
        Material::Ed25519(key) => ed25519(key, hash),
    }
}

/// The hashes that are tried where the policy names none.
fn own_hashes(curve: Curve) -> &'static [HashAlgorithm] {
    match curve {
        Curve::P256 => &[HashAlgorithm::Sha256],
        Curve::P384 => &[HashAlgorithm::Sha256, HashAlgorithm::Sha384],
        Curve::P521 => &[HashAlgorithm::Sha256, HashAlgorithm::Sha512],
    }
}

fn ecdsa(curve: Curve, hash: HashAlgorithm, point: &[u8]) -> Result<Scheme, InvalidKey> {
    use HashAlgorithm::{Sha224, Sha256, Sha384, Sha512};
    let algorithm = match (curve, hash) {
        (Curve::P256, Sha224) => {
            return ecdsa_sha224(&ECDSA_P256_SHA256_ASN1, &digest::SHA256, point);
        }
        (Curve::P384, Sha224) => {
            return ecdsa_sha224(&ECDSA_P384_SHA384_ASN1, &digest::SHA384, point);
        }
        (Curve::P521, Sha224) => &ECDSA_P521_SHA224_ASN1,
        (Curve::P256, Sha256) => &ECDSA_P256_SHA256_ASN1,
        (Curve::P256, Sha384) => &ECDSA_P256_SHA384_ASN1,
        (Curve::P256, Sha512) => &ECDSA_P256_SHA512_ASN1,
        (Curve::P384, Sha256) => &ECDSA_P384_SHA256_ASN1,
        (Curve::P384, Sha384) => &ECDSA_P384_SHA384_ASN1,
        (Curve::P384, Sha512) => &ECDSA_P384_SHA512_ASN1,
        (Curve::P521, Sha256) => &ECDSA_P521_SHA256_ASN1,
        (Curve::P521, Sha384) => &ECDSA_P521_SHA384_ASN1,
        (Curve::P521, Sha512) => &ECDSA_P521_SHA512_ASN1,
    };
    named(algorithm, point)
}

fn ecdsa_sha224(
    algorithm: &'static dyn VerificationAlgorithm,
    carrier: &'static digest::Algorithm,
    point: &[u8],
) -> Result<Scheme, InvalidKey> {
    let key = parsed(algorithm, point)?;
    Ok(Scheme::EcdsaSha224 { key, carrier })
}

fn rsa(hash: HashAlgorithm, der: &[u8]) -> Result<Vec<Scheme>, InvalidKey> {
    let algorithms: [&'static RsaParameters; 3] = match hash {
        HashAlgorithm::Sha224 => {
            return Err(InvalidKey::Hash {
                kind: "RSA",
                hash,
                supported: "sha256, sha384 and sha512",
            });
        }
        HashAlgorithm::Sha256 => [
            &RSA_PKCS1_2048_8192_SHA256,
            &RSA_PSS_2048_8192_SHA256,
            &RSA_PSS_MAX_SHA256,
        ],
        HashAlgorithm::Sha384 => [
            &RSA_PKCS1_2048_8192_SHA384,
            &RSA_PSS_2048_8192_SHA384,
            &RSA_PSS_MAX_SHA384,
        ],
        HashAlgorithm::Sha512 => [
            &RSA_PKCS1_2048_8192_SHA512,
            &RSA_PSS_2048_8192_SHA512,
            &RSA_PSS_MAX_SHA512,
        ],
    };
    algorithms
        .into_iter()
        .map(|algorithm| named(algorithm, der))
        .collect()
}

fn ed25519(key: &VerifyingKey, hash: Option<HashAlgorithm>) -> Result<Vec<Scheme>, InvalidKey> {
    match hash {
        None | Some(HashAlgorithm::Sha512) => Ok(vec![
            named(&ED25519, key.as_bytes())?,
            Scheme::Ed25519ph(*key),
        ]),
        Some(hash) => Err(InvalidKey::Hash {
            kind: "Ed25519",
            hash,
            supported: "only sha512, which is part of Ed25519,",
        }),
    }
}

fn named(algorithm: &'static dyn VerificationAlgorithm, key: &[u8]) -> Result<Scheme, InvalidKey> {
    parsed(algorithm, key).map(Scheme::Named)
}

fn parsed(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
) -> Result<ParsedPublicKey, InvalidKey> {
    ParsedPublicKey::new(algorithm, key).map_err(|_| InvalidKey::Encoding {
        detail: "its value is no key of its algorithm".to_owned(),
    })
}

// === impl Scheme ===

impl Scheme {
    /// Whether `signature` is a signature over `message`, made in this way.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Named(key) => key.verify_sig(message, signature).is_ok(),
            Self::EcdsaSha224 { key, carrier } => carried(message, carrier)
                .is_some_and(|digest| key.verify_digest_sig(&digest, signature).is_ok()),
            // Strict: no R or key of small order.
            Self::Ed25519ph(key) => Signature::from_slice(signature).is_ok_and(|signature| {
                let prehashed = Sha512::new_with_prefix(message);
                key.verify_prehashed_strict(prehashed, None, &signature)
                    .is_ok()
            }),
        }
    }

    /// Whether `signature` is one over the bytes that have this SHA-256, and that hash is the one it is made with.
    pub(super) fn verifies_sha256(&self, message: &Digest, signature: &[u8]) -> bool {
        let Self::Named(key) = self else {
            return false;
        };
        // The library refuses a digest by another hash than the scheme's own.
        message.algorithm() == Algorithm::Sha256
            && digest::Digest::import_less_safe(message.as_bytes(), &digest::SHA256)
                .is_ok_and(|digest| key.verify_digest_sig(&digest, signature).is_ok())
    }
}

/// SHA-224 of `message`, with zeros before it up to the length of `carrier`'s output.
///
/// ECDSA takes the hash as a number, and one that is shorter than the order as it is (FIPS 186-5 §6.4.2, step 2): the zeros do not
/// change the number.
fn carried(message: &[u8], carrier: &'static digest::Algorithm) -> Option<digest::Digest> {
    let short = Sha224::digest(message);
    let mut padded = vec![0; carrier.output_len().checked_sub(short.len())?];
    padded.extend_from_slice(&short);
    digest::Digest::import_less_safe(&padded, carrier).ok()
}
