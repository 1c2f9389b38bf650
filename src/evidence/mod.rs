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
//! | [`Format::Bundle`] | layers of manifests that refer to the image | [`bundle`] |
//! | [`Format::SignatureReferrer`] | the same | [`simple_signing`] |
//! | [`Format::AttestationReferrer`] | the same | [`attestation`] |
//!
//! Which manifests refer to an image is told by [`referrers`]; who signed and when, by [`material`]; [`image`] reads the documents of
//! the image itself.

pub mod attestation;
pub mod bundle;
pub mod image;
pub mod manifest;
pub mod material;
pub mod referrers;
pub mod simple_signing;

use std::fmt;

pub use attestation::Envelope;
pub use bundle::{Bundle, MessageSignature};
pub use image::{ConfigFile, ImageDocument, Named};
pub use manifest::{Claims, EvidenceLayer, MalformedManifest};
pub use material::{EntryKind, LogEntry, Material};
pub use referrers::{Referrer, ReferrerKind, Referrers};
pub use simple_signing::SimpleSigning;

use crate::image::Digest;
use crate::limits::json;

/// A shape of evidence, and the kind of manifest that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// A simple-signing layer under the tag `sha256-<hex>.sig`.
    SignatureTag,
    /// A DSSE layer under the tag `sha256-<hex>.att`.
    AttestationTag,
    /// A sigstore bundle in a manifest that refers to the image.
    Bundle,
    /// A simple-signing layer in a manifest that refers to the image.
    SignatureReferrer,
    /// A DSSE layer in a manifest that refers to the image.
    AttestationReferrer,
}

/// Where in a registry evidence is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Location {
    /// Under the tag `sha256-<hex>.sig`.
    SignatureTag,
    /// Under the tag `sha256-<hex>.att`.
    AttestationTag,
    /// In the referrers API.
    Referrers,
    /// Under the tag `sha256-<hex>`, where the registry has no referrers API.
    FallbackTag,
}

/// Something that may prove something.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// How it was found.
    pub format: Format,
    /// The digest of the bytes it was read from.
    pub digest: Digest,
    /// What the bytes say, if they say anything.
    pub decoded: Result<Evidence, DecodeError>,
    /// What came with the signature to tell who made it and when. It is needed only where somebody asks.
    pub material: Result<Material, DecodeError>,
}

/// Evidence with a shape, and no more than that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A signature over a simple-signing payload.
    Signature(SimpleSigning),
    /// A signed statement.
    Attestation(Envelope),
    /// A sigstore bundle: one or the other.
    Bundle(Bundle),
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
    /// The layer is no sigstore bundle that we read.
    #[error("not a sigstore bundle: {detail}")]
    Bundle {
        /// What is wrong.
        detail: String,
    },
    /// An annotation that tells who signed, or when, cannot be read.
    #[error("annotation {annotation}: {detail}")]
    Annotation {
        /// The annotation.
        annotation: String,
        /// What is wrong.
        detail: String,
    },
    /// The part of a bundle that tells who signed, and when, cannot be read.
    #[error("verification material of the bundle: {detail}")]
    Material {
        /// What is wrong.
        detail: String,
    },
    /// The manifest that should hold evidence is none.
    #[error("not a manifest that holds evidence: {detail}")]
    Manifest {
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
            Self::Bundle => "bundle",
            Self::SignatureReferrer => "signature referrer",
            Self::AttestationReferrer => "attestation referrer",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Location ===

impl Location {
    /// The name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignatureTag => ".sig",
            Self::AttestationTag => ".att",
            Self::Referrers => "referrers",
            Self::FallbackTag => "fallback tag",
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Candidate ===

impl Candidate {
    /// What its statement takes once it is parsed, in bytes ([`json::weight`]); nothing, where it has none.
    pub fn weight(&self) -> usize {
        match &self.decoded {
            Ok(Evidence::Attestation(envelope) | Evidence::Bundle(Bundle::Statement(envelope))) => {
                json::weight(&envelope.payload)
            }
            Ok(Evidence::Signature(_) | Evidence::Bundle(Bundle::Message(_))) | Err(_) => 0,
        }
    }

    /// A manifest that was listed as holding evidence and cannot be read: it is reported, and never mistaken for absence.
    pub fn unreadable(format: Format, digest: Digest, malformed: &MalformedManifest) -> Self {
        let detail = malformed.detail.clone();
        Self {
            format,
            digest,
            decoded: Err(DecodeError::Manifest { detail }),
            material: Ok(Material::none()),
        }
    }
}
