//! What policies refer to outside of themselves, as it stands at one moment.
//!
//! Compiling is pure: whoever calls it has fetched these before, and compiles again when one of them changes. A reference that is
//! not here is a problem of the policy which names it, and of that policy alone.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api;
use crate::trust::TrustMaterial;

/// What there is to refer to. Empty: every reference dangles.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Referents {
    /// Our own namespace: that of the ConfigMaps and Secrets below. A Secret elsewhere is never read.
    pub namespace: String,
    /// The ConfigMaps of our own namespace: name → key → text.
    pub config_maps: BTreeMap<String, BTreeMap<String, String>>,
    /// The Secrets of our own namespace: name → key → bytes.
    pub secrets: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// In which namespace the pull secrets are that a policy names for its source.
    pub pull_secrets: PullSecretsIn,
    /// Policies from elsewhere: what is pinned → what the URL gave. The digest is checked once more where it is compiled.
    pub remote_policies: BTreeMap<RemotePolicy, Fetched>,
    /// Public keys of key management services: `key.kms` → PEM.
    pub kms_keys: BTreeMap<String, Fetched>,
    /// Each `TrustRoot` by name, or why one cannot be used, in words.
    pub trust_roots: BTreeMap<String, Result<Arc<TrustMaterial>, String>>,
    /// What is trusted where a policy names no TrustRoot: `None` where there is no such root.
    pub default_trust: Option<Arc<TrustMaterial>>,
}

/// In which namespace the pull secrets of sources are (`source[].signaturePullSecrets`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PullSecretsIn {
    /// Our own: they are among the Secrets that there are to refer to.
    #[default]
    OwnNamespace,
    /// That of the workload, for each one anew: what there is cannot be said before.
    WorkloadNamespace,
}

/// What came from outside, or why nothing did, in words.
pub type Fetched = Result<Arc<str>, String>;

/// A text behind a URL, pinned by its digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemotePolicy {
    /// Where it is.
    pub url: String,
    /// SHA-256 of the text, in lower-case hexadecimal.
    pub sha256: String,
}

// === impl Referents ===

impl Referents {
    /// What a policy names of these, and no more. Compiled against it, the policy is what it is compiled against all; and while it stays
    /// equal, nothing changes by compiling again.
    #[must_use]
    pub fn named_by(&self, policy: &api::ClusterImagePolicy) -> Self {
        let authorities = || policy.spec.authorities.iter();
        let keyless = || authorities().filter_map(|authority| authority.keyless.as_ref());
        let certificates = keyless().filter_map(|keyless| keyless.ca_cert.as_ref());
        let own = authorities().filter_map(|authority| authority.key.as_ref());
        let keys: Vec<&api::KeyRef> = own.chain(certificates).collect();
        let of_keys = keys.iter().filter_map(|key| key.secret_ref.as_ref());
        let sources = authorities().flat_map(|authority| &authority.sources);
        let of_sources = sources.flat_map(|source| &source.signature_pull_secrets);
        let secrets = of_keys
            .map(|secret| &secret.name)
            .chain(of_sources.map(|secret| &secret.name));
        let attestations = authorities().flat_map(|authority| &authority.attestations);
        let programs = attestations.filter_map(|attestation| attestation.policy.as_ref());
        let maps = programs
            .chain(&policy.spec.policy)
            .filter_map(|program| program.config_map_ref.as_ref());
        let logs = authorities().filter_map(|authority| authority.ctlog.as_ref());
        let stamps = authorities().filter_map(|authority| authority.rfc3161_timestamp.as_ref());
        let roots = keyless()
            .map(|keyless| &keyless.trust_root_ref)
            .chain(logs.map(|log| &log.trust_root_ref))
            .chain(stamps.map(|stamps| &stamps.trust_root_ref));
        Self {
            namespace: self.namespace.clone(),
            config_maps: pick(&self.config_maps, maps.map(|map| &map.name)),
            secrets: pick(&self.secrets, secrets),
            pull_secrets: self.pull_secrets,
            remote_policies: pick(&self.remote_policies, remote_policies(policy)),
            kms_keys: pick(&self.kms_keys, keys.iter().map(|key| &key.kms)),
            trust_roots: pick(&self.trust_roots, roots),
            default_trust: self.default_trust.clone(),
        }
    }
}

fn pick<K: Ord + Clone, V: Clone>(
    all: &BTreeMap<K, V>,
    names: impl Iterator<Item = impl Borrow<K>>,
) -> BTreeMap<K, V> {
    let found = names.filter_map(|name| all.get_key_value(name.borrow()));
    found
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The texts behind URLs that a policy refers to.
pub fn remote_policies(policy: &api::ClusterImagePolicy) -> impl Iterator<Item = RemotePolicy> {
    let attestations = policy.spec.authorities.iter().flat_map(|a| &a.attestations);
    let programs = attestations.flat_map(|attestation| &attestation.policy);
    let programs = programs.chain(&policy.spec.policy);
    programs
        .filter_map(|program| program.remote.as_ref())
        .map(RemotePolicy::of)
}
