//! An API server with webhook configurations, and replicas that serve.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};
use vouchsafe::adapters::certs::{Life, Lifetimes, ServingCertificate};
use vouchsafe::adapters::cluster::Cluster;
use vouchsafe::adapters::cluster::serving::{Keeper, SharedCertificate};
use vouchsafe::adapters::metrics::Metrics;
use vouchsafe::server::{Bound, ServeSettings, Tls, TlsVersion};

use crate::support::api_server::ApiServer;

/// The Secret.
pub(crate) const SECRET: &str = "/api/v1/namespaces/cosign-system/secrets/vouchsafe-tls";
/// The configuration of the webhook that judges images.
pub(crate) const VALIDATING: &str =
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/vouchsafe";
/// The configuration of the webhook that pins tags.
pub(crate) const MUTATING: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/vouchsafe";
/// The configuration of the webhook that checks policies.
pub(crate) const POLICIES: &str =
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/vouchsafe-policies";

const MINUTE: Duration = Duration::from_mins(1);

/// A replica; stops when it is dropped.
pub(crate) struct Replica {
    pub(crate) address: SocketAddr,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) serving: Arc<ServingCertificate>,
    published: Arc<AtomicBool>,
    _stop: DropGuard,
}

/// Lives that are longer than any test, a grace that is not.
pub(crate) fn settings() -> SharedCertificate {
    SharedCertificate {
        secret: "vouchsafe-tls".to_owned(),
        configurations: vec!["vouchsafe".to_owned(), "vouchsafe-policies".to_owned()],
        names: vec!["vouchsafe.cosign-system.svc".to_owned()],
        lifetimes: Lifetimes {
            certificate: Life::new(90 * MINUTE),
            authority: Life::new(900 * MINUTE),
            grace: Duration::from_millis(300),
            overlap: Duration::from_millis(800),
        },
        poll: MINUTE,
    }
}

/// A configuration as a chart makes it: nobody is trusted yet.
pub(crate) fn configuration(kind: &str, name: &str, webhooks: &[&str]) -> Value {
    let webhooks: Vec<Value> = webhooks
        .iter()
        .map(|webhook| {
            json!({
                "name": webhook, "sideEffects": "None", "failurePolicy": "Fail", "admissionReviewVersions": ["v1"],
                "fieldOfALaterVersion": {"kept": true},
                "clientConfig": {"service": {"name": "vouchsafe", "namespace": "cosign-system", "path": "/validate", "port": 443}},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
            })
        })
        .collect();
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
        "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "Helm"}}, "webhooks": webhooks,
    })
}

/// What a chart installs.
pub(crate) fn install(api: &ApiServer) {
    let validating = "ValidatingWebhookConfiguration";
    api.put(configuration(
        validating,
        "vouchsafe",
        &["policy.sigstore.dev"],
    ));
    api.put(configuration(
        "MutatingWebhookConfiguration",
        "vouchsafe",
        &["policy.sigstore.dev"],
    ));
    api.put(configuration(
        validating,
        "vouchsafe-policies",
        &[
            "validating.clusterimagepolicy.sigstore.dev",
            "validating.trustroot.sigstore.dev",
        ],
    ));
}

/// An API server after an installation.
pub(crate) async fn installed() -> ApiServer {
    let api = ApiServer::start().await;
    install(&api);
    api
}

/// What each webhook of a configuration trusts, in PEM; empty where it trusts nobody.
pub(crate) fn bundles(api: &ApiServer, path: &str) -> Vec<String> {
    let configuration = api.get(path).unwrap_or_default();
    let webhooks = configuration["webhooks"].as_array().into_iter().flatten();
    let bundle = |webhook: &Value| {
        let encoded = webhook["clientConfig"]["caBundle"]
            .as_str()
            .unwrap_or_default();
        String::from_utf8(BASE64_STANDARD.decode(encoded).unwrap()).unwrap()
    };
    webhooks.map(bundle).collect()
}

/// A value of the Secret; empty where there is none.
pub(crate) fn value(api: &ApiServer, key: &str) -> String {
    let secret = api.get(SECRET).unwrap_or_default();
    let encoded = secret["data"][key].as_str().unwrap_or_default();
    String::from_utf8(BASE64_STANDARD.decode(encoded).unwrap()).unwrap()
}

/// The Secret with one value changed.
pub(crate) fn rewrite(api: &ApiServer, key: &str, value: &str) {
    let mut secret = api.get(SECRET).unwrap();
    secret["data"][key] = json!(BASE64_STANDARD.encode(value));
    api.put(secret);
}

/// Waits until it is so, for at most so long; how long it took.
#[track_caller]
pub(crate) fn until<'a>(
    what: &'a str,
    most: Duration,
    mut is_so: impl FnMut() -> bool + 'a,
) -> impl Future<Output = Duration> + 'a {
    let start = Instant::now();
    async move {
        while !is_so() {
            assert!(start.elapsed() < most, "not within {most:?}: {what}");
            sleep(Duration::from_millis(5)).await;
        }
        start.elapsed()
    }
}

/// Long enough for whatever is to happen, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

// === impl Replica ===

impl Replica {
    /// Starts one. It need not be ready yet.
    pub(crate) async fn start(api: &ApiServer, settings: SharedCertificate) -> Self {
        let kubeconfig = api.kubeconfig();
        let cluster = Cluster::connect(Some(kubeconfig.as_path()), "cosign-system").await;
        let (serving, metrics) = (
            Arc::new(ServingCertificate::none()),
            Arc::new(Metrics::new()),
        );
        let keeper = Keeper::new(
            &cluster.unwrap(),
            settings,
            Arc::clone(&serving),
            Arc::clone(&metrics),
        );
        let (stop, published) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
        let flag = Arc::clone(&published);
        tokio::spawn(keeper.run(move || flag.store(true, Ordering::SeqCst), stop.clone()));
        let tls = Tls::new(
            Arc::<ServingCertificate>::clone(&serving),
            TlsVersion::Tls13,
        )
        .unwrap();
        let bound = Bound::tls("127.0.0.1:0".parse().unwrap(), tls)
            .await
            .unwrap();
        let address = bound.address();
        let limits = ServeSettings {
            connections: 256,
            stop_delay: Duration::ZERO,
            drain: Duration::ZERO,
        };
        let router = Router::new().route("/", get(|| async { "here" }));
        tokio::spawn(bound.serve(router, limits, stop.clone()));
        Self {
            address,
            metrics,
            serving,
            published,
            _stop: stop.drop_guard(),
        }
    }

    /// Starts one and waits until it is ready.
    pub(crate) async fn ready(api: &ApiServer) -> Self {
        let replica = Self::start(api, settings()).await;
        until("ready", PATIENCE, || replica.is_ready()).await;
        replica
    }

    /// Whether it said that it is published.
    pub(crate) fn is_ready(&self) -> bool {
        self.published.load(Ordering::SeqCst)
    }

    /// A counter of its metrics, 0 where it is not there.
    pub(crate) fn count(&self, series: &str) -> u64 {
        let text = self.metrics.encode();
        let line = text.lines().find_map(|line| line.strip_prefix(series));
        line.map_or(0, |value| value.trim().parse().unwrap())
    }

    /// How often it took a step.
    pub(crate) fn steps(&self, step: &str) -> u64 {
        self.count(&format!("vouchsafe_cert_steps_total{{step=\"{step}\"}}"))
    }
}
