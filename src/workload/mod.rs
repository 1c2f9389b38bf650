//! The first stage: from a Kubernetes object to the images it would run.
//!
//! *In*: the raw JSON of an object, and the old one on UPDATE. *Out*: [`ImageUse`]s (where, and what is written there), the
//! [`PullScope`] whose credentials may fetch them, and whether the request changes what runs at all.
//!
//! Images are read from raw JSON by one table of pointers for all kinds (`kinds`), so fields of a newer API server reach policies
//! unharmed and there is no second list to forget an ephemeral container in (CVE-2023-2727). An operator adds custom resources to it
//! (`configured`). A field that looks like an image and is not in the table is read as one (`unknown_fields`).

mod changes;
mod configured;
mod images;
mod kinds;
mod pattern;
mod pull_scope;
mod request;
mod sticky;
mod unknown_fields;

use std::fmt;

pub use changes::{Change, what_changed};
pub use configured::{ConfiguredKind, ConfiguredKinds, InvalidKind};
pub use images::{ImageUse, MalformedWorkload, images};
pub use kinds::{Kind, Kinds};
pub use pull_scope::PullScope;
pub use request::{Operation, Request};
pub use sticky::Sticky;

/// A path of a field in a Kubernetes object, as `kubectl` and policy-controller write it: `spec.containers[0].image`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldPath(String);

impl FieldPath {
    /// The path with these words.
    pub fn new(path: impl Into<String>) -> Self {
        Self(path.into())
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod openapi_tests;
