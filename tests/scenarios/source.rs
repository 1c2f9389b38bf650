//! `e2e_test_cluster_image_policy_with_source.sh`: where evidence is looked for.

use serde_json::json;

use crate::stage::{Stage, account, by_account, demo_policy, denies, saying, with};

const NAME: &str = "image-policy-keyless-with-source";
const TEXT: &str = "foobar prefix e2e test";

#[tokio::test]
async fn step_1_the_images_own_repository_as_a_source_admits() {
    let stage = Stage::new().await;
    let demo = stage.image("demo");
    stage.sign(&demo, &account());
    let authority = with(by_account(), "source", json!([{"oci": demo.name()}]));
    let answered = stage
        .job(&[demo_policy(NAME).authority(authority)], &demo)
        .await;
    answered.admitted("satisfied");
}

/// The other repository is in the same registry here: in the script it is one of the internet.
#[tokio::test]
async fn step_2_another_repository_as_the_source_denies() {
    let stage = Stage::new().await;
    let demo = stage.image("demo");
    stage.sign(&demo, &account());
    let elsewhere = format!("{}/sigstore/cosign/cosign", demo.host);
    let authority = with(by_account(), "source", json!([{"oci": elsewhere}]));
    let answered = stage
        .job(&[demo_policy(NAME).authority(authority)], &demo)
        .await;
    denies(&answered, NAME, "unsigned", "no signatures found");
}

#[tokio::test]
async fn steps_3_and_4_attestations_are_looked_for_under_the_prefix() {
    let stage = Stage::new().await;
    let demo = stage.image("demo");
    stage.sign(&demo, &account());
    stage.attest(&demo, TEXT, &account());
    let authority = saying(by_account(), TEXT);
    let authority = with(authority, "source", json!([{"tagPrefix": "sigprefix"}]));
    let policy = demo_policy(NAME).authority(authority);
    let step_3 = stage.job(std::slice::from_ref(&policy), &demo).await;
    denies(&step_3, NAME, "no-attestation", "no matching attestations");
    stage.prefix_attestations(&demo, "sigprefix");
    stage.job(&[policy], &demo).await.admitted("satisfied");
}
