//! Custom resources that an operator configured, and the file in which he does.

use serde_json::{Value, json};
use tempfile::TempDir;
use vouchsafe::config::Tags;

use super::Stage;
use super::support::policies::yaml;
use super::support::webhook::{Review, Webhook};

const KINDS: &str = "
kinds:
  - group: argoproj.io
    kind: Rollout
    resource: rollouts
    podSpecs: [/spec/template/spec]
    replicas: /spec/replicas
  - group: tekton.dev
    kind: Task
    resource: tasks
    images: [/spec/steps/*/image]
";

async fn webhook(stage: &Stage, tags: Tags) -> Webhook {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("kinds.yaml");
    std::fs::write(&file, KINDS).unwrap();
    let kinds = file.clone();
    // The file is read at the start.
    Webhook::start_with(&yaml(&[stage.release()]), move |settings| {
        settings.judge.tags = tags;
        settings.judge.kinds = Some(kinds);
    })
    .await
}

fn task(images: &[&str]) -> Review {
    let steps: Vec<Value> = images
        .iter()
        .map(|image| json!({"name": "s", "image": image}))
        .collect();
    Review::create("tekton.dev", "v1", "Task", json!({"steps": steps}))
}

fn rollout(image: &str, replicas: u64) -> Review {
    let template = json!({"spec": {"containers": [{"name": "a", "image": image}]}});
    let spec = json!({"template": template, "replicas": replicas});
    Review::create("argoproj.io", "v1alpha1", "Rollout", spec)
}

#[tokio::test]
async fn a_configured_kind_is_judged_like_a_built_in_one() {
    let stage = Stage::new().await;
    let webhook = webhook(&stage, Tags::Resolve).await;
    let (app, bare) = (
        format!("{}:v1", stage.name("app")),
        format!("{}:v1", stage.name("bare")),
    );
    webhook.review(&task(&[&app])).await.admitted("satisfied");
    let denied = webhook.review(&task(&[&app, &bare])).await;
    denied.denied("unsigned");
    assert!(denied.message.contains("spec.steps[1].image"));
    webhook
        .review(&rollout(&app, 1))
        .await
        .admitted("satisfied");
    webhook.review(&rollout(&bare, 0)).await.denied("unsigned");
    // Updates: what runs decides.
    let labelled = rollout(&bare, 2)
        .set("/metadata/labels", json!({"a": "b"}))
        .over(&rollout(&bare, 2));
    webhook.review(&labelled).await.admitted("unchanged");
    let down = rollout(&bare, 1).over(&rollout(&bare, 2));
    webhook.review(&down).await.admitted("unchanged");
    let up = rollout(&bare, 3).over(&rollout(&bare, 2));
    webhook.review(&up).await.denied("unsigned");
    // What is not configured stays uncovered, and what is malformed is denied.
    let other = Review::create("tekton.dev", "v1", "Pipeline", json!({}));
    webhook.review(&other).await.admitted("not-covered");
    let malformed = Review::create("tekton.dev", "v1", "Task", json!({"steps": [{"image": 7}]}));
    webhook.review(&malformed).await.denied("invalid-reference");
}

#[tokio::test]
async fn a_configured_kind_is_pinned_as_templates_are() {
    let stage = Stage::new().await;
    let app = format!("{}:v1", stage.name("app"));
    let pinned = format!("{app}@{}", stage.app);
    let pin = webhook(&stage, Tags::Pin).await;
    assert!(pin.mutate(&task(&[&app])).await.patch.is_empty());
    pin.review(&task(&[&app])).await.admitted("satisfied");
    let pin_all = webhook(&stage, Tags::PinAll).await;
    let (mutated, answered) = pin_all.admit(&task(&[&app])).await;
    assert_eq!(mutated.at("/spec/steps/0/image"), pinned);
    answered.admitted("satisfied");
    let (mutated, _) = pin_all.admit(&rollout(&app, 1)).await;
    assert_eq!(mutated.at("/spec/template/spec/containers/0/image"), pinned);
}
