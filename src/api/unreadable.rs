//! What can still be told of an object that cannot be read as what it should be.
//!
//! The API server stored it, under definitions older or newer than ours: a policy of which a field means nothing to us is not one
//! without that field. So it counts as broken, for the images that it names, if that much can be read.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::decode::DecodeError;
use super::policy::ImagePattern;
use super::status::Status;

/// A `ClusterImagePolicy` that cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub struct UnreadablePolicy {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// Its status.
    pub status: Option<Status>,
    /// The patterns of its images. One without a text that could be a pattern has an empty one; none at all where there is no list.
    pub images: Vec<ImagePattern>,
    /// Its mode; empty where that is no text.
    pub mode: String,
    /// Why it cannot be read.
    pub error: DecodeError,
}

/// A `TrustRoot` that cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub struct UnreadableTrustRoot {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// Its status.
    pub status: Option<Status>,
    /// Why it cannot be read.
    pub error: DecodeError,
}

// === impl UnreadablePolicy ===

impl UnreadablePolicy {
    /// What this `spec` tells.
    pub fn new(
        metadata: ObjectMeta,
        status: Option<Status>,
        spec: &Value,
        error: DecodeError,
    ) -> Self {
        let images = spec.get("images").and_then(Value::as_array);
        let patterns = images.into_iter().flatten().map(|image| ImagePattern {
            glob: text(image, "glob"),
        });
        Self {
            metadata,
            status,
            images: patterns.collect(),
            mode: text(spec, "mode"),
            error,
        }
    }
}

/// The text of a field; empty where there is none.
fn text(value: &Value, field: &str) -> String {
    let text = value.get(field).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}
