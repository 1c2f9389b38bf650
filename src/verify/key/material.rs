//! What a key is: its kind, and the bytes that the kind needs.
//!
//! *In*: DER of a `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7; RFC 5480 for ECDSA, RFC 3279 §2.3.1 for RSA, RFC 8410 for Ed25519) or of an
//! `RSAPublicKey` (RFC 8017, A.1.1). *Out*: a key that was checked to be one that we verify with.

use aws_lc_rs::signature::RsaParameters;
use ed25519_dalek::VerifyingKey;
use spki::der::asn1::AnyRef;
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::InvalidKey;

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const SECP521R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// Names for what people do try, so that a refusal is understood.
const NAMES: [(&str, &str); 9] = [
    ("1.2.840.10040.4.1", "DSA"),
    ("1.2.840.113549.1.1.10", "RSASSA-PSS"),
    ("1.3.101.110", "X25519"),
    ("1.3.101.111", "X448"),
    ("1.3.101.113", "Ed448"),
    ("1.2.840.10045.3.1.1", "P-192"),
    ("1.3.132.0.33", "P-224"),
    ("1.3.132.0.10", "secp256k1"),
    ("1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1"),
];

/// The shortest RSA modulus in bits (NIST SP 800-131A).
const RSA_LEAST_BITS: u32 = 2048;
/// The longest RSA modulus in bits: what it costs to verify stays bounded.
const RSA_MOST_BITS: u32 = 4096;

/// The first byte of a point that is not compressed (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// A key that can be verified with.
pub(super) enum Material {
    /// An ECDSA key.
    Ecdsa {
        /// Its curve.
        curve: Curve,
        /// Its point, not compressed.
        point: Vec<u8>,
    },
    /// An RSA key, as DER of an `RSAPublicKey`.
    Rsa(Vec<u8>),
    /// An Ed25519 key that is not of small order.
    Ed25519(VerifyingKey),
}

/// A curve of ECDSA keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    /// `secp256r1`.
    P256,
    /// `secp384r1`.
    P384,
    /// `secp521r1`.
    P521,
}

// === impl Material ===

impl Material {
    /// Reads a `SubjectPublicKeyInfo`.
    pub(super) fn from_spki(der: &[u8]) -> Result<Self, InvalidKey> {
        let info =
            SubjectPublicKeyInfoRef::try_from(der).map_err(|e| undecodable(&e.to_string()))?;
        let key = info
            .subject_public_key
            .as_bytes()
            .ok_or_else(|| undecodable("its bits are no whole bytes"))?;
        let parameters = info.algorithm.parameters;
        match info.algorithm.oid {
            EC_PUBLIC_KEY => {
                let curve = info
                    .algorithm
                    .parameters_oid()
                    .map_err(|_| undecodable("its curve is not given by name"))?;
                Self::ecdsa(Curve::from_oid(curve)?, key)
            }
            RSA_ENCRYPTION if parameters.is_some_and(AnyRef::is_null) => {
                Self::from_rsa_public_key(key)
            }
            ED25519 if parameters.is_none() => Self::ed25519(key),
            RSA_ENCRYPTION | ED25519 => Err(undecodable("its algorithm has other parameters")),
            other => Err(InvalidKey::Algorithm { found: name(other) }),
        }
    }

    /// Reads an `RSAPublicKey`.
    pub(super) fn from_rsa_public_key(der: &[u8]) -> Result<Self, InvalidKey> {
        let bits = RsaParameters::public_modulus_len(der)
            .map_err(|_| undecodable("not an RSAPublicKey"))?;
        if !(RSA_LEAST_BITS..=RSA_MOST_BITS).contains(&bits) {
            return Err(InvalidKey::RsaSize {
                found: bits,
                least: RSA_LEAST_BITS,
                most: RSA_MOST_BITS,
            });
        }
        Ok(Self::Rsa(der.to_vec()))
    }

    /// Whether the point is on its curve is found out by the library, when the key is made ready to verify.
    fn ecdsa(curve: Curve, point: &[u8]) -> Result<Self, InvalidKey> {
        if point.first() != Some(&UNCOMPRESSED) {
            return Err(undecodable("its point is not in uncompressed form"));
        }
        Ok(Self::Ecdsa {
            curve,
            point: point.to_vec(),
        })
    }

    fn ed25519(key: &[u8]) -> Result<Self, InvalidKey> {
        let key = VerifyingKey::try_from(key).map_err(|_| undecodable("not a point on Ed25519"))?;
        if key.is_weak() {
            return Err(InvalidKey::SmallOrder);
        }
        Ok(Self::Ed25519(key))
    }
}

// === impl Curve ===

impl Curve {
    fn from_oid(oid: ObjectIdentifier) -> Result<Self, InvalidKey> {
        match oid {
            SECP256R1 => Ok(Self::P256),
            SECP384R1 => Ok(Self::P384),
            SECP521R1 => Ok(Self::P521),
            other => Err(InvalidKey::Curve { found: name(other) }),
        }
    }
}

/// The name of an algorithm or curve, else its object identifier.
fn name(oid: ObjectIdentifier) -> String {
    let oid = oid.to_string();
    match NAMES.iter().find(|(known, _)| *known == oid) {
        Some((_, name)) => (*name).to_owned(),
        None => oid,
    }
}

fn undecodable(detail: &str) -> InvalidKey {
    InvalidKey::Encoding {
        detail: detail.to_owned(),
    }
}
