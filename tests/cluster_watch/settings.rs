//! The ConfigMap `config-policy-controller`, while we run.

use std::time::Duration;

use serde_json::{Value, json};
use vouchsafe::config::NoMatch;

use crate::stage::{Stage, config_map, passing};
use crate::support::api_server::ApiServer;
use crate::support::webhook::Webhook;

const PATH: &str = "/api/v1/namespaces/cosign-system/configmaps/config-policy-controller";

fn settings(data: &Value) -> Value {
    config_map("config-policy-controller", data)
}

/// What the webhook answers when a policy is created.
async fn applied(stage: &Stage, policy: &Value) -> Value {
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "1", "operation": "CREATE", "name": policy["metadata"]["name"], "object": policy,
        "kind": {"group": "policy.sigstore.dev", "version": "v1alpha1", "kind": "ClusterImagePolicy"},
        "resource": {"group": "policy.sigstore.dev", "version": "v1alpha1", "resource": "clusterimagepolicies"},
    }});
    let answer = stage.webhook.post("/validate-policy", &review).await;
    answer["response"].clone()
}

fn state(word: &str) -> String {
    format!("vouchsafe_controller_config{{state=\"{word}\"}}")
}

#[tokio::test]
async fn a_key_goes_before_the_flag_while_it_is_there() {
    let server = ApiServer::start().await;
    let stage = Stage::over(server, |settings| {
        settings.judge.no_match_policy = NoMatch::Warn;
    })
    .await;
    stage.becomes_ready().await;
    assert!(!stage.judge("any/tool").await.warnings.is_empty());
    stage
        .server
        .put(settings(&json!({"no-match-policy": "deny"})));
    stage.becomes_denied("any/tool", "no-match").await;
    stage
        .server
        .put(settings(&json!({"no-match-policy": "allow"})));
    stage.becomes_admitted("any/tool").await;
    assert!(stage.judge("any/tool").await.warnings.is_empty());
    stage.server.put(settings(&json!({"enable-oci11": "true"})));
    stage.counts(&state("read"), 1.0).await;
    let warned = async {
        while stage.judge("any/tool").await.warnings.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), warned)
        .await
        .expect("the flag is in force again");
}

#[tokio::test]
async fn a_value_that_nobody_understands_changes_nothing() {
    let stage = Stage::with(&[settings(&json!({"no-match-policy": "allow"}))]).await;
    stage.judge("any/tool").await.admitted("no-match");
    stage
        .server
        .put(settings(&json!({"no-match-policy": "Deny"})));
    stage.counts(&state("invalid"), 1.0).await;
    stage.judge("any/tool").await.admitted("no-match");
    stage.server.put(settings(
        &json!({"no-match-policy": "deny", "fail-on-empty-authorities": "maybe"}),
    ));
    stage.becomes_denied("any/tool", "no-match").await;
    stage
        .server
        .put(settings(&json!({"no-match-policy": "deny"})));
    stage.counts(&state("read"), 1.0).await;
}

#[tokio::test]
async fn what_it_said_last_stays_in_force_when_it_is_deleted() {
    let server = ApiServer::start().await;
    server.put(settings(&json!({"no-match-policy": "deny"})));
    let stage = Stage::over(server, |settings| {
        settings.judge.no_match_policy = NoMatch::Allow;
    })
    .await;
    stage.becomes_ready().await;
    stage.judge("any/tool").await.denied("no-match");
    stage.server.delete(PATH);
    stage.counts(&state("deleted"), 1.0).await;
    stage.judge("any/tool").await.denied("no-match");
}

#[tokio::test]
async fn a_policy_without_authorities_may_be_stored_and_denies_what_it_matches() {
    let stage = Stage::with(&[]).await;
    let mut empty = passing("empty", "shop/");
    empty["spec"]["authorities"] = json!([]);
    let refused = applied(&stage, &empty).await;
    assert_eq!(refused["allowed"], false, "{refused}");
    assert_eq!(
        refused["status"]["message"],
        "validation failed: missing field(s): spec.authorities"
    );
    stage
        .server
        .put(settings(&json!({"fail-on-empty-authorities": "false"})));
    stage.counts(&state("read"), 1.0).await;
    let accepted = applied(&stage, &empty).await;
    assert_eq!(accepted["allowed"], true, "{accepted}");
    assert!(
        accepted["warnings"].to_string().contains("denied"),
        "{accepted}"
    );
    stage.server.put(empty);
    stage.becomes_denied("shop/cart", "policy-invalid").await;
}

#[tokio::test]
async fn the_config_map_counts_among_files_too() {
    let webhook = Webhook::start(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config-policy-controller}\ndata: {no-match-policy: allow}\n",
    )
    .await;
    webhook
        .judge(&crate::stage::image("any/tool"))
        .await
        .admitted("no-match");
}
