//! The scripts with trust roots: `e2e_test_trustroot_bring_own_keys.sh`, `…_remote.sh`, `…_repository.sh` and
//! `e2e_test_cluster_image_policy_with_tsa.sh`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::sigstore::{Act, Key, Logged, Sigstore, certificate};
use crate::stage::{
    Image, Stage, account, becomes, by_account, by_key, demo_policy, denies, job, new_key, saying,
    unlogged, with,
};
use crate::support::policies::{Policy, yaml};
use crate::support::tuf::TufRepository;
use crate::support::webhook::{Answered, Webhook};

/// The name of every TrustRoot of the scripts.
const KEYS: &str = "my-sigstore-keys";
const NAME: &str = "image-policy-keyless-with-attestations";
const TEXT: &str = "foobar e2e test";
const NONE: &str = "no matching attestations";

/// A policy that wants an attestation, by the service account, as the TrustRoot knows it.
fn policy() -> Policy {
    let mut authority = saying(by_account(), TEXT);
    authority["keyless"]["trustRootRef"] = json!(KEYS);
    authority["ctlog"]["trustRootRef"] = json!(KEYS);
    demo_policy(NAME).authority(authority)
}

fn documents(policy: &Policy, trust_root: &Value) -> String {
    let root = json!({
        "apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot",
        "metadata": {"name": KEYS}, "spec": trust_root,
    });
    format!("{}\n---\n{root}\n", yaml(std::slice::from_ref(policy)))
}

/// A webhook that trusts nobody by default, so that only the TrustRoot can help.
async fn webhook(documents: &str) -> Webhook {
    Webhook::start_with(documents, |settings| {
        settings.reload_interval = std::time::Duration::from_millis(20);
    })
    .await
}

/// What a Job of the image is answered by a webhook that was not asked before.
async fn judged(documents: &str, image: &Image) -> Answered {
    webhook(documents).await.review(&job(&image.pinned())).await
}

fn chain(name: &str, chain: &[Vec<u8>]) -> Value {
    let pem: String = chain.iter().map(|der| certificate::pem(der)).collect();
    json!({
        "subject": {"organization": "sigstore.test", "commonName": name},
        "uri": format!("https://{name}.sigstore.test"), "certChain": STANDARD.encode(pem),
    })
}

fn log(name: &str, key: &Key) -> Value {
    json!({
        "baseURL": format!("https://{name}.sigstore.test"), "hashAlgorithm": "sha-256",
        "publicKey": STANDARD.encode(key.pem()),
    })
}

/// The keys of a Sigstore, and the stamps of another one, which nobody asks.
fn keys_of(sigstore: &Sigstore) -> Value {
    json!({"sigstoreKeys": {
        "certificateAuthorities": [chain("fulcio", &sigstore.ca.chain())],
        "ctLogs": [log("ctfe", &sigstore.ct.key)],
        "tLogs": [log("rekor", &sigstore.rekor.key)],
        "timestampAuthorities": [chain("tsa", &Sigstore::new().tsa.chain())],
    }})
}

/// The TUF repository of a Sigstore.
fn repository_of(sigstore: &Sigstore) -> TufRepository {
    let json = sigstore.trusted_root().json();
    TufRepository::new("trusted_root.json", json.as_bytes())
}

async fn stage() -> (Stage, Image) {
    let stage = Stage::new().await;
    let demo = stage.image("demo");
    stage.sign(&demo, &account());
    (stage, demo)
}

#[tokio::test]
async fn bring_own_keys_a_root_that_comes_after_its_policy_is_used() {
    let (stage, demo) = stage().await;
    let review = job(&demo.pinned());
    let webhook = webhook(&yaml(&[policy()])).await;
    let without = webhook.review(&review).await;
    without.unjudged();
    let words = format!("trustRootRef {KEYS} not found");
    assert!(without.message.contains(&words), "{}", without.message);

    let documents = documents(&policy(), &keys_of(&stage.sigstore));
    webhook.rewrite(&documents);
    let denied = becomes(&webhook, &review, "no-attestation").await;
    denies(&denied, NAME, "no-attestation", NONE);
    stage.attest(&demo, TEXT, &account());
    judged(&documents, &demo).await.admitted("satisfied");
}

/// A mirror of these files.
async fn mirror(files: BTreeMap<String, Vec<u8>>) -> String {
    let files = Arc::new(files);
    let serve = move |request: Request| {
        let path = request.uri().path().trim_start_matches('/').to_owned();
        let found = files.get(&path).cloned();
        async move {
            let missing = || StatusCode::NOT_FOUND.into_response();
            found.map_or_else(missing, |bytes: Vec<u8>| -> Response {
                bytes.into_response()
            })
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(serve);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn remote_what_a_mirror_publishes_is_trusted() {
    let (stage, demo) = stage().await;
    let repository = repository_of(&stage.sigstore);
    let mirror = mirror(repository.files()).await;
    let root = STANDARD.encode(repository.root());
    let remote = json!({"remote": {"root": root, "mirror": mirror}});
    let documents = documents(&policy(), &remote);
    let denied = judged(&documents, &demo).await;
    denies(&denied, NAME, "no-attestation", NONE);
    stage.attest(&demo, TEXT, &account());
    judged(&documents, &demo).await.admitted("satisfied");
}

#[tokio::test]
async fn repository_what_is_not_in_its_log_is_denied() {
    let (stage, demo) = stage().await;
    let repository = repository_of(&stage.sigstore);
    let spec = json!({"repository": {
        "root": STANDARD.encode(repository.root()), "mirrorFS": STANDARD.encode(repository.archive()),
    }});
    let documents = documents(&policy(), &spec);
    let nothing = judged(&documents, &demo).await;
    denies(&nothing, NAME, "no-attestation", NONE);
    stage.attest(&demo, TEXT, &account().logged(Logged::Nowhere));
    let unlogged = judged(&documents, &demo).await;
    let words = "signature not found in transparency log";
    denies(&unlogged, NAME, "not-logged", words);
    stage.attest(&demo, TEXT, &account());
    judged(&documents, &demo).await.admitted("satisfied");
}

#[tokio::test]
async fn tsa_a_stamp_of_another_authority_is_none() {
    let stage = Stage::new().await;
    let (demo, demo2) = (stage.image("demo"), stage.image("demo2"));
    let key = new_key();
    let stamps = |sigstore: &Sigstore| {
        json!({"sigstoreKeys": {
            "certificateAuthorities": [], "ctLogs": [], "tLogs": [],
            "timestampAuthorities": [chain("tsa", &sigstore.tsa.chain())],
        }})
    };
    let authority = unlogged(by_key(&key));
    let stamped = json!({"trustRootRef": KEYS});
    let policy =
        demo_policy("image-policy-tsa").authority(with(authority, "rfc3161timestamp", stamped));
    stage.sign(&demo, &Act::with_key(&key).stamped());
    let webhook = webhook(&documents(&policy, &stamps(&stage.sigstore))).await;
    let admitted = webhook.review(&job(&demo.pinned())).await;
    admitted.admitted("satisfied");

    stage.sign(&demo2, &Act::with_key(&key).stamped());
    webhook.rewrite(&documents(&policy, &stamps(&Sigstore::new())));
    let denied = becomes(&webhook, &job(&demo2.pinned()), "no-timestamp").await;
    denies(&denied, "image-policy-tsa", "no-timestamp", "timestamp");
}
