//! The start: nothing is admitted and nobody is ready before everything was read.

use std::time::Duration;

use vouchsafe::config::NoMatch;

use crate::stage::{Stage, config_map, failing, passing, policy};
use crate::support::api_server::{ApiServer, Fault};

#[tokio::test]
async fn follows_what_is_added_changed_and_deleted() {
    let stage = Stage::with(&[passing("shop", "shop/")]).await;
    stage.judge("shop/cart").await.admitted("static-pass");
    stage.judge("other/tool").await.denied("no-match");
    stage.server.put(passing("other", "other/"));
    stage.becomes_admitted("other/tool").await;
    stage.server.put(failing("shop", "shop/"));
    stage.becomes_denied("shop/cart", "static-deny").await;
    stage
        .server
        .delete("/apis/policy.sigstore.dev/v1alpha1/clusterimagepolicies/shop");
    stage.becomes_denied("shop/cart", "no-match").await;
    stage.judge("other/tool").await.admitted("static-pass");
}

#[tokio::test]
async fn reads_a_policy_that_was_written_in_the_other_version() {
    let mut object = passing("shop", "shop/");
    object["apiVersion"] = "policy.sigstore.dev/v1beta1".into();
    let stage = Stage::with(&[object]).await;
    stage.judge("shop/cart").await.admitted("static-pass");
}

#[tokio::test]
async fn waits_for_an_api_server_that_is_down_and_admits_nothing_until_it_was_read() {
    let server = ApiServer::closed().await;
    server.put(passing("shop", "shop/"));
    let mut stage = Stage::over(server, |settings| {
        settings.judge.no_match_policy = NoMatch::Allow;
    })
    .await;
    // Long enough for anything that would put an empty set in force.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let told = stage.readiness().await;
    assert_eq!(
        told,
        (
            503,
            "not ready, waiting for: clusterimagepolicies, configmaps, policies, secrets, trustroots\n".to_owned()
        )
    );
    let answer = stage.judge("elsewhere/tool").await;
    answer.denied("policy-invalid");
    assert!(
        answer.message.contains("policies are not there yet"),
        "{}",
        answer.message
    );
    stage.judge("shop/cart").await.denied("policy-invalid");
    stage.server.open().await;
    stage.becomes_ready().await;
    stage.judge("shop/cart").await.admitted("static-pass");
    stage.judge("elsewhere/tool").await.admitted("no-match");
}

#[tokio::test]
async fn is_not_ready_while_a_single_resource_cannot_be_listed_and_says_which() {
    let server = ApiServer::start().await;
    server.put(passing("shop", "shop/"));
    server.on(|asked| asked.lists("secrets").then_some(Fault::Status(403)));
    let stage = Stage::over(server, |_| {}).await;
    stage
        .counts(r#"vouchsafe_watch_failures_total{resource="secrets"}"#, 2.0)
        .await;
    let (code, told) = stage.readiness().await;
    assert_eq!(code, 503);
    assert_eq!(told, "not ready, waiting for: policies, secrets\n");
    stage.judge("shop/cart").await.denied("policy-invalid");
    stage.server.clear_faults();
    stage.becomes_ready().await;
    stage.judge("shop/cart").await.admitted("static-pass");
}

#[tokio::test]
async fn reads_config_maps_and_secrets_of_its_own_namespace_alone_and_no_releases_of_helm() {
    let mut elsewhere = config_map(
        "rules",
        &serde_json::json!({"rego": "package sigstore\nisCompliant { true }"}),
    );
    elsewhere["metadata"]["namespace"] = "default".into();
    let mut shop = policy(
        "shop",
        "shop/",
        &serde_json::json!({"static": {"action": "pass"}}),
    );
    shop["spec"]["policy"] =
        serde_json::json!({"type": "rego", "configMapRef": {"name": "rules", "key": "rego"}});
    let stage = Stage::with(&[elsewhere.clone(), shop]).await;
    stage.judge("shop/cart").await.denied("policy-invalid");
    elsewhere["metadata"]["namespace"] = "cosign-system".into();
    stage.server.put(elsewhere);
    stage.becomes_admitted("shop/cart").await;
    for asked in stage.server.asked() {
        let read = [
            "/apis/policy.sigstore.dev/",
            "/api/v1/namespaces/cosign-system/",
            "/apis/coordination.k8s.io/v1/namespaces/cosign-system/leases",
            // Whose pull secrets are those of the workload: read by its name.
            "/api/v1/namespaces/shop/serviceaccounts/default",
        ];
        // Events about resources without a namespace are written there.
        let written = "/apis/events.k8s.io/v1/namespaces/default/events";
        assert!(
            read.iter().any(|path| asked.path.starts_with(path)) || asked.path == written,
            "{}",
            asked.path
        );
        let selected = asked.parameter("fieldSelector");
        assert!(!asked.path.ends_with("/secrets") || selected == "type!=helm.sh/release.v1");
    }
}
