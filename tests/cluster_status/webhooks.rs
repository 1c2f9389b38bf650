//! Whole webhooks over one API server: what they find out is told there, by one of them.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;
use vouchsafe::app::cluster::{ClusterSettings, WriterSettings};

use super::support::api_server::ApiServer;
use super::support::webhook::{Review, Webhook};
use super::{until, writes};

const SOON: Duration = Duration::from_secs(20);
const POLICIES: &str = "/apis/policy.sigstore.dev/v1alpha1/clusterimagepolicies";
const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n-----END PUBLIC KEY-----\n";

async fn webhook(server: &ApiServer, replica: &str) -> Webhook {
    let kubeconfig = server.kubeconfig();
    let writers = WriterSettings {
        replica: replica.to_owned(),
        denial_events: true,
        ..WriterSettings::default()
    };
    Webhook::start_with("", |settings| {
        settings.judge.policies.clear();
        settings.cluster = Some(ClusterSettings {
            kubeconfig: Some(kubeconfig),
            writers,
            ..ClusterSettings::default()
        });
    })
    .await
}

fn policy(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "ClusterImagePolicy", "metadata": {"name": name}, "spec": spec,
    })
}

/// `STATUS REASON` of the condition.
fn ready(server: &ApiServer, path: &str) -> String {
    let conditions = server.get(path).unwrap()["status"]["conditions"].clone();
    let conditions: Vec<Value> = serde_json::from_value(conditions).unwrap_or_default();
    let ready = conditions
        .iter()
        .find(|condition| condition["type"] == "Ready");
    let text = |name: &str| {
        ready
            .and_then(|ready| ready[name].as_str())
            .unwrap_or_default()
    };
    format!("{} {}", text("status"), text("reason"))
}

#[tokio::test]
async fn what_is_wrong_with_a_policy_is_told_until_it_is_mended() {
    let server = ApiServer::start().await;
    let key = json!({"key": {"secretRef": {"name": "signer"}}});
    server.put(policy(
        "release",
        &json!({"images": [{"glob": "**"}], "authorities": [key]}),
    ));
    server.put(policy(
        "legacy",
        &json!({"images": [{"glob": "old/**"}], "authorities": [{"static": {"action": "pass"}}],
        "policy": {"type": "cue", "data": "a: 1"}}),
    ));
    server.put(policy(
        "novel",
        &json!({"images": [{"glob": "new/**"}], "someday": 1}),
    ));
    let keyless = json!({"keyless": {"trustRootRef": "mine", "identities": [{"issuer": "https://i", "subject": "s"}]}});
    server.put(policy(
        "rootless",
        &json!({"images": [{"glob": "root/**"}], "authorities": [keyless]}),
    ));
    server.put(json!({"apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot", "metadata": {"name": "mine"}, "spec": {}}));
    let _webhook = webhook(&server, "first").await;
    let root = "/apis/policy.sigstore.dev/v1alpha1/trustroots/mine";
    for (path, expected) in [
        (format!("{POLICIES}/release"), "False InliningKeysFailed"),
        (format!("{POLICIES}/legacy"), "False CueNotSupported"),
        (format!("{POLICIES}/novel"), "False PolicyInvalid"),
        (format!("{POLICIES}/rootless"), "False TrustRootUnavailable"),
        (root.to_owned(), "False InliningKeysFailed"),
    ] {
        until(&format!("{path} is {expected}"), SOON, || {
            ready(&server, &path) == expected
        })
        .await;
    }
    until("Events are made of all", SOON, || {
        server.all("events").len() == 5
    })
    .await;
    // What it refers to comes.
    server.put(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "signer", "namespace": "cosign-system"},
        "data": {"cosign.pub": base64(KEY)}}));
    let release = format!("{POLICIES}/release");
    until("it is mended", SOON, || ready(&server, &release) == "True ").await;
    // And goes.
    server.delete("/api/v1/namespaces/cosign-system/secrets/signer");
    until("it is broken", SOON, || {
        ready(&server, &release) == "False InliningKeysFailed"
    })
    .await;
}

#[tokio::test]
async fn of_two_replicas_one_writes_and_the_other_when_that_one_is_gone() {
    let server = ApiServer::start().await;
    let good = json!({"images": [{"glob": "**"}], "authorities": [{"static": {"action": "fail"}}]});
    server.put(policy("release", &good));
    let first = webhook(&server, "first").await;
    let release = format!("{POLICIES}/release");
    until("it is told", SOON, || ready(&server, &release) == "True ").await;
    let _second = webhook(&server, "second").await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(writes(&server).len(), 1, "what is told is not told again");
    // It dies without a word.
    drop(first);
    let mut broken = server.get(&release).unwrap();
    broken["spec"]["mode"] = json!("loud");
    server.put(broken);
    until("the other tells it", SOON, || {
        ready(&server, &release) == "False PolicyInvalid"
    })
    .await;
    assert_eq!(writes(&server).len(), 2);
}

#[tokio::test]
async fn a_denial_is_told_where_the_object_is_and_a_rehearsal_is_not() {
    let server = ApiServer::start().await;
    server.put(policy(
        "release",
        &json!({"images": [{"glob": "**"}], "authorities": [{"static": {"action": "fail"}}]}),
    ));
    let webhook = webhook(&server, "first").await;
    let image = format!("127.0.0.1:1/shop/cart@sha256:{}", "a".repeat(64));
    let denied = webhook.review(&Review::of(&[&image]).dry_run()).await;
    assert!(!denied.allowed);
    let release = format!("{POLICIES}/release");
    until("the policy is in force", SOON, || {
        ready(&server, &release) == "True "
    })
    .await;
    let denials = || {
        let events = server.all("events").into_iter();
        let events = events.filter(|event| event["metadata"]["namespace"] == "shop");
        events.collect::<Vec<Value>>()
    };
    assert!(denials().is_empty());
    assert!(!webhook.judge(&image).await.allowed);
    until("an Event is made", SOON, || !denials().is_empty()).await;
    let event = &denials()[0];
    assert_eq!(event["reason"], "StaticDeny");
    assert_eq!(event["regarding"]["kind"], "Pod");
    assert!(
        event["note"]
            .as_str()
            .unwrap()
            .contains("failed policy: release: spec.containers[0].image")
    );
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(text)
}
