//! Objects that try to get past: by being deleted, scaled, relabelled, owned, rehearsed, or by hiding where their images are.

use http::Method;
use rstest::rstest;
use serde_json::{Value, json};
use vouchsafe::config::Tags;
use vouchsafe::demo::registry::IMAGE_INDEX;

use crate::stage::{Image, Stage};
use crate::support::policies::yaml;
use crate::support::registry::{Fault, Match};
use crate::support::webhook::{Review, Webhook};

async fn pinning(stage: &Stage) -> Webhook {
    let set = |settings: &mut vouchsafe::app::webhook::WebhookSettings| {
        settings.judge.tags = Tags::Pin;
    };
    Webhook::start_with(&yaml(&[stage.release()]), set).await
}

fn deployment(image: &str, replicas: u64) -> Review {
    let template = json!({"spec": {"containers": [{"name": "a", "image": image}]}});
    let spec = json!({"replicas": replicas, "template": template});
    Review::create("apps", "v1", "Deployment", spec)
}

/// Another image than the signed one under the tag of `image`.
fn beside(stage: &Stage, of: &Image) -> vouchsafe::image::Digest {
    vouchsafe::demo::registry::image(stage.store(), &of.name, "unsigned", "another image")
}

/// T-03: a registry that names another digest at each call: what is pinned is what is judged, and the tag is not asked again.
#[tokio::test]
async fn the_digest_that_is_pinned_is_the_one_that_is_judged() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    let unsigned = beside(&stage, &image);
    let says = |digest: &vouchsafe::image::Digest| {
        Fault::ReplaceHeader("docker-content-digest", digest.to_string())
    };
    let head = Match::manifest().method(Method::HEAD);
    stage.registry.on(
        head,
        Fault::Alternate(vec![says(&unsigned), says(&image.digest)]),
    );
    let webhook = pinning(&stage).await;
    let review = Review::of(&[&image.tagged()]);
    let (mutated, answered) = webhook.admit(&review).await;
    let pinned = mutated.at("/spec/containers/0/image");
    assert_eq!(pinned, format!("{}@{unsigned}", image.tagged()));
    answered.denied("unsigned");
    assert!(answered.digests().contains(&unsigned.to_string()));
    assert_eq!(stage.registry.counts().manifest_head, 1);
    // The other way round: what is pinned is signed, whatever the tag says afterwards.
    let (_, answered) = webhook.admit(&review).await;
    answered.admitted("satisfied");
    assert!(answered.digests().contains(&image.digest.to_string()));
}

/// T-04: an object that is being deleted runs until it is gone.
#[tokio::test]
async fn a_deletion_timestamp_excuses_nothing() {
    let stage = Stage::new().await;
    let (good, bad) = (stage.signed("t/app"), stage.image("t/bad"));
    let webhook = stage.wants_signature().await;
    let dying = |review: Review| {
        review
            .set("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"))
            .set("/metadata/finalizers", json!(["example.com/stay"]))
    };
    let old = dying(Review::of(&[&good.pinned()]));
    let changed = dying(Review::of(&[&bad.pinned()])).over(&old);
    webhook.review(&changed).await.denied("unsigned");
    let freed = old
        .clone()
        .set("/metadata/finalizers", json!([]))
        .over(&old);
    webhook.review(&freed).await.admitted("unchanged");
}

/// T-10, T-64: what arrives is judged, whatever its namespace is called and whatever its labels and annotations say.
#[rstest]
#[case::kube_system("kube-system", json!({}))]
#[case::no_namespace("", json!({}))]
#[case::opted_out("shop", json!({"labels": {"policy.sigstore.dev/include": "false"}}))]
#[case::excluded("shop", json!({"labels": {"webhooks.knative.dev/exclude": "true"}, "annotations": {"policy.sigstore.dev/include": "false"}}))]
#[tokio::test]
async fn no_namespace_and_no_label_excuses_what_arrives(
    #[case] namespace: &str,
    #[case] metadata: Value,
) {
    let stage = Stage::new().await;
    let (good, bad) = (stage.signed("t/app"), stage.image("t/bad"));
    let webhook = stage.wants_signature().await;
    let review = |image: &Image| {
        Review::of(&[&image.pinned()])
            .set("/metadata", metadata.clone())
            .namespace(namespace)
    };
    webhook.review(&review(&bad)).await.denied("unsigned");
    webhook.review(&review(&good)).await.admitted("satisfied");
    // A namespace that was relabelled between CREATE and UPDATE: the object is judged when it is seen first with another image.
    let updated = review(&bad).over(&review(&good));
    webhook.review(&updated).await.denied("unsigned");
}

/// T-22: no replicas now is not no replicas later.
#[tokio::test]
async fn an_object_without_replicas_is_judged_and_so_are_more_of_them() {
    let stage = Stage::new().await;
    let bad = stage.image("t/bad").pinned();
    let webhook = stage.wants_signature().await;
    webhook
        .review(&deployment(&bad, 0))
        .await
        .denied("unsigned");
    let up = deployment(&bad, 1).over(&deployment(&bad, 0));
    webhook.review(&up).await.denied("unsigned");
    let down = deployment(&bad, 0).over(&deployment(&bad, 1));
    webhook.review(&down).await.admitted("unchanged");
    // A scale has no image and cannot change one.
    let scale = Review::create("autoscaling", "v1", "Scale", json!({"replicas": 5}))
        .subresource("scale")
        .operation("UPDATE");
    webhook.review(&scale).await.admitted("not-covered");
}

/// T-24: of what is added to a running Pod, everything is judged; what runs already is not judged again.
#[tokio::test]
async fn an_ephemeral_container_is_judged_and_what_runs_already_is_not() {
    let stage = Stage::new().await;
    let (good, bad) = (stage.signed("t/app"), stage.image("t/bad"));
    let webhook = stage.wants_signature().await;
    let running = Review::of(&[&stage.image("t/admitted-before-the-policy").pinned()]);
    let with = |image: &str| {
        let list = json!([{"name": "debug", "image": image}]);
        running.clone().set("/spec/ephemeralContainers", list)
    };
    let added = |image: &Image| {
        with(&image.pinned())
            .over(&running)
            .subresource("ephemeralcontainers")
    };
    webhook.review(&added(&good)).await.admitted("satisfied");
    let denied = webhook.review(&added(&bad)).await;
    denied.denied("unsigned");
    let causes: Vec<&Value> = denied.causes.iter().map(|cause| &cause["field"]).collect();
    assert_eq!(causes, ["spec.ephemeralContainers[0].image"]);
    // Changing one is adding another; without a subresource it is looked at all the same.
    let changed = with(&bad.pinned()).over(&with(&good.pinned()));
    webhook
        .review(&changed.clone().subresource("ephemeralcontainers"))
        .await
        .denied("unsigned");
    webhook.review(&changed).await.denied("unsigned");
}

/// T-56: of tag and digest the digest runs; the tag is what somebody wrote.
#[tokio::test]
async fn of_tag_and_digest_the_digest_is_judged_and_the_tag_is_not_asked_for() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    let unsigned = beside(&stage, &image);
    let webhook = pinning(&stage).await;
    // The tag names the signed image, the digest another one.
    let lie = Review::of(&[&format!("{}@{unsigned}", image.tagged())]);
    let (mutated, answered) = webhook.admit(&lie).await;
    assert!(mutated.patch.is_empty());
    answered.denied("unsigned");
    // The tag is gone, the digest is signed.
    let gone = format!("{}/{}:gone@{}", image.host, image.name, image.digest);
    let (_, answered) = webhook.admit(&Review::of(&[&gone])).await;
    answered.admitted("satisfied");
    assert_eq!(stage.registry.counts().manifest_head, 0);
}

/// T-65: who a Pod claims to belong to proves nothing about its images.
#[rstest]
#[case::a_replica_set("apps/v1", "ReplicaSet")]
#[case::a_job("batch/v1", "Job")]
#[case::a_node("v1", "Node")]
#[tokio::test]
async fn a_pod_that_claims_an_owner_is_judged(#[case] api_version: &str, #[case] kind: &str) {
    let stage = Stage::new().await;
    let bad = stage.image("t/bad").pinned();
    let webhook = stage.wants_signature().await;
    let owner = json!([{"apiVersion": api_version, "kind": kind, "name": "judged", "uid": "0", "controller": true}]);
    let review = Review::of(&[&bad]).set("/metadata/ownerReferences", owner);
    webhook.review(&review).await.denied("unsigned");
}

/// T-67: what differs decides, and not how the request is called.
#[tokio::test]
async fn the_difference_decides_and_not_the_operation() {
    let stage = Stage::new().await;
    let (good, bad) = (stage.signed("t/app"), stage.image("t/bad").pinned());
    let webhook = stage.wants_signature().await;
    let old = Review::of(&[&bad]);
    for (change, reason) in [
        (
            old.clone().set("/metadata/labels", json!({"a": "b"})),
            "unchanged",
        ),
        (
            old.clone().set("/metadata/finalizers", json!([])),
            "unchanged",
        ),
        (old.clone().set("/spec/tolerations", json!([])), "unchanged"),
    ] {
        webhook.review(&change.over(&old)).await.admitted(reason);
    }
    let status = old.clone().set("/status", json!({"phase": "Running"}));
    let status = status.over(&old).subresource("status");
    webhook.review(&status).await.admitted("not-covered");
    webhook
        .review(&old.clone().operation("DELETE"))
        .await
        .admitted("not-covered");
    // An update without what was there before changes everything.
    let update = old.clone().operation("UPDATE");
    webhook.review(&update).await.denied("unsigned");
    let moved = Review::of(&[&good.pinned(), &bad]).over(&Review::of(&[&bad, &good.pinned()]));
    webhook.review(&moved).await.denied("unsigned");
    // A new Pod template makes new Pods, whatever in it changed.
    let old = deployment(&bad, 1);
    let restarted = old
        .clone()
        .set(
            "/spec/template/metadata",
            json!({"annotations": {"a": "b"}}),
        )
        .over(&old);
    webhook.review(&restarted).await.denied("unsigned");
}

/// T-73: wherever in a Pod an image stands, on whatever operating system, it is judged.
#[rstest]
#[case::init_container(json!({"initContainers": [{"name": "i", "image": "BAD"}]}), "spec.initContainers[0].image")]
#[case::sidecar(json!({"initContainers": [{"name": "i", "image": "BAD", "restartPolicy": "Always"}]}), "spec.initContainers[0].image")]
#[case::ephemeral(json!({"ephemeralContainers": [{"name": "e", "image": "BAD"}]}), "spec.ephemeralContainers[0].image")]
#[case::image_volume(json!({"volumes": [{"name": "v", "image": {"reference": "BAD", "pullPolicy": "Always"}}]}), "spec.volumes[0].image")]
#[case::windows(json!({"os": {"name": "windows"}, "initContainers": [{"name": "i", "image": "BAD"}]}), "spec.initContainers[0].image")]
#[tokio::test]
async fn an_image_is_judged_wherever_it_stands(#[case] spec: Value, #[case] field: &str) {
    let stage = Stage::new().await;
    let (good, bad) = (
        stage.signed("t/app").pinned(),
        stage.image("t/bad").pinned(),
    );
    let webhook = stage.wants_signature().await;
    for kind in ["Pod", "Deployment"] {
        for (image, is_good) in [(&good, true), (&bad, false)] {
            let text = spec.to_string().replace("BAD", image);
            let mut pod: Value = serde_json::from_str(&text).unwrap();
            pod["containers"] = json!([{"name": "a", "image": good}]);
            let (review, prefix) = match kind {
                "Pod" => (Review::create("", "v1", kind, pod), ""),
                _ => (
                    Review::create("apps", "v1", kind, json!({"template": {"spec": pod}})),
                    "spec.template.",
                ),
            };
            let answered = webhook.review(&review).await;
            if is_good {
                answered.admitted("satisfied");
            } else {
                answered.denied("unsigned");
                assert_eq!(answered.causes[0]["field"], format!("{prefix}{field}"));
            }
        }
    }
}

/// T-73: an index is judged as a whole, by its own digest: with members for Windows, and with attestations that builders put into it.
#[tokio::test]
async fn an_index_is_judged_by_its_own_digest_whatever_is_in_it() {
    let stage = Stage::new().await;
    let member = stage.image("t/index");
    let manifest = |digest: &str, platform: Value| {
        json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 1, "platform": platform,
        })
    };
    let other = format!("sha256:{}", "ab".repeat(32));
    let document = json!({
        "schemaVersion": 2, "mediaType": IMAGE_INDEX,
        "manifests": [
            manifest(&member.digest.to_string(), json!({"os": "linux", "architecture": "amd64"})),
            manifest(&other, json!({"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.1"})),
            manifest(&other, json!({"os": "unknown", "architecture": "unknown"})),
        ],
    });
    let index = Image {
        digest: stage.store().push_manifest(
            "t/index",
            Some("v1"),
            IMAGE_INDEX,
            document.to_string(),
        ),
        ..member.clone()
    };
    let webhook = pinning(&stage).await;
    let review = Review::of(&[&index.tagged()]);
    let (mutated, answered) = webhook.admit(&review.clone().dry_run()).await;
    assert_eq!(
        mutated.at("/spec/containers/0/image"),
        format!("{}@{}", index.tagged(), index.digest)
    );
    answered.denied("unsigned");
    stage.sign(
        &index,
        &vouchsafe::demo::signer::SignatureOptions::default(),
    );
    let (_, answered) = webhook.admit(&review).await;
    answered.admitted("satisfied");
    // The signature of the index says nothing about a member that is run by its own digest.
    webhook.judge(&member.pinned()).await.denied("unsigned");
}

/// T-75: whatever version of its API an object is written in, it is the same kind.
#[rstest]
#[case::older("v1beta1")]
#[case::newer("v7")]
#[tokio::test]
async fn every_version_of_a_kind_is_judged(#[case] version: &str) {
    let stage = Stage::new().await;
    let bad = stage.image("t/bad").pinned();
    let webhook = stage.wants_signature().await;
    let template = json!({"spec": {"containers": [{"name": "a", "image": bad}]}});
    let spec = json!({"jobTemplate": {"spec": {"template": template}}});
    let review = Review::create("batch", version, "CronJob", spec);
    webhook.review(&review).await.denied("unsigned");
}

/// T-76: a rehearsal leaves no absence behind. What is signed after it is admitted at once.
#[tokio::test]
async fn a_rehearsal_leaves_nothing_behind() {
    let stage = Stage::new().await;
    let image = stage.image("t/app");
    let webhook = stage.wants_signature().await;
    let review = Review::of(&[&image.pinned()]);
    webhook
        .review(&review.clone().dry_run())
        .await
        .denied("unsigned");
    stage.sign(
        &image,
        &vouchsafe::demo::signer::SignatureOptions::default(),
    );
    webhook.review(&review).await.admitted("satisfied");
    // In earnest an absence is remembered, for a moment.
    let other = stage.image("t/other");
    let review = Review::of(&[&other.pinned()]);
    webhook.review(&review).await.denied("unsigned");
    stage.registry.reset_counts();
    webhook.review(&review).await.denied("unsigned");
    assert_eq!(stage.registry.counts().manifest_get, 0);
}
