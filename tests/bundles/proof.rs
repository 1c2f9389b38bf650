//! What a bundle proves, and what it does not.

use rstest::rstest;
use serde_json::{Map, json};
use vouchsafe::demo::signer::{
    BUNDLE, BundleOptions, ReferrerOptions, attach_message_signature, attach_signature_referrer,
};
use vouchsafe::image::Digest;
use vouchsafe::verdict::Reason;

use crate::stage::{BUILDER, REPOSITORY, Stage};

fn honest() -> BundleOptions {
    BundleOptions::default()
}

#[rstest]
#[case::by_the_referrers_api(true)]
#[case::by_the_fallback_tag(false)]
#[tokio::test]
async fn admits_an_image_that_is_signed_and_attested_in_bundles(#[case] api: bool) {
    let stage = Stage::new().await;
    stage.store().serve_referrers(api);
    stage.sign(&stage.release, &honest());
    stage.attest(&stage.release, BUILDER, &honest());
    stage.admits(&stage.signed()).await;
    stage.admits(&stage.provenance()).await;
}

#[rstest]
#[tokio::test]
async fn admits_bundles_of_every_version(
    #[values(
        BUNDLE,
        "application/vnd.dev.sigstore.bundle+json;version=0.3",
        "application/vnd.dev.sigstore.bundle+json;version=0.2",
        "application/vnd.dev.sigstore.bundle+json;version=0.1"
    )]
    version: &str,
) {
    let stage = Stage::new().await;
    let options = BundleOptions {
        version: Some(version.to_owned()),
        ..honest()
    };
    stage.sign(&stage.release, &options);
    stage.admits(&stage.signed()).await;
}

#[tokio::test]
async fn admits_a_signature_over_the_bytes_of_the_manifest() {
    let stage = Stage::new().await;
    attach_message_signature(
        stage.store(),
        REPOSITORY,
        &stage.image,
        &stage.release,
        &honest(),
    )
    .unwrap();
    stage.admits(&stage.signed()).await;
    stage
        .refuses(&stage.provenance(), Reason::NoAttestation)
        .await;
}

#[tokio::test]
async fn refuses_a_signature_over_other_bytes() {
    let stage = Stage::new().await;
    let options = BundleOptions {
        signed_bytes: Some(b"something else".to_vec()),
        ..honest()
    };
    attach_message_signature(
        stage.store(),
        REPOSITORY,
        &stage.image,
        &stage.release,
        &options,
    )
    .unwrap();
    stage
        .refuses(&stage.signed(), Reason::UntrustedSigner)
        .await;
}

#[tokio::test]
async fn admits_an_older_signature_that_refers_to_the_image() {
    let stage = Stage::new().await;
    let options = ReferrerOptions::default();
    for key in [&stage.stranger, &stage.release] {
        attach_signature_referrer(stage.store(), REPOSITORY, &stage.image, key, &options).unwrap();
    }
    stage.admits(&stage.signed()).await;
    let bundles_only = stage.policy(&json!({"signatureFormat": "bundle"}));
    stage.refuses(&bundles_only, Reason::Unsigned).await;
}

#[tokio::test]
async fn a_log_entry_that_nobody_asked_for_is_no_reason_to_refuse() {
    let stage = Stage::new().await;
    let entry = json!({"logIndex": "1", "kindVersion": {"kind": "intoto", "version": "0.0.1"}, "canonicalizedBody": "e30="});
    let stamp = json!({"rfc3161Timestamps": [{"signedTimestamp": "AAAA"}]});
    let options = BundleOptions {
        material: Map::from_iter([
            ("tlogEntries".to_owned(), json!([entry])),
            ("timestampVerificationData".to_owned(), stamp),
        ]),
        ..honest()
    };
    stage.sign(&stage.release, &options);
    stage.admits(&stage.signed()).await;
    stage.admits(&stage.policy(&json!({"ctlog": {}}))).await;
}

#[tokio::test]
async fn refuses_what_a_stranger_signed() {
    let stage = Stage::new().await;
    stage.sign(&stage.stranger, &honest());
    stage.attest(&stage.stranger, BUILDER, &honest());
    stage
        .refuses(&stage.signed(), Reason::UntrustedSigner)
        .await;
    stage
        .refuses(&stage.provenance(), Reason::UntrustedSigner)
        .await;
}

/// T-02: a statement that nobody signed, with an artifact type that says it is an attestation.
#[rstest]
#[tokio::test]
async fn t02_refuses_a_forged_statement_whatever_its_artifact_type_says(
    #[values(
        BUNDLE,
        "application/vnd.in-toto+json",
        "application/vnd.dsse.envelope.v1+json",
        ""
    )]
    artifact_type: &str,
    #[values(true, false)] api: bool,
    #[values(true, false)] in_a_bundle: bool,
) {
    let stage = Stage::new().await;
    stage.store().serve_referrers(api);
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": stage.image.hex()}}],
        "predicateType": crate::stage::PROVENANCE,
        "predicate": {"builder": {"id": BUILDER}},
    });
    let payload = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        statement.to_string(),
    );
    let envelope = json!({
        "payload": payload,
        "payloadType": "application/vnd.in-toto+json",
        "signatures": [{"sig": "MEQCIHLNHe4VjbgWl4xoQWyHzBgdAdsX1zBh/3tHgeBw6mvCAiBlPlSYt1OqchzJpeSDj0rbdYi6Ok3ANXg4eAeRvtsyEg=="}],
    });
    let bundle = json!({
        "mediaType": BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": ""}},
        "dsseEnvelope": envelope,
    });
    let (layer, layer_type) = if in_a_bundle {
        (bundle, BUNDLE)
    } else {
        (envelope, "application/vnd.dsse.envelope.v1+json")
    };
    let options = BundleOptions {
        layer: Some(layer.to_string().into_bytes()),
        manifest: ReferrerOptions {
            artifact_type: Some(artifact_type.to_owned()),
            layer_type: Some(layer_type.to_owned()),
            ..ReferrerOptions::default()
        },
        ..honest()
    };
    stage.attest(&stage.release, BUILDER, &options);
    stage
        .refuses(&stage.provenance(), Reason::UntrustedSigner)
        .await;
    let no_rego = stage.policy(
        &json!({"attestations": [{"name": "p", "predicateType": crate::stage::PROVENANCE}]}),
    );
    stage.refuses(&no_rego, Reason::UntrustedSigner).await;
}

/// An attestation vouches for a statement, not for running the image, whoever signed it and whatever the manifest says.
#[rstest]
#[case::as_cosign_says_it(None)]
#[case::without_saying_so(Some(&[][..]))]
#[case::lying(Some(&[("dev.sigstore.bundle.predicateType", "https://sigstore.dev/cosign/sign/v1")][..]))]
#[tokio::test]
async fn an_attestation_is_not_a_signature(#[case] said: Option<&[(&str, &str)]>) {
    let stage = Stage::new().await;
    let annotations = said.map(|said| {
        said.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    });
    let options = BundleOptions {
        manifest: ReferrerOptions {
            annotations,
            ..ReferrerOptions::default()
        },
        ..honest()
    };
    stage.attest(&stage.release, BUILDER, &options);
    stage.refuses(&stage.signed(), Reason::Unsigned).await;
}

#[tokio::test]
async fn a_signature_is_not_an_attestation() {
    let stage = Stage::new().await;
    stage.sign(&stage.release, &honest());
    stage
        .refuses(&stage.provenance(), Reason::NoAttestation)
        .await;
}

#[tokio::test]
async fn refuses_a_bundle_about_another_image() {
    let stage = Stage::new().await;
    let other = Digest::sha256_of(b"another image");
    let options = BundleOptions {
        subjects: Some(json!([{"digest": {"sha256": other.hex()}}])),
        ..honest()
    };
    stage.sign(&stage.release, &options);
    stage.attest(&stage.release, BUILDER, &options);
    stage
        .refuses(&stage.signed(), Reason::SubjectMismatch)
        .await;
    stage
        .refuses(&stage.provenance(), Reason::SubjectMismatch)
        .await;
}

#[tokio::test]
async fn refuses_a_statement_without_subjects_and_another_payload_type() {
    for options in [
        BundleOptions {
            subjects: Some(json!([])),
            ..honest()
        },
        BundleOptions {
            payload_type: Some("application/json".to_owned()),
            ..honest()
        },
        BundleOptions {
            layer: Some(b"{}".to_vec()),
            ..honest()
        },
    ] {
        let stage = Stage::new().await;
        stage.sign(&stage.release, &options);
        stage
            .refuses(&stage.signed(), Reason::PredicateMalformed)
            .await;
    }
}

#[tokio::test]
async fn refuses_the_signature_over_the_payload_without_its_type() {
    let stage = Stage::new().await;
    let options = BundleOptions {
        signed_bytes: Some(b"not the pre-authentication encoding".to_vec()),
        ..honest()
    };
    stage.sign(&stage.release, &options);
    stage
        .refuses(&stage.signed(), Reason::UntrustedSigner)
        .await;
}

#[tokio::test]
async fn what_was_proven_with_one_signature_is_not_proven_with_another() {
    let stage = Stage::new().await;
    stage.sign(&stage.release, &honest());
    stage.admits(&stage.signed()).await;
    // The same image and the same statement, in another repository, signed by somebody else.
    vouchsafe::demo::signer::attach_bundle_signature(
        stage.store(),
        "shop/mirror",
        &stage.image,
        &stage.stranger,
        &honest(),
    )
    .unwrap();
    let verdict = stage.judged_in("shop/mirror", &stage.signed()).await;
    assert_eq!(verdict.reason, Reason::UntrustedSigner, "{verdict:#?}");
}

#[tokio::test]
async fn the_rego_of_a_rule_reads_the_statement_of_a_bundle() {
    let stage = Stage::new().await;
    stage.attest(&stage.release, "https://elsewhere.example", &honest());
    stage
        .refuses(&stage.provenance(), Reason::PolicyDenied)
        .await;
}

#[tokio::test]
async fn one_good_attestation_among_others_is_enough_wherever_each_is_kept() {
    let stage = Stage::new().await;
    let predicate = vouchsafe::demo::signer::slsa_v02("https://elsewhere.example", "s", "c");
    vouchsafe::demo::signer::attach_attestation(
        stage.store(),
        REPOSITORY,
        &stage.image,
        &stage.release,
        crate::stage::PROVENANCE,
        &predicate,
        &vouchsafe::demo::signer::AttestationOptions::default(),
    )
    .unwrap();
    stage.attest(&stage.stranger, BUILDER, &honest());
    stage.attest(&stage.release, BUILDER, &honest());
    stage.admits(&stage.provenance()).await;
}
