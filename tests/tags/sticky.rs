//! Pins that stay over updates, and when they do not.

use rstest::rstest;
use serde_json::json;
use vouchsafe::config::Tags;

use super::support::webhook::Review;
use super::{Stage, deployment};

const POD: &str = "/spec/containers/0/image";
const TEMPLATE: &str = "/spec/template/spec/containers/0/image";

/// The same manifest is applied again, after the tag moved: what runs stays, and nobody is asked.
#[tokio::test]
async fn the_same_tag_over_its_pin_is_pinned_to_the_same_digest() {
    let stage = Stage::new().await;
    let webhook = stage.webhook(Tags::PinAll).await;
    let tag = format!("{}:v1", stage.name("app"));
    let first = webhook.mutate(&deployment(&tag)).await;
    stage.move_tag();
    stage.asked();
    // The same manifest, with one more thing changed: it is judged, and the image is still the one that it was.
    let applied = deployment(&tag)
        .set("/spec/template/metadata", json!({"labels": {"a": "b"}}))
        .over_object(first.object.clone());
    let again = webhook.mutate(&applied).await;
    assert_eq!(again.at(TEMPLATE), first.at(TEMPLATE));
    assert_eq!(stage.asked(), 0);
    let judged = webhook.review(&applied.with(again.object)).await;
    judged.admitted("satisfied");
    assert!(judged.digests().contains(&stage.app.to_string()));
}

/// However the name was written before: it is the same repository and the same tag.
#[tokio::test]
async fn another_spelling_of_the_same_tag_is_the_same_tag() {
    let stage = Stage::new().await;
    stage.registry.store().retag("t/app", "latest", &stage.app);
    let webhook = stage.webhook(Tags::Pin).await;
    let name = stage.name("app");
    let old = Review::of(&[&format!("{name}:latest@{}", stage.app)]);
    let again = webhook.mutate(&Review::of(&[&name]).over(&old)).await;
    assert_eq!(again.at(POD), format!("{name}:latest@{}", stage.app));
    assert_eq!(stage.asked(), 0);
}

/// What is another image is asked for.
#[rstest]
#[case::another_tag("app:v2", "app:v1")]
#[case::another_repository("app:v1", "bare:v1")]
#[case::a_digest_alone("app:v1", "app")]
#[tokio::test]
async fn what_is_not_the_same_tag_is_resolved(#[case] new: &str, #[case] old: &str) {
    let stage = Stage::new().await;
    let webhook = stage.webhook(Tags::Pin).await;
    let moved = stage.move_tag();
    stage.registry.store().retag("t/app", "v2", &moved);
    let (new, old) = (stage.name(new), stage.name(old));
    let old = Review::of(&[&format!("{old}@{}", stage.app)]);
    let mutated = webhook.mutate(&Review::of(&[&new]).over(&old)).await;
    assert_eq!(mutated.at(POD), format!("{new}@{moved}"));
}

/// A new Pod has no past: it gets what the tag names now.
#[tokio::test]
async fn a_new_pod_gets_what_the_tag_names_now() {
    let stage = Stage::new().await;
    let webhook = stage.webhook(Tags::Pin).await;
    let tag = format!("{}:v1", stage.name("app"));
    let moved = stage.move_tag();
    let mutated = webhook.mutate(&Review::of(&[&tag])).await;
    assert_eq!(mutated.at(POD), format!("{tag}@{moved}"));
}

/// Containers are paired by their name and the list they stand in, not by their number.
#[tokio::test]
async fn a_container_keeps_its_digest_wherever_in_its_list_it_stands() {
    let stage = Stage::new().await;
    let webhook = stage.webhook(Tags::PinAll).await;
    let tag = format!("{}:v1", stage.name("app"));
    let pinned = format!("{tag}@{}", stage.app);
    let moved = stage.move_tag();
    let containers =
        |list: serde_json::Value| deployment(&tag).set("/spec/template/spec/containers", list);
    let old = containers(json!([{"name": "a", "image": pinned}, {"name": "b", "image": pinned}]));
    let new = containers(
        json!([{"name": "new", "image": tag}, {"name": "b", "image": tag}, {"name": "a", "image": tag}]),
    );
    let mutated = webhook.mutate(&new.over(&old)).await;
    let at = |index| mutated.at(&format!("/spec/template/spec/containers/{index}/image"));
    assert_eq!(at(0), format!("{tag}@{moved}"));
    assert_eq!([at(1), at(2)], [&pinned, &pinned]);
}

/// A pin that no policy would verify any more is not renewed.
#[tokio::test]
async fn a_pin_is_kept_only_where_a_policy_looks() {
    let stage = Stage::new().await;
    let policy = stage.release().glob("ghcr.io/**");
    let webhook = stage.webhook_with(Tags::Pin, &[policy]).await;
    let tag = format!("{}:v1", stage.name("app"));
    let old = Review::of(&[&format!("{tag}@{}", stage.app)]);
    let mutated = webhook.mutate(&Review::of(&[&tag]).over(&old)).await;
    assert!(mutated.patch.is_empty());
}

/// A pin that is kept is judged as any other digest: it proves nothing by having been there.
#[tokio::test]
async fn a_pin_that_is_kept_is_judged() {
    let stage = Stage::new().await;
    let webhook = stage.webhook(Tags::PinAll).await;
    let tag = format!("{}:v1", stage.name("bare"));
    let old = deployment(&format!("{tag}@{}", stage.bare));
    let new = deployment(&tag)
        .set("/spec/template/metadata", json!({"labels": {"a": "b"}}))
        .over(&old);
    let (_, answered) = webhook.admit(&new).await;
    answered.denied("unsigned");
}
