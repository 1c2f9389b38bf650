use super::*;
use crate::demo::registry;
use crate::demo::signer::{SLSA_PROVENANCE_V02, slsa_v02};

const REPOSITORY: &str = "t/app";

/// The layer's descriptor and its bytes as JSON, for an attestation made with `options`.
fn attached(options: &AttestationOptions) -> (Digest, Value, Value) {
    let store = Store::new();
    let image = registry::image(&store, REPOSITORY, "v1", "seed");
    let key = SigningKey::generate().unwrap();
    let predicate = slsa_v02(
        "https://builder.example",
        "https://git.example/app",
        "c0ffee",
    );
    let attached = attach_attestation(
        &store,
        REPOSITORY,
        &image,
        &key,
        SLSA_PROVENANCE_V02,
        &predicate,
        options,
    )
    .unwrap();
    let manifest = store.manifest(REPOSITORY, attached.tag.as_str()).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest.bytes).unwrap();
    let envelope = store.blob(REPOSITORY, &attached.layer).unwrap();
    let envelope = serde_json::from_slice(&envelope).unwrap();
    (image, manifest["layers"][0].clone(), envelope)
}

fn statement_in(envelope: &Value) -> Value {
    let payload = STANDARD
        .decode(envelope["payload"].as_str().unwrap())
        .unwrap();
    serde_json::from_slice(&payload).unwrap()
}

#[test]
fn the_honest_statement_is_about_the_image() {
    let (image, layer, envelope) = attached(&AttestationOptions::default());
    let statement = statement_in(&envelope);
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v0.1");
    assert_eq!(statement["subject"][0]["digest"]["sha256"], image.hex());
    assert_eq!(layer["mediaType"], DSSE_ENVELOPE);
    assert_eq!(
        layer["annotations"],
        json!({"dev.cosignproject.cosign/signature": "", "predicateType": SLSA_PROVENANCE_V02})
    );
}

#[test]
fn tekton_chains_writes_empty_annotations_and_no_predicate_type() {
    let (_, layer, envelope) = attached(&AttestationOptions {
        as_tekton_chains: true,
        ..AttestationOptions::default()
    });
    assert_eq!(
        layer["annotations"],
        json!({
            "dev.cosignproject.cosign/signature": "",
            "dev.sigstore.cosign/certificate": "",
            "dev.sigstore.cosign/chain": "",
        })
    );
    let keyid = envelope["signatures"][0]["keyid"].as_str().unwrap();
    assert!(keyid.starts_with("SHA256:"), "{keyid}");
}

#[test]
fn a_lie_changes_one_field_only() {
    let lie = json!([{"name": "x", "digest": {"sha256": "00"}}]);
    let (_, _, envelope) = attached(&AttestationOptions {
        subjects: Some(lie.clone()),
        version: StatementVersion::V1,
        payload_type: Some("text/plain".to_owned()),
        signatures: Some(vec![EnvelopeSignature::Raw {
            keyid: "k".to_owned(),
            sig: "not base64".to_owned(),
        }]),
        ..AttestationOptions::default()
    });
    let statement = statement_in(&envelope);
    assert_eq!(statement["subject"], lie);
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(envelope["payloadType"], "text/plain");
    assert_eq!(
        envelope["signatures"],
        json!([{"keyid": "k", "sig": "not base64"}])
    );
}
