//! What is enforced, at one moment, wherever it was read: from files ([`super::files`]) or from the API server ([`super::cluster`]).

use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};

use crate::api::{ClusterImagePolicy, TrustRoot, UnreadablePolicy, UnreadableTrustRoot};

/// Policies, trust roots, and what they refer to. Cheap to clone.
#[derive(Clone, Default, PartialEq)]
pub struct Objects {
    /// The policies; no two of one name.
    pub policies: Vec<Arc<ClusterImagePolicy>>,
    /// What should be policies and cannot be read. Files have none of these: there a set is read whole or not at all.
    pub unreadable_policies: Vec<Arc<UnreadablePolicy>>,
    /// The `TrustRoot`s; no two of one name.
    pub trust_roots: Vec<Arc<TrustRoot>>,
    /// What should be `TrustRoot`s and cannot be read. Files have none of these either.
    pub unreadable_trust_roots: Vec<Arc<UnreadableTrustRoot>>,
    /// The Secrets; no two of one namespace and name.
    pub secrets: Vec<Arc<Secret>>,
    /// The ConfigMaps; no two of one namespace and name.
    pub config_maps: Vec<Arc<ConfigMap>>,
}

/// Counts only: Secrets do not belong into logs.
impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects")
            .field("policies", &self.policies.len())
            .field("unreadable_policies", &self.unreadable_policies.len())
            .field("trust_roots", &self.trust_roots.len())
            .field("unreadable_trust_roots", &self.unreadable_trust_roots.len())
            .field("secrets", &self.secrets.len())
            .field("config_maps", &self.config_maps.len())
            .finish()
    }
}
