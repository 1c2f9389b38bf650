//! What replicas write to the API server about policies and trust roots: one of them at a time, on change, and gently.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a fixture that breaks fails the test by panicking"
)]

mod support;

#[path = "cluster_status/denials.rs"]
mod denials;
#[path = "cluster_status/leaders.rs"]
mod leaders;
#[path = "cluster_status/webhooks.rs"]
mod webhooks;
#[path = "cluster_status/writes.rs"]
mod writes;

use std::time::Duration;

use support::api_server::{ApiServer, Asked};
use tokio::time::{Instant, sleep};
use vouchsafe::adapters::cluster::Cluster;

/// Our namespace.
const NAMESPACE: &str = "cosign-system";

async fn cluster(server: &ApiServer) -> Cluster {
    // Another test of this binary may have installed it already.
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let kubeconfig = server.kubeconfig();
    Cluster::connect(Some(&kubeconfig), NAMESPACE)
        .await
        .unwrap()
}

/// Waits until this is so; fails if it is not within `longest`.
async fn until(what: &str, longest: Duration, is_so: impl Fn() -> bool) {
    let end = Instant::now() + longest;
    while !is_so() {
        assert!(Instant::now() < end, "not within {longest:?}: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// The requests that change something about policies and trust roots.
fn writes(server: &ApiServer) -> Vec<Asked> {
    let asked = server.asked().into_iter();
    let is_write =
        |asked: &Asked| asked.method != "GET" && asked.path.contains("policy.sigstore.dev");
    asked.filter(is_write).collect()
}
