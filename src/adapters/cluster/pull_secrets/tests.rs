//! Against an API server of a few lines: it answers `get`, counts, and can be told to fail.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::*;
use crate::gather::Credential;

/// What it has, by path, and what it was asked.
#[derive(Default)]
struct ApiServer {
    objects: Mutex<BTreeMap<String, Value>>,
    asked: Mutex<Vec<String>>,
    /// The status that everything is answered with, if not 0.
    refuses: AtomicUsize,
    hangs: std::sync::atomic::AtomicBool,
}

impl ApiServer {
    fn put(&self, path: &str, object: Value) {
        let path = format!("/api/v1/namespaces/{path}");
        self.objects.lock().unwrap().insert(path, object);
    }

    fn remove(&self, path: &str) {
        let path = format!("/api/v1/namespaces/{path}");
        self.objects.lock().unwrap().remove(&path);
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Body>,
    ) -> Result<Response<Body>, http::Error> {
        let line = format!("{} {}", request.method(), request.uri());
        self.asked.lock().unwrap().push(line);
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let found = self
            .objects
            .lock()
            .unwrap()
            .get(request.uri().path())
            .cloned();
        let refused = u16::try_from(self.refuses.load(Ordering::SeqCst)).unwrap();
        let (code, body) = match (refused, found) {
            (0, Some(object)) => (200, object),
            (0, None) => (404, status(404, "NotFound")),
            (code, _) => (code, status(code, "Forbidden")),
        };
        Response::builder()
            .status(code)
            .header("content-type", "application/json")
            .body(Body::from(body.to_string().into_bytes()))
    }
}

fn status(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code,
        "message": "User \"system:serviceaccount:cosign-system:vouchsafe\" cannot get resource"})
}

fn account(secrets: &[&str]) -> Value {
    let secrets: Vec<Value> = secrets.iter().map(|name| json!({"name": name})).collect();
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}, "imagePullSecrets": secrets})
}

fn secret(host: &str, password: &str) -> Value {
    let config = json!({"auths": {host: {"auth": STANDARD.encode(format!("robot:{password}"))}}});
    json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": "regcred"}, "data": {".dockerconfigjson": STANDARD.encode(config.to_string())}})
}

fn scope(secrets: &[&str]) -> PullScope {
    PullScope {
        namespace: "shop".to_owned(),
        service_account: "default".to_owned(),
        pull_secrets: secrets.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn cluster() -> (Arc<ApiServer>, ClusterCredentials) {
    let server = Arc::new(ApiServer::default());
    let answering = Arc::clone(&server);
    let service = tower::service_fn(move |request| Arc::clone(&answering).answer(request));
    let client = Client::new(service, "cosign-system");
    let own = Arc::new(OwnCredentials::default());
    let credentials = ClusterCredentials::new(client, own, &Limits::default());
    (server, credentials)
}

/// The passwords, in the order in which they are tried.
async fn passwords(
    credentials: &ClusterCredentials,
    scope: &PullScope,
) -> Result<Vec<String>, FetchError> {
    let keychain = credentials.keychain(scope, &BTreeSet::new()).await?;
    let passwords = keychain
        .entries()
        .iter()
        .map(|entry| match &entry.credential {
            Credential::Basic { password, .. } => password.clone(),
            Credential::IdentityToken(_) | Credential::RegistryToken(_) => String::new(),
        });
    Ok(passwords.collect())
}

/// What the keychain says is missing from it.
async fn unread(credentials: &ClusterCredentials, scope: &PullScope) -> Option<String> {
    let keychain = credentials.keychain(scope, &BTreeSet::new()).await.unwrap();
    keychain.unread().map(str::to_owned)
}

/// Time passes, and what is under way in the background ends.
async fn pass(credentials: &ClusterCredentials, seconds: u64) {
    credentials.objects.age(Duration::from_secs(seconds));
    sleep(Duration::from_millis(200)).await;
}

#[tokio::test]
async fn secrets_of_the_pod_come_before_those_of_its_service_account_and_each_is_read_by_get() {
    let (server, credentials) = cluster();
    server.put("shop/serviceaccounts/default", account(&["b", "a"]));
    server.put("shop/secrets/a", secret("a.example.com", "first"));
    server.put("shop/secrets/b", secret("b.example.com", "second"));
    let found = passwords(&credentials, &scope(&["a"])).await;
    assert_eq!(found.unwrap(), ["first", "second"]);
    let mut asked = server.asked();
    asked.sort();
    assert_eq!(
        asked,
        [
            "GET /api/v1/namespaces/shop/secrets/a",
            "GET /api/v1/namespaces/shop/secrets/b",
            "GET /api/v1/namespaces/shop/serviceaccounts/default",
        ]
    );
    // A rollout asks nothing more.
    for _ in 0..20 {
        passwords(&credentials, &scope(&["a"])).await.unwrap();
    }
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn what_is_not_there_or_is_no_pull_secret_is_passed_over_and_looked_for_again_soon() {
    let (server, credentials) = cluster();
    let mut opaque = secret("a.example.com", "hush");
    opaque["type"] = json!("Opaque");
    server.put("shop/secrets/opaque", opaque);
    let scope = scope(&["late", "opaque"]);
    let none: Vec<String> = Vec::new();
    assert_eq!(passwords(&credentials, &scope).await.unwrap(), none);
    server.put("shop/secrets/late", secret("a.example.com", "late"));
    pass(&credentials, 3).await;
    assert_eq!(passwords(&credentials, &scope).await.unwrap(), ["late"]);
}

#[tokio::test]
async fn a_secret_that_changes_is_seen_within_a_minute_without_anybody_waiting_for_it() {
    let (server, credentials) = cluster();
    server.put("shop/secrets/a", secret("a.example.com", "old"));
    let scope = scope(&["a"]);
    assert_eq!(passwords(&credentials, &scope).await.unwrap(), ["old"]);
    server.put("shop/secrets/a", secret("a.example.com", "new"));
    pass(&credentials, 50).await;
    assert_eq!(passwords(&credentials, &scope).await.unwrap(), ["old"]);
    pass(&credentials, 0).await;
    assert_eq!(passwords(&credentials, &scope).await.unwrap(), ["new"]);
    server.remove("shop/secrets/a");
    pass(&credentials, 61).await;
    let none: Vec<String> = Vec::new();
    assert_eq!(passwords(&credentials, &scope).await.unwrap(), none);
}

#[tokio::test]
async fn an_api_server_that_does_not_answer_is_not_no_secret() {
    let (server, credentials) = cluster();
    server.put("shop/serviceaccounts/default", account(&[]));
    server.put("shop/secrets/a", secret("a.example.com", "good"));
    let known = scope(&["a"]);
    assert_eq!(passwords(&credentials, &known).await.unwrap(), ["good"]);
    server.hangs.store(true, Ordering::SeqCst);
    // What was good last is used for ten minutes.
    for _ in 0..3 {
        pass(&credentials, 60).await;
        assert_eq!(passwords(&credentials, &known).await.unwrap(), ["good"]);
        assert_eq!(unread(&credentials, &known).await, None);
    }
    pass(&credentials, 600).await;
    assert!(unread(&credentials, &known).await.is_some());
    // Of what was never read there is nothing to use.
    assert_eq!(
        unread(&credentials, &scope(&["b"])).await.as_deref(),
        Some("secret shop/b could not be read: the API server gave no answer within 2 s")
    );
    server.hangs.store(false, Ordering::SeqCst);
    pass(&credentials, 1).await;
    assert_eq!(passwords(&credentials, &known).await.unwrap(), ["good"]);
}

#[tokio::test]
async fn rights_that_are_taken_away_are_told_without_what_the_api_server_says() {
    let (server, credentials) = cluster();
    server.refuses.store(403, Ordering::SeqCst);
    assert_eq!(
        unread(&credentials, &scope(&["a"])).await.as_deref(),
        Some("secret shop/a could not be read: the API server does not let us")
    );
    server.refuses.store(500, Ordering::SeqCst);
    pass(&credentials, 1).await;
    let told = unread(&credentials, &scope(&["a"])).await.unwrap();
    assert!(told.ends_with("the API server answered 500"), "{told}");
}

/// What could be read is used, whatever else could not.
#[tokio::test]
async fn a_keychain_from_which_something_is_missing_is_another_one() {
    let (server, credentials) = cluster();
    server.put("shop/secrets/a", secret("a.example.com", "known"));
    let (none, first, both) = (BTreeSet::new(), scope(&["a"]), scope(&["a", "b"]));
    let whole = credentials.keychain(&first, &none).await.unwrap();
    server.refuses.store(500, Ordering::SeqCst);
    let part = credentials.keychain(&both, &none).await.unwrap();
    assert_eq!(part.entries(), whole.entries());
    assert_ne!(part.id(), whole.id());
}

/// T-12.
#[tokio::test]
async fn t12_a_name_leads_to_nothing_outside_of_its_namespace() {
    let (server, credentials) = cluster();
    server.put("kube-system/secrets/root", secret("a.example.com", "root"));
    server.put("shop/secrets/a", secret("a.example.com", "own"));
    let none: Vec<String> = Vec::new();
    for name in [
        "../../kube-system/secrets/root",
        "..%2f..%2fkube-system%2fsecrets%2froot",
        "a/../../../kube-system/secrets/root",
        "a?watch=true",
        "a#b",
        "",
        ".",
        "..",
        "A",
        "a_b",
        "-a",
    ] {
        let mut scope = scope(&[name]);
        scope.service_account = name.to_owned();
        assert_eq!(
            passwords(&credentials, &scope).await.unwrap(),
            none,
            "{name}"
        );
    }
    let mut elsewhere = scope(&["root"]);
    elsewhere.namespace = "../kube-system".to_owned();
    assert_eq!(passwords(&credentials, &elsewhere).await.unwrap(), none);
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn more_secrets_than_the_bound_are_read_by_nobody() {
    let (server, credentials) = cluster();
    let names: Vec<String> = (0..33).map(|n| format!("s{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let error = passwords(&credentials, &scope(&names)).await.unwrap_err();
    assert!(
        matches!(error, FetchError::TooMany { found: 33, .. }),
        "{error}"
    );
    assert!(
        server
            .asked()
            .iter()
            .all(|line| !line.contains("/secrets/"))
    );
}

#[tokio::test]
async fn secrets_that_a_policy_names_are_read_alone() {
    let (server, credentials) = cluster();
    server.put("shop/serviceaccounts/default", account(&["b"]));
    server.put("shop/secrets/a", secret("a.example.com", "policy"));
    server.put("shop/secrets/b", secret("a.example.com", "account"));
    let names = ["a".to_owned(), "missing".to_owned()];
    let keychain = credentials.secrets("shop", &names).await.unwrap();
    let sources: Vec<&str> = keychain
        .entries()
        .iter()
        .map(|e| e.source.as_str())
        .collect();
    assert_eq!(sources, ["secret shop/a"]);
}

/// T-93: without the right to it, nothing is asked for. Our own credentials are all there is for a workload, and what a policy names is
/// missing rather than absent.
#[tokio::test]
async fn t93_pull_secrets_that_are_ignored_are_not_asked_for() {
    let (server, credentials) = cluster();
    let credentials = credentials.reading_pull_secrets(false);
    let none: Vec<String> = Vec::new();
    let scope = scope(&["regcred"]);
    assert_eq!(passwords(&credentials, &scope).await.unwrap(), none);
    assert_eq!(unread(&credentials, &scope).await, None);
    let named = ["regcred".to_owned()];
    let keychain = credentials.secrets("shop", &named).await.unwrap();
    let missing = keychain.unread().unwrap();
    assert!(missing.contains("--pull-secrets ignore"), "{missing}");
    assert!(server.asked().is_empty());
}
