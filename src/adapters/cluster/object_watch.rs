//! Everything that is enforced, as the API server has it: four watches, and what they have seen together.
//!
//! *In*: `ClusterImagePolicy`s and `TrustRoot`s of the cluster, ConfigMaps and Secrets of our own namespace. *Out*: [`Objects`], whole, a
//! moment after something has changed. An object that cannot be read stops neither its watch nor the others: it is handed on as one
//! that cannot be read.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::Cluster;
use super::store::{Raw, Store};
use super::watch::{Pace, Watch, WatchObserver, Watched};
use crate::adapters::enforced::Objects;
use crate::api::{
    self, ClusterImagePolicy, Status, TrustRoot, UnreadablePolicy, UnreadableTrustRoot,
};

/// Releases of Helm are Secrets too: large, many, and nothing that a policy could mean.
const NO_RELEASES: &str = "type!=helm.sh/release.v1";

/// What the watches have seen.
struct Stores {
    policies: Store<Result<Arc<ClusterImagePolicy>, Arc<UnreadablePolicy>>>,
    trust_roots: Store<Result<Arc<TrustRoot>, Arc<UnreadableTrustRoot>>>,
    config_maps: Store<Option<Arc<ConfigMap>>>,
    secrets: Store<Option<Arc<Secret>>>,
}

/// Hands on what the watches have seen.
pub struct ObjectWatch {
    stores: Arc<Stores>,
    changed: watch::Receiver<u64>,
    pace: Pace,
}

/// Watches everything that is enforced. The second value is the watches themselves, which have no end.
pub fn watch_objects(
    cluster: &Cluster,
    pace: Pace,
    observer: Arc<dyn WatchObserver>,
) -> (ObjectWatch, impl Future<Output = ()> + use<>) {
    let (told, changed) = watch::channel(0);
    let stores = Arc::new(Stores::new(told));
    let watch = ObjectWatch {
        stores: Arc::clone(&stores),
        changed,
        pace: pace.clone(),
    };
    let (client, namespace) = (cluster.client(), cluster.namespace().to_owned());
    let running = async move {
        let Stores {
            policies,
            trust_roots,
            config_maps,
            secrets,
        } = &*stores;
        let (pace, observer, client) = (&pace, &*observer, || client.clone());
        let ours = Some(namespace.as_str());
        tokio::join!(
            Watch {
                client: client(),
                resource: Watched::Policies,
                path: ClusterImagePolicy::url_path(&(), None),
                fields: None,
                pace,
                store: policies,
                observer,
            }
            .run(),
            Watch {
                client: client(),
                resource: Watched::TrustRoots,
                path: TrustRoot::url_path(&(), None),
                fields: None,
                pace,
                store: trust_roots,
                observer,
            }
            .run(),
            Watch {
                client: client(),
                resource: Watched::ConfigMaps,
                path: ConfigMap::url_path(&(), ours),
                fields: None,
                pace,
                store: config_maps,
                observer,
            }
            .run(),
            Watch {
                client: client(),
                resource: Watched::Secrets,
                path: Secret::url_path(&(), ours),
                fields: Some(NO_RELEASES.to_owned()),
                pace,
                store: secrets,
                observer,
            }
            .run(),
        );
    };
    (watch, running)
}

// === impl ObjectWatch ===

impl ObjectWatch {
    /// What there is, once all of it is there and something in it is new. Changes that come together are handed on together.
    pub async fn next(&mut self) -> Objects {
        loop {
            if self.changed.changed().await.is_err() {
                // The watches are gone with the process.
                return std::future::pending().await;
            }
            let latest = Instant::now() + self.pace.settle_at_most;
            let settling = async {
                // Until nothing has changed for a moment.
                while let Ok(Ok(())) = timeout(self.pace.settle, self.changed.changed()).await {}
            };
            let _settled = timeout_at(latest, settling).await;
            if self.stores.are_complete() {
                self.changed.mark_unchanged();
                return self.stores.objects();
            }
        }
    }
}

// === impl Stores ===

impl Stores {
    fn new(changed: watch::Sender<u64>) -> Self {
        let changed = Arc::new(changed);
        Self {
            policies: Store::new(policy, Arc::clone(&changed)),
            trust_roots: Store::new(trust_root, Arc::clone(&changed)),
            config_maps: Store::new(plain, Arc::clone(&changed)),
            secrets: Store::new(plain, changed),
        }
    }

    fn are_complete(&self) -> bool {
        self.policies.is_complete()
            && self.trust_roots.is_complete()
            && self.config_maps.is_complete()
            && self.secrets.is_complete()
    }

    fn objects(&self) -> Objects {
        let mut objects = Objects {
            secrets: self.secrets.all().into_iter().flatten().collect(),
            config_maps: self.config_maps.all().into_iter().flatten().collect(),
            ..Objects::default()
        };
        for policy in self.policies.all() {
            match policy {
                Ok(policy) => objects.policies.push(policy),
                Err(unreadable) => objects.unreadable_policies.push(unreadable),
            }
        }
        for root in self.trust_roots.all() {
            match root {
                Ok(root) => objects.trust_roots.push(root),
                Err(unreadable) => objects.unreadable_trust_roots.push(unreadable),
            }
        }
        objects
    }
}

fn policy(raw: Raw) -> Result<Arc<ClusterImagePolicy>, Arc<UnreadablePolicy>> {
    let (metadata, status, object) = parts(raw);
    let spec = object.get("spec").cloned().unwrap_or_default();
    match api::decode_cluster_image_policy(object) {
        Ok(mut policy) => {
            policy.metadata = metadata;
            policy.status = status;
            Ok(Arc::new(policy))
        }
        Err(error) => {
            let unreadable = UnreadablePolicy::new(metadata, status, &spec, error);
            Err(Arc::new(unreadable))
        }
    }
}

fn trust_root(raw: Raw) -> Result<Arc<TrustRoot>, Arc<UnreadableTrustRoot>> {
    let (metadata, status, object) = parts(raw);
    match api::decode_trust_root(object) {
        Ok(mut root) => {
            root.metadata = metadata;
            root.status = status;
            Ok(Arc::new(root))
        }
        Err(error) => Err(Arc::new(UnreadableTrustRoot {
            metadata,
            status,
            error,
        })),
    }
}

/// Metadata and status, which are read leniently and for themselves, and the rest of an object.
fn parts(raw: Raw) -> (ObjectMeta, Option<Status>, Value) {
    let Raw {
        name,
        version,
        mut object,
    } = raw;
    let mut take = |field: &str| {
        let fields = object.as_object_mut();
        fields.and_then(|fields| fields.remove(field))
    };
    let (metadata, status) = (take("metadata"), take("status"));
    let metadata = metadata.and_then(|metadata| serde_json::from_value(metadata).ok());
    let mut metadata: ObjectMeta = metadata.unwrap_or_else(|| ObjectMeta {
        name: Some(name),
        resource_version: Some(version),
        ..ObjectMeta::default()
    });
    metadata.managed_fields = None;
    let status = status.and_then(|status| serde_json::from_value(status).ok());
    (metadata, status, object)
}

/// A ConfigMap or a Secret. One that cannot be read is not there, for policies as for us; what stands in it is not told.
fn plain<K: DeserializeOwned + Resource>(raw: Raw) -> Option<Arc<K>> {
    let Ok(mut object) = serde_json::from_value::<K>(raw.object) else {
        tracing::warn!(
            name = raw.name,
            "a ConfigMap or Secret cannot be read; it counts as missing"
        );
        return None;
    };
    let metadata = object.meta_mut();
    metadata.managed_fields = None;
    // `kubectl apply` keeps a copy of what it applied there.
    metadata.annotations = None;
    Some(Arc::new(object))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn raw(object: Value) -> Raw {
        Raw::new(object).unwrap()
    }

    fn written(spec: &Value, status: &Value) -> Raw {
        raw(json!({
            "apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "ClusterImagePolicy",
            "metadata": {"name": "p", "resourceVersion": "7", "generation": 2, "managedFields": [{"manager": "kubectl"}]},
            "spec": spec, "status": status,
        }))
    }

    #[test]
    fn reads_a_policy_whatever_another_controller_wrote_into_its_status() {
        let spec = json!({"images": [{"glob": "shop/**"}]});
        let read = policy(written(&spec, &json!({"conditions": "none"}))).unwrap();
        assert_eq!(read.metadata.generation, Some(2));
        assert_eq!(read.metadata.managed_fields, None);
        assert_eq!(read.status, None);
        assert_eq!(read.spec.images.len(), 1);
    }

    #[test]
    fn keeps_of_an_unreadable_policy_what_it_is_about() {
        let spec = json!({"images": [{"glob": "shop/**"}, {"pattern": "x"}, 3], "mode": "warn", "novel": true});
        let read = policy(written(&spec, &Value::Null)).unwrap_err();
        let globs: Vec<&str> = read
            .images
            .iter()
            .map(|image| image.glob.as_str())
            .collect();
        assert_eq!(globs, ["shop/**", "", ""]);
        assert_eq!(read.mode, "warn");
        assert_eq!(read.metadata.name.as_deref(), Some("p"));
        let read = policy(written(&json!("nothing"), &Value::Null)).unwrap_err();
        assert!(read.images.is_empty());
    }

    #[test]
    fn a_secret_keeps_its_data_and_loses_copies_of_it() {
        let secret: Arc<Secret> = plain(raw(json!({
            "metadata": {"name": "s", "resourceVersion": "1", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}},
            "data": {"key": "dmFsdWU="},
        })))
        .unwrap();
        assert_eq!(secret.metadata.annotations, None);
        assert_eq!(secret.data.as_ref().unwrap()["key"].0, b"value");
        let broken =
            raw(json!({"metadata": {"name": "s", "resourceVersion": "1"}, "data": {"key": 1}}));
        assert!(plain::<Secret>(broken).is_none());
    }
}
