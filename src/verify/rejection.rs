//! Why a piece of evidence does not prove what was asked of it.

use super::KeyFingerprint;
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
            Self::SubjectMismatch { .. } => 4,
            Self::MalformedPayload { .. }
            | Self::PayloadKind { .. }
            | Self::MalformedStatement(_) => 3,
            Self::WrongKey { .. } => 2,
            Self::PayloadType { .. } | Self::Undecodable(_) => 1,
            Self::NotASignature | Self::NotAnAttestation => 0,
        }
    }
}
