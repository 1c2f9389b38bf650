//! Each check of the procedures, one at a time: what is signed, by whom, and about what.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::evidence::{DecodeError, Envelope, Format, SimpleSigning};
use crate::limits::Limits;

struct Signer {
    pair: EcdsaKeyPair,
}

impl Signer {
    fn new() -> Self {
        Self {
            pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("entropy"),
        }
    }

    fn requirement(&self) -> Requirement {
        use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
        let der: PublicKeyX509Der<'_> = self.pair.public_key().as_der().expect("a public key");
        let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der.as_ref());
        let lines: Vec<&str> = body
            .as_bytes()
            .chunks(64)
            .map(|c| std::str::from_utf8(c).expect("ascii"))
            .collect();
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            lines.join("\n")
        );
        Requirement::key(PublicKey::from_pem(&pem).expect("our own key"))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair
            .sign(&SystemRandom::new(), message)
            .expect("a signature")
            .as_ref()
            .to_vec()
    }

    fn signature(&self, payload: &str) -> Candidate {
        let signing = SimpleSigning {
            payload: Bytes::copy_from_slice(payload.as_bytes()),
            signature: self.sign(payload.as_bytes()),
        };
        candidate(Format::SignatureTag, Evidence::Signature(signing))
    }

    fn attestation(&self, payload_type: &str, payload: &str) -> Candidate {
        let mut envelope = Envelope {
            payload_type: payload_type.to_owned(),
            payload: Bytes::copy_from_slice(payload.as_bytes()),
            signature: Vec::new(),
            document: Bytes::new(),
        };
        envelope.signature = self.sign(&envelope.signed_bytes());
        candidate(Format::AttestationTag, Evidence::Attestation(envelope))
    }
}

fn candidate(format: Format, evidence: Evidence) -> Candidate {
    Candidate {
        format,
        digest: Digest::sha256_of(b"layer"),
        decoded: Ok(evidence),
        material: Ok(Material::none()),
    }
}

fn image() -> Digest {
    Digest::sha256_of(b"the image")
}

fn payload(kind: &str, digest: &str) -> String {
    json!({"critical": {"identity": {"docker-reference": "elsewhere/app"}, "image": {"docker-manifest-digest": digest}, "type": kind}})
        .to_string()
}

fn good_payload() -> String {
    payload("cosign container image signature", &image().to_string())
}

fn statement(digest: &Digest) -> String {
    json!({
        "_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://slsa.dev/provenance/v0.2",
        "subject": [{"name": "x", "digest": {"sha256": digest.hex()}}], "predicate": {},
    })
    .to_string()
}

fn check_signature(
    candidate: &Candidate,
    requirement: &Requirement,
) -> Result<Verified<SignedImage>, Rejection> {
    signature(
        candidate,
        &image(),
        requirement,
        &Limits::default().evidence,
        Timestamp::UNIX_EPOCH,
    )
}

fn check_attestation(
    candidate: &Candidate,
    requirement: &Requirement,
) -> Result<Verified<Attestation>, Rejection> {
    attestation(
        candidate,
        &image(),
        requirement,
        &Limits::default().evidence,
        Timestamp::UNIX_EPOCH,
    )
}

const IN_TOTO: &str = "application/vnd.in-toto+json";

#[test]
fn a_signature_by_the_policys_key_over_this_digest_is_proof() {
    let signer = Signer::new();
    let verified =
        check_signature(&signer.signature(&good_payload()), &signer.requirement()).expect("proof");
    assert!(matches!(verified.signer(), super::Signer::Key(_)));
}

#[test]
fn a_strangers_signature_is_rejected() {
    let (ours, stranger) = (Signer::new(), Signer::new());
    let rejected = check_signature(&stranger.signature(&good_payload()), &ours.requirement());
    assert!(matches!(rejected, Err(Rejection::WrongKey { .. })));
}

#[test]
fn every_single_byte_of_payload_and_signature_matters() {
    let signer = Signer::new();
    let good = signer.signature(&good_payload());
    let Ok(Evidence::Signature(signing)) = &good.decoded else {
        panic!("a signature")
    };
    for at in 0..signing.payload.len() + signing.signature.len() {
        let (mut payload, mut signature) = (signing.payload.to_vec(), signing.signature.clone());
        match at.checked_sub(payload.len()) {
            None => payload[at] ^= 1,
            Some(at) => signature[at] ^= 1,
        }
        let bad = candidate(
            Format::SignatureTag,
            Evidence::Signature(SimpleSigning {
                payload: Bytes::from(payload),
                signature,
            }),
        );
        assert!(
            check_signature(&bad, &signer.requirement()).is_err(),
            "byte {at}"
        );
    }
}

/// T-62
#[test]
fn a_signed_payload_about_another_digest_or_of_another_type_is_rejected() {
    let signer = Signer::new();
    let other = Digest::sha256_of(b"another image").to_string();
    let about_other = signer.signature(&payload("cosign container image signature", &other));
    assert!(matches!(
        check_signature(&about_other, &signer.requirement()),
        Err(Rejection::SubjectMismatch { .. })
    ));
    let upper = image().to_string().to_uppercase();
    for digest in ["", upper.as_str(), image().hex().as_str()] {
        let found = check_signature(
            &signer.signature(&payload("cosign container image signature", digest)),
            &signer.requirement(),
        );
        assert!(
            matches!(found, Err(Rejection::SubjectMismatch { .. })),
            "{digest:?}"
        );
    }
    for kind in ["", "something else"] {
        let found = check_signature(
            &signer.signature(&payload(kind, &image().to_string())),
            &signer.requirement(),
        );
        assert!(
            matches!(found, Err(Rejection::PayloadKind { .. })),
            "{kind:?}"
        );
    }
}

/// T-32
#[test]
fn a_validly_signed_payload_that_cannot_be_read_is_rejected() {
    let signer = Signer::new();
    for text in [
        "",
        "{}",
        "[]",
        "null",
        r#"{"critical":{}}"#,
        r#"{"critical":null,"critical":{}}"#,
    ] {
        assert!(
            matches!(
                check_signature(&signer.signature(text), &signer.requirement()),
                Err(Rejection::MalformedPayload { .. })
            ),
            "{text}"
        );
        let attested = signer.attestation(IN_TOTO, text);
        assert!(
            matches!(
                check_attestation(&attested, &signer.requirement()),
                Err(Rejection::MalformedStatement(_))
            ),
            "{text}"
        );
    }
}

/// T-78
#[test]
fn a_statement_that_two_parsers_could_read_differently_is_rejected() {
    let signer = Signer::new();
    let good = statement(&image());
    let twice = good.replacen(
        "\"predicate\":{}",
        "\"predicate\":{\"builder\":{\"id\":\"good\",\"id\":\"evil\"}}",
        1,
    );
    let nested = good.replacen(
        "\"predicate\":{}",
        &format!("\"predicate\":{}{}", "[".repeat(10_000), "]".repeat(10_000)),
        1,
    );
    for text in [twice, nested, format!("{good}\0"), format!("{good}{good}")] {
        let rejected =
            check_attestation(&signer.attestation(IN_TOTO, &text), &signer.requirement());
        assert!(
            matches!(rejected, Err(Rejection::MalformedStatement(_))),
            "{}",
            &text[..40]
        );
    }
}

#[test]
fn an_attestation_is_bound_to_this_digest() {
    let signer = Signer::new();
    assert!(
        check_attestation(
            &signer.attestation(IN_TOTO, &statement(&image())),
            &signer.requirement()
        )
        .is_ok()
    );
    let other = signer.attestation(IN_TOTO, &statement(&Digest::sha256_of(b"another image")));
    assert!(matches!(
        check_attestation(&other, &signer.requirement()),
        Err(Rejection::SubjectMismatch { .. })
    ));
}

#[test]
fn another_payload_type_is_rejected_even_when_validly_signed() {
    let signer = Signer::new();
    let typed = signer.attestation("application/json", &statement(&image()));
    assert!(matches!(
        check_attestation(&typed, &signer.requirement()),
        Err(Rejection::PayloadType { .. })
    ));
}

/// T-95: it is weighed before anybody looks who signed it.
#[test]
fn a_statement_that_is_small_and_takes_much_memory_is_rejected_even_when_validly_signed() {
    let signer = Signer::new();
    let objects = vec![r#"{"":0}"#; 200_000].join(",");
    let heavy = signer.attestation("application/vnd.in-toto+json", &format!("[{objects}]"));
    let rejection = check_attestation(&heavy, &signer.requirement()).unwrap_err();
    assert!(
        rejection.to_string().contains("MiB once it is parsed"),
        "{rejection}"
    );
}

#[test]
fn an_attestation_is_no_signature_and_a_signature_no_attestation() {
    let signer = Signer::new();
    let attested = signer.attestation(IN_TOTO, &statement(&image()));
    assert_eq!(
        check_signature(&attested, &signer.requirement()),
        Err(Rejection::NotASignature)
    );
    assert_eq!(
        check_attestation(&signer.signature(&good_payload()), &signer.requirement()),
        Err(Rejection::NotAnAttestation)
    );
}

#[test]
fn what_could_not_be_decoded_is_rejected_as_such() {
    let error = DecodeError::NoSignature { annotation: "x" };
    let broken = Candidate {
        format: Format::SignatureTag,
        digest: image(),
        decoded: Err(error.clone()),
        material: Ok(Material::none()),
    };
    assert_eq!(
        check_signature(&broken, &Signer::new().requirement()),
        Err(Rejection::Undecodable(error))
    );
}
