//! What a policy over a whole image is given: `…_with_fetch_config_file.sh`, `…_from_configmap_with_fetch_config_file.sh`,
//! `…_with_include_spec.sh`, `…_with_include_objectmeta.sh` and `…_with_include_typemeta.sh`, in Rego.
//!
//! The scripts take an image of the internet for several platforms. Here one of our own has the same config files where the policies look.

use rstest::rstest;
use serde_json::json;

use crate::stage::{Image, Stage, becomes, denies, job};
use crate::support::policies::{Policy, yaml};
use crate::support::webhook::Review;

const NAME: &str = "image-policy";
/// What the scripts grep for, as far as it is about Rego.
const DENIED: &str = "failed evaluating rego policy for type ClusterImagePolicy";

/// A policy that is about config files, the Pod or the object, and needs nothing else.
fn wanting(body: &str, input: &str) -> Policy {
    let mut program = json!({
        "type": "rego", "data": format!("package sigstore\nisCompliant {{\n  {body}\n}}\n"),
    });
    program[input] = json!(true);
    timestamp_server().spec("policy", program)
}

fn timestamp_server() -> Policy {
    Policy::new(NAME)
        .glob("**sigstore/timestamp-server**")
        .fixed("pass")
}

/// An image for two platforms, whose user is 65532 on both.
fn image(stage: &Stage) -> Image {
    const REPOSITORY: &str = "sigstore/timestamp-server";
    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    let store = stage.registry.store();
    let platforms = [("amd64", None), ("arm", Some("v7"))];
    let manifests = platforms.map(|(architecture, variant)| {
        let mut config = json!({
            "architecture": architecture, "os": "linux", "config": {"User": "65532"},
            "rootfs": {"type": "layers", "diff_ids": []},
        });
        let mut platform = json!({"architecture": architecture, "os": "linux"});
        if let Some(variant) = variant {
            config["variant"] = json!(variant);
            platform["variant"] = json!(variant);
        }
        let config = config.to_string();
        let size = config.len();
        let config = store.push_blob(REPOSITORY, config);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": size},
        });
        let manifest = manifest.to_string();
        let size = manifest.len();
        let digest = store.push_manifest(REPOSITORY, None, MANIFEST, manifest);
        json!({"mediaType": MANIFEST, "digest": digest, "size": size, "platform": platform})
    });
    let index_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": index_type, "manifests": manifests});
    let digest = store.push_manifest(REPOSITORY, Some("latest"), index_type, index.to_string());
    stage.found(REPOSITORY, digest)
}

const WRONG_USER: &str = r#"input.config["linux/amd64"].config.User == "55554""#;
const RIGHT_USER: &str = r#"input.config["linux/amd64"].config.User == "65532"; input.config["linux/arm/v7"].config.User == "65532""#;

#[tokio::test]
async fn fetch_config_file_a_policy_sees_the_user_of_each_platform() {
    let stage = Stage::new().await;
    let image = image(&stage);
    let wrong = wanting(WRONG_USER, "fetchConfigFile");
    let denied = stage.job(&[wrong], &image).await;
    denies(&denied, NAME, "policy-denied", DENIED);
    let right = wanting(RIGHT_USER, "fetchConfigFile");
    stage.job(&[right], &image).await.admitted("static-pass");
}

#[tokio::test]
async fn from_configmap_an_edit_of_the_map_is_seen() {
    let stage = Stage::new().await;
    let image = image(&stage);
    let reference = json!({
        "type": "rego", "fetchConfigFile": true,
        "configMapRef": {"name": "policy-config", "key": "policy"},
    });
    let documents = |user: &str| {
        let text = format!(
            "package sigstore\nisCompliant {{ input.config[\"linux/amd64\"].config.User == \"{user}\" }}\n"
        );
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"policy": text},
            "metadata": {"name": "policy-config", "namespace": "cosign-system"},
        });
        let policy = timestamp_server().spec("policy", reference.clone());
        format!("{}\n---\n{map}\n", yaml(&[policy]))
    };
    let webhook = stage.under_documents(&documents("65530"), |_| {}).await;
    let review = job(&image.pinned());
    let denied = webhook.review(&review).await;
    denies(&denied, NAME, "policy-denied", DENIED);
    webhook.rewrite(&documents("65532"));
    becomes(&webhook, &review, "static-pass").await;
}

fn pod(image: &Image) -> Review {
    Review::of(&[&image.pinned()])
        .set("/spec/serviceAccount", json!("default"))
        .set("/metadata/labels", json!({"foo": "bar"}))
}

#[rstest]
#[case::include_spec("includeSpec", r#"input.spec.serviceAccount == "non-default""#, false)]
#[case::include_spec_as_it_is("includeSpec", r#"input.spec.serviceAccount == "default""#, true)]
#[case::include_objectmeta(
    "includeObjectMeta",
    r#"input.metadata.labels.foo == "non-bar""#,
    false
)]
#[case::include_objectmeta_as_it_is(
    "includeObjectMeta",
    r#"input.metadata.labels.foo == "bar""#,
    true
)]
#[tokio::test]
async fn a_policy_sees_what_it_asks_for(
    #[case] input: &str,
    #[case] body: &str,
    #[case] admitted: bool,
) {
    let stage = Stage::new().await;
    let image = image(&stage);
    let webhook = stage.under(&[wanting(body, input)]).await;
    let answered = webhook.review(&pod(&image)).await;
    if admitted {
        answered.admitted("static-pass");
    } else {
        answered.denied("policy-denied");
        assert!(answered.message.contains(DENIED), "{}", answered.message);
    }
}

/// Under policy-controller the last step shows nothing: of Pods it gives no kind. Here it does (listed difference), so a policy that wants
/// another kind than Pod denies a Pod too.
#[rstest]
#[case::a_job_is_no_pod("Pod", "Job", false)]
#[case::a_pod_is_a_pod("Pod", "Pod", true)]
#[case::a_pod_is_no_job("Job", "Pod", false)]
#[tokio::test]
async fn include_typemeta(#[case] wanted: &str, #[case] asked: &str, #[case] admitted: bool) {
    let stage = Stage::new().await;
    let image = image(&stage);
    let body = format!("input.typemeta.kind == \"{wanted}\"");
    let webhook = stage.under(&[wanting(&body, "includeTypeMeta")]).await;
    let review = match asked {
        "Job" => job(&image.pinned()),
        _ => pod(&image),
    };
    let answered = webhook.review(&review).await;
    if admitted {
        answered.admitted("static-pass");
    } else {
        answered.denied("policy-denied");
        assert!(answered.message.contains(DENIED), "{}", answered.message);
    }
}
