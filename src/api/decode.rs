//! From JSON to the resources, strictly, with the place of whatever is wrong.
//!
//! In: one JSON value of any origin. Out: the resource, or a [`DecodeError`] that carries the
//! [`Path`] of the mistake, so that a caller who knows where the value came from (a file, a
//! request) can point at it. Unknown fields are refused in the whole resource but `metadata` and
//! `status`: a misspelt `attestations` would otherwise weaken a policy silently.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::{
    CLUSTER_IMAGE_POLICY_VERSIONS, ClusterImagePolicy, GROUP, TRUST_ROOT_VERSIONS, TrustRoot,
};

/// Why a JSON value is not the resource that it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A field that the resource does not have; the wording is that of the resources' Go decoder.
    #[error("json: unknown field {field:?} at {at}")]
    UnknownField {
        /// The field's name.
        field: String,
        /// Where it stands, the field itself included.
        at: Path,
    },
    /// A field that holds something else than it should.
    #[error("json: cannot read {at}: {found}")]
    WrongValue {
        /// Where it stands.
        at: Path,
        /// What stands there and what was expected.
        found: String,
    },
    /// A value of another kind, or of a version that is not served.
    #[error("json: expected kind {expected}, found {found}")]
    WrongKind {
        /// The kind and its versions.
        expected: String,
        /// What `apiVersion` and `kind` say.
        found: String,
    },
}

impl DecodeError {
    /// Where the mistake stands, from the top of the resource.
    pub fn at(&self) -> Path {
        match self {
            Self::UnknownField { at, .. } | Self::WrongValue { at, .. } => at.clone(),
            Self::WrongKind { .. } => Path::default(),
        }
    }
}

/// One step from a value to a value within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// To the field of this name.
    Field(String),
    /// To the element of this index, from 0.
    Element(usize),
}

/// The way from the top of a resource to a value, written as `spec.authorities[0].key`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(pub Vec<Step>);

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the top");
        }
        for (index, step) in self.0.iter().enumerate() {
            if index > 0 && matches!(step, Step::Field(_)) {
                f.write_str(".")?;
            }
            match step {
                Step::Field(name) if is_plain(name) => f.write_str(name)?,
                Step::Field(name) => write!(f, "{name:?}")?,
                Step::Element(element) => write!(f, "[{element}]")?,
            }
        }
        Ok(())
    }
}

/// Whether a name can stand in a message as it is; any other is the user's and is quoted.
fn is_plain(name: &str) -> bool {
    name.chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/'))
}

impl From<&serde_path_to_error::Path> for Path {
    fn from(path: &serde_path_to_error::Path) -> Self {
        use serde_path_to_error::Segment;
        let steps = path.iter().filter_map(|segment| match segment {
            Segment::Seq { index } => Some(Step::Element(*index)),
            Segment::Map { key } => Some(Step::Field(key.clone())),
            Segment::Enum { variant } => Some(Step::Field(variant.clone())),
            Segment::Unknown => None,
        });
        Self(steps.collect())
    }
}

/// Reads a `ClusterImagePolicy` of any served version.
///
/// An absent `spec` or `metadata` reads as an empty one; what is required is checked where
/// policies are compiled, with the field's own message.
pub fn decode_cluster_image_policy(value: Value) -> Result<ClusterImagePolicy, DecodeError> {
    let object = resource(value, "ClusterImagePolicy", &CLUSTER_IMAGE_POLICY_VERSIONS)?;
    decode(Value::Object(object))
}

/// Reads a `TrustRoot`; an absent `spec` or `metadata` reads as an empty one.
pub fn decode_trust_root(value: Value) -> Result<TrustRoot, DecodeError> {
    let object = resource(value, "TrustRoot", &TRUST_ROOT_VERSIONS)?;
    decode(Value::Object(object))
}

/// Reads any other type, such as a Secret, as strictly as the type itself asks for.
pub fn decode<T: DeserializeOwned>(value: Value) -> Result<T, DecodeError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let at = Path::from(error.path());
        let found = error.inner().to_string();
        match unknown_field(&found) {
            Some(field) => unknown_field_at(at, field),
            None => DecodeError::WrongValue { at, found },
        }
    })
}

/// Checks what the generated type does not: kind, version and the fields at the top.
fn resource(
    value: Value,
    kind: &str,
    versions: &[&str],
) -> Result<Map<String, Value>, DecodeError> {
    let Value::Object(mut object) = value else {
        return Err(DecodeError::WrongKind {
            expected: kind.to_owned(),
            found: "a value that is no object".to_owned(),
        });
    };
    let field = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    let (api_version, found_kind) = (field("apiVersion"), field("kind"));
    let served = versions
        .iter()
        .any(|version| api_version == format!("{GROUP}/{version}"));
    if found_kind != kind || !served {
        return Err(DecodeError::WrongKind {
            expected: format!("{kind} of {GROUP}/{}", versions.join(" or ")),
            found: format!("{found_kind:?} of {api_version:?}"),
        });
    }
    let known = ["apiVersion", "kind", "metadata", "spec", "status"];
    if let Some(stranger) = object.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(unknown_field_at(Path::default(), stranger));
    }
    for name in ["metadata", "spec"] {
        let part = object.entry(name).or_insert(Value::Null);
        if part.is_null() {
            *part = Value::Object(Map::new());
        }
    }
    Ok(object)
}

/// The field that serde's message speaks of, when it speaks of an unknown one.
fn unknown_field(message: &str) -> Option<&str> {
    let rest = message.strip_prefix("unknown field `")?;
    // The last one: the field's name is the user's, what follows is ours.
    let end = rest
        .rfind("`, expected ")
        .or_else(|| rest.rfind("`, there are no fields"));
    rest.get(..end?)
}

fn unknown_field_at(mut at: Path, field: &str) -> DecodeError {
    let step = Step::Field(field.to_owned());
    if at.0.last() != Some(&step) {
        at.0.push(step);
    }
    DecodeError::UnknownField {
        field: field.to_owned(),
        at,
    }
}

// === how fields are read ===

/// Reads `null` as absent, as Go does for every field.
pub(super) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads a label selector, refusing unknown fields: a misspelt `matchLabels` would otherwise
/// select every object.
pub(super) fn strict_label_selector<'de, D>(
    deserializer: D,
) -> Result<Option<LabelSelector>, D::Error>
where
    D: Deserializer<'de>,
{
    #[derive(Default, Deserialize)]
    #[serde(default, deny_unknown_fields, rename_all = "camelCase")]
    struct Selector {
        match_labels: Option<BTreeMap<String, String>>,
        match_expressions: Option<Vec<Requirement>>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Requirement {
        #[serde(deserialize_with = "null_as_default")]
        key: String,
        #[serde(deserialize_with = "null_as_default")]
        operator: String,
        values: Option<Vec<String>>,
    }
    impl From<Requirement> for LabelSelectorRequirement {
        fn from(requirement: Requirement) -> Self {
            Self {
                key: requirement.key,
                operator: requirement.operator,
                values: requirement.values,
            }
        }
    }
    let selector = Option::<Selector>::deserialize(deserializer)?;
    Ok(selector.map(|selector| LabelSelector {
        match_labels: selector.match_labels,
        match_expressions: selector
            .match_expressions
            .map(|list| list.into_iter().map(Into::into).collect()),
    }))
}
