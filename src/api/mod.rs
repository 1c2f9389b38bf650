//! The custom resources as they are served: data only, strings as the user wrote them.
//!
//! In: JSON of `policy.sigstore.dev` (from the API server, from a webhook request, from a file).
//! Out: [`ClusterImagePolicy`] and [`TrustRoot`], and their definitions ([`crds`]).
//! What a value *means* (which glob, which key, which mode) is decided where policies are compiled;
//! here an unknown mode is still just a string.
//!
//! Two habits of the resources' Go decoder are kept, because stored policies rely on them:
//! `null` reads as *absent* everywhere, and an unknown field is refused as
//! `json: unknown field "x"` (see [`DecodeError`]). `v1alpha1` and `v1beta1` of
//! `ClusterImagePolicy` are the same field for field, so one Rust type serves both and no
//! conversion exists between them.
//!
//! Rustdoc of the fields is what `kubectl explain` prints.

mod authority;
mod base64_bytes;
mod decode;
mod definitions;
mod policy;
mod predicate;
mod status;
mod trust_root;
mod unreadable;

pub use authority::{
    Attestation, Authority, Identity, KeyRef, KeylessRef, LocalSecretReference, Rfc3161Timestamp,
    SecretReference, Source, StaticRef, TLog,
};
pub use base64_bytes::Base64Bytes;
pub use decode::{DecodeError, Path, Step, decode, decode_cluster_image_policy, decode_trust_root};
pub use definitions::crds;
pub use policy::{ClusterImagePolicy, ClusterImagePolicySpec, ImagePattern, MatchResource};
pub use predicate::{ConfigMapReference, PredicatePolicy, RemotePolicy};
pub use status::{Condition, Status};
pub use trust_root::{
    CertificateAuthority, DistinguishedName, RemoteRoot, RepositoryRoot, SigstoreKeys,
    TransparencyLog, TrustRoot, TrustRootSpec,
};
pub use unreadable::{UnreadablePolicy, UnreadableTrustRoot};

/// The API group of both kinds.
pub const GROUP: &str = "policy.sigstore.dev";

/// The versions in which `ClusterImagePolicy` is served; the first is the stored one.
pub const CLUSTER_IMAGE_POLICY_VERSIONS: [&str; 2] = ["v1alpha1", "v1beta1"];

/// The versions in which `TrustRoot` is served; the first is the stored one.
pub const TRUST_ROOT_VERSIONS: [&str; 1] = ["v1alpha1"];

/// The ConfigMap with settings beside policies, as policy-controller has it.
pub const CONTROLS_CONFIG_MAP: &str = "config-policy-controller";

/// How a block of PEM begins: keys and certificates are written so, in the resources and in settings.
pub const PEM_BEGIN: &str = "-----BEGIN ";

#[cfg(test)]
mod tests;
