//! T-11: whatever lies where evidence should lie, it is denied, and the process lives: after each piece of garbage the same webhook
//! still admits a good image that it has to ask the registry about.

use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value, json};
use vouchsafe::demo::registry::IMAGE_MANIFEST;
use vouchsafe::demo::signer::{AttestationOptions, SignatureOptions};

use crate::stage::{Image, Stage, statement};
use crate::support::policies::yaml;
use crate::support::registry::{Fault, Match, TokenAuth};
use crate::support::webhook::{Review, Webhook};

/// Bytes that nobody should send.
fn garbage() -> Vec<(&'static str, Vec<u8>)> {
    let nested = |open: &str, close: &str| {
        let depth = 100_000;
        format!("{}{}", open.repeat(depth), close.repeat(depth)).into_bytes()
    };
    let many_keys: Map<String, Value> = (0..20_000).map(|n| (format!("k{n}"), json!(1))).collect();
    let many_keys = Value::Object(many_keys);
    vec![
        ("nothing", Vec::new()),
        ("a brace", b"{".to_vec()),
        (
            "half a document",
            b"{\"layers\":[{\"digest\":\"sha2".to_vec(),
        ),
        ("half an escape", b"{\"a\":\"\\u12".to_vec()),
        ("a nul", b"{\"layers\":[]}\0".to_vec()),
        ("nuls", vec![0; 4096]),
        ("not utf-8", b"{\"layers\":\"\xff\xfe\"}".to_vec()),
        ("an overlong utf-8", b"{\"a\":\"\xc0\x80\"}".to_vec()),
        (
            "utf-16",
            "{\"a\":1}"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect(),
        ),
        ("deep lists", nested("[", "]")),
        ("deep objects", nested("{\"a\":", "}")),
        ("lists without end", b"[".repeat(100_000)),
        ("a huge number", b"9".repeat(100_000)),
        ("a huge exponent", b"1e999999999".to_vec()),
        (
            "a huge text",
            format!("\"{}\"", "a".repeat(500_000)).into_bytes(),
        ),
        ("many keys", many_keys.to_string().into_bytes()),
        (
            "a page",
            b"<!doctype html><html><body>login</body></html>".to_vec(),
        ),
        ("null", b"null".to_vec()),
        ("a gzip header", b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec()),
    ]
}

/// A webhook that wants a signature for `t/…` and provenance for `b/…`, and the question whether it still works.
struct Patient {
    stage: Stage,
    webhook: Webhook,
    good: [Image; 2],
}

impl Patient {
    async fn new() -> Self {
        let stage = Stage::new().await;
        let good = [stage.signed("t/good"), stage.built("b/good")];
        let policies = [
            stage.release().glob("**/t/**"),
            stage.provenance().glob("**/b/**"),
        ];
        let webhook = Webhook::start(&yaml(&policies)).await;
        Self {
            stage,
            webhook,
            good,
        }
    }

    /// Denied, with a reason that is none of those that admit; and the next ones are admitted.
    async fn survives(&self, image: &Image, what: &str) {
        let answered = self.webhook.judge(&image.pinned()).await;
        assert!(!answered.allowed, "{what}: {}", answered.annotations);
        assert!(answered.message.len() <= 8 << 10, "{what}");
        assert!(
            answered
                .message
                .chars()
                .all(|c| c == '\n' || !c.is_control()),
            "{what}: {:?}",
            answered.message
        );
        assert_ne!(answered.reason(), "internal", "{what}");
        for good in &self.good {
            self.webhook
                .judge(&good.tagged())
                .await
                .admitted("satisfied");
        }
    }
}

#[tokio::test]
async fn garbage_as_a_listing_kills_nothing() {
    let patient = Patient::new().await;
    let listings = [
        ("no layers", br#"{"schemaVersion":2,"config":{"mediaType":"x","digest":"sha256:00","size":1},"layers":[]}"#.to_vec()),
        ("a layer of nothing", br#"{"schemaVersion":2,"layers":[{}]}"#.to_vec()),
        ("a negative size", br#"{"schemaVersion":2,"layers":[{"mediaType":"x","digest":"y","size":-1}]}"#.to_vec()),
    ];
    for (index, (what, bytes)) in garbage().into_iter().chain(listings).enumerate() {
        for kind in ["t", "b"] {
            let image = patient.stage.image(&format!("{kind}/app{index}"));
            let tag = if kind == "t" {
                image.sig()
            } else {
                image.att()
            };
            let store = patient.stage.store();
            store.push_manifest(&image.name, Some(&tag), IMAGE_MANIFEST, bytes.clone());
            patient.survives(&image, what).await;
        }
    }
}

#[tokio::test]
async fn garbage_as_an_envelope_kills_nothing() {
    let patient = Patient::new().await;
    for (index, (what, bytes)) in garbage().into_iter().enumerate() {
        let image = patient.stage.image(&format!("b/app{index}"));
        let options = AttestationOptions {
            layer: Some(bytes),
            ..AttestationOptions::default()
        };
        patient.stage.attest(&image, &options);
        patient.survives(&image, what).await;
    }
}

#[tokio::test]
async fn garbage_as_a_signed_statement_kills_nothing() {
    let patient = Patient::new().await;
    for (index, (what, bytes)) in garbage().into_iter().enumerate() {
        let image = patient.stage.image(&format!("b/app{index}"));
        let options = AttestationOptions {
            statement: Some(bytes),
            ..AttestationOptions::default()
        };
        patient.stage.attest(&image, &options);
        patient.survives(&image, what).await;
    }
}

#[tokio::test]
async fn garbage_as_a_signed_payload_kills_nothing() {
    let patient = Patient::new().await;
    for (index, (what, bytes)) in garbage().into_iter().enumerate() {
        let image = patient.stage.image(&format!("t/app{index}"));
        let options = SignatureOptions {
            payload: Some(bytes),
            ..SignatureOptions::default()
        };
        patient.stage.sign(&image, &options);
        patient.survives(&image, what).await;
    }
}

/// Also where the signature is honest and what it covers is garbage in one member: a predicate that the policy's Rego reads.
#[tokio::test]
async fn garbage_in_a_predicate_kills_nothing() {
    let patient = Patient::new().await;
    let predicates = [
        json!(null),
        json!([]),
        json!(""),
        json!({"builder": {"id": "x".repeat(500_000)}}),
        json!({"builder": {"id": "\u{0}\u{1b}[2J\u{202e}"}}),
        json!({"builder": [{"id": crate::stage::BUILDER}]}),
    ];
    for (index, predicate) in predicates.into_iter().enumerate() {
        let image = patient.stage.image(&format!("b/app{index}"));
        let statement = statement(&image, &json!({ "predicate": predicate }));
        let options = AttestationOptions {
            statement: Some(statement),
            ..AttestationOptions::default()
        };
        patient.stage.attest(&image, &options);
        patient
            .survives(&image, &format!("predicate {index}"))
            .await;
    }
}

#[tokio::test]
async fn garbage_as_a_signature_annotation_kills_nothing() {
    let patient = Patient::new().await;
    let annotations = [
        String::new(),
        "%".to_owned(),
        "A".to_owned(),
        "====".to_owned(),
        "\0".to_owned(),
        "é".to_owned(),
        "MEUCIQ".to_owned(),
        "A".repeat(1 << 20),
    ];
    for (index, signature) in annotations.into_iter().enumerate() {
        let image = patient.stage.image(&format!("t/app{index}"));
        let options = SignatureOptions {
            signature: Some(signature),
            ..SignatureOptions::default()
        };
        patient.stage.sign(&image, &options);
        patient
            .survives(&image, &format!("annotation {index}"))
            .await;
    }
}

/// A 404 is the registry's word for absence, whatever it wraps it in; any other status is not.
#[tokio::test]
async fn garbage_as_an_error_body_kills_nothing() {
    let patient = Patient::new().await;
    for (index, (what, bytes)) in garbage().into_iter().enumerate() {
        let image = patient.stage.image(&format!("t/app{index}"));
        for status in [400, 403, 404, 500] {
            let fault = Fault::Status(status, Vec::new(), Bytes::from(bytes.clone()));
            let listing = Match::manifest().path(&image.sig());
            patient.stage.registry.on(listing, fault);
            let policies = yaml(&[patient.stage.release()]);
            if status != 404 {
                let answered = patient.webhook.judge(&image.pinned()).await;
                answered.unjudged();
                continue;
            }
            let fresh = Webhook::start(&policies).await;
            fresh.judge(&image.pinned()).await.denied("unsigned");
        }
        patient.survives(&image, what).await;
    }
}

#[tokio::test]
async fn garbage_from_a_token_service_kills_nothing() {
    let patient = Patient::new().await;
    let registry = &patient.stage.registry;
    registry.require_token(TokenAuth::anonymous());
    let webhook = patient.stage.wants_signature().await;
    for (index, (what, bytes)) in garbage().into_iter().enumerate() {
        let image = patient.stage.signed(&format!("t/app{index}"));
        registry.on(Match::token(), Fault::ReplaceBody(Bytes::from(bytes)));
        let answered = webhook.judge(&image.pinned()).await;
        assert!(!answered.allowed, "{what}");
        answered.unjudged();
        registry.clear_faults();
        webhook.judge(&image.tagged()).await.admitted("satisfied");
    }
}

/// Challenges are text that a registry chose.
#[tokio::test]
async fn garbage_in_a_challenge_kills_nothing() {
    let patient = Patient::new().await;
    let registry = &patient.stage.registry;
    let challenges = [
        "Bearer",
        "Bearer realm",
        "Bearer realm=\"",
        "Bearer realm=\"http://\"",
        ",,,,",
        "Basic realm=\"\\",
        "Digest x",
    ];
    for (index, challenge) in challenges.into_iter().enumerate() {
        let image = patient.stage.signed(&format!("t/app{index}"));
        let headers = vec![("www-authenticate", challenge.to_owned())];
        let refused = Fault::Status(401, headers, Bytes::new());
        registry.on(Match::any().path(&image.name), refused);
        patient.webhook.judge(&image.pinned()).await.unjudged();
        registry.clear_faults();
        patient
            .webhook
            .judge(&image.tagged())
            .await
            .admitted("satisfied");
    }
}

/// Fifty Pods of garbage at once, and good ones between them.
#[tokio::test]
async fn garbage_beside_good_reviews_disturbs_none_of_them() {
    let patient = Patient::new().await;
    let pods = garbage()
        .into_iter()
        .enumerate()
        .map(|(index, (_, bytes))| {
            let image = patient.stage.image(&format!("b/app{index}"));
            let options = AttestationOptions {
                layer: Some(bytes),
                ..AttestationOptions::default()
            };
            patient.stage.attest(&image, &options);
            image.pinned()
        });
    let pods: Vec<String> = pods.collect();
    let reviews = pods.iter().flat_map(|bad| {
        let good = patient.good[1].tagged();
        [
            Review::of(&[bad]),
            Review::of(&[&good]),
            Review::of(&[&good, bad]),
        ]
    });
    let reviews: Vec<Review> = reviews.collect();
    let answers =
        futures::future::join_all(reviews.iter().map(|r| patient.webhook.review(r))).await;
    for (index, answered) in answers.iter().enumerate() {
        assert_eq!(
            answered.allowed,
            index % 3 == 1,
            "{index}: {}",
            answered.message
        );
    }
    // A tag costs one question for each review, a listing one for each image.
    let heads = patient.stage.registry.requests();
    let heads = heads.iter().filter(|r| r.method == Method::HEAD).count();
    assert!(heads <= 2 * pods.len(), "{heads}");
}
