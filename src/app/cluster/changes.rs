//! What is different from one moment to the next, by kind and name: one line of the log each.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::adapters::enforced::Objects;
use crate::api::{ClusterImagePolicy, TrustRoot, UnreadablePolicy, UnreadableTrustRoot};

/// The differences.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes(Vec<Change>);

#[derive(Debug, PartialEq, Eq)]
struct Change {
    kind: &'static str,
    name: String,
    what: &'static str,
}

/// An object, of which its content is compared: not its metadata, and not its status.
#[derive(Clone, Copy)]
enum Object<'a> {
    Policy(&'a ClusterImagePolicy),
    UnreadablePolicy(&'a UnreadablePolicy),
    TrustRoot(&'a TrustRoot),
    UnreadableTrustRoot(&'a UnreadableTrustRoot),
    Secret(&'a Secret),
    ConfigMap(&'a ConfigMap),
}

/// What changed.
pub(super) fn between(before: &Objects, after: &Objects) -> Changes {
    let (before, after) = (by_name(before), by_name(after));
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    let gone = gone.map(|key| (key, "deleted"));
    let there = after.iter().filter_map(|(key, object)| {
        Some(match before.get(key) {
            None => (key, "added"),
            Some(known) if known.has_content_of(*object) => return None,
            Some(_) => (key, "changed"),
        })
    });
    let changes = gone.chain(there).map(|((kind, name), what)| Change {
        kind,
        name: (*name).to_owned(),
        what,
    });
    Changes(changes.collect())
}

fn by_name(objects: &Objects) -> BTreeMap<(&'static str, &str), Object<'_>> {
    let policies = objects.policies.iter().map(|it| Object::Policy(it));
    let unreadable = objects.unreadable_policies.iter();
    let policies = policies.chain(unreadable.map(|it| Object::UnreadablePolicy(it)));
    let roots = objects.trust_roots.iter().map(|it| Object::TrustRoot(it));
    let unreadable = objects.unreadable_trust_roots.iter();
    let roots = roots.chain(unreadable.map(|it| Object::UnreadableTrustRoot(it)));
    let secrets = objects.secrets.iter().map(|it| Object::Secret(it));
    let maps = objects.config_maps.iter().map(|it| Object::ConfigMap(it));
    let all = policies.chain(roots).chain(secrets).chain(maps);
    all.map(|object| (object.key(), object)).collect()
}

// === impl Object ===

impl<'a> Object<'a> {
    fn key(self) -> (&'static str, &'a str) {
        let (kind, metadata): (_, &ObjectMeta) = match self {
            Self::Policy(it) => ("ClusterImagePolicy", &it.metadata),
            Self::UnreadablePolicy(it) => ("ClusterImagePolicy", &it.metadata),
            Self::TrustRoot(it) => ("TrustRoot", &it.metadata),
            Self::UnreadableTrustRoot(it) => ("TrustRoot", &it.metadata),
            Self::Secret(it) => ("Secret", &it.metadata),
            Self::ConfigMap(it) => ("ConfigMap", &it.metadata),
        };
        (kind, metadata.name.as_deref().unwrap_or_default())
    }

    fn has_content_of(self, other: Self) -> bool {
        match (self, other) {
            (Self::Policy(one), Self::Policy(other)) => one.spec == other.spec,
            (Self::UnreadablePolicy(one), Self::UnreadablePolicy(other)) => {
                (&one.images, &one.mode, &one.error) == (&other.images, &other.mode, &other.error)
            }
            (Self::TrustRoot(one), Self::TrustRoot(other)) => one.spec == other.spec,
            (Self::UnreadableTrustRoot(one), Self::UnreadableTrustRoot(other)) => {
                one.error == other.error
            }
            (Self::Secret(one), Self::Secret(other)) => one.data == other.data,
            (Self::ConfigMap(one), Self::ConfigMap(other)) => one.data == other.data,
            _ => false,
        }
    }
}

// === impl Changes ===

impl Changes {
    /// Whether nothing changed.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One line each.
    pub(super) fn tell(&self) {
        for Change { kind, name, what } in &self.0 {
            tracing::info!(kind, name, "{what}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::api;

    fn policy(name: &str, glob: &str, version: &str) -> Arc<ClusterImagePolicy> {
        let document = json!({
            "apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "ClusterImagePolicy",
            "metadata": {"name": name, "resourceVersion": version}, "spec": {"images": [{"glob": glob}]},
        });
        Arc::new(api::decode_cluster_image_policy(document).unwrap())
    }

    fn secret(value: &str) -> Arc<Secret> {
        let secret = json!({"metadata": {"name": "s"}, "stringData": {}, "data": {"key": value}});
        Arc::new(serde_json::from_value(secret).unwrap())
    }

    #[test]
    fn tells_what_was_added_changed_and_deleted_and_not_what_only_has_a_new_version() {
        let before = Objects {
            policies: vec![
                policy("a", "x", "1"),
                policy("b", "x", "2"),
                policy("c", "x", "3"),
            ],
            secrets: vec![secret("b25l")],
            ..Objects::default()
        };
        let after = Objects {
            policies: vec![
                policy("b", "y", "4"),
                policy("c", "x", "5"),
                policy("d", "x", "6"),
            ],
            secrets: vec![secret("dHdv")],
            ..Objects::default()
        };
        let changes = between(&before, &after).0;
        let told = changes.iter();
        let told: Vec<String> = told
            .map(|Change { kind, name, what }| format!("{kind} {name} {what}"))
            .collect();
        assert_eq!(
            told,
            [
                "ClusterImagePolicy a deleted",
                "ClusterImagePolicy b changed",
                "ClusterImagePolicy d added",
                "Secret s changed",
            ]
        );
    }
}
