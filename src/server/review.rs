//! The wire: AdmissionReview `admission.k8s.io/v1`, in and out.
//!
//! *In*: a body from outside, bounded in size by [`super::body`]. *Out*: a [`Request`], or why it is none; an answer, as bytes.
//! What is malformed has no verdict: the caller refuses it with 400, and nothing here turns a missing field into an empty object
//! that would have no images.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::limits::json::{self, JsonError};
use crate::server::{Answer, AnswerCause, Mutation, PolicyAnswer};
use crate::workload::{Operation, Request};

/// The only version that is read and written.
const API_VERSION: &str = "admission.k8s.io/v1";
/// The only kind.
const KIND: &str = "AdmissionReview";

/// Why a body is not a review that can be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReviewError {
    /// Not JSON within its bounds.
    #[error("{0}")]
    Json(#[from] JsonError),
    /// Another kind of document.
    #[error(
        "it is {found:?}, and {API_VERSION} {KIND} is wanted (the webhook is registered with `admissionReviewVersions: [v1]`)"
    )]
    Version {
        /// Its `apiVersion` and `kind`.
        found: String,
    },
    /// `request` is missing or null: a response, or nothing at all.
    #[error("`request` is missing")]
    NoRequest,
    /// A field has another type than it has in v1.
    #[error("`request` is not as {API_VERSION} has it: {found}")]
    Shape {
        /// What the decoder says.
        found: String,
    },
    /// Without a uid no answer can be matched to the request.
    #[error("`request.uid` is missing")]
    NoUid,
    /// An operation that v1 does not have.
    #[error("`request.operation` is {found:?}, and CREATE, UPDATE, DELETE or CONNECT is wanted")]
    Operation {
        /// What stands there.
        found: String,
    },
    /// CREATE and UPDATE are about an object.
    #[error("`request.object` is missing, and the operation is {operation}")]
    NoObject {
        /// The operation.
        operation: String,
    },
}

/// `request`, as far as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct WireRequest {
    uid: String,
    kind: WireKind,
    #[serde(deserialize_with = "null_as_default")]
    sub_resource: String,
    #[serde(deserialize_with = "null_as_default")]
    name: String,
    #[serde(deserialize_with = "null_as_default")]
    namespace: String,
    operation: String,
    object: Value,
    old_object: Value,
    #[serde(deserialize_with = "null_as_default")]
    dry_run: bool,
}

/// The kind as which `object` is written.
#[derive(Deserialize, Default)]
#[serde(default)]
struct WireKind {
    group: String,
    version: String,
    kind: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireReview<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: WireResponse<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireResponse<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<WireStatus<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    audit_annotations: &'a BTreeMap<String, String>,
    #[serde(flatten)]
    patch: Option<WirePatch>,
}

/// A JSON Patch, in base64.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WirePatch {
    patch: String,
    patch_type: &'static str,
}

#[derive(Serialize)]
struct WireStatus<'a> {
    status: &'static str,
    code: u16,
    reason: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<WireDetails<'a>>,
}

#[derive(Serialize)]
struct WireDetails<'a> {
    causes: Vec<WireCause<'a>>,
}

#[derive(Serialize)]
struct WireCause<'a> {
    reason: &'a str,
    message: &'a str,
    field: &'a str,
}

/// Reads one review. A key that stands twice in one object is refused: which of two images counts would be a matter of parsers.
pub(super) fn decode(body: &[u8], depth: usize) -> Result<Request, ReviewError> {
    let mut review = json::parse_strict(body, depth)?;
    let word = |key: &str| review.get(key).and_then(Value::as_str).unwrap_or_default();
    if (word("apiVersion"), word("kind")) != (API_VERSION, KIND) {
        return Err(ReviewError::Version {
            found: format!("{} {}", word("apiVersion"), word("kind"))
                .trim()
                .to_owned(),
        });
    }
    let request = match review.get_mut("request").map(Value::take) {
        None | Some(Value::Null) => return Err(ReviewError::NoRequest),
        Some(request) => request,
    };
    let wire: WireRequest =
        serde_json::from_value(request).map_err(|error| ReviewError::Shape {
            found: error.to_string(),
        })?;
    wire.try_into()
}

/// The answer to the review with this uid. There is no other place that writes one about images, but the next function.
pub(super) fn encode(uid: &str, answer: &Answer) -> Result<Vec<u8>, serde_json::Error> {
    let status = (!answer.allowed).then(|| WireStatus {
        status: "Failure",
        code: answer.code,
        reason: answer.reason,
        message: &answer.message,
        details: (!answer.causes.is_empty()).then(|| WireDetails {
            causes: answer.causes.iter().map(WireCause::from).collect(),
        }),
    });
    serde_json::to_vec(&WireReview {
        api_version: API_VERSION,
        kind: KIND,
        response: WireResponse {
            uid,
            allowed: answer.allowed,
            status,
            warnings: &answer.warnings,
            audit_annotations: &answer.audit_annotations,
            patch: None,
        },
    })
}

/// The answer of `/mutate` to the review with this uid: always allowed.
pub(super) fn encode_mutation(
    uid: &str,
    mutation: &Mutation,
) -> Result<Vec<u8>, serde_json::Error> {
    let patch = if mutation.patch.is_empty() {
        None
    } else {
        Some(WirePatch {
            patch: BASE64_STANDARD.encode(serde_json::to_vec(&mutation.patch)?),
            patch_type: "JSONPatch",
        })
    };
    serde_json::to_vec(&WireReview {
        api_version: API_VERSION,
        kind: KIND,
        response: WireResponse {
            uid,
            allowed: true,
            status: None,
            warnings: &mutation.warnings,
            audit_annotations: &BTreeMap::new(),
            patch,
        },
    })
}

/// The answer to the review of one of our own resources: refused as policy-controller refuses, with 400 and `BadRequest`.
pub(super) fn encode_policy(
    uid: &str,
    answer: &PolicyAnswer,
) -> Result<Vec<u8>, serde_json::Error> {
    let status = answer.refusal.as_ref().map(|refusal| WireStatus {
        status: "Failure",
        code: 400,
        reason: "BadRequest",
        message: refusal,
        details: None,
    });
    serde_json::to_vec(&WireReview {
        api_version: API_VERSION,
        kind: KIND,
        response: WireResponse {
            uid,
            allowed: status.is_none(),
            status,
            warnings: &answer.warnings,
            audit_annotations: &BTreeMap::new(),
            patch: None,
        },
    })
}

/// The uid at the beginning of a review that is not read as a whole; for a denial only.
///
/// The API server writes `uid` as the first field of `request`, within the first few hundred bytes.
pub(super) fn uid_of_prefix(prefix: &[u8]) -> Option<String> {
    let mut uid = None;
    let mut deserializer = serde_json::Deserializer::from_slice(prefix);
    // The text ends in the middle of something: what was seen before that counts, the error does not.
    let _ = Within {
        path: &["request", "uid"],
        found: &mut uid,
    }
    .deserialize(&mut deserializer);
    uid.filter(|uid| !uid.is_empty())
}

// === impl WireRequest ===

impl TryFrom<WireRequest> for Request {
    type Error = ReviewError;

    fn try_from(wire: WireRequest) -> Result<Self, ReviewError> {
        if wire.uid.is_empty() {
            return Err(ReviewError::NoUid);
        }
        let Some(operation) = Operation::parse(&wire.operation) else {
            return Err(ReviewError::Operation {
                found: wire.operation,
            });
        };
        let needs_object = matches!(operation, Operation::Create | Operation::Update);
        if needs_object && !wire.object.is_object() {
            return Err(ReviewError::NoObject {
                operation: wire.operation,
            });
        }
        Ok(Self {
            uid: wire.uid,
            operation,
            group: wire.kind.group,
            version: wire.kind.version,
            kind: wire.kind.kind,
            subresource: wire.sub_resource,
            namespace: wire.namespace,
            name: wire.name,
            object: wire.object,
            old_object: Some(wire.old_object).filter(|old| !old.is_null()),
            dry_run: wire.dry_run,
        })
    }
}

// === impl WireCause ===

impl<'a> From<&'a AnswerCause> for WireCause<'a> {
    fn from(cause: &'a AnswerCause) -> Self {
        Self {
            reason: cause.reason,
            message: &cause.message,
            field: &cause.field,
        }
    }
}

/// A field that v1 lets be null and means nothing by it.
fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Finds the string at a path of keys and remembers it even if the text breaks off afterwards.
struct Within<'a> {
    path: &'a [&'a str],
    found: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Within<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.path.is_empty() {
            *self.found = Some(String::deserialize(deserializer)?);
            return Ok(());
        }
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Within<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((head, tail)) = self.path.split_first() else {
            return Ok(());
        };
        while let Some(key) = map.next_key::<String>()? {
            if key == *head {
                map.next_value_seed(Within {
                    path: tail,
                    found: &mut *self.found,
                })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
