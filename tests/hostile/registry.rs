//! Registries that lie, contradict themselves, break off or answer nonsense.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use vouchsafe::demo::registry::{IMAGE_INDEX, IMAGE_MANIFEST, image};
use vouchsafe::demo::signer::SignatureOptions;

use crate::stage::{Image, Stage};
use crate::support::registry::{Fault, Match};
use crate::support::webhook::Review;

/// The header that names the digest of a manifest.
const CONTENT_DIGEST: &str = "docker-content-digest";

fn claims(digest: &dyn std::fmt::Display) -> Fault {
    Fault::ReplaceHeader(CONTENT_DIGEST, digest.to_string())
}

fn head_of_tag() -> Match {
    Match::manifest().method(Method::HEAD).path("/v1")
}

/// Another image in the repository of `image`.
fn beside(stage: &Stage, image_: &Image) -> Image {
    let (name, digest) = (
        &image_.name,
        image(stage.store(), &image_.name, "other", "other"),
    );
    Image {
        name: name.clone(),
        digest,
        ..image_.clone()
    }
}

/// T-03: a registry that names another digest at each call is asked once, and that digest is the one that is judged and reported.
#[tokio::test]
async fn an_alternating_tag_is_asked_once_and_judged_at_the_digest_that_was_named() {
    let stage = Stage::new().await;
    let signed = stage.signed("t/app");
    let unsigned = beside(&stage, &signed);
    let answers = vec![claims(&signed.digest), claims(&unsigned.digest)];
    stage.registry.on(head_of_tag(), Fault::Alternate(answers));
    let webhook = stage.wants_signature().await;
    let tagged = signed.tagged();
    for round in 0..4 {
        stage.registry.reset_counts();
        let answered = webhook
            .review(&Review::of(&[&tagged, &tagged, &tagged]))
            .await;
        let judged = if round % 2 == 0 {
            answered.admitted("satisfied");
            &signed
        } else {
            answered.denied("unsigned");
            &unsigned
        };
        assert_eq!(answered.digests(), judged.digest.to_string());
        assert_eq!(stage.registry.counts().manifest_head, 1);
    }
}

/// T-03: two spellings in one Pod that are answered differently are both judged, and the worse one counts.
#[tokio::test]
async fn a_registry_that_shows_two_containers_two_digests_gets_neither_past() {
    let stage = Stage::new().await;
    let signed = stage.signed("t/app");
    let unsigned = beside(&stage, &signed);
    stage.store().retag("t/app", "v2", &signed.digest);
    let answers = vec![claims(&signed.digest), claims(&unsigned.digest)];
    stage.registry.on(
        Match::manifest().method(Method::HEAD),
        Fault::Alternate(answers),
    );
    let webhook = stage.wants_signature().await;
    let other = signed.tagged().replace(":v1", ":v2");
    webhook
        .review(&Review::of(&[&signed.tagged(), &other]))
        .await
        .denied("unsigned");
}

/// T-05: without the header the manifest is fetched and hashed, and a body that changes per call is a digest that changes with it.
#[tokio::test]
async fn without_a_digest_header_the_bytes_that_came_are_what_is_judged() {
    let stage = Stage::new().await;
    let signed = stage.signed("t/app");
    let unsigned = beside(&stage, &signed);
    let body = |image: &Image| {
        let found = stage
            .store()
            .manifest("t/app", &image.digest.to_string())
            .unwrap();
        Fault::All(vec![
            Fault::ReplaceBody(found.bytes),
            Fault::RemoveHeader(CONTENT_DIGEST),
        ])
    };
    stage
        .registry
        .on(head_of_tag(), Fault::RemoveHeader(CONTENT_DIGEST));
    let bodies = Fault::Alternate(vec![body(&signed), body(&unsigned)]);
    stage
        .registry
        .on(Match::manifest().method(Method::GET).path("/v1"), bodies);
    let webhook = stage.wants_signature().await;
    let first = webhook.judge(&signed.tagged()).await;
    first.admitted("satisfied");
    assert_eq!(first.digests(), signed.digest.to_string());
    let second = webhook.judge(&signed.tagged()).await;
    second.denied("unsigned");
    assert_eq!(second.digests(), unsigned.digest.to_string());
}

/// T-05: a header that names a signed image over a body that is another one, manifest or index.
#[tokio::test]
async fn a_digest_header_that_its_body_does_not_have_is_a_digest_mismatch() {
    let stage = Stage::new().await;
    let signed = stage.signed("t/app");
    let sample = vouchsafe::demo::registry::index(stage.store(), "t/app", "multi", "multi");
    stage
        .registry
        .on(head_of_tag(), Fault::RemoveHeader(CONTENT_DIGEST));
    let webhook = stage.wants_signature().await;
    for body in [
        sample.index.to_string(),
        sample.amd64.to_string(),
        "v1".to_owned(),
    ] {
        let found = stage.store().manifest("t/app", &body).unwrap();
        let lie = if body == "v1" {
            &sample.index
        } else {
            &signed.digest
        };
        let faults = vec![Fault::ReplaceBody(found.bytes), claims(lie)];
        stage.registry.on(
            Match::manifest().method(Method::GET).path("/v1"),
            Fault::All(faults),
        );
        webhook
            .judge(&signed.tagged())
            .await
            .denied("digest-mismatch");
    }
}

/// T-05: what is signed is the index; a header that leads to a member of it leads to an unsigned image.
#[tokio::test]
async fn the_signature_of_an_index_says_nothing_about_its_members() {
    let stage = Stage::new().await;
    let sample = vouchsafe::demo::registry::index(stage.store(), "t/app", "v1", "multi");
    let at = |digest: &vouchsafe::image::Digest| Image {
        name: "t/app".to_owned(),
        digest: digest.clone(),
        host: stage.registry.host(),
    };
    let (index, member) = (at(&sample.index), at(&sample.amd64));
    stage.sign(&index, &SignatureOptions::default());
    let webhook = stage.wants_signature().await;
    webhook.judge(&index.tagged()).await.admitted("satisfied");
    stage.registry.on(head_of_tag(), claims(&member.digest));
    webhook.judge(&index.tagged()).await.denied("unsigned");
    webhook.judge(&member.pinned()).await.denied("unsigned");
}

/// T-71: a tag that moved is judged at its new digest, whatever was remembered about the old one.
#[tokio::test]
async fn a_moved_tag_is_judged_at_its_new_digest() {
    let stage = Stage::new().await;
    let signed = stage.signed("t/app");
    let unsigned = beside(&stage, &signed);
    let webhook = stage.wants_signature().await;
    webhook.judge(&signed.tagged()).await.admitted("satisfied");
    stage.store().retag("t/app", "v1", &unsigned.digest);
    let moved = webhook.judge(&signed.tagged()).await;
    moved.denied("unsigned");
    assert_eq!(moved.digests(), unsigned.digest.to_string());
    stage.store().retag("t/app", "v1", &signed.digest);
    webhook.judge(&signed.tagged()).await.admitted("satisfied");
}

/// T-50: one document, one kind; and what lists evidence is a manifest.
#[rstest]
#[case::layers_and_manifests(|manifest: &mut Value| manifest["manifests"] = json!([]), IMAGE_MANIFEST)]
#[case::called_an_index_by_its_header(|_: &mut Value| (), IMAGE_INDEX)]
#[case::called_an_index_by_itself(|manifest: &mut Value| manifest["mediaType"] = json!(IMAGE_INDEX), IMAGE_MANIFEST)]
#[case::an_index_with_layers(|manifest: &mut Value| manifest["mediaType"] = json!(IMAGE_INDEX), IMAGE_INDEX)]
#[case::of_no_known_kind(|manifest: &mut Value| manifest["layers"] = json!({}), IMAGE_MANIFEST)]
#[case::without_layers(|manifest: &mut Value| { manifest.as_object_mut().unwrap().remove("layers"); }, IMAGE_MANIFEST)]
#[case::layers_that_are_null(|manifest: &mut Value| manifest["layers"] = json!(null), IMAGE_MANIFEST)]
#[case::another_schema(|manifest: &mut Value| manifest["schemaVersion"] = json!("two"), IMAGE_MANIFEST)]
#[tokio::test]
async fn a_listing_that_could_be_two_things_is_malformed(
    #[case] spoil: fn(&mut Value),
    #[case] media_type: &str,
) {
    let stage = Stage::new().await;
    let signed = stage.signed("t/app");
    respell(&stage, &signed, media_type, spoil);
    let webhook = stage.wants_signature().await;
    webhook
        .judge(&signed.pinned())
        .await
        .denied("registry-malformed");
}

/// T-54: a digest is an allowed algorithm and its number of lower-case hex digits, and nothing else becomes part of an address.
#[rstest]
#[case::upper_case(|digest: &str| digest.to_uppercase())]
#[case::upper_case_hex(|digest: &str| format!("sha256:{}", digest[7..].to_uppercase()))]
#[case::too_short(|digest: &str| digest[..70].to_owned())]
#[case::too_long(|digest: &str| format!("{digest}0"))]
#[case::another_algorithm(|digest: &str| digest.replace("sha256", "sha1"))]
#[case::md5(|_: &str| format!("md5:{}", "0".repeat(32)))]
#[case::a_path(|_: &str| "sha256:../../../t/other/blobs/sha256:0".to_owned())]
#[case::a_query(|digest: &str| format!("{digest}?x=y"))]
#[case::a_space(|digest: &str| format!(" {digest}"))]
#[case::empty(|_: &str| String::new())]
#[tokio::test]
async fn a_layer_whose_digest_is_none_is_malformed(#[case] spoil: fn(&str) -> String) {
    let stage = Stage::new().await;
    let signed = stage.signed("t/app");
    respell(&stage, &signed, IMAGE_MANIFEST, |manifest| {
        let digest = manifest["layers"][0]["digest"].as_str().unwrap();
        manifest["layers"][0]["digest"] = json!(spoil(digest));
    });
    let webhook = stage.wants_signature().await;
    webhook
        .judge(&signed.pinned())
        .await
        .denied("registry-malformed");
    assert_eq!(stage.registry.counts().blob_get, 0);
}

/// T-54: as above in the header that a tag is answered with.
#[rstest]
#[case::a_word("latest")]
#[case::upper_case_hex("sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
#[case::another_algorithm("sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709")]
#[case::empty("")]
#[tokio::test]
async fn a_digest_header_that_is_none_is_malformed(#[case] header: &str) {
    let stage = Stage::new().await;
    let signed = stage.signed("t/app");
    stage.registry.on(
        head_of_tag(),
        Fault::ReplaceHeader(CONTENT_DIGEST, header.to_owned()),
    );
    let webhook = stage.wants_signature().await;
    webhook
        .judge(&signed.tagged())
        .await
        .denied("registry-malformed");
}

/// T-51: a constant body for every blob.
#[rstest]
#[case::of_the_same_length(0, "digest-mismatch")]
#[case::shorter(-1, "digest-mismatch")]
#[case::longer(1, "registry-malformed")]
#[case::empty(i64::MIN, "digest-mismatch")]
#[tokio::test]
async fn a_blob_of_other_bytes_is_not_the_blob(#[case] longer: i64, #[case] reason: &str) {
    let stage = Stage::new().await;
    let image = stage.image("t/app");
    let attached = stage.sign(&image, &SignatureOptions::default());
    let length = stage.store().blob("t/app", &attached.layer).unwrap().len();
    let length = i64::try_from(length).unwrap().saturating_add(longer).max(0);
    let body = Bytes::from(vec![b' '; usize::try_from(length).unwrap()]);
    stage.registry.on(Match::blob(), Fault::ReplaceBody(body));
    let webhook = stage.wants_signature().await;
    webhook.judge(&image.pinned()).await.denied(reason);
    stage.registry.clear_faults();
    webhook.judge(&image.pinned()).await.admitted("satisfied");
}

/// T-51: one bit.
#[tokio::test]
async fn a_blob_with_one_bit_flipped_is_a_digest_mismatch() {
    let stage = Stage::new().await;
    let image = stage.image("t/app");
    let attached = stage.sign(&image, &SignatureOptions::default());
    let mut bytes = stage
        .store()
        .blob("t/app", &attached.layer)
        .unwrap()
        .to_vec();
    bytes[40] ^= 1;
    stage
        .registry
        .on(Match::blob(), Fault::ReplaceBody(Bytes::from(bytes)));
    let webhook = stage.wants_signature().await;
    webhook
        .judge(&image.pinned())
        .await
        .denied("digest-mismatch");
}

/// A blob that its manifest lists and that is not there has been lost, which is not the same as never having been.
#[tokio::test]
async fn a_listed_blob_that_is_missing_is_not_absence() {
    let stage = Stage::new().await;
    let image = stage.image("t/app");
    let attached = stage.sign(&image, &SignatureOptions::default());
    stage.store().remove_blob("t/app", &attached.layer);
    let webhook = stage.wants_signature().await;
    webhook
        .judge(&image.pinned())
        .await
        .denied("registry-malformed");
}

/// A tag that the registry does not know cannot be judged: there is no digest.
#[tokio::test]
async fn an_unknown_tag_is_not_unsigned() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    let webhook = stage.wants_signature().await;
    webhook
        .judge(&image.tagged().replace(":v1", ":v9"))
        .await
        .unjudged();
}

fn body(text: &'static [u8]) -> Fault {
    let body = Fault::ReplaceBody(Bytes::from_static(text));
    Fault::All(vec![body, Fault::RemoveHeader(CONTENT_DIGEST)])
}

fn status(code: u16, headers: &[(&'static str, &str)]) -> Fault {
    let headers = headers
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    Fault::Status(code, headers.collect(), Bytes::from_static(b"<html>oops"))
}

/// Whatever goes wrong with the listing of signatures is *could not judge*, and is over when the registry is well again.
#[rstest]
#[case::internal_error(status(500, &[]), "registry-unreachable")]
#[case::bad_gateway(status(502, &[]), "registry-unreachable")]
#[case::unavailable(status(503, &[]), "registry-unreachable")]
#[case::gateway_timeout(status(504, &[]), "registry-unreachable")]
#[case::closed_without_an_answer(Fault::CloseConnection, "registry-unreachable")]
#[case::truncated(Fault::Truncate { n: 20 }, "registry-unreachable")]
#[case::forbidden(status(403, &[]), "registry-auth")]
#[case::unauthorized_without_a_challenge(status(401, &[]), "registry-auth")]
#[case::unauthorized_with_a_challenge_of_garbage(status(401, &[("www-authenticate", "Bearer realm=\"")]), "registry-auth")]
#[case::bad_request(status(400, &[]), "registry-malformed")]
#[case::gone(status(410, &[]), "registry-malformed")]
#[case::a_teapot(status(418, &[]), "registry-malformed")]
#[case::no_content(status(204, &[]), "registry-malformed")]
#[case::partial_content(status(206, &[]), "registry-malformed")]
#[case::not_modified(status(304, &[]), "registry-malformed")]
#[case::throttled_for_no_time(status(429, &[("retry-after", "soon")]), "registry-throttled")]
#[case::a_page(status(200, &[("content-type", "text/html")]), "registry-malformed")]
#[case::a_page_called_a_manifest(status(200, &[("content-type", IMAGE_MANIFEST)]), "registry-malformed")]
#[case::nothing(body(b""), "registry-malformed")]
#[case::half_a_document(body(b"{\"schemaVersion\":2,\"lay"), "registry-malformed")]
#[case::a_list(body(b"[]"), "registry-malformed")]
#[case::an_empty_object(body(b"{}"), "registry-malformed")]
#[case::not_utf8(body(b"{\"layers\":[],\"x\":\"\xff\"}"), "registry-malformed")]
#[case::a_nul(body(b"{\"layers\":[]}\0"), "registry-malformed")]
#[case::layers_twice(
    body(b"{\"schemaVersion\":2,\"layers\":[],\"layers\":[]}"),
    "registry-malformed"
)]
#[case::other_bytes_than_the_header_says(
    Fault::ReplaceBody(Bytes::from_static(b"{}")),
    "digest-mismatch"
)]
#[tokio::test]
async fn a_broken_listing_is_not_absence_and_heals(#[case] fault: Fault, #[case] reason: &str) {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    stage.registry.on(Match::manifest(), fault);
    let webhook = stage.wants_signature().await;
    webhook.judge(&image.pinned()).await.denied(reason);
    stage.registry.clear_faults();
    let healed = webhook.judge(&image.pinned()).await;
    healed.admitted("satisfied");
    assert!(healed.took < Duration::from_secs(1), "{:?}", healed.took);
}

/// The same for a policy that only warns: it never denies, and it says why it could not judge.
#[tokio::test]
async fn a_broken_listing_under_a_warn_policy_warns() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    stage.registry.on(Match::manifest(), Fault::status(503));
    let policies = crate::support::policies::yaml(&[stage.release().mode("warn")]);
    let webhook = crate::support::webhook::Webhook::start(&policies).await;
    let answered = webhook.judge(&image.pinned()).await;
    answered.admitted("registry-unreachable");
    assert!(!answered.warnings.is_empty());
    assert!(
        !answered.warnings.join("").contains("no signatures found"),
        "{:?}",
        answered.warnings
    );
}

/// A first failure costs nothing: what may be transient is asked again within the deadline.
#[rstest]
#[case::server_error(Fault::status(503))]
#[case::closed(Fault::CloseConnection)]
#[case::truncated(Fault::Truncate { n: 20 })]
#[case::throttled_for_a_moment(status(429, &[("retry-after", "0")]))]
#[tokio::test]
async fn a_passing_fault_is_not_noticed(#[case] fault: Fault) {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    stage
        .registry
        .on(Match::manifest(), Fault::only_first(1, fault));
    let webhook = stage.wants_signature().await;
    webhook.judge(&image.pinned()).await.admitted("satisfied");
}

/// A registry that asks for a day is not waited for, and is left alone.
#[tokio::test]
async fn a_throttling_registry_is_answered_for_at_once_and_left_alone() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    stage
        .registry
        .on(Match::manifest(), status(429, &[("retry-after", "86400")]));
    let webhook = stage.wants_signature().await;
    for _ in 0..3 {
        let answered = webhook.judge(&image.pinned()).await;
        answered.denied("registry-throttled");
        assert!(
            answered.took < Duration::from_secs(1),
            "{:?}",
            answered.took
        );
    }
    assert_eq!(stage.registry.counts().total(), 1);
}

/// Nobody listens there.
#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    let webhook = stage.wants_signature().await;
    stage.registry.stop().await;
    for reference in [image.pinned(), image.tagged()] {
        webhook
            .judge(&reference)
            .await
            .denied("registry-unreachable");
    }
}

/// Somebody listens there, who does not speak HTTP.
#[tokio::test]
async fn a_port_that_speaks_something_else_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap();
    let speaking = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // Whether it is heard does not matter.
            let _heard = stream
                .write_all(b"\x15\x03\x01\x00\x02\x02\x46\0\xff\r\n\r\n")
                .await;
        }
    });
    let stage = Stage::new().await;
    let webhook = stage.wants_signature().await;
    let digest = stage.image("t/app").digest;
    webhook
        .judge(&format!("{host}/t/app@{digest}"))
        .await
        .denied("registry-unreachable");
    speaking.abort();
}

/// Pushes the listing of signatures again, changed, under a media type.
fn respell(stage: &Stage, image: &Image, media_type: &str, change: impl FnOnce(&mut Value)) {
    let found = stage.store().manifest(&image.name, &image.sig()).unwrap();
    let mut manifest: Value = serde_json::from_slice(&found.bytes).unwrap();
    change(&mut manifest);
    stage.store().push_manifest(
        &image.name,
        Some(&image.sig()),
        media_type,
        manifest.to_string(),
    );
}
