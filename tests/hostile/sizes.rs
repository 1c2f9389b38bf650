//! T-06: whatever a registry sends, claims or lists, the webhook's memory stays what it was, give or take its own bounds.

use std::fmt::Write as _;

use serde_json::{Value, json};
use vouchsafe::demo::registry::IMAGE_MANIFEST;
use vouchsafe::demo::signer::{AttestationOptions, SignatureOptions};

use crate::process::Process;
use crate::stage::{Image, Stage};
use crate::support::policies::yaml;
use crate::support::registry::{Fault, Match};
use crate::support::webhook::Review;

/// What hostile answers may add to the memory of the process.
const GROWTH: u64 = 128 << 20;
/// The same where as much evidence is in flight as may be: 64 MiB of it, decoded once more, and 64 MiB kept of what was before.
const GROWTH_AT_THE_BOUND: u64 = 256 << 20;

/// A webhook in a process of its own that wants a signature for `t/…` and provenance for `b/…`. It is given all the time there is:
/// these tests are about size.
struct Scales {
    stage: Stage,
    process: Process,
    before: u64,
}

impl Scales {
    /// Started, and warm: it has judged something good.
    async fn new() -> Self {
        let stage = Stage::new().await;
        let policies = [
            stage.release().glob("**/t/**"),
            stage.provenance().glob("**/b/**"),
        ];
        let process = Process::start(&yaml(&policies));
        let scales = Self {
            before: 0,
            stage,
            process,
        };
        scales.still_works("warm").await;
        let before = scales.process.peak_memory();
        Self { before, ..scales }
    }

    async fn still_works(&self, name: &str) {
        for image in [
            self.stage.signed(&format!("t/{name}")),
            self.stage.built(&format!("b/{name}")),
        ] {
            let review = Review::of(&[&image.pinned()]).timeout(30);
            self.process.review(&review).await.admitted("satisfied");
        }
    }

    /// Each image is denied for this reason, all asked for at once; the memory did not grow, and good ones are admitted after it.
    async fn denies(&self, images: &[Image], reason: &str) {
        self.denies_within(GROWTH, images, reason).await;
    }

    async fn denies_within(&self, growth: u64, images: &[Image], reason: &str) {
        let reviews: Vec<Review> = images
            .iter()
            .map(|image| Review::of(&[&image.pinned()]).timeout(30))
            .collect();
        let asked = reviews.iter().map(|review| self.process.review(review));
        for answered in futures::future::join_all(asked).await {
            answered.denied(reason);
        }
        let grown = self.process.peak_memory().saturating_sub(self.before);
        assert!(grown < growth, "{} MiB more", grown >> 20);
        self.still_works("after").await;
    }
}

#[tokio::test]
async fn an_endless_listing_is_cut_off_at_its_bound() {
    let scales = Scales::new().await;
    let image = scales.stage.signed("t/app");
    let endless = Fault::EndlessBody {
        content_type: IMAGE_MANIFEST.to_owned(),
    };
    scales
        .stage
        .registry
        .on(Match::manifest().path("t/app"), endless);
    scales.denies(&[image], "limit-exceeded").await;
}

#[tokio::test]
async fn endless_listings_at_the_same_time_are_cut_off_at_their_bound() {
    let scales = Scales::new().await;
    let images: Vec<Image> = (0..8)
        .map(|number| scales.stage.signed(&format!("t/app{number}")))
        .collect();
    let endless = Fault::EndlessBody {
        content_type: IMAGE_MANIFEST.to_owned(),
    };
    scales
        .stage
        .registry
        .on(Match::manifest().path("t/app"), endless);
    scales.denies(&images, "limit-exceeded").await;
}

/// A size that is claimed is a bound, never an allocation, and one beyond the bound is not asked for.
#[tokio::test]
async fn a_blob_that_claims_a_gibibyte_is_not_asked_for() {
    let scales = Scales::new().await;
    let image = scales.stage.image("t/app");
    let attached = scales.stage.sign(&image, &SignatureOptions::default());
    scales.stage.registry.reset_counts();
    let attestation = scales.stage.built("b/app");
    for (image, tag) in [(&image, image.sig()), (&attestation, attestation.att())] {
        claim_size(&scales.stage, image, &tag, 1 << 30);
    }
    let before = blobs_of(&scales.stage, "/app/");
    scales.denies(&[image, attestation], "limit-exceeded").await;
    assert_eq!(blobs_of(&scales.stage, "/app/"), before, "{attached:?}");
}

/// An endless blob ends at the size that its listing claims.
#[tokio::test]
async fn an_endless_blob_ends_at_its_claimed_size() {
    let scales = Scales::new().await;
    let images: Vec<Image> = (0..4)
        .map(|number| {
            let image = scales.stage.built(&format!("b/app{number}"));
            claim_size(&scales.stage, &image, &image.att(), 16 << 20);
            image
        })
        .collect();
    let endless = Fault::EndlessBody {
        content_type: "application/octet-stream".to_owned(),
    };
    scales
        .stage
        .registry
        .on(Match::blob().path("b/app"), endless);
    // Each has another layer, so that none of them is answered by another one's fetch.
    scales.denies(&images[..1], "registry-malformed").await;
}

/// 128 candidates are looked at. One more is a bound that was met, not an absence.
#[tokio::test]
async fn more_candidates_than_are_judged_is_a_limit() {
    let scales = Scales::new().await;
    let signed_times = |layers: usize| {
        let image = scales.stage.signed(&format!("t/app{layers}"));
        let store = scales.stage.store();
        let found = store.manifest(&image.name, &image.sig()).unwrap();
        let mut manifest: Value = serde_json::from_slice(&found.bytes).unwrap();
        manifest["layers"] = json!(vec![manifest["layers"][0].clone(); layers]);
        let (tag, bytes) = (image.sig(), manifest.to_string());
        store.push_manifest(&image.name, Some(&tag), IMAGE_MANIFEST, bytes);
        image
    };
    let images = [129, 5_000].map(signed_times);
    scales.denies(&images, "limit-exceeded").await;
    let review = Review::of(&[&signed_times(128).pinned()]).timeout(30);
    scales.process.review(&review).await.admitted("satisfied");
}

/// Many attestations, each as large as it may be, are never held together: not for one image, and not for several at once.
#[tokio::test]
async fn many_large_attestations_are_not_held_together() {
    let scales = Scales::new().await;
    let attested = |name: &str, count: usize| {
        let image = scales.stage.image(name);
        for number in 0..count {
            let payload = format!("{number:04}{}", "A".repeat(7 << 20));
            let options = AttestationOptions {
                payload: Some(payload),
                ..AttestationOptions::default()
            };
            scales.stage.attest_as(
                &scales.stage.stranger,
                &image,
                vouchsafe::demo::signer::SLSA_PROVENANCE_V02,
                &options,
            );
        }
        image
    };
    let many = attested("b/many", 10);
    // Judged all the same, a part at a time: large ones must not hide a good one among them.
    scales
        .denies_within(GROWTH_AT_THE_BOUND, &[many], "untrusted-signer")
        .await;
    let several: Vec<Image> = (0..3)
        .map(|number| attested(&format!("b/app{number}"), 4))
        .collect();
    scales
        .denies_within(GROWTH_AT_THE_BOUND, &several, "untrusted-signer")
        .await;
}

/// What is kept of listings is bounded in bytes, not in their number.
#[tokio::test]
async fn many_large_listings_are_not_kept() {
    let scales = Scales::new().await;
    let images: Vec<Image> = (0..48)
        .map(|number| {
            let image = scales.stage.image(&format!("t/app{number}"));
            let options = SignatureOptions {
                signature: Some("%".repeat(4_000_000)),
                ..SignatureOptions::default()
            };
            scales.stage.sign(&image, &options);
            image
        })
        .collect();
    for few in images.chunks(4) {
        scales.denies(few, "predicate-malformed").await;
    }
}

/// JSON that is small as text and would be large as values.
#[tokio::test]
async fn json_that_would_be_large_in_memory_is_not_built() {
    let scales = Scales::new().await;
    let large = |bytes: usize| format!("{{\"x\":[{}0]}}", "0,".repeat(bytes / 2 - 8));
    let keys = |bytes: usize| {
        let mut text = String::with_capacity(bytes);
        let mut number = 0_u32;
        while text.len() < bytes - 64 {
            write!(text, "\"{number:x}\":0,").unwrap();
            number += 1;
        }
        format!("{{{text}\"z\":0}}")
    };
    for (index, text) in [large(16 << 20), keys(16 << 20)].into_iter().enumerate() {
        let image = scales.stage.image(&format!("b/app{index}"));
        let options = AttestationOptions {
            layer: Some(text.into_bytes()),
            ..AttestationOptions::default()
        };
        scales.stage.attest(&image, &options);
        scales.denies(&[image], "predicate-malformed").await;
    }
    for (index, text) in [large(4 << 20), keys(4 << 20)].into_iter().enumerate() {
        let image = scales.stage.image(&format!("t/app{index}"));
        let store = scales.stage.store();
        store.push_manifest(&image.name, Some(&image.sig()), IMAGE_MANIFEST, text);
        scales.denies(&[image], "registry-malformed").await;
    }
}

/// Lets the listing under `tag` claim that its first layer has this size.
fn claim_size(stage: &Stage, image: &Image, tag: &str, size: u64) {
    let found = stage.store().manifest(&image.name, tag).unwrap();
    let mut manifest: Value = serde_json::from_slice(&found.bytes).unwrap();
    manifest["layers"][0]["size"] = json!(size);
    let bytes = manifest.to_string();
    stage
        .store()
        .push_manifest(&image.name, Some(tag), IMAGE_MANIFEST, bytes);
}

/// How many blobs were asked for in repositories whose path has `part`.
fn blobs_of(stage: &Stage, part: &str) -> usize {
    let requests = stage.registry.requests();
    let asked = requests
        .iter()
        .filter(|request| request.path.contains("/blobs/") && request.path.contains(part));
    asked.count()
}
