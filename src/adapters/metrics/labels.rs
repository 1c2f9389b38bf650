//! The labels: words of closed sets only.

use http::StatusCode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};

use crate::adapters::oci::{RequestClass, RequestOutcome};
use crate::workload::Operation;

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
pub(super) struct MutationLabels {
    pub(super) operation: Word,
}

/// `pinned`, `kept`, or the reason for which an image was left.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PinLabels {
    pub(super) outcome: Word,
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
pub(super) struct ReferenceLabels {
    pub(super) kind: Word,
    pub(super) state: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ResourceLabels {
    pub(super) resource: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct LoadLabels {
    pub(super) outcome: Word,
}

/// What is read again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReloadLabels {
    pub(super) of: Word,
}

/// A step on the Secret of the serving certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StepLabels {
    pub(super) step: Word,
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

/// What a registry, or its token service, is asked for.
pub(super) fn request(class: RequestClass) -> Word {
    Word(match class {
        RequestClass::ManifestHead => "head",
        RequestClass::ManifestGet => "manifest",
        RequestClass::BlobGet => "blob",
        RequestClass::Referrers => "referrers",
        RequestClass::Token => "token",
    })
}

/// How a registry answered.
pub(super) fn outcome(outcome: RequestOutcome) -> Word {
    Word(match outcome {
        RequestOutcome::Ok => "ok",
        RequestOutcome::Redirected => "redirected",
        RequestOutcome::Unauthorized => "unauthorized",
        RequestOutcome::NotFound => "not-found",
        RequestOutcome::Throttled => "throttled",
        RequestOutcome::ServerError => "server-error",
        RequestOutcome::Unexpected => "unexpected",
        RequestOutcome::Failed => "failed",
    })
}
