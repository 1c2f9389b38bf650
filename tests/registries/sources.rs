//! `source[].signaturePullSecrets`: what a policy reads its evidence with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vouchsafe::demo::registry::Store;

use crate::stage::Stage;
use crate::support::policies::{Policy, yaml};
use crate::support::registry::FaultyRegistry;
use crate::support::webhook::{Review, Webhook};

/// A pull secret for one host.
fn secret(namespace: &str, name: &str, host: &str, user: &str) -> String {
    let auth = STANDARD.encode(format!("{user}:hunter2"));
    let config = json!({"auths": {host: {"auth": auth}}}).to_string();
    document(
        namespace,
        name,
        &json!({".dockerconfigjson": STANDARD.encode(config)}),
    )
}

fn document(namespace: &str, name: &str, data: &Value) -> String {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": name, "namespace": namespace}, "data": data,
    });
    serde_saphyr::to_string(&secret).unwrap()
}

/// Signed by the release key, the signatures being kept in `source` and read with this Secret.
fn policy(stage: &Stage, source: &FaultyRegistry) -> Policy {
    Policy::new("release").authority(json!({
        "name": "release",
        "key": {"data": stage.release.public_key_pem()},
        "source": [{
            "oci": format!("{}/signatures/app", source.host()),
            "signaturePullSecrets": [{"name": "signatures"}],
        }],
    }))
}

/// An image whose signature is in a registry of its own, which only `keeper` may read.
async fn apart(stage: &Stage) -> (FaultyRegistry, String) {
    let digest = stage.image("t/app");
    let source = FaultyRegistry::start(Store::new()).await;
    stage.sign_in(&source, "signatures/app", &digest);
    source.require_basic("keeper", "hunter2");
    (source, stage.registry.reference("t/app:v1").to_string())
}

#[tokio::test]
async fn a_source_is_read_with_the_secrets_of_its_policy_and_with_no_others() {
    let stage = Stage::new().await;
    let (source, image) = apart(&stage).await;
    stage.registry.require_basic("puller", "hunter2");
    let policies = [
        yaml(&[policy(&stage, &source)]),
        secret("cosign-system", "signatures", &source.host(), "keeper"),
        secret("shop", "regcred", &stage.registry.host(), "puller"),
    ]
    .join("\n---\n");
    let webhook = Webhook::start(&policies).await;
    let review = Review::of(&[&image]).pull_secret("regcred");
    webhook.review(&review).await.admitted("satisfied");
    // Each registry saw the credential that is for it.
    let users = |registry: &FaultyRegistry| -> Vec<String> {
        let shown = registry.requests().into_iter();
        let shown = shown.filter_map(|request| request.authorization);
        let mut users: Vec<String> = shown
            .map(|header| {
                let encoded = header.strip_prefix("Basic ").unwrap();
                String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
            })
            .collect();
        users.dedup();
        users
    };
    assert_eq!(users(&source), ["keeper:hunter2"]);
    assert_eq!(users(&stage.registry), ["puller:hunter2"]);
}

/// The Secrets of a workload's namespace are its tenant's: what a policy names must not be theirs to make.
#[tokio::test]
async fn a_secret_of_another_namespace_is_not_the_policys() {
    let stage = Stage::new().await;
    let (source, image) = apart(&stage).await;
    let policies = [
        yaml(&[policy(&stage, &source)]),
        secret("shop", "signatures", &source.host(), "keeper"),
    ]
    .join("\n---\n");
    let webhook = Webhook::start(&policies).await;
    let review = Review::of(&[&image]).pull_secret("signatures");
    let answered = webhook.review(&review).await;
    answered.denied("policy-invalid");
    assert!(
        answered
            .message
            .contains("spec.authorities[0].source[0].signaturePullSecrets[0].name")
            && answered
                .message
                .contains("Secret signatures is not in the controller's namespace"),
        "{}",
        answered.message
    );
    assert!(source.requests().is_empty());
}

#[tokio::test]
async fn a_secret_that_is_none_makes_its_policy_invalid_and_is_not_repeated() {
    let encoded = |text: &str| STANDARD.encode(text);
    for data in [
        json!({"password": encoded("hunter2")}),
        json!({".dockerconfigjson": encoded("hunter2")}),
        json!({".dockerconfigjson": encoded(r#"["hunter2"]"#)}),
        json!({".dockerconfigjson": encoded(r#"{"auths":{"a":{"auth":"hunter2"}}}"#)}),
    ] {
        let stage = Stage::new().await;
        let (source, image) = apart(&stage).await;
        let policies = [
            yaml(&[policy(&stage, &source)]),
            document("cosign-system", "signatures", &data),
        ]
        .join("\n---\n");
        let webhook = Webhook::start(&policies).await;
        let answered = webhook.judge(&image).await;
        answered.denied("policy-invalid");
        assert!(
            !answered.message.contains("hunter2"),
            "{}",
            answered.message
        );
        assert!(source.requests().is_empty(), "{data}");
    }
}

/// A Secret that is right and whose account is not: the registry's refusal is told, and nothing is called unsigned.
#[tokio::test]
async fn a_secret_that_the_registry_refuses_is_told_as_that() {
    let stage = Stage::new().await;
    let (source, image) = apart(&stage).await;
    let policies = [
        yaml(&[policy(&stage, &source)]),
        secret("cosign-system", "signatures", &source.host(), "stranger"),
    ]
    .join("\n---\n");
    let answered = Webhook::start(&policies).await.judge(&image).await;
    answered.denied("registry-auth");
    assert!(
        answered.message.contains("Secret signatures of the policy"),
        "{}",
        answered.message
    );
}
