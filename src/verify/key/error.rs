//! Why a text is no key that we verify with, in words for whoever wrote the policy.

use super::HashAlgorithm;

/// Why a text is no key that we verify with.
///
/// No variant carries the text itself: what is refused may be a private key.
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
    /// A PEM block of a private key.
    #[error(
        "a PEM block {found:?} is a private key: give its public key, and consider the private one to be known to others"
    )]
    PrivateKey {
        /// The block's label.
        found: String,
    },
    /// A PEM block of a certificate.
    #[error(
        "a PEM block {found:?} is no public key: a certificate is not judged here, give the public key in it (openssl x509 -pubkey -noout)"
    )]
    Certificate {
        /// The block's label.
        found: String,
    },
    /// A PEM block of something else.
    #[error("a PEM block {found:?} is no public key, \"PUBLIC KEY\" and \"RSA PUBLIC KEY\" are")]
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
    #[error("keys of the algorithm {found} are not supported: ECDSA, RSA and Ed25519 are")]
    Algorithm {
        /// The algorithm's name, or its object identifier.
        found: String,
    },
    /// An ECDSA key on a curve that we do not verify with.
    #[error("ECDSA keys on the curve {found} are not supported: P-256, P-384 and P-521 are")]
    Curve {
        /// The curve's name, or its object identifier.
        found: String,
    },
    /// An RSA key that is too short to be safe, or longer than we read.
    #[error("RSA keys of {found} bits are not supported: {least} to {most} bits are")]
    RsaSize {
        /// The length of its modulus in bits.
        found: u32,
        /// The shortest modulus in bits.
        least: u32,
        /// The longest modulus in bits.
        most: u32,
    },
    /// An Ed25519 key of small order, with which anybody can sign.
    #[error("this Ed25519 key is of small order: anybody can sign for it")]
    SmallOrder,
    /// A hash that signatures by this kind of key cannot be checked with.
    #[error("{kind} keys cannot be used with {hash}: {supported} can")]
    Hash {
        /// The kind of key.
        kind: &'static str,
        /// The hash that the policy names.
        hash: HashAlgorithm,
        /// The hashes that such keys are used with.
        supported: &'static str,
    },
}
