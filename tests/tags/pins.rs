//! What a pin looks like, where it is made, and where it is not.

use rstest::rstest;
use serde_json::{Value, json};
use vouchsafe::config::Tags;

use super::support::webhook::Review;
use super::{Stage, deployment, differences};

/// Every place of a Pod in which an image can stand, each with a tag.
fn every_place(tag: &str) -> Value {
    json!({
        "initContainers": [{"name": "i", "image": tag}, {"name": "s", "image": tag, "restartPolicy": "Always"}],
        "containers": [{"name": "a", "image": tag, "env": [{"name": "IMAGE", "value": tag}]}, {"name": "b", "image": tag}],
        "ephemeralContainers": [{"name": "e", "image": tag}],
        "volumes": [{"name": "v", "image": {"reference": tag}}, {"name": "n", "emptyDir": {}}],
        "nodeSelector": {"image": tag},
    })
}

const PLACES: [&str; 6] = [
    "/spec/containers/0/image",
    "/spec/containers/1/image",
    "/spec/ephemeralContainers/0/image",
    "/spec/initContainers/0/image",
    "/spec/initContainers/1/image",
    "/spec/volumes/0/image/reference",
];

#[tokio::test]
async fn every_image_of_a_pod_is_pinned_and_nothing_else_is_touched() {
    let stage = Stage::new().await;
    let webhook = stage.webhook(Tags::Pin).await;
    let tag = format!("{}:v1", stage.name("app"));
    let review = Review::create("", "v1", "Pod", every_place(&tag));
    let (mutated, answered) = webhook.admit(&review).await;
    assert_eq!(differences(review.object(), &mutated.object), PLACES);
    for place in PLACES {
        assert_eq!(mutated.at(place), format!("{tag}@{}", stage.app));
    }
    answered.admitted("satisfied");
    assert_eq!(
        stage.registry.counts().manifest_head,
        1,
        "one tag, one HEAD"
    );
    let again = webhook.mutate(&review.with(mutated.object)).await;
    assert!(again.patch.is_empty(), "{}", again.patch);
}

/// The user's spelling is kept; where no tag is written, `:latest` is what is meant.
#[rstest]
#[case::tag(":v1", ":v1")]
#[case::no_tag("", ":latest")]
#[tokio::test]
async fn the_spelling_is_kept(#[case] written: &str, #[case] expected: &str) {
    let stage = Stage::new().await;
    stage.registry.store().retag("t/app", "latest", &stage.app);
    let webhook = stage.webhook(Tags::Pin).await;
    let name = stage.name("app");
    let (mutated, answered) = webhook
        .admit(&Review::of(&[&format!("{name}{written}")]))
        .await;
    let pinned = format!("{name}{expected}@{}", stage.app);
    assert_eq!(mutated.at("/spec/containers/0/image"), pinned);
    answered.admitted("satisfied");
}

#[tokio::test]
async fn what_has_a_digest_and_what_cannot_be_read_is_left_alone() {
    let stage = Stage::new().await;
    let webhook = stage.webhook(Tags::PinAll).await;
    let name = stage.name("app");
    let images = [
        format!("{name}@{}", stage.app),
        format!("{name}:v1@{}", stage.bare),
        "Not/An:Image:".to_owned(),
        String::new(),
    ];
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    let mutated = webhook.mutate(&Review::of(&images)).await;
    assert!(mutated.patch.is_empty() && mutated.warnings.is_empty());
    for unreadable in [
        json!({"containers": "x"}),
        json!({"containers": [{}]}),
        json!(7),
    ] {
        let review = Review::create("", "v1", "Pod", unreadable);
        assert!(webhook.mutate(&review).await.patch.is_empty());
        webhook.review(&review).await.denied("invalid-reference");
    }
    assert_eq!(stage.asked(), 0);
}

/// With `pin-all` templates are pinned where each kind keeps them.
#[rstest]
#[case::deployment("apps", "Deployment", "/spec/template/spec")]
#[case::daemon_set("apps", "DaemonSet", "/spec/template/spec")]
#[case::job("batch", "Job", "/spec/template/spec")]
#[case::cron_job("batch", "CronJob", "/spec/jobTemplate/spec/template/spec")]
#[tokio::test]
async fn templates_are_pinned_where_they_are(
    #[case] group: &str,
    #[case] kind: &str,
    #[case] path: &str,
) {
    let stage = Stage::new().await;
    let webhook = stage.webhook(Tags::PinAll).await;
    let tag = format!("{}:v1", stage.name("app"));
    let spec = path.trim_start_matches("/spec/").rsplit('/').fold(
        json!({"containers": [{"name": "a", "image": tag}]}),
        |inner, key| json!({key: inner}),
    );
    let (mutated, answered) = webhook
        .admit(&Review::create(group, "v1", kind, spec))
        .await;
    let pinned = format!("{tag}@{}", stage.app);
    assert_eq!(mutated.at(&format!("{path}/containers/0/image")), pinned);
    answered.admitted("satisfied");
}

/// A Deployment whose `ReplicaSet` was rewritten would not know it again, and make one after the other.
#[tokio::test]
async fn what_a_controller_made_is_not_rewritten_and_its_pods_are() {
    let stage = Stage::new().await;
    let webhook = stage.webhook(Tags::PinAll).await;
    let made = |review: Review, controller: bool| {
        let owner = json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "a", "uid": "1", "controller": controller}]);
        review.set("/metadata/ownerReferences", owner)
    };
    let set = |name: &str| {
        let container = json!({"name": "a", "image": format!("{}:v1", stage.name(name))});
        let spec = json!({"template": {"spec": {"containers": [container]}}});
        Review::create("apps", "v1", "ReplicaSet", spec)
    };
    let (mutated, answered) = webhook.admit(&made(set("app"), true)).await;
    assert!(mutated.patch.is_empty(), "{}", mutated.patch);
    answered.admitted("satisfied");
    let (_, answered) = webhook.admit(&made(set("bare"), true)).await;
    answered.denied("unsigned");
    // An owner that does not control it compares nothing with it.
    let (mutated, _) = webhook.admit(&made(set("app"), false)).await;
    assert!(!mutated.patch.is_empty());
    let pod = Review::of(&[&format!("{}:v1", stage.name("app"))]);
    let (mutated, _) = webhook.admit(&made(pod, true)).await;
    assert!(!mutated.patch.is_empty());
}

/// What changes nothing that runs is not pinned either: pinning a running Pod would restart it.
#[rstest]
#[case::label_edit(|r: Review| r.set("/metadata/labels", json!({"a": "b"})))]
#[case::finalizers_removed(|r: Review| r.set("/metadata/finalizers", json!([])))]
#[case::being_deleted(|r: Review| r.set("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")))]
#[case::status(|r: Review| r.subresource("status"))]
#[case::scale(|r: Review| r.subresource("scale"))]
#[case::deletion(|r: Review| r.operation("DELETE"))]
#[tokio::test]
async fn what_changes_nothing_that_runs_is_not_patched(#[case] change: fn(Review) -> Review) {
    let stage = Stage::new().await;
    let webhook = stage.webhook(Tags::PinAll).await;
    let tag = format!("{}:v1", stage.name("app"));
    for before in [Review::of(&[&tag]), deployment(&tag)] {
        let review = change(before.clone().over(&before));
        let mutated = webhook.mutate(&review).await;
        assert!(mutated.patch.is_empty() && mutated.warnings.is_empty());
        assert!(webhook.review(&review).await.allowed);
    }
    assert_eq!(stage.asked(), 0);
}

/// `kubectl debug --image=NAME:TAG` works, and is judged.
#[tokio::test]
async fn an_ephemeral_container_is_pinned_and_judged() {
    let stage = Stage::new().await;
    let webhook = stage.webhook(Tags::Pin).await;
    let running = Review::of(&[&format!("{}@{}", stage.name("app"), stage.app)]);
    let with = |image: &str| {
        running
            .clone()
            .set(
                "/spec/ephemeralContainers",
                json!([{"name": "debug", "image": image}]),
            )
            .over(&running)
            .subresource("ephemeralcontainers")
    };
    let good = with(&format!("{}:v1", stage.name("app")));
    let (mutated, answered) = webhook.admit(&good).await;
    assert_eq!(
        differences(good.object(), &mutated.object),
        ["/spec/ephemeralContainers/0/image"]
    );
    answered.admitted("satisfied");
    let bad = with(&format!("{}:v1", stage.name("bare")));
    let (_, answered) = webhook.admit(&bad).await;
    answered.denied("unsigned");
    webhook.review(&good).await.denied("tag-not-pinned");
}

/// T-74: a field of a newer Kubernetes that holds an image is judged, and pinned.
#[tokio::test]
async fn an_image_in_a_field_that_is_not_known_is_judged() {
    let stage = Stage::new().await;
    let webhook = stage.webhook(Tags::Pin).await;
    let pinned = format!("{}@{}", stage.name("app"), stage.app);
    let pod = |image: &str| Review::of(&[&pinned]).set("/spec/sandboxImage", json!(image));
    let good = format!("{}:v1", stage.name("app"));
    let (mutated, answered) = webhook.admit(&pod(&good)).await;
    assert_eq!(
        mutated.at("/spec/sandboxImage"),
        format!("{good}@{}", stage.app)
    );
    answered.admitted("satisfied");
    let bad = format!("{}:v1", stage.name("bare"));
    let (_, answered) = webhook.admit(&pod(&bad)).await;
    answered.denied("unsigned");
    assert!(answered.message.contains("spec.sandboxImage"));
}

/// Bounds hold for what is pinned too, and break nothing.
#[tokio::test]
async fn too_many_images_are_left_with_one_warning() {
    let stage = Stage::new().await;
    let webhook = stage.webhook(Tags::Pin).await;
    let tag = format!("{}:v1", stage.name("app"));
    let many = vec![tag.as_str(); 1_001];
    let review = Review::of(&many);
    let mutated = webhook.mutate(&review).await;
    assert!(mutated.patch.is_empty());
    assert_eq!(
        mutated.warnings,
        ["images are not pinned: 1001 images in one object, 1000 are pinned"]
    );
    webhook.review(&review).await.denied("limit-exceeded");
    assert_eq!(stage.asked(), 0);
}
