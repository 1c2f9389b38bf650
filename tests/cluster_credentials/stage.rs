//! An engine in a cluster: an API server with pull secrets, and registries that want them.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Parser;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;
use vouchsafe::adapters::cluster::{Cluster, ClusterCredentials};
use vouchsafe::adapters::files;
use vouchsafe::app::engine::Engine;
use vouchsafe::config::JudgeArgs;
use vouchsafe::demo::registry::{Store, image};
use vouchsafe::demo::signer::{SignatureOptions, SigningKey, attach_signature};
use vouchsafe::image::Digest;
use vouchsafe::limits::Limits;
use vouchsafe::verdict::ReviewVerdict;
use vouchsafe::workload::{Operation, Request};

use crate::support::api_server::ApiServer;
use crate::support::policies::{Policy, yaml};
use crate::support::registry::FaultyRegistry;

pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// `serve` and `verify`, as far as they are the same.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    judge: JudgeArgs,
}

/// The stage.
pub(crate) struct Stage {
    pub(crate) api: ApiServer,
    pub(crate) registry: FaultyRegistry,
    pub(crate) release: SigningKey,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        // Another test of this binary may have installed it already.
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Self {
            api: ApiServer::start().await,
            registry: FaultyRegistry::start(Store::new()).await,
            release: SigningKey::generate().unwrap(),
        }
    }

    /// An image `NAME:v1`, by digest.
    pub(crate) fn image(&self, name: &str) -> (String, Digest) {
        let digest = image(self.registry.store(), name, "v1", name);
        let reference = format!("{}/{name}@{digest}", self.registry.host());
        (reference, digest)
    }

    /// One that the release key signed.
    pub(crate) fn signed(&self, name: &str) -> String {
        let (reference, digest) = self.image(name);
        self.sign_in(&self.registry, name, &digest);
        reference
    }

    /// A signature by the release key, kept in this repository of this registry.
    pub(crate) fn sign_in(&self, registry: &FaultyRegistry, name: &str, digest: &Digest) {
        let options = SignatureOptions::default();
        attach_signature(registry.store(), name, digest, &self.release, &options).unwrap();
    }

    /// A Pod's service account that names these pull secrets.
    pub(crate) fn account(&self, namespace: &str, secrets: &[&str]) {
        let secrets: Vec<Value> = secrets.iter().map(|name| json!({"name": name})).collect();
        self.api.put(json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": namespace}, "imagePullSecrets": secrets,
        }));
    }

    /// A pull secret for one host.
    pub(crate) fn secret(&self, namespace: &str, name: &str, host: &str, user: &str) {
        let auth = STANDARD.encode(format!("{user}:{PASSWORD}"));
        let config = json!({"auths": {host: {"auth": auth}}}).to_string();
        self.api.put(json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": name, "namespace": namespace},
            "data": {".dockerconfigjson": STANDARD.encode(config)},
        }));
    }

    /// An engine in the cluster that enforces this policy.
    pub(crate) async fn engine(&self, policy: Policy) -> Engine {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("policies.yaml");
        std::fs::write(&file, yaml(&[policy])).unwrap();
        let policies = file.to_str().unwrap();
        let arguments = Arguments::parse_from(["vouchsafe", "--policies", policies]);
        let cluster = Cluster::connect(Some(&self.api.kubeconfig()), "cosign-system").await;
        let client = cluster.unwrap().client();
        let limits = Limits::default();
        let engine = Engine::in_cluster(&arguments.judge, &limits, Arc::new(()), |own| {
            Arc::new(ClusterCredentials::new(client, own, &limits))
        });
        let engine = engine.unwrap();
        let documents = files::load(&[file]).unwrap();
        engine.replace(documents.objects()).unwrap();
        engine
    }

    /// Signed by the release key.
    pub(crate) fn policy(&self) -> Policy {
        Policy::new("release").key("release", &self.release)
    }
}

/// What the engine says of a Pod in the namespace `shop` with this image, which names these pull secrets.
pub(crate) async fn judge(engine: &Engine, image: &str, secrets: &[&str]) -> ReviewVerdict {
    let secrets: Vec<Value> = secrets.iter().map(|name| json!({"name": name})).collect();
    let request = Request {
        uid: "u".to_owned(),
        operation: Operation::Create,
        group: String::new(),
        version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        subresource: String::new(),
        namespace: "shop".to_owned(),
        name: "p".to_owned(),
        object: json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c", "image": image}], "imagePullSecrets": secrets},
        }),
        old_object: None,
        dry_run: false,
    };
    let deadline = Instant::now() + Duration::from_secs(9);
    let verdict = engine
        .judge()
        .review(&request, &engine.snapshot(), deadline)
        .await;
    let told = format!("{verdict:?}");
    for secret in [PASSWORD.to_owned(), STANDARD.encode(PASSWORD)] {
        assert!(!told.contains(&secret), "{told}");
    }
    verdict
}
