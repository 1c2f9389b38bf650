//! The same of a cluster: an API server that answers lists, page by page, and refuses some.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::support::command::{Ended, vouchsafe};

/// The objects of the fixture, served by their kinds; this plural is refused.
struct Server {
    objects: Vec<Value>,
    refused: Option<&'static str>,
}

const PATHS: [(&str, &str); 8] = [
    (
        "/apis/policy.sigstore.dev/v1alpha1/clusterimagepolicies",
        "ClusterImagePolicy",
    ),
    ("/apis/policy.sigstore.dev/v1alpha1/trustroots", "TrustRoot"),
    (
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        "CustomResourceDefinition",
    ),
    (
        "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
    ),
    (
        "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration",
    ),
    ("/api/v1/namespaces", "Namespace"),
    ("/api/v1/namespaces/cosign-system/configmaps", "ConfigMap"),
    (
        "/apis/coordination.k8s.io/v1/namespaces/cosign-system/leases",
        "Lease",
    ),
];

fn status(code: StatusCode, reason: &str, message: &str) -> Response {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "reason": reason, "message": message, "code": code.as_u16(),
    });
    (code, axum::Json(body)).into_response()
}

/// One object a page: whoever reads the first alone has not read all.
async fn answer(State(server): State<Arc<Server>>, uri: Uri) -> Response {
    let Some((path, kind)) = PATHS.iter().find(|(path, _)| *path == uri.path()) else {
        return status(
            StatusCode::NOT_FOUND,
            "NotFound",
            "the server could not find it",
        );
    };
    if server.refused.is_some_and(|plural| path.ends_with(plural)) {
        return status(StatusCode::FORBIDDEN, "Forbidden", "you may not list these");
    }
    if *kind == "TrustRoot" {
        return status(StatusCode::NOT_FOUND, "NotFound", "404 page not found");
    }
    let query = uri.query().unwrap_or_default();
    let from: usize = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("continue="))
        .map_or(0, |token| token.parse().unwrap());
    let mut all = server
        .objects
        .iter()
        .filter(|object| object["kind"] == *kind)
        .skip(from);
    let mut item = all.next().cloned();
    // Items of a list do not say what they are.
    if let Some(fields) = item.as_mut().and_then(Value::as_object_mut) {
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    let next = all.next().map(|_| (from + 1).to_string());
    let list = json!({
        "kind": format!("{kind}List"), "apiVersion": "v1",
        "metadata": {"resourceVersion": "1", "continue": next.unwrap_or_default()},
        "items": item.into_iter().collect::<Vec<_>>(),
    });
    axum::Json(list).into_response()
}

/// What is said about a cluster that holds the fixture.
async fn check(refused: Option<&'static str>, arguments: &[&str]) -> Ended {
    let objects = vouchsafe::adapters::files::read_objects(&[crate::fixture().into()]).0;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .fallback(answer)
        .with_state(Arc::new(Server { objects, refused }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let folder = TempDir::new().unwrap();
    let kubeconfig = folder.path().join("config");
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    });
    std::fs::write(&kubeconfig, config.to_string()).unwrap();
    let arguments: Vec<String> = arguments.iter().map(|one| (*one).to_owned()).collect();
    let run = tokio::task::spawn_blocking(move || {
        let fixed = ["migrate", "check", "--kubeconfig"].map(str::to_owned);
        let kubeconfig = kubeconfig.to_string_lossy().into_owned();
        let all = fixed.into_iter().chain([kubeconfig]).chain(arguments);
        vouchsafe(all.collect::<Vec<_>>()).end()
    });
    let ended = run.await.unwrap();
    drop(folder);
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_told_of_as_its_objects_are() {
    let ended = check(None, &[]).await;
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    // All but the one kind that is not served here.
    let files = crate::migrate(&[&crate::fixture()]).stdout;
    for line in ended.stdout.lines() {
        assert!(files.contains(line), "{line}");
    }
    for part in [
        "acme-solver",
        "built-by-us",
        "timestamped",
        "Lease",
        "Namespace shop",
    ] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    assert!(
        ended
            .stderr
            .contains("looked at: 3 ClusterImagePolicies, 0 TrustRoots")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_is_said_and_ends_with_2() {
    let ended = check(Some("/customresourcedefinitions"), &[]).await;
    assert_eq!(ended.code, 2, "{}", ended.stdout);
    assert!(
        ended.stdout.contains(
            "UNREAD   customresourcedefinitions cannot be read: you may not list these; who asks needs the right to list them"
        ),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("built-by-us"), "the rest is told");
}
