//! The labels: words of closed sets only.

use http::StatusCode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};

use crate::workload::Operation;

/// What a registry, or the token service of one, is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegistryRequest {
    /// HEAD: which digest a tag points to.
    Head,
    /// A manifest, or an index.
    Manifest,
    /// A blob.
    Blob,
    /// What refers to a digest.
    Referrers,
    /// A token.
    Token,
}

/// How a registry answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegistryOutcome {
    /// With what was asked for.
    Found,
    /// There is none.
    NotFound,
    /// Not to us.
    Unauthorized,
    /// Not now.
    Throttled,
    /// With something that cannot be read, or is not what was asked for.
    Malformed,
    /// Not at all, or with an error of its own.
    Unreachable,
}

impl RegistryRequest {
    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Manifest => "manifest",
            Self::Blob => "blob",
            Self::Referrers => "referrers",
            Self::Token => "token",
        }
    }
}

impl RegistryOutcome {
    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::NotFound => "not-found",
            Self::Unauthorized => "unauthorized",
            Self::Throttled => "throttled",
            Self::Malformed => "malformed",
            Self::Unreachable => "unreachable",
        }
    }
}

/// One word of a closed set: only this folder makes them, each from a literal or from an enum of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Word(pub(super) &'static str);

impl EncodeLabelValue for Word {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        self.0.encode(encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct AdmissionLabels {
    pub(super) operation: Word,
    pub(super) verdict: Word,
    pub(super) reason: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CallLabels {
    pub(super) status: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ImageLabels {
    pub(super) reason: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RegistryLabels {
    pub(super) class: Word,
    pub(super) outcome: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PolicyLabels {
    pub(super) state: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct LoadLabels {
    pub(super) outcome: Word,
}

/// The operation of a review, or that it was not read.
pub(super) fn operation(operation: Option<Operation>) -> Word {
    Word(match operation {
        Some(Operation::Create) => "create",
        Some(Operation::Update) => "update",
        Some(Operation::Delete) => "delete",
        Some(Operation::Connect) => "connect",
        None => "none",
    })
}

/// The statuses that we refuse with.
pub(super) fn status(status: StatusCode) -> Word {
    Word(match status.as_u16() {
        400 => "400",
        404 => "404",
        405 => "405",
        408 => "408",
        413 => "413",
        415 => "415",
        500 => "500",
        503 => "503",
        _ => "other",
    })
}
