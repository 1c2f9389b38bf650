//! Who can vouch for an image: a key, an identity, or a fixed answer, and where to look for it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decode::null_as_default;
use super::predicate::PredicatePolicy;

/// Somebody who can vouch for an image: exactly one of `key`, `keyless` and `static`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Authority {
    /// The name under which results are reported; `authority-<index>` when absent.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub name: String,
    /// A public key that must have signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyRef>,
    /// Identities of which one must have signed, proven by a short-lived certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyless: Option<KeylessRef>,
    /// A fixed answer for every image, without looking at signatures.
    #[serde(rename = "static", skip_serializing_if = "Option::is_none")]
    pub static_: Option<StaticRef>,
    /// Where signatures and attestations are kept, if not beside the image; at most one.
    #[serde(
        rename = "source",
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub sources: Vec<Source>,
    /// The transparency log in which the signature must be recorded.
    #[serde(rename = "ctlog", skip_serializing_if = "Option::is_none")]
    pub ctlog: Option<TLog>,
    /// Attestations that must exist; when given, they are required instead of a signature.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub attestations: Vec<Attestation>,
    /// The timestamp authority that must have stamped the signature.
    #[serde(rename = "rfc3161timestamp", skip_serializing_if = "Option::is_none")]
    pub rfc3161_timestamp: Option<Rfc3161Timestamp>,
    /// How signatures are stored: `bundle` for Sigstore bundles only; anything else means all known forms.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub signature_format: String,
}

/// A public key: exactly one of `data`, `kms` and `secretRef`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct KeyRef {
    /// A Secret that holds the public key in PEM, in the namespace of the webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretReference>,
    /// The public key in PEM.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub data: String,
    /// The URI of a key in a key management service: `awskms://`, `azurekms://`, `gcpkms://` or `hashivault://`.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub kms: String,
    /// The digest algorithm of the signature: `sha224`, `sha256`, `sha384` or `sha512`.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub hash_algorithm: String,
}

/// A Secret by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct SecretReference {
    /// The name of the Secret.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub name: String,
    /// The namespace of the Secret; only the webhook's own namespace is read.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub namespace: String,
}

/// A Secret in the namespace of the object under review.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct LocalSecretReference {
    /// The name of the Secret.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub name: String,
}

/// Identities that may have signed, and the certificate authority that vouches for them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct KeylessRef {
    /// The certificate authority's URL, for information; it is never contacted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Identities of which one must be in the certificate. Required.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub identities: Vec<Identity>,
    /// The certificate of a certificate authority of your own, instead of `url`.
    #[serde(rename = "ca-cert", skip_serializing_if = "Option::is_none")]
    pub ca_cert: Option<KeyRef>,
    /// The TrustRoot whose certificate authorities are trusted; absent means the public Sigstore.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub trust_root_ref: String,
    /// Accept certificates without a proof that they were logged. Absent means `false`.
    #[serde(rename = "insecureIgnoreSCT", skip_serializing_if = "Option::is_none")]
    pub insecure_ignore_sct: Option<bool>,
}

/// An identity: one of `issuer` and `issuerRegExp`, and one of `subject` and `subjectRegExp`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Identity {
    /// The exact issuer of the identity, such as `https://token.actions.githubusercontent.com`.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub issuer: String,
    /// The exact subject: an e-mail address or a URI.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub subject: String,
    /// A regular expression that must be found in the issuer; anchor it with `^` and `$`.
    #[serde(
        rename = "issuerRegExp",
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub issuer_reg_exp: String,
    /// A regular expression that must be found in the subject; anchor it with `^` and `$`.
    #[serde(
        rename = "subjectRegExp",
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub subject_reg_exp: String,
}

/// A fixed answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct StaticRef {
    /// `pass` admits every image, `fail` denies it. Required.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub action: String,
    /// What people read when `fail` denies an image.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub message: String,
}

/// A place where signatures and attestations are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Source {
    /// The repository to look in instead of the image's own.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub oci: String,
    /// Secrets of the object's namespace with credentials for that repository.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub signature_pull_secrets: Vec<LocalSecretReference>,
    /// A prefix of the tags of signatures and attestations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag_prefix: Option<String>,
}

/// A transparency log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct TLog {
    /// The log's URL: its presence requires an entry; it is never contacted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The TrustRoot whose logs are trusted.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub trust_root_ref: String,
}

/// A timestamp authority.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Rfc3161Timestamp {
    /// The TrustRoot whose timestamp authorities are trusted.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub trust_root_ref: String,
}

/// An attestation that must exist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Attestation {
    /// The name under which the result is reported. Required.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub name: String,
    /// The type of the attestation's predicate, a URI. Required.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub predicate_type: String,
    /// What the attestation must say; absent means that its existence is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PredicatePolicy>,
}
