//! `TrustRoot`: certificate authorities, logs and timestamp authorities of your own.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::base64_bytes::Base64Bytes;
use super::decode::null_as_default;
use super::status::Status;

/// Where trusted keys come from: exactly one of `remote`, `repository` and `sigstoreKeys`.
#[derive(
    CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema,
)]
#[kube(
    group = "policy.sigstore.dev",
    version = "v1alpha1",
    kind = "TrustRoot",
    plural = "trustroots",
    singular = "trustroot",
    category = "all",
    category = "sigstore",
    status = "Status",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status","description":"Whether what it holds can be used."}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason","description":"Why it is not ready, in one word; the condition says more."}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp","description":"When it was created."}"#,
    derive = "Default",
    derive = "PartialEq",
    doc = "Certificate authorities, transparency logs and timestamp authorities that policies can name instead of the public Sigstore."
)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct TrustRootSpec {
    /// A TUF repository that is fetched from a mirror.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteRoot>,
    /// A TUF repository that is given here, whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<RepositoryRoot>,
    /// Certificates and keys that are given here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigstore_keys: Option<SigstoreKeys>,
}

/// A TUF repository behind a URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct RemoteRoot {
    /// The trusted `root.json`, in base64. Required.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "Base64Bytes::is_empty"
    )]
    pub root: Base64Bytes,
    /// The URL of the repository. Required.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub mirror: String,
    /// The folder of the targets; `targets` when absent.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub targets: String,
    /// The target that holds the trusted root; `trusted_root.json` when absent.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub trusted_root_target: String,
}

/// A TUF repository as an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct RepositoryRoot {
    /// The trusted `root.json`, in base64. Required.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "Base64Bytes::is_empty"
    )]
    pub root: Base64Bytes,
    /// A gzipped tar archive of the repository under `repository/`, in base64. Required.
    #[serde(
        rename = "mirrorFS",
        deserialize_with = "null_as_default",
        skip_serializing_if = "Base64Bytes::is_empty"
    )]
    pub mirror_fs: Base64Bytes,
    /// The folder of the targets; `targets` when absent.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub targets: String,
    /// The target that holds the trusted root; `trusted_root.json` when absent.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub trusted_root_target: String,
}

/// Certificates and keys of a Sigstore of your own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct SigstoreKeys {
    /// Certificate authorities that issue signing certificates.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub certificate_authorities: Vec<CertificateAuthority>,
    /// Transparency logs that record signatures.
    #[serde(
        rename = "tLogs",
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub t_logs: Vec<TransparencyLog>,
    /// Certificate transparency logs that record signing certificates.
    #[serde(
        rename = "ctLogs",
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub ct_logs: Vec<TransparencyLog>,
    /// Timestamp authorities.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub timestamp_authorities: Vec<CertificateAuthority>,
}

/// A certificate authority, or a timestamp authority.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct CertificateAuthority {
    /// The subject of its root certificate. Required.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "DistinguishedName::is_empty"
    )]
    pub subject: DistinguishedName,
    /// Its URL, for information; it is never contacted. Required.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub uri: String,
    /// Its certificates in PEM, leaf first and root last, in base64. Required.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "Base64Bytes::is_empty"
    )]
    pub cert_chain: Base64Bytes,
}

/// The subject of a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct DistinguishedName {
    /// The organization. Required.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub organization: String,
    /// The common name. Required.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub common_name: String,
}

impl SigstoreKeys {
    /// Where they stand in a `TrustRoot`.
    pub const PATH: &'static str = "spec.sigstoreKeys";
}

impl DistinguishedName {
    /// Whether nothing is given, which is how an absent subject reads.
    pub fn is_empty(&self) -> bool {
        self.organization.is_empty() && self.common_name.is_empty()
    }
}

/// A transparency log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct TransparencyLog {
    /// Its URL, for information; it is never contacted. Required.
    #[serde(
        rename = "baseURL",
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub base_url: String,
    /// Its digest algorithm, such as `sha-256`. Required.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub hash_algorithm: String,
    /// Its public key in PEM, in base64. Required.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "Base64Bytes::is_empty"
    )]
    pub public_key: Base64Bytes,
}
