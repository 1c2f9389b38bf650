//! `ClusterImagePolicy`: which images, which objects, and who must have vouched for them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::authority::Authority;
use super::decode::{null_as_default, strict_label_selector};
use super::predicate::PredicatePolicy;
use super::status::Status;

/// Which images the policy covers, and who must have vouched for them.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "policy.sigstore.dev",
    version = "v1alpha1",
    kind = "ClusterImagePolicy",
    plural = "clusterimagepolicies",
    singular = "clusterimagepolicy",
    shortname = "cip",
    category = "all",
    category = "sigstore",
    status = "Status",
    printcolumn = r#"{"name":"Mode","type":"string","jsonPath":".spec.mode","description":"What a violation does; enforce where it is empty."}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status","description":"Whether the policy is in force as it is written. One that is not denies what it matches."}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason","description":"Why it is not ready, in one word; the condition says more."}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp","description":"When it was created."}"#,
    derive = "Default",
    derive = "PartialEq",
    doc = "A policy over images, for the whole cluster: an image that it covers is admitted when one of its authorities vouches for it."
)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ClusterImagePolicySpec {
    /// Patterns of the images that the policy covers; one that matches is enough. Required.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub images: Vec<ImagePattern>,
    /// Who can vouch for the image; one that is satisfied is enough.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub authorities: Vec<Authority>,
    /// What a violation does: `enforce` denies (the default), `warn` only warns.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    #[schemars(extend("default" = "enforce"))]
    pub mode: String,
    /// Which objects the policy looks at; one that matches is enough, none given means every object.
    #[serde(
        rename = "match",
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub matches: Vec<MatchResource>,
    /// A policy over what all authorities found, evaluated once an authority is satisfied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PredicatePolicy>,
}

/// A pattern that selects images by their reference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ImagePattern {
    /// A glob over the image reference: `*` stays within one path segment, `**` crosses segments. Required.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub glob: String,
}

/// Objects that a policy looks at, by their resource and labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct MatchResource {
    /// The API group of the resource; empty for the core group.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub group: String,
    /// The version of the resource, such as `v1`.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub version: String,
    /// The resource, lower case and plural, such as `pods` or `deployments`.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub resource: String,
    /// Labels that the object must carry; absent means any.
    #[serde(
        deserialize_with = "strict_label_selector",
        skip_serializing_if = "Option::is_none"
    )]
    pub selector: Option<LabelSelector>,
}
