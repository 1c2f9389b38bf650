//! Evidence: what was found about an image, decoded and not yet believed.
//!
//! *In*: bytes from a registry. *Out*: [`Candidate`]s, each with the digest of the bytes it was read from. Decoding only gives
//! shape; nothing here is trusted, and a candidate that cannot be decoded stays in the list as such, so that it is reported and
//! never mistaken for absence.
//!
//! | format | found as | decoded by |
//! |---|---|---|
//! | [`Format::SignatureTag`] | layers of `sha256-<hex>.sig` | [`simple_signing`] |
//! | [`Format::AttestationTag`] | layers of `sha256-<hex>.att` | [`attestation`] |

pub mod attestation;
pub mod manifest;
pub mod simple_signing;

use std::fmt;

pub use attestation::Envelope;
pub use manifest::EvidenceLayer;
pub use simple_signing::SimpleSigning;

use crate::image::Digest;

/// A place and shape in which evidence is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// A simple-signing layer under the tag `sha256-<hex>.sig`.
    SignatureTag,
    /// A DSSE layer under the tag `sha256-<hex>.att`.
    AttestationTag,
}

/// Something that may prove something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// How it was found.
    pub format: Format,
    /// The digest of the bytes it was read from.
    pub digest: Digest,
    /// What the bytes say, if they say anything.
    pub decoded: Result<Evidence, DecodeError>,
}

/// Evidence with a shape, and no more than that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A signature over a simple-signing payload.
    Signature(SimpleSigning),
    /// A signed statement.
    Attestation(Envelope),
}

/// Why bytes are not the evidence they were found as.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The layer carries no signature annotation.
    #[error("the layer has no annotation {annotation}")]
    NoSignature {
        /// The annotation that should be there.
        annotation: &'static str,
    },
    /// The signature is not base64.
    #[error("the signature is not base64: {detail}")]
    SignatureEncoding {
        /// What is wrong.
        detail: String,
    },
    /// The layer is no DSSE envelope with exactly one signature.
    #[error("not a DSSE envelope: {detail}")]
    Envelope {
        /// What is wrong.
        detail: String,
    },
}

// === impl Format ===

impl Format {
    /// The name in answers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignatureTag => ".sig",
            Self::AttestationTag => ".att",
        }
    }

    /// The suffix of the tag under which it is found.
    pub fn tag_suffix(self) -> &'static str {
        self.as_str()
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
