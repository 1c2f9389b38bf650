//! The decision tables of policy-controller's unit tests that no other suite has, through the whole webhook: `TestValidatePodSpec` and
//! `TestValidateCronJob`, `TestValidatePolicy`, and which objects a policy's `match` is about.

use rstest::rstest;
use serde_json::{Value, json};
use vouchsafe::config::{NoMatch, Tags};

use crate::sigstore::{Act, Key};
use crate::stage::{
    ATTESTATION, Image, Stage, account, by_account, by_key, demo_policy, job, new_key, unlogged,
    with,
};
use crate::support::policies::{Policy, yaml};
use crate::support::webhook::{Review, Webhook};

/// Objects that hold a Pod: how it is asked about, and where the Pod stands.
#[derive(Clone, Copy, Debug)]
enum Holder {
    Pod,
    Deployment,
    CronJob,
}

// === impl Holder ===

impl Holder {
    const ALL: [Self; 3] = [Self::Pod, Self::Deployment, Self::CronJob];

    fn of(self, pod: &Value) -> Review {
        match self {
            Self::Pod => Review::create("", "v1", "Pod", pod.clone()),
            Self::Deployment => {
                let spec = json!({"replicas": 1, "template": {"spec": pod}});
                Review::create("apps", "v1", "Deployment", spec)
            }
            Self::CronJob => {
                let job = json!({"spec": {"template": {"spec": pod}}});
                let spec = json!({"schedule": "* * * * *", "jobTemplate": job});
                Review::create("batch", "v1", "CronJob", spec)
            }
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Pod => "spec",
            Self::Deployment => "spec.template.spec",
            Self::CronJob => "spec.jobTemplate.spec.template.spec",
        }
    }
}

/// A stage with an image that a key signed, one that nobody signed, and a webhook that asks for digests and for that key.
struct Table {
    stage: Stage,
    signed: Image,
    unsigned: Image,
    key: Key,
}

impl Table {
    async fn new() -> Self {
        let (stage, key) = (Stage::new().await, new_key());
        let (signed, unsigned) = (stage.image("demo"), stage.image("demo2"));
        stage.sign(&signed, &Act::with_key(&key));
        Self {
            stage,
            signed,
            unsigned,
            key,
        }
    }

    fn policy(&self) -> Policy {
        demo_policy("cluster-image-policy").authority(unlogged(by_key(&self.key)))
    }

    /// A webhook that asks for digests, as policy-controller's validation does.
    async fn webhook(&self, policies: &[Policy]) -> Webhook {
        let set = |settings: &mut vouchsafe::app::webhook::WebhookSettings| {
            settings.judge.tags = Tags::Require;
            settings.judge.no_match_policy = NoMatch::Allow;
        };
        self.stage.under_documents(&yaml(policies), set).await
    }

    /// `GOOD`, `BAD` and `TAG` stand for images.
    fn filled(&self, pod: &Value) -> Value {
        let text = pod
            .to_string()
            .replace("GOOD", &self.signed.pinned())
            .replace("BAD", &self.unsigned.pinned())
            .replace("TAG", &self.signed.tagged());
        serde_json::from_str(&text).unwrap()
    }
}

fn one(image: &str) -> Value {
    json!({"containers": [{"name": "c", "image": image}]})
}

fn volumes(volumes: Value) -> Value {
    with(one("GOOD"), "volumes", volumes)
}

/// Each Pod in each object; `AT` stands for where the Pod is.
#[rstest]
#[case::signed_by_the_key(one("GOOD"), None)]
#[case::a_reference_that_is_none(
    one("in@valid"),
    Some(("invalid-reference", "could not parse reference: in@valid: AT.containers[0].image"))
)]
#[case::a_tag(
    one("TAG"),
    Some(("tag-not-pinned", "must be an image digest: AT.containers[0].image"))
)]
#[case::unsigned(
    one("BAD"),
    Some(("unsigned", "failed policy: cluster-image-policy: AT.containers[0].image"))
)]
#[case::a_pull_secret_that_is_not_there(
    with(one("GOOD"), "imagePullSecrets", json!([{"name": "not-there"}])),
    None
)]
#[case::a_service_account_that_is_not_there(
    with(one("GOOD"), "serviceAccountName", json!("not-there")),
    None
)]
#[case::an_image_volume(volumes(json!([{"name": "v", "image": {"reference": "GOOD"}}])), None)]
#[case::an_image_volume_by_tag(
    volumes(json!([{"name": "v", "image": {"reference": "TAG"}}])),
    Some(("tag-not-pinned", "must be an image digest: AT.volumes[0].image"))
)]
#[case::an_image_volume_that_cannot_be_read(
    volumes(json!([{"name": "v", "image": {"reference": "in@valid"}}])),
    Some(("invalid-reference", "could not parse reference: in@valid: AT.volumes[0].image"))
)]
#[case::volumes_without_images(volumes(json!([{"name": "v", "emptyDir": {}}])), None)]
#[case::the_index_is_that_of_all_volumes(
    volumes(json!([
        {"name": "v", "emptyDir": {}}, {"name": "w", "image": {"reference": "GOOD"}},
        {"name": "x", "image": {"reference": "BAD"}},
    ])),
    Some(("unsigned", "failed policy: cluster-image-policy: AT.volumes[2].image"))
)]
#[tokio::test]
async fn a_pod_wherever_it_is(#[case] pod: Value, #[case] denied: Option<(&str, &str)>) {
    let table = Table::new().await;
    let webhook = table.webhook(&[table.policy()]).await;
    for holder in Holder::ALL {
        let answered = webhook.review(&holder.of(&table.filled(&pod))).await;
        let Some((reason, words)) = denied else {
            answered.admitted("satisfied");
            continue;
        };
        answered.denied(reason);
        let words = words.replace("AT", holder.path());
        assert!(
            answered.message.contains(&words),
            "{words}: {}",
            answered.message
        );
    }
}

/// One image in several places is one entry, with a cause for each of them.
#[tokio::test]
async fn an_image_that_fails_in_several_places_is_told_once() {
    let table = Table::new().await;
    let webhook = table.webhook(&[table.policy()]).await;
    let pod = json!({
        "initContainers": [{"name": "i", "image": "BAD"}],
        "containers": [{"name": "a", "image": "BAD"}, {"name": "b", "image": "BAD"}],
    });
    for holder in Holder::ALL {
        let answered = webhook.review(&holder.of(&table.filled(&pod))).await;
        answered.denied("unsigned");
        let message = &answered.message;
        assert_eq!(message.matches("failed policy: ").count(), 1, "{message}");
        let causes = answered.causes.iter().map(|cause| &cause["field"]);
        let mut causes: Vec<&str> = causes.map(|field| field.as_str().unwrap()).collect();
        causes.sort_unstable();
        let places = ["containers[0]", "containers[1]", "initContainers[0]"];
        let places = places.map(|place| format!("{}.{place}.image", holder.path()));
        assert_eq!(causes, places);
    }
}

/// A policy that warns turns its own failure into a warning, and what cannot be read stays denied. What policy-controller denies too, a tag
/// under such a policy, is none of its business here (listed difference).
#[tokio::test]
async fn a_policy_that_warns_excuses_its_own_failure_alone() {
    let table = Table::new().await;
    let webhook = table.webhook(&[table.policy().mode("warn")]).await;
    for holder in Holder::ALL {
        let asked = |image: &str| holder.of(&table.filled(&one(image)));
        let unsigned = webhook.review(&asked("BAD")).await;
        assert!(unsigned.allowed, "{}", unsigned.message);
        let begins = format!(
            "failed policy: cluster-image-policy: {}.containers[0].image",
            holder.path()
        );
        let warnings = &unsigned.warnings;
        assert!(
            warnings.iter().any(|w| w.starts_with(&begins)),
            "{warnings:?}"
        );
        let unread = webhook.review(&asked("in@valid")).await;
        unread.denied("invalid-reference");
        let tagged = webhook.review(&asked("TAG")).await;
        assert!(tagged.allowed, "{}", tagged.message);
    }
}

// --- TestValidatePolicy ---

#[rstest]
#[case::nothing_to_say(json!({"action": "fail"}), "disallowed by static policy")]
#[case::a_message(
    json!({"action": "fail", "message": "test custom message here"}),
    "disallowed by static policy: test custom message here"
)]
#[tokio::test]
async fn a_static_policy_says_what_it_is_told_to(#[case] fixed: Value, #[case] words: &str) {
    let stage = Stage::new().await;
    let policy = demo_policy("static").authority(json!({ "static": fixed }));
    let answered = stage.job(&[policy], &stage.image("demo")).await;
    answered.denied("static-deny");
    assert!(answered.message.contains(words), "{}", answered.message);
}

#[tokio::test]
async fn attestations_of_other_types_are_named() {
    const VULN: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";
    let stage = Stage::new().await;
    let demo = stage.image("demo");
    stage.attest_type(&demo, VULN, json!({"scanner": {"uri": "x"}}), &account());
    let wanted = json!([{"name": ATTESTATION, "predicateType": "custom"}]);
    let policy = demo_policy("attested").authority(with(by_account(), "attestations", wanted));
    let answered = stage.job(&[policy], &demo).await;
    answered.denied("no-attestation");
    let words = "no matching attestations with type custom, checked the following predicateTypes: \"https://cosign.sigstore.dev/attestation/vuln/v1\"";
    assert!(answered.message.contains(words), "{}", answered.message);
}

// --- match ---

/// What a policy that says this is about.
#[rstest]
#[case::pods_of_v1(json!({"resource": "pods", "version": "v1"}), &["Pod"])]
#[case::pods_of_any_version(json!({"resource": "pods", "version": "*"}), &["Pod"])]
#[case::pods_of_another_group(json!({"resource": "pods", "version": "v1", "group": "apps"}), &[])]
#[case::pods_of_another_version(json!({"resource": "pods", "version": "blah"}), &[])]
#[case::jobs(json!({"resource": "jobs", "version": "v1", "group": "batch"}), &["Job"])]
#[case::jobs_without_their_group(json!({"resource": "jobs", "version": "v1"}), &[])]
#[tokio::test]
async fn a_policy_is_about_what_it_selects(#[case] selector: Value, #[case] about: &[&str]) {
    let table = Table::new().await;
    let selects = table.policy().spec("match", json!([selector]));
    let webhook = table.webhook(&[selects]).await;
    let image = table.unsigned.pinned();
    for (kind, review) in [("Pod", Review::of(&[&image])), ("Job", job(&image))] {
        let answered = webhook.review(&review).await;
        if about.contains(&kind) {
            answered.denied("unsigned");
        } else {
            answered.admitted("no-match");
        }
    }
}
