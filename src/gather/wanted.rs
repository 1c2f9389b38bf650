//! What is wanted of the evidence about an image, and what is not even fetched because it says that it is something else.
//!
//! Such a claim is a hint that can only deny: whoever lies about his evidence loses it. One claim is not believed, because a real producer
//! makes it wrongly: cosign 2.6 says of every bundle that it signs an image, also of attestations. Where attestations are wanted, such
//! bundles are read last.

use crate::evidence::bundle::IMAGE_SIGNATURE;
use crate::evidence::{Claims, EvidenceLayer, Format, Location, Referrer, ReferrerKind};

/// What is wanted of the evidence about an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantedEvidence {
    /// Signatures.
    Signatures,
    /// Attestations of these predicate types (URIs).
    Attestations(Vec<String>),
}

/// When a piece of evidence is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// With the first.
    First,
    /// When nothing else was enough.
    Last,
}

/// Why a piece of evidence is not fetched.
pub(super) enum PassedOver {
    /// It is of another kind or in another form.
    OtherKind,
    /// It is an attestation of this type.
    Predicate(String),
}

impl WantedEvidence {
    /// The format of what is kept under a tag.
    pub(super) fn tag_format(&self) -> Format {
        match self {
            Self::Signatures => Format::SignatureTag,
            Self::Attestations(_) => Format::AttestationTag,
        }
    }

    /// The tag under which it is kept.
    pub(super) fn tag_location(&self) -> Location {
        match self {
            Self::Signatures => Location::SignatureTag,
            Self::Attestations(_) => Location::AttestationTag,
        }
    }

    /// Whether this layer is to be fetched.
    pub(super) fn layer(
        &self,
        layer: &EvidenceLayer,
        bundles_only: bool,
    ) -> Result<(), PassedOver> {
        let in_form = match (layer.format, self) {
            (Format::Bundle, _) => true,
            _ if bundles_only => false,
            (Format::SignatureTag | Format::SignatureReferrer, wanted) => {
                *wanted == Self::Signatures
            }
            (Format::AttestationTag | Format::AttestationReferrer, wanted) => {
                *wanted != Self::Signatures
            }
        };
        if !in_form {
            return Err(PassedOver::OtherKind);
        }
        self.claims(&layer.claims()).map(|_| ())
    }

    /// Whether this manifest is to be fetched, and when.
    pub(super) fn referrer(
        &self,
        referrer: &Referrer,
        bundles_only: bool,
    ) -> Result<Turn, PassedOver> {
        match (referrer.kind, self) {
            (ReferrerKind::SimpleSigning, _) if bundles_only => Err(PassedOver::OtherKind),
            (ReferrerKind::SimpleSigning, Self::Attestations(_)) => Err(PassedOver::OtherKind),
            _ => self.claims(&referrer.claims),
        }
    }

    fn claims(&self, claims: &Claims) -> Result<Turn, PassedOver> {
        match (self, &claims.predicate_type) {
            (Self::Signatures, Some(claimed)) if claimed != IMAGE_SIGNATURE => {
                Err(PassedOver::OtherKind)
            }
            (Self::Attestations(_), None) if claims.message => Err(PassedOver::OtherKind),
            (Self::Attestations(_), Some(claimed)) if claimed == IMAGE_SIGNATURE => Ok(Turn::Last),
            (Self::Attestations(types), Some(claimed)) if !types.contains(claimed) => {
                Err(PassedOver::Predicate(claimed.clone()))
            }
            _ => Ok(Turn::First),
        }
    }
}
