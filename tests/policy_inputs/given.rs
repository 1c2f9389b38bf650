//! What a program over a whole policy is given: a program that asks for it is satisfied, and one that asks for something else is not.

use http::Method;
use rstest::rstest;
use serde_json::{Map, Value, json};
use vouchsafe::demo::registry::index;
use vouchsafe::demo::signer::{
    BundleOptions, SignatureOptions, attach_bundle_signature, attach_signature,
};

use crate::stage::{Image, Stage};
use crate::support::policies::{Policy, yaml};
use crate::support::registry::{Fault, Match};
use crate::support::webhook::{Review, Webhook};

/// The policy of the stage's release key with a program over it, and what it asks for.
fn program(stage: &Stage, body: &str, inputs: &Value) -> Policy {
    let mut policy = json!({
        "type": "rego",
        "data": format!("package sigstore\nisCompliant {{\n{body}\n}}\n"),
    });
    policy
        .as_object_mut()
        .unwrap()
        .extend(inputs.as_object().unwrap().clone());
    stage.release().spec("policy", policy)
}

async fn webhook(stage: &Stage, body: &str, inputs: &Value) -> Webhook {
    Webhook::start(&yaml(&[program(stage, body, inputs)])).await
}

/// A signature by the release key, as cosign 3 writes it.
fn bundle(stage: &Stage, image: &Image, options: &BundleOptions) {
    let (name, digest) = (&image.name, &image.digest);
    attach_bundle_signature(stage.store(), name, digest, &stage.release, options).unwrap();
}

#[rstest]
#[case::the_spec("input.spec.containers[0].name == \"c0\"", json!({"includeSpec": true}))]
#[case::the_metadata("input.metadata.name == \"app\"", json!({"includeObjectMeta": true}))]
#[case::the_kind("input.typemeta == {\"kind\": \"Pod\", \"apiVersion\": \"v1\"}", json!({"includeTypeMeta": true}))]
#[case::nothing_else(
    "not input.spec; not input.metadata; not input.typemeta; not input.config",
    json!({})
)]
#[case::what_is_said_not_to_be_wanted(
    "not input.spec",
    json!({"includeSpec": false})
)]
#[case::the_config_file(
    "input.config[\"linux/amd64\"].config.Labels.seed == \"t/app\"; count(input.config) == 1",
    json!({"fetchConfigFile": true})
)]
#[case::who_signed(
    "count(input.authorityMatches.release.signatures) == 1; regex.match(`^[0-9a-f]{64}$`, input.authorityMatches.release.signatures[0].id)",
    json!({})
)]
#[tokio::test]
async fn a_program_is_given_what_it_asks_for(#[case] body: &str, #[case] inputs: Value) {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    let holds = webhook(&stage, body, &inputs).await;
    holds.judge(&image.pinned()).await.admitted("satisfied");
    let fails = webhook(&stage, &format!("{body}; false"), &inputs).await;
    fails.judge(&image.pinned()).await.denied("policy-denied");
}

/// The annotations that a signer adds (`cosign sign -a`), in either of the two forms in which cosign writes signatures.
#[tokio::test]
async fn a_program_is_given_the_annotations_of_signatures() {
    let stage = Stage::new().await;
    let image = stage.image("t/app");
    let annotations = Map::from_iter([("env".to_owned(), json!("prod"))]);
    stage.sign(
        &image,
        &SignatureOptions {
            annotations: Some(annotations),
            ..SignatureOptions::default()
        },
    );
    let bundled = stage.image("t/bundled");
    let subject =
        json!({"digest": {"sha256": bundled.digest.hex()}, "annotations": {"env": "prod"}});
    let options = BundleOptions {
        subjects: Some(json!([subject])),
        ..BundleOptions::default()
    };
    bundle(&stage, &bundled, &options);
    let body = r#"input.authorityMatches.release.signatures[_].annotations.env == "prod""#;
    let wants_prod = webhook(&stage, body, &json!({})).await;
    wants_prod
        .judge(&image.pinned())
        .await
        .admitted("satisfied");
    wants_prod
        .judge(&bundled.pinned())
        .await
        .admitted("satisfied");
    let plain = stage.signed("t/plain");
    wants_prod
        .judge(&plain.pinned())
        .await
        .denied("policy-denied");
}

#[tokio::test]
async fn every_platform_of_an_index_gives_its_config_file() {
    let stage = Stage::new().await;
    let found = index(stage.store(), "t/app", "v1", "seed");
    let options = SignatureOptions::default();
    attach_signature(
        stage.store(),
        "t/app",
        &found.index,
        &stage.release,
        &options,
    )
    .unwrap();
    let image = Image {
        name: "t/app".to_owned(),
        digest: found.index,
        host: stage.registry.host(),
    };
    let body = r#"{platform | input.config[platform]} == {"linux/amd64", "linux/arm64"}"#;
    let both = webhook(&stage, body, &json!({"fetchConfigFile": true})).await;
    both.judge(&image.pinned()).await.admitted("satisfied");
    // Judged again, nothing of it is asked for again.
    stage.registry.reset_counts();
    both.judge(&image.pinned()).await.admitted("satisfied");
    assert_eq!(stage.registry.counts().total(), 0);
}

/// T-52: a config file that cannot be read is never one that is empty.
#[rstest]
#[case::gone(Fault::Status(404, Vec::new(), "".into()), "registry-malformed")]
#[case::refused(Fault::Status(403, Vec::new(), "".into()), "registry-auth")]
#[case::down(Fault::Status(500, Vec::new(), "".into()), "registry-unreachable")]
#[case::other_bytes(Fault::ReplaceBody("{}".into()), "digest-mismatch")]
#[tokio::test]
async fn a_config_file_that_cannot_be_read_is_not_judged(
    #[case] fault: Fault,
    #[case] reason: &str,
) {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    let manifest = stage
        .store()
        .manifest("t/app", &image.digest.to_string())
        .unwrap();
    let manifest: Value = serde_json::from_slice(&manifest.bytes).unwrap();
    let config = manifest["config"]["digest"].as_str().unwrap();
    stage.registry.on(Match::blob().path(config), fault);
    let webhook = webhook(
        &stage,
        "not input.config.x",
        &json!({"fetchConfigFile": true}),
    )
    .await;
    webhook.judge(&image.pinned()).await.denied(reason);
}

/// T-50, T-06: what is no image, and more than an image can be.
#[rstest]
#[case::another_media_type("application/vnd.docker.distribution.manifest.v1+json", json!({"schemaVersion": 1}), "registry-malformed")]
#[case::a_config_that_claims_to_be_huge(
    "application/vnd.oci.image.manifest.v1+json",
    json!({"schemaVersion": 2, "layers": [], "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": format!("sha256:{}", "0".repeat(64)), "size": 1_u64 << 40}}),
    "limit-exceeded"
)]
#[case::an_index_of_too_many(
    "application/vnd.oci.image.index.v1+json",
    json!({"schemaVersion": 2, "manifests": (0..200).map(|n| json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": format!("sha256:{n:064x}"), "size": 100})).collect::<Vec<_>>()}),
    "limit-exceeded"
)]
#[tokio::test]
async fn what_has_no_config_file_within_bounds_is_not_judged(
    #[case] media_type: &str,
    #[case] document: Value,
    #[case] reason: &str,
) {
    let stage = Stage::new().await;
    let store = stage.store();
    let digest = store.push_manifest("t/app", Some("v1"), media_type, document.to_string());
    let image = Image {
        name: "t/app".to_owned(),
        digest,
        host: stage.registry.host(),
    };
    stage.sign(&image, &SignatureOptions::default());
    let webhook = webhook(
        &stage,
        "not input.config.x",
        &json!({"fetchConfigFile": true}),
    )
    .await;
    webhook.judge(&image.pinned()).await.denied(reason);
}

/// A program that counts must not depend on which place was asked first.
#[tokio::test]
async fn a_program_sees_the_signatures_of_every_place() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    bundle(&stage, &image, &BundleOptions::default());
    let body = "count(input.authorityMatches.release.signatures) == 2";
    let both = webhook(&stage, body, &json!({})).await;
    both.judge(&image.pinned()).await.admitted("satisfied");
    both.judge(&image.pinned()).await.admitted("satisfied");
}

/// What could not be read hides no proof: only a program that says no is not believed.
#[tokio::test]
async fn a_place_that_cannot_be_read_matters_only_where_the_program_says_no() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    let down = Fault::Status(500, Vec::new(), "".into());
    stage
        .registry
        .on(Match::referrers().method(Method::GET), down);
    let one = webhook(&stage, "count(input.authorityMatches) == 1", &json!({})).await;
    one.judge(&image.pinned()).await.admitted("satisfied");
    let two = "count(input.authorityMatches.release.signatures) == 2";
    let two = webhook(&stage, two, &json!({})).await;
    two.judge(&image.pinned())
        .await
        .denied("registry-unreachable");
}

/// A program that holds when something is absent is told that not everything was read, and can refuse.
#[tokio::test]
async fn a_program_is_told_where_not_everything_could_be_read() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    let careful = "count(input.authorityMatches.release.signatures) == 1; not input.incomplete";
    let careful = webhook(&stage, careful, &json!({})).await;
    careful.judge(&image.pinned()).await.admitted("satisfied");
    let told = webhook(&stage, "input.incomplete == true", &json!({})).await;
    let silent = told.judge(&image.pinned()).await;
    silent.denied("policy-denied");

    let down = Fault::Status(500, Vec::new(), "".into());
    stage
        .registry
        .on(Match::referrers().method(Method::GET), down);
    let fresh = "count(input.authorityMatches.release.signatures) == 1; not input.incomplete";
    let fresh = webhook(&stage, fresh, &json!({})).await;
    fresh
        .judge(&image.pinned())
        .await
        .denied("registry-unreachable");
    let told = webhook(&stage, "input.incomplete == true", &json!({})).await;
    told.judge(&image.pinned()).await.admitted("satisfied");
}

/// All authorities are asked, those beside a satisfied one too.
#[tokio::test]
async fn a_program_sees_every_authority_that_is_satisfied() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    stage.sign_as(&stage.stranger, &image, &SignatureOptions::default());
    let body = r#"{name | input.authorityMatches[name]} == {"release", "stranger", "fixed"}"#;
    let policy = program(&stage, body, &json!({}))
        .key("stranger", &stage.stranger)
        .fixed("pass");
    let webhook = Webhook::start(&yaml(&[policy])).await;
    let review = Review::of(&[&image.pinned()]);
    webhook.review(&review).await.admitted("satisfied");
}
