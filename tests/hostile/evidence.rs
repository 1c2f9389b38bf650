//! Evidence that is validly signed and yet proves nothing: of another type, about another image, not readable.

use rstest::rstest;
use serde_json::{Value, json};
use vouchsafe::demo::signer::{
    AttestationOptions, EnvelopeSignature, PredicateTypeAnnotation, SLSA_PROVENANCE_V02,
    SignatureOptions,
};

use crate::stage::{BUILDER, Image, Stage, statement};
use crate::support::policies::{Policy, yaml};
use crate::support::webhook::{Review, Webhook};

const VULN: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";

/// T-01: a signed attestation of another type is not the one that is wanted, whatever its layer claims.
#[rstest]
#[case::that_says_so(PredicateTypeAnnotation::AsStatement)]
#[case::that_says_nothing(PredicateTypeAnnotation::Absent)]
#[case::that_claims_to_be_the_wanted_one(PredicateTypeAnnotation::Other(SLSA_PROVENANCE_V02.to_owned()))]
#[tokio::test]
async fn denies_when_only_an_attestation_of_another_type_is_there(
    #[case] annotation: PredicateTypeAnnotation,
) {
    let stage = Stage::new().await;
    let image = stage.image("t/app");
    let options = AttestationOptions {
        predicate_type_annotation: annotation,
        ..AttestationOptions::default()
    };
    stage.attest_as(&stage.release, &image, VULN, &options);
    let webhook = stage.wants_provenance().await;
    webhook
        .judge(&image.pinned())
        .await
        .denied("no-attestation");
}

/// T-01: what a layer claims to be can hide it, and never admit it.
#[tokio::test]
async fn denies_when_the_wanted_attestation_claims_to_be_another_one() {
    let stage = Stage::new().await;
    let image = stage.image("t/app");
    let annotation = PredicateTypeAnnotation::Other(VULN.to_owned());
    let options = AttestationOptions {
        predicate_type_annotation: annotation,
        ..AttestationOptions::default()
    };
    stage.attest(&image, &options);
    let webhook = stage.wants_provenance().await;
    webhook
        .judge(&image.pinned())
        .await
        .denied("no-attestation");
}

/// T-01: a signature is not an attestation and an attestation is not a signature.
#[tokio::test]
async fn signature_and_attestation_do_not_stand_for_each_other() {
    let stage = Stage::new().await;
    let (signed, built) = (stage.signed("t/signed"), stage.built("t/built"));
    let (signature, provenance) = (
        stage.wants_signature().await,
        stage.wants_provenance().await,
    );
    signature.judge(&built.pinned()).await.denied("unsigned");
    provenance
        .judge(&signed.pinned())
        .await
        .denied("no-attestation");
    signature
        .judge(&signed.pinned())
        .await
        .admitted("satisfied");
    provenance
        .judge(&built.pinned())
        .await
        .admitted("satisfied");
}

/// T-32: a statement that cannot be read never counts as one that says nothing.
#[rstest]
#[case::nothing("")]
#[case::an_empty_object("{}")]
#[case::null("null")]
#[case::a_list("[]")]
#[case::half_a_document(r#"{"_type":"https://in-toto.io/Statement/v0.1","predic"#)]
#[tokio::test]
async fn denies_a_signed_statement_that_cannot_be_read(#[case] text: &str) {
    denies_statement(text.as_bytes().to_vec(), "predicate-malformed").await;
}

/// T-32: as above, field by field.
#[rstest]
#[case::an_unknown_type(json!({"_type": "https://in-toto.io/Statement/v9"}), "predicate-malformed")]
#[case::no_subjects(json!({"subject": []}), "predicate-malformed")]
#[case::subjects_that_are_null(json!({"subject": null}), "predicate-malformed")]
#[case::a_subject_that_is_no_object(json!({"subject": ["x"]}), "predicate-malformed")]
#[case::a_subject_without_digest(json!({"subject": [{"name": "x"}]}), "subject-mismatch")]
#[case::a_digest_that_is_a_number(json!({"subject": [{"digest": {"sha256": 7}}]}), "predicate-malformed")]
#[case::a_predicate_type_that_is_a_list(json!({"predicateType": [SLSA_PROVENANCE_V02]}), "predicate-malformed")]
#[case::no_predicate_for_the_policy(json!({"predicate": null}), "policy-denied")]
#[case::a_builder_of_another_type(json!({"predicate": {"builder": {"id": [BUILDER]}}}), "policy-denied")]
#[tokio::test]
async fn denies_a_signed_statement_whose_field_lies(#[case] changed: Value, #[case] reason: &str) {
    let stage = Stage::new().await;
    let image = stage.image("t/app");
    denies_statement(statement(&image, &changed), reason).await;
}

/// T-78: what two parsers could read differently is read by none.
#[rstest]
#[case::a_key_that_stands_twice(|text: &str| text.replacen(r#""predicate":{"#, r#""predicate":{},"predicate":{"#, 1))]
#[case::a_key_in_the_predicate_that_stands_twice(|text: &str| text.replacen(r#""id":"#, r#""id":"evil","id":"#, 1))]
#[case::a_key_that_stands_twice_by_an_escape(|text: &str| text.replacen(r#""id":"#, r#""\u0069d":"evil","id":"#, 1))]
#[case::deep_nesting(|text: &str| text.replacen(r#""id":"#, &format!(r#""deep":{}{},"id":"#, "[".repeat(100_000), "]".repeat(100_000)), 1))]
#[case::a_number_beyond_numbers(|text: &str| text.replacen(r#""id":"#, &format!(r#""n":{},"id":"#, "9".repeat(400)), 1))]
#[case::a_nul_behind_it(|text: &str| format!("{text}\0"))]
#[case::a_nul_in_a_string(|text: &str| text.replacen("t/app", "t/app\0", 1))]
#[case::a_second_document_behind_it(|text: &str| format!("{text}{text}"))]
#[case::a_byte_order_mark(|text: &str| format!("\u{feff}{text}"))]
#[case::half_a_surrogate(|text: &str| text.replacen("t/app", r"\ud800", 1))]
#[tokio::test]
async fn denies_a_signed_statement_that_can_be_read_in_two_ways(#[case] spoil: fn(&str) -> String) {
    let stage = Stage::new().await;
    let image = stage.image("t/app");
    let honest = String::from_utf8(statement(&image, &json!({}))).unwrap();
    let spoilt = spoil(&honest);
    assert_ne!(spoilt, honest);
    denies_statement(spoilt.into_bytes(), "predicate-malformed").await;
}

/// T-78: text is UTF-8.
#[tokio::test]
async fn denies_a_signed_statement_that_is_not_utf8() {
    let stage = Stage::new().await;
    let mut bytes = statement(&stage.image("t/app"), &json!({}));
    let at = bytes.len() - 4;
    bytes[at] = 0xff;
    denies_statement(bytes, "predicate-malformed").await;
}

/// The image `t/app` has one attestation, by the trusted key, with this statement; and a signed honest one is admitted.
async fn denies_statement(bytes: Vec<u8>, reason: &str) {
    let stage = Stage::new().await;
    let image = stage.image("t/app");
    let options = AttestationOptions {
        statement: Some(bytes),
        ..AttestationOptions::default()
    };
    stage.attest(&image, &options);
    let honest = stage.image("t/honest");
    let options = AttestationOptions {
        statement: Some(statement(&honest, &json!({}))),
        ..AttestationOptions::default()
    };
    stage.attest(&honest, &options);
    let webhook = stage.wants_provenance().await;
    webhook.judge(&image.pinned()).await.denied(reason);
    webhook.judge(&honest.pinned()).await.admitted("satisfied");
}

/// T-78: an envelope carries one payload of one type and one signature.
#[rstest]
#[case::two_keys_of_one_name(|text: &str| text.replacen(r#"{"payloadType""#, r#"{"payload":"e30=","payloadType""#, 1), "predicate-malformed")]
#[case::a_payload_that_is_not_base64(|text: &str| text.replacen(r#""payload":""#, r#""payload":"%%"#, 1), "predicate-malformed")]
#[case::a_payload_with_a_line_break(|text: &str| text.replacen(r#""payload":"ey"#, r#""payload":"e\ny"#, 1), "predicate-malformed")]
#[case::a_payload_with_padding_inside(|text: &str| text.replacen(r#""payload":""#, r#""payload":"e30="#, 1), "predicate-malformed")]
#[case::a_signature_that_is_not_base64(|text: &str| text.replacen(r#""sig":""#, r#""sig":"%%"#, 1), "predicate-malformed")]
#[case::an_empty_document(|_: &str| "{}".to_owned(), "predicate-malformed")]
#[case::null_signatures(|text: &str| text.replacen(r#""signatures":["#, r#""signatures":null,"x":["#, 1), "predicate-malformed")]
#[tokio::test]
async fn denies_an_envelope_that_is_none(#[case] spoil: fn(&str) -> String, #[case] reason: &str) {
    let stage = Stage::new().await;
    let (honest, image) = (stage.built("t/honest"), stage.image("t/app"));
    let attached = stage.attest(&stage.image("t/app"), &AttestationOptions::default());
    let envelope = stage.store().blob("t/app", &attached.layer).unwrap();
    let envelope = std::str::from_utf8(&envelope).unwrap();
    let spoilt = spoil(envelope);
    assert_ne!(spoilt, envelope);
    stage.store().remove_tag("t/app", &image.att());
    let options = AttestationOptions {
        layer: Some(spoilt.into_bytes()),
        ..AttestationOptions::default()
    };
    stage.attest(&image, &options);
    let webhook = stage.wants_provenance().await;
    webhook.judge(&image.pinned()).await.denied(reason);
    webhook.judge(&honest.pinned()).await.admitted("satisfied");
}

/// T-78: of several signatures, which one counts would be a matter of taste.
#[tokio::test]
async fn denies_an_envelope_without_exactly_one_signature() {
    let stage = Stage::new().await;
    let by = |key: &vouchsafe::demo::signer::SigningKey| EnvelopeSignature::By {
        key: key.clone(),
        keyid: String::new(),
    };
    let (ours, theirs) = (by(&stage.release), by(&stage.stranger));
    let webhook = stage.wants_provenance().await;
    let lists = [
        ("t/none", vec![]),
        ("t/two", vec![ours.clone(), ours.clone()]),
        ("t/strangers-first", vec![theirs.clone(), ours.clone()]),
        ("t/strangers-last", vec![ours, theirs]),
    ];
    for (name, signatures) in lists {
        let image = stage.image(name);
        let options = AttestationOptions {
            signatures: Some(signatures),
            ..AttestationOptions::default()
        };
        stage.attest(&image, &options);
        webhook
            .judge(&image.pinned())
            .await
            .denied("predicate-malformed");
    }
}

/// T-62: the payload names the digest, not the tag that it is found under.
#[tokio::test]
async fn denies_a_signature_about_another_digest() {
    let stage = Stage::new().await;
    let other = stage.signed("t/other");
    let hex = other.digest.hex();
    let webhook = stage.wants_signature().await;
    let claims = [
        other.digest.to_string(),
        String::new(),
        hex.clone(),
        format!("sha512:{hex}"),
        "sha256:".to_owned(),
        format!("sha256:{}", "0".repeat(64)),
    ];
    for (index, claim) in claims.into_iter().enumerate() {
        let image = stage.image(&format!("t/app{index}"));
        let options = SignatureOptions {
            claimed_digest: Some(claim),
            ..SignatureOptions::default()
        };
        stage.sign(&image, &options);
        webhook
            .judge(&image.pinned())
            .await
            .denied("subject-mismatch");
    }
    // The right digest in another spelling is another claim.
    let image = stage.image("t/upper");
    let options = SignatureOptions {
        claimed_digest: Some(image.digest.to_string().to_uppercase()),
        ..SignatureOptions::default()
    };
    stage.sign(&image, &options);
    webhook
        .judge(&image.pinned())
        .await
        .denied("subject-mismatch");
}

/// T-62: the signature of one image, copied under the tag of another.
#[tokio::test]
async fn denies_the_copied_signature_of_another_image() {
    let stage = Stage::new().await;
    let (signed, image) = (stage.signed("t/app"), stage.image("t/app2"));
    let found = stage.store().manifest("t/app", &signed.sig()).unwrap();
    let manifest: Value = serde_json::from_slice(&found.bytes).unwrap();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    let payload = stage
        .store()
        .blob("t/app", &layer.parse().unwrap())
        .unwrap();
    stage.store().push_blob("t/app2", payload);
    stage
        .store()
        .push_manifest("t/app2", Some(&image.sig()), &found.media_type, found.bytes);
    let webhook = stage.wants_signature().await;
    webhook
        .judge(&image.pinned())
        .await
        .denied("subject-mismatch");
}

/// T-62: a signed document of another kind is not an image signature.
#[tokio::test]
async fn denies_a_signed_payload_of_another_kind() {
    let stage = Stage::new().await;
    let webhook = stage.wants_signature().await;
    for (index, kind) in ["", "something else", "cosign container image signature "]
        .into_iter()
        .enumerate()
    {
        let image = stage.image(&format!("t/app{index}"));
        let options = SignatureOptions {
            claimed_type: Some(kind.to_owned()),
            ..SignatureOptions::default()
        };
        stage.sign(&image, &options);
        webhook
            .judge(&image.pinned())
            .await
            .denied("predicate-malformed");
    }
}

/// T-32, T-78: the payload of a signature is read as strictly as a statement.
#[rstest]
#[case::nothing("")]
#[case::an_empty_object("{}")]
#[case::half("{\"critical\":{\"ident")]
#[case::null("null")]
#[case::no_image(r#"{"critical":{"type":"cosign container image signature"}}"#)]
#[tokio::test]
async fn denies_a_signed_payload_that_cannot_be_read(#[case] payload: &str) {
    let stage = Stage::new().await;
    let image = stage.image("t/app");
    let options = SignatureOptions {
        payload: Some(payload.as_bytes().to_vec()),
        ..SignatureOptions::default()
    };
    stage.sign(&image, &options);
    let webhook = stage.wants_signature().await;
    webhook
        .judge(&image.pinned())
        .await
        .denied("predicate-malformed");
}

/// T-78: a payload that names two digests names none.
#[tokio::test]
async fn denies_a_signed_payload_that_names_its_digest_twice() {
    let stage = Stage::new().await;
    let (image, other) = (stage.image("t/app"), stage.image("t/other"));
    let payload = format!(
        r#"{{"critical":{{"identity":{{"docker-reference":"x"}},"image":{{"docker-manifest-digest":"{}","docker-manifest-digest":"{}"}},"type":"cosign container image signature"}},"optional":null}}"#,
        other.digest, image.digest
    );
    let options = SignatureOptions {
        payload: Some(payload.into_bytes()),
        ..SignatureOptions::default()
    };
    stage.sign(&image, &options);
    let webhook = stage.wants_signature().await;
    webhook
        .judge(&image.pinned())
        .await
        .denied("predicate-malformed");
}

/// T-51, T-78: the signature covers the bytes as they came, and what was signed is not what lies there.
#[tokio::test]
async fn denies_a_signature_over_other_bytes_than_the_stored_ones() {
    let stage = Stage::new().await;
    let image = stage.image("t/app");
    let honest = format!(
        r#"{{"critical":{{"identity":{{"docker-reference":"t/app"}},"image":{{"docker-manifest-digest":"{}"}},"type":"cosign container image signature"}},"optional":null}}"#,
        image.digest
    );
    // The same document, with one space more.
    let options = SignatureOptions {
        payload: Some(honest.replace(":null", ": null").into_bytes()),
        stored_payload: Some(honest.into_bytes()),
        ..SignatureOptions::default()
    };
    stage.sign(&image, &options);
    let webhook = stage.wants_signature().await;
    webhook
        .judge(&image.pinned())
        .await
        .denied("untrusted-signer");
}

/// T-63: the default is the one of policy-controller: `docker-reference` is not compared, since the digest says which bytes it is
/// about and the same bytes may be mirrored.
#[tokio::test]
async fn the_docker_reference_of_another_repository_is_ignored() {
    let stage = Stage::new().await;
    let image = stage.image("t/app");
    let options = SignatureOptions {
        reference: Some("registry.example/elsewhere/app".to_owned()),
        ..SignatureOptions::default()
    };
    stage.sign(&image, &options);
    let webhook = stage.wants_signature().await;
    webhook.judge(&image.pinned()).await.admitted("satisfied");
}

/// T-60: beside a digest a tag is only a claim.
#[tokio::test]
async fn the_digest_decides_where_tag_and_digest_are_written() {
    let stage = Stage::new().await;
    let webhook = stage.wants_signature().await;
    let old = stage.image("t/app");
    // The tag moves to an image that is signed.
    let digest = vouchsafe::demo::registry::image(stage.store(), "t/app", "v1", "newer");
    let signed = Image {
        digest,
        ..old.clone()
    };
    stage.sign(&signed, &SignatureOptions::default());
    let both = |digest: &dyn std::fmt::Display| format!("{}@{digest}", old.tagged());
    webhook.judge(&both(&old.digest)).await.denied("unsigned");
    webhook
        .judge(&both(&signed.digest))
        .await
        .admitted("satisfied");
    webhook.judge(&old.tagged()).await.admitted("satisfied");
}

/// T-60: a signature vouches in the repository that it lies in.
#[tokio::test]
async fn a_digest_that_is_signed_in_another_repository_only_is_unsigned() {
    let stage = Stage::new().await;
    let signed = stage.signed("t/app");
    let webhook = stage.wants_signature().await;
    let found = stage
        .store()
        .manifest("t/app", &signed.digest.to_string())
        .unwrap();
    stage
        .store()
        .push_manifest("t/copy", Some("v1"), &found.media_type, found.bytes);
    let copy = Image {
        name: "t/copy".to_owned(),
        ..signed.clone()
    };
    webhook.judge(&signed.pinned()).await.admitted("satisfied");
    for reference in [copy.pinned(), copy.tagged()] {
        webhook.judge(&reference).await.denied("unsigned");
    }
}

/// T-66: what a Pod says about itself is not evidence.
#[tokio::test]
async fn an_annotation_that_says_verified_is_ignored() {
    let stage = Stage::new().await;
    let image = stage.image("t/app");
    let webhook = stage.wants_signature().await;
    let review = Review::of(&[&image.pinned()])
        .annotation("policy.sigstore.dev/verified", "true")
        .annotation("kyverno.io/verify-images", r#"{"t/app": "pass"}"#)
        .annotation("vouchsafe.dev/verdict", "admit");
    webhook.review(&review).await.denied("unsigned");
}

/// Monotone: what a stranger adds changes nothing, wherever it stands; without the good one the answer is as without all.
#[tokio::test]
async fn a_strangers_signatures_beside_a_good_one_change_nothing() {
    let stage = Stage::new().await;
    let webhook = stage.wants_signature().await;
    for (strangers_before, strangers_after) in [(0, 0), (1, 0), (0, 1), (3, 2), (50, 0), (0, 50)] {
        let name = format!("t/app-{strangers_before}-{strangers_after}");
        let image = stage.image(&name);
        let strangers = |count: usize| {
            for number in 0..count {
                let options = SignatureOptions {
                    reference: Some(format!("stranger-{number}")),
                    ..SignatureOptions::default()
                };
                stage.sign_as(&stage.stranger, &image, &options);
            }
        };
        strangers(strangers_before);
        stage.sign(&image, &SignatureOptions::default());
        strangers(strangers_after);
        webhook.judge(&image.pinned()).await.admitted("satisfied");
    }
    let (only_strangers, none) = (stage.image("t/strangers"), stage.image("t/none"));
    stage.sign_as(
        &stage.stranger,
        &only_strangers,
        &SignatureOptions::default(),
    );
    webhook
        .judge(&only_strangers.pinned())
        .await
        .denied("untrusted-signer");
    webhook.judge(&none.pinned()).await.denied("unsigned");
}

/// Monotone: as above for attestations, also where the policy's Rego refuses what the stranger says.
#[tokio::test]
async fn a_strangers_attestations_beside_a_good_one_change_nothing() {
    let stage = Stage::new().await;
    let webhook = stage.wants_provenance().await;
    let elsewhere = |image: &Image| AttestationOptions {
        statement: Some(statement(
            image,
            &json!({"predicate": {"builder": {"id": "elsewhere"}}}),
        )),
        ..AttestationOptions::default()
    };
    for stranger_first in [true, false] {
        let image = stage.image(&format!("t/app-{stranger_first}"));
        let add = || {
            stage.attest_as(
                &stage.stranger,
                &image,
                SLSA_PROVENANCE_V02,
                &elsewhere(&image),
            )
        };
        if stranger_first {
            add();
        }
        stage.attest(&image, &AttestationOptions::default());
        if !stranger_first {
            add();
        }
        webhook.judge(&image.pinned()).await.admitted("satisfied");
    }
    let alone = stage.image("t/alone");
    stage.attest_as(
        &stage.stranger,
        &alone,
        SLSA_PROVENANCE_V02,
        &AttestationOptions::default(),
    );
    webhook
        .judge(&alone.pinned())
        .await
        .denied("untrusted-signer");
    webhook
        .judge(&stage.image("t/none").pinned())
        .await
        .denied("no-attestation");
}

/// Monotone: a signature that is taken away is gone, once the listing that was kept has expired or nobody asked before.
#[tokio::test]
async fn an_image_whose_evidence_was_removed_is_unsigned() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    let before = stage.wants_signature().await;
    before.judge(&image.pinned()).await.admitted("satisfied");
    assert!(stage.store().remove_tag("t/app", &image.sig()));
    let after = stage.wants_signature().await;
    after.judge(&image.pinned()).await.denied("unsigned");
}

/// T-77: an authority that asks for nothing is not an authority.
#[tokio::test]
async fn an_authority_is_satisfied_by_its_own_key_alone() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    let strangers = Policy::new("stranger").key("stranger", &stage.stranger);
    let webhook = Webhook::start(&yaml(&[strangers])).await;
    webhook
        .judge(&image.pinned())
        .await
        .denied("untrusted-signer");
    let either = Policy::new("either")
        .key("stranger", &stage.stranger)
        .key("release", &stage.release);
    let webhook = Webhook::start(&yaml(&[either])).await;
    webhook.judge(&image.pinned()).await.admitted("satisfied");
}

/// T-58: beside a good signature, a certificate that has fewer bytes than it says. A thread that waited for them would never answer.
#[tokio::test]
async fn a_certificate_that_ends_too_soon_keeps_nobody_waiting() {
    let stage = Stage::new().await;
    let image = stage.image("t/app");
    for content in ["MA==", "MII=", "MIIC", "MAM=", "MIICAA=="] {
        let text = format!("-----BEGIN CERTIFICATE-----\n{content}\n-----END CERTIFICATE-----\n");
        let options = SignatureOptions {
            layer_annotations: [
                ("dev.sigstore.cosign/certificate".to_owned(), text.clone()),
                ("dev.sigstore.cosign/chain".to_owned(), text),
            ]
            .into(),
            ..SignatureOptions::default()
        };
        stage.sign(&image, &options);
    }
    let webhook = stage.wants_signature().await;
    // The key that is asked for signed all of them, and nobody asked for a certificate.
    webhook.judge(&image.pinned()).await.admitted("satisfied");
}
