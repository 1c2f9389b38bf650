//! How evidence that refers to an image is found, and what an answer of the registry means.

use bytes::Bytes;
use rstest::rstest;
use vouchsafe::demo::signer::{BUNDLE, BundleOptions, ReferrerOptions};
use vouchsafe::limits::Limits;
use vouchsafe::verdict::Reason;

use crate::stage::{BUILDER, REPOSITORY, Stage};
use crate::support::registry::{Fault, Match};

fn status(status: u16) -> Fault {
    Fault::Status(status, Vec::new(), Bytes::from_static(b"{}"))
}

/// T-52: whatever else a registry answers, it did not say that there is nothing.
#[rstest]
#[case::unauthorized(401, Reason::RegistryAuth)]
#[case::forbidden(403, Reason::RegistryAuth)]
#[case::method_not_allowed(405, Reason::RegistryMalformed)]
#[case::throttled(429, Reason::RegistryThrottled)]
#[case::broken(500, Reason::RegistryUnreachable)]
#[case::unavailable(503, Reason::RegistryUnreachable)]
#[tokio::test]
async fn t52_only_404_means_absent(#[case] code: u16, #[case] reason: Reason) {
    let stage = Stage::new().await;
    stage.registry.on(Match::referrers(), status(code));
    stage.refuses(&stage.signed(), reason).await;
    stage.refuses(&stage.provenance(), reason).await;
}

/// T-52, for the tag that stands in for the referrers API.
#[rstest]
#[case(401, Reason::RegistryAuth)]
#[case(500, Reason::RegistryUnreachable)]
#[tokio::test]
async fn t52_only_404_means_absent_under_the_fallback_tag(
    #[case] code: u16,
    #[case] reason: Reason,
) {
    let stage = Stage::new().await;
    stage.store().serve_referrers(false);
    let tag = stage.image.tag_with_suffix("", "").unwrap();
    let path = format!("/v2/{REPOSITORY}/manifests/{tag}");
    stage.registry.on(
        Match::manifest().path(&path),
        Fault::All(vec![status(code)]),
    );
    stage
        .registry
        .on(Match::manifest().path(".sig"), status(404));
    stage.refuses(&stage.signed(), reason).await;
}

#[rstest]
#[case::html(b"<html></html>")]
#[case::nothing(b"")]
#[case::a_list(b"[]")]
#[case::a_manifest(br#"{"layers":[],"manifests":[]}"#)]
#[tokio::test]
async fn an_answer_that_is_no_list_is_not_an_empty_list(#[case] body: &'static [u8]) {
    let stage = Stage::new().await;
    let body = Fault::ReplaceBody(Bytes::from_static(body));
    stage.registry.on(Match::referrers(), body);
    stage
        .refuses(&stage.signed(), Reason::RegistryMalformed)
        .await;
}

#[tokio::test]
async fn an_endless_list_is_cut_at_its_bound() {
    let stage = Stage::new().await;
    let endless = Fault::EndlessBody {
        content_type: "application/vnd.oci.image.index.v1+json".to_owned(),
    };
    stage.registry.on(Match::referrers(), endless);
    stage.refuses(&stage.signed(), Reason::LimitExceeded).await;
    let read = stage.registry.bytes_streamed();
    assert!(read < 32 << 20, "{read}");
}

#[rstest]
#[tokio::test]
async fn a_bundle_on_any_page_is_found(
    #[values(1, 3, 7, 20)] per_page: usize,
    #[values(true, false)] filtered: bool,
) {
    let stage = Stage::new().await;
    stage.store().page_referrers(Some(per_page));
    stage.store().filter_referrers(filtered);
    stage.litter("application/spdx+json", 10);
    stage.sign(&stage.stranger, &BundleOptions::default());
    stage.sign(&stage.release, &BundleOptions::default());
    stage.admits(&stage.signed()).await;
}

#[tokio::test]
async fn sixteen_pages_are_read_and_one_more_is_too_many() {
    for (bundles, admitted) in [(16, true), (17, false)] {
        let stage = Stage::new().await;
        stage.store().page_referrers(Some(1));
        for _ in 1..bundles {
            stage.sign(&stage.stranger, &BundleOptions::default());
        }
        stage.sign(&stage.release, &BundleOptions::default());
        if admitted {
            stage.admits(&stage.signed()).await;
        } else {
            stage.refuses(&stage.signed(), Reason::LimitExceeded).await;
        }
    }
}

#[rstest]
#[case::of_another_repository("</v2/shop/other/referrers/SUBJECT?after=1>; rel=\"next\"")]
#[case::of_another_service("<http://169.254.169.254/latest/meta-data?x=y>; rel=\"next\"")]
#[tokio::test]
async fn a_list_that_goes_on_elsewhere_is_not_followed(#[case] link: &str) {
    let stage = Stage::new().await;
    let link = link.replace("SUBJECT", &stage.image.to_string());
    stage
        .registry
        .on(Match::referrers(), Fault::ReplaceHeader("link", link));
    stage
        .refuses(&stage.signed(), Reason::RegistryMalformed)
        .await;
    let requests = stage.registry.requests();
    assert!(requests.iter().all(|r| !r.path.contains("other")));
}

#[tokio::test]
async fn a_page_that_is_not_there_is_not_the_end_of_the_list() {
    let stage = Stage::new().await;
    stage.store().page_referrers(Some(1));
    stage.litter(BUNDLE, 3);
    let first_only = Fault::OnlyFirst(1, Box::new(Fault::Pass));
    stage.registry.on(Match::referrers(), status(404));
    stage.registry.on(Match::referrers(), first_only);
    stage
        .refuses(&stage.signed(), Reason::RegistryMalformed)
        .await;
}

/// What an index under the fallback tag says of a manifest was written by a client. The manifest itself decides.
#[rstest]
#[tokio::test]
async fn an_index_with_a_wrong_artifact_type_hides_nothing(
    #[values(
        "",
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.oci.empty.v1+json",
        "application/spdx+json",
        "application/vnd.dev.cosign.artifact.sig.v1+json"
    )]
    listed: &str,
) {
    let stage = Stage::new().await;
    stage.store().serve_referrers(false);
    let options = BundleOptions {
        manifest: ReferrerOptions {
            listed_artifact_type: Some(listed.to_owned()),
            ..ReferrerOptions::default()
        },
        ..BundleOptions::default()
    };
    stage.sign(&stage.release, &options);
    stage.admits(&stage.signed()).await;
}

#[rstest]
#[case::none("")]
#[case::that_of_the_config("application/vnd.oci.empty.v1+json")]
#[case::that_of_statements("application/vnd.in-toto+json")]
#[tokio::test]
async fn a_manifest_whose_artifact_type_does_not_tell_is_read(#[case] artifact_type: &str) {
    let stage = Stage::new().await;
    let options = BundleOptions {
        manifest: ReferrerOptions {
            artifact_type: Some(artifact_type.to_owned()),
            ..ReferrerOptions::default()
        },
        ..BundleOptions::default()
    };
    stage.attest(&stage.release, BUILDER, &options);
    stage.admits(&stage.provenance()).await;
}

#[tokio::test]
async fn the_fallback_tag_counts_only_where_there_is_no_referrers_api() {
    let stage = Stage::new().await;
    stage.store().serve_referrers(false);
    stage.sign(&stage.release, &BundleOptions::default());
    let tag = stage.image.tag_with_suffix("", "").unwrap();
    stage.registry.on(
        Match::referrers(),
        Fault::Status(
            200,
            vec![(
                "content-type",
                "application/vnd.oci.image.index.v1+json".to_owned(),
            )],
            Bytes::from_static(br#"{"schemaVersion":2,"manifests":[]}"#),
        ),
    );
    stage.refuses(&stage.signed(), Reason::Unsigned).await;
    let requests = stage.registry.requests();
    assert!(requests.iter().all(|r| !r.path.ends_with(tag.as_str())));
}

#[tokio::test]
async fn a_registry_is_asked_for_bundles_only_and_may_answer_with_everything() {
    let stage = Stage::new().await;
    stage.store().filter_referrers(false);
    stage.litter("application/spdx+json", 5);
    stage.refuses(&stage.signed(), Reason::Unsigned).await;
    let requests = stage.registry.requests();
    let lists: Vec<&str> = requests
        .iter()
        .map(|request| request.path.as_str())
        .filter(|path| path.contains("/referrers/"))
        .collect();
    assert_eq!(lists.len(), 1, "{lists:?}");
    assert!(lists[0].ends_with("?artifactType=application%2Fvnd.dev.sigstore.bundle.v0.3%2Bjson"));
}

#[tokio::test]
async fn evidence_kept_in_another_repository_is_found_there() {
    let stage = Stage::new().await;
    vouchsafe::demo::signer::attach_bundle_signature(
        stage.store(),
        "signatures/cart",
        &stage.image,
        &stage.release,
        &BundleOptions::default(),
    )
    .unwrap();
    stage.refuses(&stage.signed(), Reason::Unsigned).await;
    let elsewhere = format!("{}/signatures/cart", stage.registry.host());
    let policy = stage.policy(&serde_json::json!({"source": [{"oci": elsewhere}]}));
    stage.admits(&policy).await;
}

#[tokio::test]
async fn a_bundle_that_is_larger_than_an_attestation_may_be_is_not_fetched() {
    let mut limits = Limits::default();
    limits.evidence.attestation_bytes = 64;
    let stage = Stage::with_limits(&limits).await;
    stage.sign(&stage.release, &BundleOptions::default());
    stage.refuses(&stage.signed(), Reason::LimitExceeded).await;
    assert_eq!(stage.registry.counts().blob_get, 0);
}

/// cosign 2.6 says of every bundle that it signs an image. Its attestations are found nevertheless, where nothing else is enough; and
/// they are no signatures.
#[rstest]
#[case::by_the_referrers_api(true)]
#[case::by_the_fallback_tag(false)]
#[tokio::test]
async fn an_attestation_that_is_said_to_sign_the_image_is_found(#[case] api: bool) {
    let stage = Stage::new().await;
    stage.store().serve_referrers(api);
    let said = [
        ("dev.sigstore.bundle.content", "dsse-envelope"),
        (
            "dev.sigstore.bundle.predicateType",
            "https://sigstore.dev/cosign/sign/v1",
        ),
    ];
    let said = said.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let options = BundleOptions {
        manifest: ReferrerOptions {
            annotations: Some(said.into()),
            ..ReferrerOptions::default()
        },
        ..BundleOptions::default()
    };
    stage.attest(&stage.release, BUILDER, &options);
    stage.admits(&stage.provenance()).await;
    stage.refuses(&stage.signed(), Reason::Unsigned).await;
}
