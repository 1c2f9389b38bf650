//! What is in force, and what became of each object.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::controls::{Controls, ControlsState};
use crate::adapters::objects::Objects;
use crate::api::Status;
use crate::policy::{PolicySet, Problem, Referents};

/// What is in force since the last change.
#[derive(Clone, Default)]
pub struct InForce {
    /// What it was read from.
    pub objects: Arc<Objects>,
    /// What there was to refer to.
    pub referents: Arc<Referents>,
    /// The policies; `None` until the first are in force.
    pub policies: Option<Arc<PolicySet>>,
    /// The settings that can be changed while we run.
    pub controls: Controls,
    /// Where they come from.
    pub controls_state: ControlsState,
}

/// The kinds of objects that are told what became of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A `ClusterImagePolicy`.
    ClusterImagePolicy,
    /// A `TrustRoot`.
    TrustRoot,
}

/// What became of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome<'a> {
    /// What it is.
    pub kind: ObjectKind,
    /// Its name, uid, generation, version and finalizers.
    pub metadata: &'a ObjectMeta,
    /// Its status, as it was when it was read.
    pub status: Option<&'a Status>,
    /// What is wrong with it; empty for one that is in force.
    pub problems: Vec<Problem>,
}

// === impl InForce ===

impl InForce {
    /// What became of every policy and trust root, in the order of kinds and names.
    pub fn outcomes(&self) -> Vec<Outcome<'_>> {
        let Objects {
            policies,
            unreadable_policies,
            trust_roots,
            unreadable_trust_roots,
            ..
        } = &*self.objects;
        let policies = policies.iter().map(|it| (&it.metadata, it.status.as_ref()));
        let unreadable = unreadable_policies.iter();
        let unreadable = unreadable.map(|it| (&it.metadata, it.status.as_ref()));
        let policies = policies
            .chain(unreadable)
            .map(|(metadata, status)| Outcome {
                kind: ObjectKind::ClusterImagePolicy,
                metadata,
                status,
                problems: self.of_policy(metadata.name.as_deref().unwrap_or_default()),
            });
        let roots = trust_roots.iter();
        let roots = roots.map(|it| (&it.metadata, it.status.as_ref()));
        let unreadable = unreadable_trust_roots.iter();
        let unreadable = unreadable.map(|it| (&it.metadata, it.status.as_ref()));
        let roots = roots.chain(unreadable).map(|(metadata, status)| Outcome {
            kind: ObjectKind::TrustRoot,
            metadata,
            status,
            problems: self.of_root(metadata.name.as_deref().unwrap_or_default()),
        });
        let mut outcomes: Vec<Outcome<'_>> = policies.chain(roots).collect();
        outcomes.sort_by(|a, b| (a.kind, &a.metadata.name).cmp(&(b.kind, &b.metadata.name)));
        outcomes
    }

    fn of_policy(&self, name: &str) -> Vec<Problem> {
        let Some(policies) = self.policies.as_ref().map(|set| set.policies()) else {
            return Vec::new();
        };
        let found = policies.binary_search_by(|policy| policy.name.as_ref().cmp(name));
        let policy = found.ok().and_then(|index| policies.get(index));
        policy
            .and_then(|policy| policy.body.as_ref().err().cloned())
            .unwrap_or_default()
    }

    fn of_root(&self, name: &str) -> Vec<Problem> {
        match self.referents.trust_roots.get(name) {
            Some(Err(why)) => vec![Problem::new("cannot be used", "spec", why.clone())],
            Some(Ok(_)) | None => Vec::new(),
        }
    }
}
