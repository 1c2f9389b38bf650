//! What each mode does with a tag in a Pod and in a template.

use rstest::rstest;
use serde_json::json;
use vouchsafe::config::Tags;

use super::support::policies::Policy;
use super::support::registry::{Fault, Match};
use super::support::webhook::Review;
use super::{Stage, deployment};

const POD: &str = "/spec/containers/0/image";
const TEMPLATE: &str = "/spec/template/spec/containers/0/image";

#[rstest]
#[case::resolve(Tags::Resolve, false, false)]
#[case::pin(Tags::Pin, true, false)]
#[case::pin_all(Tags::PinAll, true, true)]
#[case::require(Tags::Require, false, false)]
#[tokio::test]
async fn mutate_pins_what_the_mode_says(
    #[case] tags: Tags,
    #[case] pods: bool,
    #[case] templates: bool,
) {
    let stage = Stage::new().await;
    let webhook = stage.webhook(tags).await;
    let tag = format!("{}:v1", stage.name("app"));
    let pinned = format!("{tag}@{}", stage.app);
    let expected = |is_pinned| if is_pinned { &pinned } else { &tag };
    let pod = webhook.mutate(&Review::of(&[&tag])).await;
    assert_eq!(pod.at(POD), expected(pods));
    let template = webhook.mutate(&deployment(&tag)).await;
    assert_eq!(template.at(TEMPLATE), expected(templates));
    let asked = usize::from(pods) + usize::from(templates);
    assert_eq!(stage.asked(), asked, "one HEAD for each that is pinned");
}

#[rstest]
#[case::resolve(Tags::Resolve, "satisfied", "satisfied")]
#[case::pin(Tags::Pin, "tag-not-pinned", "satisfied")]
#[case::pin_all(Tags::PinAll, "tag-not-pinned", "tag-not-pinned")]
#[case::require(Tags::Require, "tag-not-pinned", "tag-not-pinned")]
#[tokio::test]
async fn validate_wants_a_digest_where_the_mode_says(
    #[case] tags: Tags,
    #[case] pod: &str,
    #[case] template: &str,
) {
    let stage = Stage::new().await;
    let webhook = stage.webhook(tags).await;
    let tag = format!("{}:v1", stage.name("app"));
    for (review, reason) in [(Review::of(&[&tag]), pod), (deployment(&tag), template)] {
        let answered = webhook.review(&review).await;
        if reason == "satisfied" {
            answered.admitted(reason);
            let warned = answered.warnings.iter().any(|w| w.contains("may move"));
            assert_eq!(warned, tags == Tags::Resolve, "{:?}", answered.warnings);
        } else {
            answered.denied(reason);
            let message = &answered.message;
            assert!(message.contains("must be an image digest"), "{message}");
            assert!(message.contains(&stage.app.to_string()), "{message}");
        }
    }
    // By digest everything is judged in every mode.
    let pinned = format!("{tag}@{}", stage.app);
    for review in [Review::of(&[&pinned]), deployment(&pinned)] {
        webhook.review(&review).await.admitted("satisfied");
    }
}

/// The whole way of a Pod: pinned, admitted, judged at the digest that was pinned; and the same again costs nothing more.
#[tokio::test]
async fn a_pod_with_a_tag_is_pinned_and_admitted_and_applied_again_without_a_request() {
    let stage = Stage::new().await;
    let webhook = stage.webhook(Tags::Pin).await;
    let review = Review::of(&[&format!("{}:v1", stage.name("app"))]);
    let (mutated, answered) = webhook.admit(&review).await;
    answered.admitted("satisfied");
    assert!(answered.digests().contains(&stage.app.to_string()));
    assert!(answered.warnings.is_empty(), "{:?}", answered.warnings);
    assert!(stage.asked() <= 3, "HEAD of the tag, listing, payload");

    stage.move_tag();
    let again = review.over_object(mutated.object.clone());
    let (same, answered) = webhook.admit(&again).await;
    assert_eq!(same.object, mutated.object);
    answered.admitted("unchanged");
    assert_eq!(stage.asked(), 0);
}

/// The registry that stalls the mutation does not get an unpinned image past.
#[rstest]
#[case::down(Fault::status(503), "cannot be reached")]
#[case::throttled(Fault::status(429), "asks us to slow down")]
#[case::hanging(Fault::Hang, "in time")]
#[tokio::test]
async fn why_a_tag_could_not_be_pinned_is_said_by_both(#[case] fault: Fault, #[case] why: &str) {
    let stage = Stage::new().await;
    let webhook = stage.webhook(Tags::Pin).await;
    stage.registry.on(Match::any(), fault);
    let tag = format!("{}:v1", stage.name("app"));
    let (mutated, answered) = webhook.admit(&Review::of(&[&tag]).timeout(2)).await;
    assert_eq!(mutated.at(POD), tag);
    assert!(mutated.patch.is_empty());
    assert_eq!(mutated.warnings.len(), 1, "{:?}", mutated.warnings);
    let warning = &mutated.warnings[0];
    let begins = format!("spec.containers[0].image: {tag} is not pinned: ");
    assert!(warning.starts_with(&begins), "{warning}");
    answered.denied("tag-not-pinned");
    let message = &answered.message;
    assert!(message.contains("it could not be pinned: "), "{message}");
    for text in [warning, message] {
        assert!(text.contains(why), "{why:?} is not in {text}");
    }
}

#[tokio::test]
async fn a_tag_that_the_registry_does_not_know_is_left_with_a_warning() {
    let stage = Stage::new().await;
    let webhook = stage.webhook(Tags::Pin).await;
    let tag = format!("{}:gone", stage.name("app"));
    let (mutated, answered) = webhook.admit(&Review::of(&[&tag])).await;
    assert!(mutated.warnings[0].contains("knows no tag gone of t/app"));
    answered.denied("tag-not-pinned");
    assert!(answered.message.contains("knows no tag gone of t/app"));
}

/// An image about which no policy wants proof is nobody's to pin and needs no digest.
#[rstest]
#[case::no_policy(|_: &Stage| Policy::new("other").glob("ghcr.io/other/**").fixed("fail"), "no-match")]
#[case::a_static_policy(|_: &Stage| Policy::new("fixed").fixed("pass"), "static-pass")]
#[tokio::test]
async fn an_image_that_nobody_verifies_is_left_and_not_asked_for(
    #[case] policy: fn(&Stage) -> Policy,
    #[case] reason: &str,
) {
    let stage = Stage::new().await;
    let webhook = stage.webhook_with(Tags::Pin, &[policy(&stage)]).await;
    let review = Review::of(&[&format!("{}:v1", stage.name("bare"))]);
    let mutated = webhook.mutate(&review).await;
    assert!(mutated.patch.is_empty() && mutated.warnings.is_empty());
    assert_eq!(stage.asked(), 0);
    webhook.review(&review).await.admitted(reason);
}

/// A `warn` policy never denies, so it demands no digest; but it is about what runs, so its images are pinned.
#[tokio::test]
async fn the_images_of_a_warn_policy_are_pinned_and_never_denied() {
    let stage = Stage::new().await;
    let webhook = stage
        .webhook_with(Tags::Pin, &[stage.release().mode("warn")])
        .await;
    let review = Review::of(&[&format!("{}:v1", stage.name("bare"))]);
    let mutated = webhook.mutate(&review).await;
    assert!(mutated.at(POD).ends_with(&format!(":v1@{}", stage.bare)));
    let unpinned = webhook.review(&review).await;
    assert!(unpinned.allowed, "{}", unpinned.message);
    assert!(
        unpinned
            .warnings
            .iter()
            .any(|w| w.contains("no signatures found"))
    );
}

/// A policy for one digest alone speaks about a tag, and only the digest shows it.
#[tokio::test]
async fn a_policy_that_names_a_digest_is_found_by_tag_too() {
    let stage = Stage::new().await;
    let glob = format!("{}@{}", stage.name("app"), stage.app);
    let webhook = stage
        .webhook_with(Tags::Pin, &[stage.release().glob(&glob)])
        .await;
    let app = Review::of(&[&format!("{}:v1", stage.name("app"))]);
    let (mutated, answered) = webhook.admit(&app).await;
    assert!(mutated.at(POD).ends_with(&stage.app.to_string()));
    answered.admitted("satisfied");
    let bare = Review::of(&[&format!("{}:v1", stage.name("bare"))]);
    assert!(webhook.mutate(&bare).await.patch.is_empty());
}

#[tokio::test]
async fn what_a_policy_selects_by_its_object_is_pinned_in_that_object_alone() {
    let stage = Stage::new().await;
    let pods = json!([{"group": "", "version": "v1", "resource": "pods"}]);
    let webhook = stage
        .webhook_with(Tags::PinAll, &[stage.release().spec("match", pods)])
        .await;
    let tag = format!("{}:v1", stage.name("app"));
    assert!(!webhook.mutate(&Review::of(&[&tag])).await.patch.is_empty());
    assert!(webhook.mutate(&deployment(&tag)).await.patch.is_empty());
}
