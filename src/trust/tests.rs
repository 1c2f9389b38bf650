//! What a trusted root may be, and what makes a document none.

use serde_json::{Value, json};
use sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT;

use super::*;

fn public_good() -> Value {
    serde_json::from_str(SIGSTORE_PRODUCTION_TRUSTED_ROOT).unwrap()
}

fn read(root: &Value) -> Result<TrustMaterial, InvalidTrustRoot> {
    TrustMaterial::from_trusted_root_json(root.to_string().as_bytes())
}

fn with(change: impl FnOnce(&mut Value)) -> Result<TrustMaterial, InvalidTrustRoot> {
    let mut root = public_good();
    change(&mut root);
    read(&root)
}

#[test]
fn the_root_of_the_public_sigstore_is_read_with_all_its_kinds_of_trust() {
    let trust = read(&public_good()).unwrap();
    assert!(
        trust.has_certificate_authorities()
            && trust.has_logs()
            && trust.has_timestamp_authorities()
    );
    assert!(trust.certificate_authorities().count() >= 3);
    assert_ne!(trust.epoch(), TrustMaterial::keys_only().epoch());
}

#[test]
fn equal_documents_have_one_epoch_and_a_changed_one_another() {
    let trust = read(&public_good()).unwrap();
    assert_eq!(trust, read(&public_good()).unwrap());
    let other = with(|root| root["timestampAuthorities"] = json!([])).unwrap();
    assert_ne!(trust.epoch(), other.epoch());
}

#[test]
fn keys_alone_trust_nobody() {
    let trust = TrustMaterial::keys_only();
    assert!(trust.verifier().is_none() && trust.logs().is_none() && !trust.has_logs());
}

#[test]
fn a_log_named_twice_is_refused() {
    let refused = with(|root| {
        let log = root["tlogs"][0].clone();
        root["tlogs"].as_array_mut().unwrap().push(log);
    });
    assert!(
        matches!(&refused, Err(InvalidTrustRoot::Unusable { detail }) if detail.contains("duplicate")),
        "{refused:?}"
    );
}

/// T-35.
#[test]
fn a_window_that_is_malformed_or_ends_before_it_starts_is_refused() {
    let backwards = json!({"start": "2024-01-01T00:00:00Z", "end": "2023-01-01T00:00:00Z"});
    for window in [
        backwards,
        json!({"end": "2024-01-01T00:00:00Z"}),
        json!({"start": "once"}),
    ] {
        for log in ["tlogs", "ctlogs"] {
            let refused = with(|root| root[log][0]["publicKey"]["validFor"] = window.clone());
            assert!(refused.is_err(), "{log} {window}");
        }
        for authority in ["certificateAuthorities", "timestampAuthorities"] {
            let refused = with(|root| root[authority][0]["validFor"] = window.clone());
            assert!(refused.is_err(), "{authority} {window}");
        }
    }
}

#[test]
fn a_document_of_another_type_or_out_of_bounds_is_refused() {
    let other = with(|root| root["mediaType"] = json!("application/json"));
    assert!(matches!(other, Err(InvalidTrustRoot::MediaType { .. })));
    let large = vec![b' '; (1 << 20) + 1];
    assert!(matches!(
        TrustMaterial::from_trusted_root_json(&large),
        Err(InvalidTrustRoot::TooLarge { .. })
    ));
    let many = with(|root| {
        let authority = root["certificateAuthorities"][0].clone();
        root["certificateAuthorities"] = json!(vec![authority; 65]);
    });
    assert!(matches!(many, Err(InvalidTrustRoot::TooMany { .. })));
    let twice = public_good()
        .to_string()
        .replacen('{', r#"{"mediaType":"x","#, 1);
    assert!(matches!(
        TrustMaterial::from_trusted_root_json(twice.as_bytes()),
        Err(InvalidTrustRoot::Malformed { .. })
    ));
}

#[test]
fn an_authority_without_a_certificate_is_refused() {
    let refused =
        with(|root| root["certificateAuthorities"][0]["certChain"]["certificates"] = json!([]));
    assert!(refused.is_err());
    assert!(TrustMaterial::from_certificate_authority_pem("no certificate").is_err());
}

#[test]
fn each_kind_of_trust_can_come_from_a_root_of_its_own() {
    let whole = read(&public_good()).unwrap();
    let logless = with(|root| root["tlogs"] = json!([])).unwrap();
    let combined = TrustMaterial::combined(Parts {
        authorities: &whole,
        certificate_logs: &whole,
        logs: &logless,
        timestamp_authorities: &TrustMaterial::keys_only(),
    })
    .unwrap();
    assert!(combined.has_certificate_authorities());
    assert!(!combined.has_logs() && !combined.has_timestamp_authorities());
    assert_ne!(combined.epoch(), whole.epoch());
    let same = TrustMaterial::combined(Parts {
        authorities: &whole,
        certificate_logs: &whole,
        logs: &whole,
        timestamp_authorities: &whole,
    });
    assert_eq!(same.unwrap().epoch(), whole.epoch());
}

#[test]
fn what_protobuf_leaves_out_where_it_is_empty_need_not_be_there() {
    let trust = with(|root| {
        for (list, member) in [
            ("certificateAuthorities", "uri"),
            ("tlogs", "baseUrl"),
            ("ctlogs", "hashAlgorithm"),
        ] {
            root[list][0].as_object_mut().unwrap().remove(member);
        }
        root["tlogs"][0]["hashAlgorithm"] = json!("HASH_ALGORITHM_UNSPECIFIED");
    });
    assert!(trust.unwrap().has_logs());
}

#[test]
fn a_certificate_authority_of_nothing_is_refused() {
    for nothing in ["", "\n", "\r\n\r\n", " \n"] {
        assert!(TrustMaterial::from_certificate_authority_pem(nothing).is_err());
    }
}

/// T-58.
#[test]
fn refuses_an_authority_in_pem_that_ends_too_soon() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::default()
        .self_signed(&key)
        .unwrap();
    for whole in [certificate.pem(), key.public_key_pem()] {
        let (label, der) = spki::der::pem::decode_vec(whole.trim().as_bytes()).unwrap();
        for length in 0..der.len() {
            let ending = spki::der::pem::LineEnding::LF;
            let cut = spki::der::pem::encode_string(label, ending, &der[..length]).unwrap();
            let refused = TrustMaterial::from_certificate_authority_pem(&cut);
            assert!(
                matches!(refused, Err(InvalidTrustRoot::Unusable { .. })),
                "{length} bytes of a {label}"
            );
        }
    }
}
