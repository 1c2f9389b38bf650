//! What the API server is told, in the shape that the wire needs.

use std::collections::BTreeMap;

use crate::verdict::{Judgement, Reason};

/// What the API server is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether the request goes on.
    pub allowed: bool,
    /// `status.code`: 403 for every denial, 200 otherwise.
    pub code: u16,
    /// `status.reason`: `Forbidden`, or empty when allowed.
    pub reason: &'static str,
    /// `status.message`; empty when allowed.
    pub message: String,
    /// `status.details.causes`.
    pub causes: Vec<AnswerCause>,
    /// What `kubectl` prints before it goes on.
    pub warnings: Vec<String>,
    /// Filed in the API server's audit log.
    pub audit_annotations: BTreeMap<String, String>,
    /// What was decided. A label of metrics.
    pub judgement: Judgement,
    /// Why. A label of metrics.
    pub verdict_reason: Reason,
}

/// Why one field is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerCause {
    /// A [`Reason`] by its name.
    pub reason: &'static str,
    /// The field, such as `spec.containers[0].image`.
    pub field: String,
    /// Which policy failed and why, in one line.
    pub message: String,
}
