//! The tests' API server is one for a real client: what it stores, tells and refuses.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a fixture that breaks fails the test by panicking"
)]

mod support;

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchEvent,
    WatchParams,
};
use kube::core::ApiResource;
use kube::{Client, ResourceExt as _};
use serde_json::json;
use support::api_server::{ApiServer, Fault};
use vouchsafe::adapters::cluster::Cluster;
use vouchsafe::api::ClusterImagePolicy;

async fn client(server: &ApiServer) -> Client {
    // Another test of this binary may have installed it already.
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let kubeconfig = server.kubeconfig();
    let cluster = Cluster::connect(Some(&kubeconfig), "cosign-system").await;
    cluster.unwrap().client()
}

fn config_map(name: &str, value: &str) -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "cosign-system"}, "data": {"key": value},
    })
}

fn policy(name: &str) -> serde_json::Value {
    json!({
        "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy",
        "metadata": {"name": name}, "spec": {"images": [{"glob": "**"}]},
    })
}

fn policies(client: Client) -> Api<DynamicObject> {
    Api::all_with(client, &ApiResource::erase::<ClusterImagePolicy>(&()))
}

#[tokio::test]
async fn lists_by_pages_and_by_namespace() {
    let server = ApiServer::start().await;
    for index in 0..5 {
        server.put(config_map(&format!("c{index}"), "v"));
    }
    let maps: Api<ConfigMap> = Api::namespaced(client(&server).await, "cosign-system");
    let first = maps.list(&ListParams::default().limit(3)).await.unwrap();
    let mark = first.metadata.continue_.unwrap();
    let params = ListParams::default().limit(3).continue_token(&mark);
    let second = maps.list(&params).await.unwrap();
    let names = first.items.iter().chain(&second.items);
    let names: Vec<String> = names.map(kube::ResourceExt::name_any).collect();
    assert_eq!(names, ["c0", "c1", "c2", "c3", "c4"]);
    assert_eq!(second.metadata.continue_, None);
    let elsewhere: Api<ConfigMap> = Api::namespaced(client(&server).await, "default");
    assert!(
        elsewhere
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test]
async fn tells_a_watch_what_changes_after_its_version() {
    let server = ApiServer::start().await;
    server.put(config_map("before", "v"));
    let maps: Api<ConfigMap> = Api::namespaced(client(&server).await, "cosign-system");
    let version = server.revision().to_string();
    let watch = maps.watch(&WatchParams::default(), &version).await.unwrap();
    let mut watch = watch.boxed();
    server.put(config_map("after", "one"));
    server.put(config_map("after", "one"));
    server.put(config_map("after", "two"));
    server.delete("/api/v1/namespaces/cosign-system/configmaps/after");
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.push(match watch.try_next().await.unwrap().unwrap() {
            WatchEvent::Added(map) => format!("added {}", map.data.unwrap()["key"]),
            WatchEvent::Modified(map) => format!("modified {}", map.data.unwrap()["key"]),
            WatchEvent::Deleted(map) => format!("deleted {}", map.name_any()),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(seen, ["added one", "modified two", "deleted after"]);
}

#[tokio::test]
async fn forgets_versions_and_breaks_connections_when_told_to() {
    let mut server = ApiServer::start().await;
    server.put(config_map("one", "v"));
    server.put(config_map("two", "v"));
    server.compact();
    let maps: Api<ConfigMap> = Api::namespaced(client(&server).await, "cosign-system");
    let params = WatchParams::default();
    let mut watch = maps.watch(&params, "1").await.unwrap().boxed();
    let Some(WatchEvent::Error(gone)) = watch.try_next().await.unwrap() else {
        panic!("a version that is forgotten");
    };
    assert_eq!(gone.code, 410);
    server.on(|asked| asked.lists("configmaps").then_some(Fault::Status(403)));
    let refused = maps.list(&ListParams::default()).await.unwrap_err();
    assert!(
        matches!(refused, kube::Error::Api(status) if status.code == 403),
        "it was told to refuse"
    );
    server.clear_faults();
    server.on(|asked| asked.lists("configmaps").then_some(Fault::Cut(20)));
    assert!(maps.list(&ListParams::default()).await.is_err());
    server.clear_faults();
    server.close().await;
    assert!(maps.list(&ListParams::default()).await.is_err());
    server.open().await;
    assert_eq!(
        maps.list(&ListParams::default()).await.unwrap().items.len(),
        2
    );
}

#[tokio::test]
async fn keeps_status_generation_and_finalizers_as_a_server_does() {
    let server = ApiServer::start().await;
    server.put(policy("p"));
    let policies = policies(client(&server).await);
    let status = json!({
        "apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "ClusterImagePolicy",
        "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]},
    });
    let ours = PatchParams::apply("vouchsafe").force();
    let written = policies
        .patch_status("p", &ours, &Patch::Apply(&status))
        .await
        .unwrap();
    assert_eq!(written.metadata.generation, Some(1));
    assert_eq!(
        written.types.unwrap().api_version,
        "policy.sigstore.dev/v1alpha1"
    );
    // The spec alone makes a generation, and leaves the status as it is.
    let spec =
        json!({"spec": {"images": [{"glob": "shop/**"}]}, "metadata": {"finalizers": ["a/b"]}});
    let merge = Patch::Merge(&spec);
    let changed = policies
        .patch("p", &PatchParams::default(), &merge)
        .await
        .unwrap();
    assert_eq!(changed.metadata.generation, Some(2));
    assert_eq!(changed.data["status"]["observedGeneration"], 1);
    policies
        .delete("p", &DeleteParams::default())
        .await
        .unwrap();
    assert!(
        policies
            .get("p")
            .await
            .unwrap()
            .metadata
            .deletion_timestamp
            .is_some()
    );
    let free = json!({"metadata": {"finalizers": null}});
    policies
        .patch("p", &PatchParams::default(), &Patch::Merge(&free))
        .await
        .unwrap();
    assert_eq!(
        policies.get_opt("p").await.unwrap().map(|p| p.name_any()),
        None
    );
}

#[tokio::test]
async fn refuses_to_create_twice_and_to_write_over_a_newer_version() {
    let server = ApiServer::start().await;
    let secrets: Api<Secret> = Api::namespaced(client(&server).await, "cosign-system");
    let secret: Secret = serde_json::from_value(json!({"metadata": {"name": "s"}})).unwrap();
    let params = PostParams::default();
    let first = secrets.create(&params, &secret).await.unwrap();
    let twice = secrets.create(&params, &secret).await.unwrap_err();
    assert!(matches!(twice, kube::Error::Api(status) if status.reason == "AlreadyExists"));
    let newer = json!({"data": {"key": "dmFsdWU="}});
    let merge = Patch::Merge(&newer);
    secrets
        .patch("s", &PatchParams::default(), &merge)
        .await
        .unwrap();
    let stale = secrets.replace("s", &params, &first).await.unwrap_err();
    assert!(matches!(stale, kube::Error::Api(status) if status.code == 409));
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn sends_bookmarks_and_ends_a_watch_in_time() {
    let server = ApiServer::start().await;
    server.put(config_map("one", "v"));
    server.bookmark_every(Duration::from_millis(20));
    let maps: Api<ConfigMap> = Api::namespaced(client(&server).await, "cosign-system");
    let params = WatchParams::default().timeout(1);
    let watch = maps.watch(&params, "1").await.unwrap();
    let told: Vec<WatchEvent<ConfigMap>> = watch.try_collect().await.unwrap();
    assert!(!told.is_empty(), "no bookmark in a second");
    assert!(
        told.iter()
            .all(|event| matches!(event, WatchEvent::Bookmark(_)))
    );
}
