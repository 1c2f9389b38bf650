//! What `/mutate` decided: which tags become which digests, and which stay tags and why.

use crate::image::Digest;
use crate::workload::FieldPath;

use super::Reason;

/// What was decided about the tags of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pinning {
    /// Fields that are pinned, in the order of the object.
    pub pins: Vec<Pin>,
    /// Images that should be pinned and cannot be. `/validate` decides what that means.
    pub left: Vec<LeftAsTag>,
}

/// One field that is pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The field, for people.
    pub field: FieldPath,
    /// The field, as a JSON pointer.
    pub pointer: String,
    /// What stands there.
    pub written: String,
    /// What is to stand there: the same spelling, with a tag and the digest.
    pub pinned: String,
    /// The digest.
    pub digest: Digest,
    /// Whether the digest is the one that the field had before the update, rather than what the tag names now.
    pub kept: bool,
}

/// An image that is left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftAsTag {
    /// Where it stands; empty where no single field is meant.
    pub fields: Vec<FieldPath>,
    /// As it is written there; empty where no single image is meant.
    pub written: String,
    /// Why, of the closed set.
    pub reason: Reason,
    /// Why, in words.
    pub detail: String,
}
