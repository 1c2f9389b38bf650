//! Public keys in the forms that services have, to PEM of a `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7).

use spki::der::asn1::{AnyRef, BitStringRef, Null, UintRef};
use spki::der::pem::LineEnding;
use spki::der::{Decode as _, Encode as _, EncodePem as _};
use spki::{AlgorithmIdentifier, ObjectIdentifier, SubjectPublicKeyInfo};

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Bytes that are no key of their kind.
pub(super) const NO_KEY: &str = "its key cannot be read";

/// From DER of a `SubjectPublicKeyInfo`.
pub(super) fn from_der(der: &[u8]) -> Result<String, &'static str> {
    let info: SubjectPublicKeyInfo<AnyRef<'_>, BitStringRef<'_>> =
        SubjectPublicKeyInfo::from_der(der).map_err(|_| NO_KEY)?;
    info.to_pem(LineEnding::LF).map_err(|_| NO_KEY)
}

/// From the coordinates of a point on a curve, as a JSON Web Key has them (RFC 7518 §6.2.1).
pub(super) fn from_point(curve: &str, x: &[u8], y: &[u8]) -> Result<String, &'static str> {
    let (curve, length) = match curve {
        "P-256" => ("1.2.840.10045.3.1.7", 32),
        "P-384" => ("1.3.132.0.34", 48),
        "P-521" => ("1.3.132.0.35", 66),
        _ => return Err("its curve is none of P-256, P-384, P-521"),
    };
    if x.len() != length || y.len() != length {
        return Err(NO_KEY);
    }
    let curve = ObjectIdentifier::new_unwrap(curve);
    let point = [&[4], x, y].concat();
    encode(EC_PUBLIC_KEY, Some(AnyRef::from(&curve)), &point)
}

/// From modulus and exponent (RFC 7518 §6.3.1).
pub(super) fn from_modulus(n: &[u8], e: &[u8]) -> Result<String, &'static str> {
    let number = |bytes| UintRef::new(bytes).map_err(|_| NO_KEY);
    // `RSAPublicKey` is a sequence of the two.
    let key = vec![number(n)?, number(e)?].to_der().map_err(|_| NO_KEY)?;
    encode(RSA_ENCRYPTION, Some(AnyRef::from(Null)), &key)
}

/// From the 32 bytes of an Ed25519 key (RFC 8410 §4).
pub(super) fn from_ed25519(key: &[u8]) -> Result<String, &'static str> {
    if key.len() != 32 {
        return Err(NO_KEY);
    }
    encode(ED25519, None, key)
}

fn encode(
    oid: ObjectIdentifier,
    parameters: Option<AnyRef<'_>>,
    key: &[u8],
) -> Result<String, &'static str> {
    let info = SubjectPublicKeyInfo {
        algorithm: AlgorithmIdentifier { oid, parameters },
        subject_public_key: BitStringRef::from_bytes(key).map_err(|_| NO_KEY)?,
    };
    info.to_pem(LineEnding::LF).map_err(|_| NO_KEY)
}
