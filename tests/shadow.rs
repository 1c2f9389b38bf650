//! `--enforcement shadow`, over HTTPS: everything is judged, told and counted; nothing is denied, and nothing is changed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::json;
use vouchsafe::app::webhook::WebhookSettings;
use vouchsafe::config::Tags;
use vouchsafe::demo::registry::{Store, image};
use vouchsafe::demo::signer::{SignatureOptions, SigningKey, attach_signature};
use vouchsafe::explain::Enforcement;

use support::policies::{Policy, yaml};
use support::registry::{Fault, FaultyRegistry, Match};
use support::webhook::{Review, Webhook};

/// A registry with a signed image `t/app:v1` and an unsigned one `t/bare:v1`, and a webhook in shadow that wants signatures.
struct Stage {
    registry: FaultyRegistry,
    webhook: Webhook,
}

impl Stage {
    async fn new(tags: Tags) -> Self {
        let registry = FaultyRegistry::start(Store::new()).await;
        let release = SigningKey::generate().unwrap();
        let app = image(registry.store(), "t/app", "v1", "app");
        image(registry.store(), "t/bare", "v1", "bare");
        let options = SignatureOptions::default();
        attach_signature(registry.store(), "t/app", &app, &release, &options).unwrap();
        let policies = yaml(&[Policy::new("release").key("release", &release)]);
        let shadow = |settings: &mut WebhookSettings| {
            settings.enforcement = Enforcement::Shadow;
            settings.judge.tags = tags;
        };
        let webhook = Webhook::start_with(&policies, shadow).await;
        Self { registry, webhook }
    }

    fn name(&self, name: &str) -> String {
        format!("{}/t/{name}", self.registry.host())
    }

    /// What `/metrics` says about what would have been denied for this reason.
    async fn would_deny(&self, reason: &str) -> Option<String> {
        let wanted = format!("vouchsafe_would_deny_total{{reason=\"{reason}\"}} ");
        let metrics = self.webhook.metrics().await;
        let line = metrics.lines().find_map(|line| line.strip_prefix(&wanted));
        line.map(str::to_owned)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsigned_image_is_admitted_told_of_and_counted() {
    let stage = Stage::new(Tags::Pin).await;
    let answer = stage.webhook.judge(&stage.name("bare:v1")).await;
    assert!(answer.allowed);
    assert_eq!(
        (
            &answer.annotations["verdict"],
            &answer.annotations["reason"]
        ),
        (&json!("deny"), &json!("unsigned"))
    );
    assert_eq!(answer.annotations["enforcement"], "shadow");
    let [warning] = answer.warnings.try_into().unwrap();
    for part in [
        "would be denied: spec.containers[0].image",
        "release",
        "no signatures found",
    ] {
        assert!(warning.contains(part), "{warning}");
    }
    assert_eq!(stage.would_deny("unsigned").await.as_deref(), Some("1"));
    assert!(
        stage
            .webhook
            .metrics()
            .await
            .contains("vouchsafe_enforcing 0")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_image_is_admitted_in_silence() {
    let stage = Stage::new(Tags::Pin).await;
    let answer = stage.webhook.judge(&stage.name("app:v1")).await;
    assert!(answer.allowed && answer.warnings.is_empty(), "{answer:?}");
    assert_eq!(answer.annotations["reason"], "satisfied");
    assert_eq!(stage.would_deny("satisfied").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_object_is_changed_and_a_tag_is_judged_at_its_digest() {
    for tags in [Tags::Pin, Tags::PinAll, Tags::Resolve] {
        let stage = Stage::new(tags).await;
        let review = Review::of(&[&stage.name("app:v1")]);
        let (mutated, judged) = stage.webhook.admit(&review).await;
        assert!(mutated.patch.is_empty() && mutated.warnings.is_empty());
        assert_eq!(judged.annotations["reason"], "satisfied", "{tags:?}");
    }
    let strict = Stage::new(Tags::Require).await;
    let judged = strict.webhook.judge(&strict.name("app:v1")).await;
    assert!(judged.allowed);
    assert_eq!(judged.annotations["reason"], "tag-not-pinned");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_judged_in_time_goes_on_in_time() {
    let stage = Stage::new(Tags::Resolve).await;
    stage.registry.on(Match::any(), Fault::Hang);
    let review = Review::of(&[&stage.name("app:v1")]).timeout(1);
    let answer = stage.webhook.review(&review).await;
    assert!(
        answer.allowed && answer.took.as_millis() < 1_000,
        "{answer:?}"
    );
    assert_eq!(answer.annotations["verdict"], "unknown");
    assert!(answer.warnings[0].starts_with("would be denied: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_would_be_refused_is_accepted_with_warnings() {
    let stage = Stage::new(Tags::Resolve).await;
    let policy = json!({
        "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy",
        "metadata": {"name": "bad"},
        "spec": {"images": [{"glob": "**"}], "mode": "loud", "authorities": [{"static": {"action": "pass"}}]},
    });
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "1", "operation": "CREATE", "name": "bad",
            "kind": {"group": "policy.sigstore.dev", "version": "v1beta1", "kind": "ClusterImagePolicy"},
            "object": policy, "oldObject": null,
        },
    });
    let answer = stage.webhook.post("/validate-policy", &review).await;
    let response = &answer["response"];
    assert_eq!(response["allowed"], true, "{response}");
    let warnings = response["warnings"].to_string();
    assert!(
        warnings.contains("would be refused: validation failed: invalid value: loud: spec.mode"),
        "{warnings}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_review_is_refused_as_ever() {
    let stage = Stage::new(Tags::Resolve).await;
    assert_eq!(stage.webhook.status("/validate", "{}").await, 400);
}
