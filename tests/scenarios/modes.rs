//! `e2e_test_cluster_image_policy_with_warn.sh`, `e2e_test_cluster_image_policy_scalable.sh` and `e2e_test_policy_controller.sh`: policies that
//! warn, images without a policy, and objects that grow.

use std::time::Duration;

use rstest::rstest;
use serde_json::json;
use vouchsafe::config::NoMatch;

use crate::stage::{Image, Stage, account, becomes, by_account, demo_policy, job};
use crate::support::policies::{Policy, yaml};
use crate::support::webhook::{Review, Webhook};

// --- with_warn ---

fn warns() -> Policy {
    demo_policy("image-policy-keyless-warn")
        .mode("warn")
        .authority(by_account())
}

#[tokio::test]
async fn with_warn_a_signed_image_is_admitted_in_silence() {
    let stage = Stage::new().await;
    let demo = stage.image("demo");
    stage.sign(&demo, &account());
    let answered = stage.job(&[warns()], &demo).await;
    answered.admitted("satisfied");
    assert!(answered.warnings.is_empty(), "{:?}", answered.warnings);
}

#[tokio::test]
async fn with_warn_an_unsigned_image_is_admitted_with_a_warning() {
    let stage = Stage::new().await;
    let answered = stage.job(&[warns()], &stage.image("demo")).await;
    assert!(answered.allowed, "{}", answered.message);
    let begins = "failed policy: image-policy-keyless-warn";
    let warned = answered.warnings.iter().any(|w| w.starts_with(begins));
    assert!(warned, "{:?}", answered.warnings);
}

#[rstest]
#[case::denied_by_default(None)]
#[case::admitted_with_a_warning(Some(NoMatch::Warn))]
#[case::admitted_in_silence(Some(NoMatch::Allow))]
#[tokio::test]
async fn with_warn_an_image_without_a_policy_is(#[case] no_match: Option<NoMatch>) {
    const WORDS: &str = "no matching policies: spec.template.spec.containers[0].image";
    let stage = Stage::new().await;
    let other = stage.image("other");
    let set = |settings: &mut vouchsafe::app::webhook::WebhookSettings| {
        if let Some(no_match) = no_match {
            settings.judge.no_match_policy = no_match;
        }
    };
    let webhook = stage.under_documents(&yaml(&[warns()]), set).await;
    let answered = webhook.review(&job(&other.pinned())).await;
    let warnings = answered.warnings.iter();
    let warned = warnings
        .filter(|warning| warning.starts_with(WORDS))
        .count();
    match no_match {
        None => {
            answered.denied("no-match");
            let begins = format!("validation failed: {WORDS}");
            assert!(
                answered.message.starts_with(&begins),
                "{}",
                answered.message
            );
        }
        Some(NoMatch::Warn) => {
            answered.admitted("no-match");
            assert_eq!(warned, 1, "{:?}", answered.warnings);
        }
        Some(_) => {
            answered.admitted("no-match");
            assert!(answered.warnings.is_empty(), "{:?}", answered.warnings);
        }
    }
}

// --- scalable ---

fn deployment(image: &Image, replicas: u32) -> Review {
    let containers = json!([{"name": "demo", "image": image.pinned()}]);
    let spec = json!({"replicas": replicas, "template": {"spec": {"containers": containers}}});
    Review::create("apps", "v1", "Deployment", spec)
}

/// That the Deployment was there before its namespace had the label is the chart's business: it decides who is asked at all. Here it is
/// there already, and is scaled.
#[tokio::test]
async fn scalable_more_of_what_is_unsigned_are_denied_and_fewer_are_not() {
    let stage = Stage::new().await;
    let demo = stage.image("demo");
    let policy = demo_policy("image-policy-keyless").authority(by_account());
    let webhook = stage.under(&[policy]).await;
    let scaled = |from: u32, to: u32| deployment(&demo, to).over(&deployment(&demo, from));
    let up = webhook.review(&scaled(3, 5)).await;
    up.denied("unsigned");
    let begins =
        "validation failed: failed policy: image-policy-keyless: spec.template.spec.containers";
    assert!(up.message.starts_with(begins), "{}", up.message);
    let down = webhook.review(&scaled(3, 1)).await;
    down.admitted("unchanged");
    stage.sign(&demo, &account());
    becomes(&webhook, &scaled(1, 5), "satisfied").await;
}

// --- policy_controller ---

/// The objects of the script: a Pod by tag, a Job, a `CronJob`.
fn objects(image: &Image) -> [Review; 3] {
    let containers = json!({"containers": [{"name": "c", "image": image.pinned()}]});
    let template = json!({"template": {"spec": containers}});
    let cron_job = json!({"schedule": "* * * * *", "jobTemplate": {"spec": template}});
    [
        Review::of(&[&image.tagged()]),
        job(&image.pinned()),
        Review::create("batch", "v1", "CronJob", cron_job),
    ]
}

/// No policy is there at all, and the ConfigMap says this.
fn settings(no_match: &str) -> String {
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": {"no-match-policy": no_match},
        "metadata": {"name": "config-policy-controller", "namespace": "cosign-system"},
    });
    map.to_string()
}

/// The last step, a namespace that is labelled not to be asked about, is the chart's: the webhook never sees it.
#[tokio::test]
async fn policy_controller_without_any_policy_the_config_map_decides() {
    let stage = Stage::new().await;
    let image = stage.image("busybox");
    let webhook = stage.under_documents(&settings("deny"), |_| {}).await;
    for review in objects(&image) {
        webhook.review(&review).await.denied("no-match");
    }
    webhook.rewrite(&settings("allow"));
    let [pod, ..] = objects(&image);
    becomes_allowed(&webhook, &pod).await;
    for review in objects(&image) {
        webhook.review(&review).await.admitted("no-match");
    }
}

/// Asks until the edit of the ConfigMap is seen.
async fn becomes_allowed(webhook: &Webhook, review: &Review) {
    for _ in 0..200 {
        if webhook.review(review).await.allowed {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
