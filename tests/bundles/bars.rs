//! How many requests a registry gets: evidence is looked for where it was last found, and no further than is needed.

use rstest::rstest;
use serde_json::json;
use vouchsafe::demo::signer::{
    BundleOptions, ReferrerOptions, SignatureOptions, attach_signature, attach_signature_referrer,
};
use vouchsafe::verdict::Reason;

use crate::stage::{BUILDER, REPOSITORY, Stage};

#[rstest]
#[case::by_the_referrers_api(true)]
#[case::by_the_fallback_tag(false)]
#[tokio::test]
async fn a_bundle_takes_five_requests_at_first_and_three_in_a_known_repository(#[case] api: bool) {
    let mut stage = Stage::new().await;
    stage.store().serve_referrers(api);
    stage.sign(&stage.release, &BundleOptions::default());
    stage.admits(&stage.signed()).await;
    let first = stage.asked();
    assert!(first <= 5, "{first}");
    // Another image of the same repository, so that nothing but the place is known.
    stage.image = vouchsafe::demo::registry::image(stage.store(), REPOSITORY, "v2", "another");
    stage.sign(&stage.release, &BundleOptions::default());
    stage.admits(&stage.signed()).await;
    let next = stage.asked();
    assert!(next <= 3, "{next}: {:?}", stage.registry.requests());
}

#[rstest]
#[case::by_the_referrers_api(true)]
#[case::by_the_fallback_tag(false)]
#[tokio::test]
async fn an_attestation_takes_as_many(#[case] api: bool) {
    let mut stage = Stage::new().await;
    stage.store().serve_referrers(api);
    stage.attest(&stage.release, BUILDER, &BundleOptions::default());
    stage.admits(&stage.provenance()).await;
    assert!(stage.asked() <= 5);
    stage.image = vouchsafe::demo::registry::image(stage.store(), REPOSITORY, "v2", "another");
    stage.attest(&stage.release, BUILDER, &BundleOptions::default());
    stage.admits(&stage.provenance()).await;
    assert!(stage.asked() <= 3);
}

#[rstest]
#[case::a_registry_with_the_referrers_api(true)]
#[case::a_registry_without(false)]
#[tokio::test]
async fn an_unsigned_image_takes_four_requests(#[case] api: bool) {
    let stage = Stage::new().await;
    stage.store().serve_referrers(api);
    stage.refuses(&stage.signed(), Reason::Unsigned).await;
    stage
        .refuses(&stage.provenance(), Reason::NoAttestation)
        .await;
    let asked = stage.asked();
    assert!(asked <= 4, "{asked}");
}

#[tokio::test]
async fn documents_of_other_kinds_cost_an_unsigned_image_nothing() {
    let stage = Stage::new().await;
    stage.litter("application/spdx+json", 50);
    stage.refuses(&stage.signed(), Reason::Unsigned).await;
    assert!(stage.asked() <= 4);
}

#[tokio::test]
async fn an_authority_that_is_satisfied_by_a_tag_asks_for_no_referrers() {
    let stage = Stage::new().await;
    let options = SignatureOptions::default();
    attach_signature(
        stage.store(),
        REPOSITORY,
        &stage.image,
        &stage.release,
        &options,
    )
    .unwrap();
    stage.sign(&stage.release, &BundleOptions::default());
    stage.admits(&stage.signed()).await;
    assert_eq!(stage.registry.counts().referrers, 0);
    assert_eq!(stage.asked(), 2);
}

#[tokio::test]
async fn a_policy_for_bundles_begins_at_the_referrers() {
    let stage = Stage::new().await;
    stage.sign(&stage.release, &BundleOptions::default());
    stage
        .admits(&stage.policy(&json!({"signatureFormat": "bundle"})))
        .await;
    assert_eq!(stage.asked(), 3);
    let requests = stage.registry.requests();
    assert!(requests.iter().all(|r| !r.path.contains(".sig")));
}

#[tokio::test]
async fn an_older_signature_as_referrer_takes_three_requests_in_a_known_repository() {
    let mut stage = Stage::new().await;
    let options = ReferrerOptions::default();
    let sign = |stage: &Stage| {
        attach_signature_referrer(
            stage.store(),
            REPOSITORY,
            &stage.image,
            &stage.release,
            &options,
        )
        .unwrap();
    };
    sign(&stage);
    stage.admits(&stage.signed()).await;
    assert!(stage.asked() <= 5);
    stage.image = vouchsafe::demo::registry::image(stage.store(), REPOSITORY, "v2", "another");
    sign(&stage);
    stage.admits(&stage.signed()).await;
    assert_eq!(stage.asked(), 3);
}

#[tokio::test]
async fn evidence_that_moved_is_found_again() {
    let mut stage = Stage::new().await;
    stage.sign(&stage.release, &BundleOptions::default());
    stage.admits(&stage.signed()).await;
    stage.image = vouchsafe::demo::registry::image(stage.store(), REPOSITORY, "v2", "another");
    let options = SignatureOptions::default();
    attach_signature(
        stage.store(),
        REPOSITORY,
        &stage.image,
        &stage.release,
        &options,
    )
    .unwrap();
    stage.admits(&stage.signed()).await;
}
