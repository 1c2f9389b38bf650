//! Keys and trust that stand elsewhere: in Secrets, in a key management service, in a file.

use axum::Json;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;

use crate::desk::{Desk, release, stranger};
use crate::support::command::verify;

/// A policy for every image by a key that stands elsewhere.
fn policy(key: &str) -> String {
    format!(
        "---\napiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {{name: elsewhere}}\nspec:\n  images: [{{glob: \"**\"}}]\n  authorities: [{{name: release, key: {key}}}]\n"
    )
}

/// A Secret with these entries.
fn secret(namespace: &str, entries: &[(&str, &str)]) -> String {
    let data: serde_json::Map<String, serde_json::Value> = entries
        .iter()
        .map(|(key, text)| ((*key).to_owned(), json!(text)))
        .collect();
    let document = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys", "namespace": namespace}, "stringData": data,
    });
    format!("---\n{document}\n")
}

const IN_SECRET: &str = "{secretRef: {name: keys}}";

#[tokio::test(flavor = "multi_thread")]
async fn the_public_key_of_a_secret_as_cosign_writes_it_judges() {
    let desk = Desk::new().await;
    let (key, private) = (
        release(),
        "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n",
    );
    let three = [
        ("cosign.key", private),
        ("cosign.password", "hush"),
        ("cosign.pub", key.as_str()),
    ];
    let path = desk.file(
        "policies.yaml",
        policy(IN_SECRET) + &secret("cosign-system", &three),
    );
    let judged = |case: &str| verify(&path, [desk.image(case)]).end();
    assert_eq!(judged("signed").code, 0);
    assert_eq!(judged("stranger").code, 1);
    let other = [("cosign.pub", stranger())];
    let other = other.each_ref().map(|(name, key)| (*name, key.as_str()));
    let path = desk.file(
        "policies.yaml",
        policy(IN_SECRET) + &secret("cosign-system", &other),
    );
    assert_eq!(verify(&path, [desk.image("signed")]).end().code, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_not_there_breaks_its_policy_in_words() {
    let desk = Desk::new().await;
    let key = release();
    for (documents, said) in [
        (
            policy(IN_SECRET),
            "secret \"keys\" is not in the namespace \"cosign-system\"",
        ),
        (
            policy(IN_SECRET) + &secret("shop", &[("a", &key)]),
            "secret \"keys\" is not in the namespace \"cosign-system\"",
        ),
        (
            policy(IN_SECRET) + &secret("cosign-system", &[]),
            "secret \"keys\" contains no data",
        ),
    ] {
        let path = desk.file("policies.yaml", documents);
        let ended = verify(&path, [desk.image("signed")]).end();
        assert_eq!(ended.code, 2);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("spec.authorities[0].key.secretref"),
            "{}",
            ended.stderr
        );
    }
}

/// A Vault that has one key, or says 503.
async fn vault(key: Option<String>) -> String {
    let router = Router::new().route(
        "/v1/transit/keys/release",
        get(|| async move {
            let key = key.ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
            Ok::<_, StatusCode>(Json(
                json!({"data": {"latest_version": 1, "keys": {"1": {"public_key": key}}}}),
            ))
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_key_management_service_judges() {
    let desk = Desk::new().await;
    let path = desk.file("policies.yaml", policy("{kms: \"hashivault://release\"}"));
    let address = vault(Some(release())).await;
    let judged = |case: &str| {
        let run = verify(&path, [desk.image(case)]);
        run.env("VAULT_ADDR", &address)
            .env("VAULT_TOKEN", "hush")
            .end()
    };
    assert_eq!(judged("signed").code, 0);
    assert_eq!(judged("stranger").code, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_management_service_that_is_down_is_said_to_be_down() {
    let desk = Desk::new().await;
    let path = desk.file("policies.yaml", policy("{kms: \"hashivault://release\"}"));
    let address = vault(None).await;
    let run = verify(&path, [desk.image("signed")]);
    let ended = run
        .env("VAULT_ADDR", &address)
        .env("VAULT_TOKEN", "hush")
        .end();
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains(
            "hashivault://release could not be fetched: vault answered 503 Service Unavailable"
        ),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("hush"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_root_that_is_none_is_refused_before_anything_is_judged() {
    let desk = Desk::new().await;
    let (policies, root) = (desk.signed_by_release(), desk.file("root.json", "{}"));
    let run = verify(
        &policies,
        [
            "--trusted-root".into(),
            root.display().to_string(),
            desk.image("signed"),
        ],
    );
    let ended = run.end();
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("root.json cannot be used"),
        "{}",
        ended.stderr
    );
    let gone = desk.folder().join("gone.json").display().to_string();
    let ended = verify(
        &policies,
        ["--trusted-root".into(), gone, desk.image("signed")],
    )
    .end();
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("cannot be read"), "{}", ended.stderr);
}

/// The default asks nobody, and neither does a root that is given.
#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_root_that_is_given_is_used() {
    let desk = Desk::new().await;
    let json = sigstore_trust_root::SIGSTORE_STAGING_TRUSTED_ROOT;
    let (policies, root) = (desk.signed_by_release(), desk.file("root.json", json));
    let ended = verify(
        &policies,
        [
            "--trusted-root".into(),
            root.display().to_string(),
            desk.image("signed"),
        ],
    )
    .end();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
}
