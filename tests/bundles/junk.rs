//! Anybody who may push can add referrers. What he adds neither hides a good one, nor costs more than the bounds.

use rstest::rstest;
use vouchsafe::demo::registry::IMAGE_MANIFEST;
use vouchsafe::demo::signer::{BUNDLE, BundleOptions, ReferrerOptions};
use vouchsafe::image::Digest;
use vouchsafe::verdict::Reason;

use crate::stage::{BUILDER, REPOSITORY, Stage};

/// The bounds of one image: entries of a list, and candidates among them.
const ENTRIES: usize = 2_000;
const CANDIDATES: usize = 128;

fn honest() -> BundleOptions {
    BundleOptions::default()
}

/// How the registry lists referrers.
#[derive(Clone, Copy, Debug)]
enum Listing {
    Filtered,
    Whole,
    InPages,
    FallbackTag,
}

impl Listing {
    fn set(self, stage: &Stage) {
        let store = stage.store();
        match self {
            Self::Filtered => {}
            Self::Whole => store.filter_referrers(false),
            Self::InPages => {
                store.filter_referrers(false);
                store.page_referrers(Some(130));
            }
            Self::FallbackTag => store.serve_referrers(false),
        }
    }
}

/// Every request that the bounds allow: the list in pages and the tag before it, then a manifest and a layer for each candidate.
const MOST_REQUESTS: usize = 2 * CANDIDATES + 20;

/// T-79: junk, bad signatures and one good one, in every order that digests can have.
#[rstest]
#[tokio::test]
async fn t79_junk_and_bad_signatures_do_not_hide_a_good_one(
    #[values(
        Listing::Filtered,
        Listing::Whole,
        Listing::InPages,
        Listing::FallbackTag
    )]
    listing: Listing,
    #[values(0, 60, CANDIDATES - 1)] bad_before: usize,
) {
    let stage = Stage::new().await;
    listing.set(&stage);
    stage.litter("application/spdx+json", 900);
    for _ in 0..bad_before {
        stage.sign(&stage.stranger, &honest());
    }
    stage.sign(&stage.release, &honest());
    for _ in bad_before + 1..CANDIDATES {
        stage.sign(&stage.stranger, &honest());
    }
    stage.litter(
        "application/vnd.cncf.notary.signature",
        ENTRIES - CANDIDATES - 900,
    );
    stage.admits(&stage.signed()).await;
    let asked = stage.asked();
    assert!(asked <= MOST_REQUESTS, "{asked}");
}

#[rstest]
#[tokio::test]
async fn t79_one_candidate_more_than_the_bound_is_never_called_unsigned(
    #[values(Listing::Filtered, Listing::Whole, Listing::FallbackTag)] listing: Listing,
) {
    let stage = Stage::new().await;
    listing.set(&stage);
    for _ in 0..=CANDIDATES {
        stage.attest(&stage.stranger, BUILDER, &honest());
        stage.sign(&stage.stranger, &honest());
    }
    stage.refuses(&stage.signed(), Reason::LimitExceeded).await;
    stage
        .refuses(&stage.provenance(), Reason::LimitExceeded)
        .await;
    assert!(stage.asked() <= 20);
}

#[tokio::test]
async fn t79_one_entry_more_than_the_bound_is_never_called_unsigned() {
    for listing in [Listing::Whole, Listing::FallbackTag] {
        let stage = Stage::new().await;
        listing.set(&stage);
        stage.litter("application/spdx+json", ENTRIES + 1);
        stage.refuses(&stage.signed(), Reason::LimitExceeded).await;
    }
}

/// A registry that filters leaves out what nobody asked for, however much it is.
#[tokio::test]
async fn t79_more_junk_than_is_read_does_not_hide_a_bundle_from_a_registry_that_filters() {
    let stage = Stage::new().await;
    stage.litter("application/spdx+json", ENTRIES + 1);
    stage.sign(&stage.release, &honest());
    stage.admits(&stage.signed()).await;
}

/// Documents that say they are bundles and are broken in one way each.
fn break_one(stage: &Stage, how: usize) {
    let broken = BundleOptions {
        layer: Some(format!("not a bundle {how}").into_bytes()),
        ..honest()
    };
    let attached = vouchsafe::demo::signer::attach_bundle_signature(
        stage.store(),
        REPOSITORY,
        &stage.image,
        &stage.stranger,
        &broken,
    )
    .unwrap();
    match how {
        0 => {}
        1 => {
            stage.store().remove_blob(REPOSITORY, &attached.layer);
        }
        2 => {
            let not_json = format!("{{\"subject\":{{\"digest\":\"{}\"}}", stage.image);
            stage
                .store()
                .push_manifest(REPOSITORY, None, IMAGE_MANIFEST, not_json);
        }
        3 => {
            let not_a_manifest = format!(
                r#"{{"artifactType":"{BUNDLE}","subject":{{"digest":"{}"}},"layers":7}}"#,
                stage.image
            );
            stage
                .store()
                .push_manifest(REPOSITORY, None, IMAGE_MANIFEST, not_a_manifest);
        }
        4 => {
            let claims_too_much = format!(
                r#"{{"schemaVersion":2,"mediaType":"{IMAGE_MANIFEST}","artifactType":"{BUNDLE}","subject":{{"mediaType":"{IMAGE_MANIFEST}","size":1,"digest":"{0}"}},"config":{{"mediaType":"application/vnd.oci.empty.v1+json","size":2,"digest":"{0}"}},"layers":[{{"mediaType":"{BUNDLE}","size":99999999999,"digest":"{0}"}}]}}"#,
                stage.image
            );
            stage
                .store()
                .push_manifest(REPOSITORY, None, IMAGE_MANIFEST, claims_too_much);
        }
        _ => {
            let both = format!(
                r#"{{"schemaVersion":2,"artifactType":"{BUNDLE}","subject":{{"digest":"{}"}},"layers":[],"manifests":[]}}"#,
                stage.image
            );
            stage
                .store()
                .push_manifest(REPOSITORY, None, IMAGE_MANIFEST, both);
        }
    }
}

#[tokio::test]
async fn broken_documents_do_not_hide_a_good_one() {
    let stage = Stage::new().await;
    for how in 0..6 {
        break_one(&stage, how);
    }
    stage.sign(&stage.release, &honest());
    stage.admits(&stage.signed()).await;
}

/// Together they claim more than the process holds at one time, each of them as much as it may.
#[tokio::test]
async fn documents_that_are_large_together_do_not_hide_a_good_one() {
    let stage = Stage::new().await;
    for number in 0..10 {
        let absent = Digest::sha256_of(format!("absent {number}").as_bytes());
        let claims = format!(
            r#"{{"schemaVersion":2,"mediaType":"{IMAGE_MANIFEST}","artifactType":"{BUNDLE}","subject":{{"mediaType":"{IMAGE_MANIFEST}","size":1,"digest":"{0}"}},"config":{{"mediaType":"application/vnd.oci.empty.v1+json","size":2,"digest":"{0}"}},"layers":[{{"mediaType":"{BUNDLE}","size":16777216,"digest":"{absent}"}}]}}"#,
            stage.image
        );
        stage
            .store()
            .push_manifest(REPOSITORY, None, IMAGE_MANIFEST, claims);
    }
    stage
        .refuses(&stage.signed(), Reason::RegistryMalformed)
        .await;
    let stage_with_one = Stage::new().await;
    for manifest in stage.store().manifests(REPOSITORY) {
        stage_with_one
            .store()
            .push_manifest(REPOSITORY, None, IMAGE_MANIFEST, manifest.bytes);
    }
    stage_with_one.sign(&stage_with_one.release, &honest());
    stage_with_one.admits(&stage_with_one.signed()).await;
}

#[rstest]
#[case::no_bundle(0, Reason::PredicateMalformed)]
#[case::no_layer(1, Reason::RegistryMalformed)]
#[case::no_manifest(3, Reason::PredicateMalformed)]
#[case::too_large(4, Reason::LimitExceeded)]
#[case::manifest_and_index(5, Reason::RegistryMalformed)]
#[tokio::test]
async fn a_broken_document_alone_is_never_called_unsigned(
    #[case] how: usize,
    #[case] reason: Reason,
) {
    let stage = Stage::new().await;
    break_one(&stage, how);
    stage.refuses(&stage.signed(), reason).await;
}

/// A `.sig` that cannot be read stands in the way of nothing.
#[tokio::test]
async fn a_broken_tag_does_not_hide_a_bundle() {
    let stage = Stage::new().await;
    let tag = stage.image.tag_with_suffix("", "sig").unwrap();
    stage
        .store()
        .push_manifest(REPOSITORY, Some(tag.as_str()), IMAGE_MANIFEST, "{}");
    stage
        .refuses(&stage.signed(), Reason::RegistryMalformed)
        .await;
    let stage = Stage::new().await;
    stage
        .store()
        .push_manifest(REPOSITORY, Some(tag.as_str()), IMAGE_MANIFEST, "{}");
    stage.sign(&stage.release, &honest());
    stage.admits(&stage.signed()).await;
}

/// The same manifest in a list many times is one manifest.
#[tokio::test]
async fn an_entry_that_is_repeated_counts_once() {
    let stage = Stage::new().await;
    stage.store().serve_referrers(false);
    let options = BundleOptions {
        manifest: ReferrerOptions::default(),
        ..honest()
    };
    stage.sign(&stage.release, &options);
    let tag = stage.image.tag_with_suffix("", "").unwrap();
    let index = stage.store().manifest(REPOSITORY, tag.as_str()).unwrap();
    let mut index: serde_json::Value = serde_json::from_slice(&index.bytes).unwrap();
    let entry = index["manifests"][0].clone();
    index["manifests"] = vec![entry; 500].into();
    stage.store().push_manifest(
        REPOSITORY,
        Some(tag.as_str()),
        "application/vnd.oci.image.index.v1+json",
        index.to_string(),
    );
    stage.admits(&stage.signed()).await;
    assert!(stage.asked() <= 5);
}
