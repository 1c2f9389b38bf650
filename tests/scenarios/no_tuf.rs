//! `e2e_test_cluster_image_policy_no_tuf.sh`: a key, no log, and nobody who is trusted by default.

use crate::sigstore::{Act, Logged};
use crate::stage::{Stage, by_key, demo_policy, denies, job, new_key, saying, unlogged};
use crate::support::policies::yaml;
use crate::support::webhook::Webhook;

const TEXT: &str = "foobar key e2e test";

#[tokio::test]
async fn steps_1_to_3_a_key_needs_no_log_and_no_root() {
    let stage = Stage::new().await;
    let (demo, key) = (stage.image("demo"), new_key());
    let review = job(&demo.pinned());
    let unlogged_key = || unlogged(by_key(&key));
    let signed = demo_policy("image-policy-key").authority(unlogged_key());
    let attested =
        demo_policy("image-policy-key-with-attestations").authority(saying(unlogged_key(), TEXT));

    // Without the root of the stage: no log, no authority is known.
    let webhook = Webhook::start(&yaml(std::slice::from_ref(&signed))).await;
    let step_1 = webhook.review(&review).await;
    let words = "no signatures found";
    denies(&step_1, "image-policy-key", "unsigned", words);

    let nowhere = Act::with_key(&key).logged(Logged::Nowhere);
    stage.sign(&demo, &nowhere);
    let both = yaml(&[signed, attested]);
    let step_2 = Webhook::start(&both).await.review(&review).await;
    denies(
        &step_2,
        "image-policy-key-with-attestations",
        "no-attestation",
        "no matching attestations",
    );

    stage.attest(&demo, TEXT, &nowhere);
    let step_3 = Webhook::start(&both).await.review(&review).await;
    step_3.admitted("satisfied");
}
