//! Why a piece of evidence does not prove what was asked of it.

use super::{Holder, Identities, KeyFingerprint};
use crate::evidence::DecodeError;
use crate::image::Digest;
use crate::statement::MalformedStatement;

/// Evidence that was judged and found wanting. It is never the same as *could not judge*.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// It could not be decoded.
    #[error("{0}")]
    Undecodable(DecodeError),
    /// It is something else than a signature.
    #[error("an attestation is not a signature")]
    NotASignature,
    /// It is something else than an attestation.
    #[error("a signature is not an attestation")]
    NotAnAttestation,
    /// Its signature does not verify with the key that the policy names.
    #[error("by another key (the policy has {})", wanted.short())]
    WrongKey {
        /// The key that the policy names.
        wanted: KeyFingerprint,
    },
    /// Signed by a key, where a certificate is asked for.
    #[error("signed by a key, without a certificate")]
    NoCertificate,
    /// Its signature does not verify with the key of its own certificate.
    #[error("not signed by the holder of its certificate")]
    OtherKey,
    /// The certificate cannot be read, was not valid at the time, or is by nobody who is trusted.
    #[error("{detail}")]
    InvalidCertificate {
        /// What is wrong with it.
        detail: String,
    },
    /// The holder of the certificate is nobody whom the policy names.
    #[error("none of the expected identities matched what was in the certificate, got subjects [{}] with issuer {}", found.subjects(), found.issuer())]
    OtherIdentity {
        /// Who signed.
        found: Box<Holder>,
        /// Who may have.
        wanted: Identities,
    },
    /// It is not, or not provably, in a transparency log that is trusted.
    #[error("signature not found in transparency log: {detail}")]
    NotLogged {
        /// What is missing or wrong.
        detail: String,
    },
    /// No authority that is trusted says when it was made, or one that is there is not to be believed.
    #[error("{detail}")]
    NoTimestamp {
        /// What is missing or wrong.
        detail: String,
    },
    /// It is made in a way that is not verified here.
    #[error("{detail}")]
    Unverifiable {
        /// In which way.
        detail: String,
    },
    /// The envelope carries something else than a statement.
    #[error("invalid payloadType {found:?}, expected \"application/vnd.in-toto+json\"")]
    PayloadType {
        /// What it carries.
        found: String,
    },
    /// Validly signed, and yet not readable as what it claims to be.
    #[error("the signed payload cannot be read: {detail}")]
    MalformedPayload {
        /// What is wrong with it.
        detail: String,
    },
    /// Validly signed, but of an unknown type.
    #[error("the signed payload has the type {found:?}, which is no image signature")]
    PayloadKind {
        /// Its `critical.type`.
        found: String,
    },
    /// Validly signed, and no statement.
    #[error("{0}")]
    MalformedStatement(MalformedStatement),
    /// Validly signed, about another image.
    #[error("invalid or missing digest in claim: it is about {}, not about {}", found.join(", "), expected.short())]
    SubjectMismatch {
        /// The image that is judged.
        expected: Digest,
        /// What the payload is about, shortened to a few.
        found: Vec<String>,
    },
}

impl Rejection {
    /// How much a person learns from it: of many candidates the most telling rejection is shown first.
    ///
    /// A payload that this very authority signed, but about something else, says more than a stranger's signature.
    pub fn rank(&self) -> u8 {
        match self {
            Self::SubjectMismatch { .. } => 5,
            Self::OtherIdentity { .. } => 4,
            Self::MalformedPayload { .. }
            | Self::PayloadKind { .. }
            | Self::MalformedStatement(_) => 3,
            Self::WrongKey { .. }
            | Self::NotLogged { .. }
            | Self::NoTimestamp { .. }
            | Self::InvalidCertificate { .. } => 2,
            Self::OtherKey
            | Self::Unverifiable { .. }
            | Self::PayloadType { .. }
            | Self::Undecodable(_) => 1,
            Self::NotASignature | Self::NotAnAttestation | Self::NoCertificate => 0,
        }
    }
}
