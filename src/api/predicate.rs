//! A policy over attested data: its language and where its text is kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decode::null_as_default;

/// A policy over attested data: its language, and exactly one of `data`, `remote` and `configMapRef`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct PredicatePolicy {
    /// The language: `rego` or `cue`. Required.
    #[serde(
        rename = "type",
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub language: String,
    /// The text of the policy.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub data: String,
    /// A URL from which the text is fetched, pinned by its digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemotePolicy>,
    /// A ConfigMap that holds the text, in the namespace of the webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<ConfigMapReference>,
    /// Give the image's config file to the policy. Only at the level of the whole policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetch_config_file: Option<bool>,
    /// Give the object's `spec` to the policy. Only at the level of the whole policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include_spec: Option<bool>,
    /// Give the object's `metadata` to the policy. Only at the level of the whole policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include_object_meta: Option<bool>,
    /// Give the object's `apiVersion` and `kind` to the policy. Only at the level of the whole policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include_type_meta: Option<bool>,
}

/// A policy text behind a URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct RemotePolicy {
    /// Where the text is, `https` only. Required.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub url: String,
    /// The SHA-256 of the text, in hexadecimal. Required.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub sha256sum: String,
}

/// A key of a ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ConfigMapReference {
    /// The name of the ConfigMap. Required.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub name: String,
    /// The namespace of the ConfigMap; only the webhook's own namespace is read.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub namespace: String,
    /// The key within the ConfigMap. Required.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub key: String,
}
