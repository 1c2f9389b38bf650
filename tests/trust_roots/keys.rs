//! `sigstoreKeys`: what becomes of keys and certificates that a TrustRoot holds itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PublicKeyData as _,
};
use rstest::rstest;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sigstore_trust_root::TrustedRoot;
use vouchsafe::api;
use vouchsafe::trust::TrustMaterial;
use vouchsafe::trust::sigstore_keys::{UnusableField, trusted_root};

use crate::support::vectors::vectors;

fn keys(spec: &Value) -> api::SigstoreKeys {
    serde_json::from_value(spec.clone()).unwrap()
}

fn json_of(spec: &Value) -> Value {
    let bytes = trusted_root(&keys(spec)).unwrap_or_else(|problems| panic!("{problems:?}"));
    let text = String::from_utf8(bytes).unwrap();
    // Whatever we write, Sigstore's own reader must read.
    let root = TrustedRoot::from_json(&text).unwrap();
    root.rekor_keys().unwrap();
    serde_json::from_str(&text).unwrap()
}

fn problems(spec: &Value) -> Vec<String> {
    let problems = trusted_root(&keys(spec)).unwrap_err();
    problems.iter().map(UnusableField::to_string).collect()
}

fn log(url: &str, key: &KeyPair) -> Value {
    json!({"baseURL": url, "hashAlgorithm": "sha-256", "publicKey": STANDARD.encode(key.public_key_pem())})
}

fn authority(pem: &str) -> Value {
    json!({
        "subject": {"organization": "o", "commonName": "c"}, "uri": "https://ca.example",
        "certChain": STANDARD.encode(pem),
    })
}

fn key(algorithm: &'static rcgen::SignatureAlgorithm) -> KeyPair {
    KeyPair::generate_for(algorithm).unwrap()
}

fn named(name: &str, is_ca: bool) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = if is_ca {
        IsCa::Ca(BasicConstraints::Unconstrained)
    } else {
        IsCa::ExplicitNoCa
    };
    params
}

/// Root, intermediate and leaf, in PEM.
fn chain() -> [String; 3] {
    let p256 = || key(&rcgen::PKCS_ECDSA_P256_SHA256);
    let root = CertifiedIssuer::self_signed(named("root", true), p256()).unwrap();
    let middle = CertifiedIssuer::signed_by(named("middle", true), p256(), &root).unwrap();
    let leaf = named("leaf", false).signed_by(&p256(), &middle).unwrap();
    [root.pem(), middle.pem(), leaf.pem()]
}

#[rstest]
#[case::p256(&rcgen::PKCS_ECDSA_P256_SHA256, "PKIX_ECDSA_P256_SHA_256")]
#[case::p384(&rcgen::PKCS_ECDSA_P384_SHA384, "PKIX_ECDSA_P384_SHA_384")]
#[case::p521(&rcgen::PKCS_ECDSA_P521_SHA512, "PKIX_ECDSA_P521_SHA_512")]
fn the_id_of_a_log_is_the_digest_of_its_key(
    #[case] algorithm: &'static rcgen::SignatureAlgorithm,
    #[case] details: &str,
) {
    let key = key(algorithm);
    let root = json_of(&json!({"tLogs": [log("https://rekor.example", &key)]}));
    let entry = &root["tlogs"][0];
    let id = STANDARD.encode(Sha256::digest(key.subject_public_key_info()));
    assert_eq!(entry["logId"]["keyId"], json!(id));
    assert_eq!(entry["publicKey"]["keyDetails"], json!(details));
    assert_eq!(
        entry["publicKey"]["validFor"],
        json!({"start": "1970-01-01T00:00:00Z"})
    );
    assert_eq!(root["tlogs"].as_array().unwrap().len(), 1);
}

/// The public log of Rekor v2 has such a key, and policy-controller refuses the whole root for it.
#[test]
fn a_log_with_an_ed25519_key_is_found_by_the_ids_of_rekor_v1_and_of_v2() {
    let Some(vectors) = vectors() else { return };
    let public = std::fs::read(vectors.join("roots/public-good-2026.json")).unwrap();
    let public: Value = serde_json::from_slice(&public).unwrap();
    let wanted = public["tlogs"]
        .as_array()
        .unwrap()
        .iter()
        .find(|log| log["publicKey"]["keyDetails"] == "PKIX_ED25519")
        .unwrap();
    let der = wanted["publicKey"]["rawBytes"].as_str().unwrap();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n");
    let written = json!({"baseURL": wanted["baseUrl"], "hashAlgorithm": "sha256", "publicKey": STANDARD.encode(pem)});
    let root = json_of(&json!({"tLogs": [written]}));
    let ids: Vec<&Value> = root["tlogs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|log| &log["logId"]["keyId"])
        .collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&&wanted["logId"]["keyId"]), "{ids:?}");
}

#[test]
fn several_of_each_count_and_the_same_log_twice_is_one() {
    let [root_pem, middle, leaf] = chain();
    let [other_root, _, other_leaf] = chain();
    let (first, second) = (
        key(&rcgen::PKCS_ECDSA_P256_SHA256),
        key(&rcgen::PKCS_ED25519),
    );
    let root = json_of(&json!({
        "certificateAuthorities": [authority(&format!("{middle}{root_pem}")), authority(&other_root)],
        "timestampAuthorities": [authority(&format!("{leaf}{middle}{root_pem}")), authority(&format!("{other_leaf}{other_root}"))],
        "tLogs": [log("https://a", &first), log("https://a", &first), log("https://b", &second)],
        "ctLogs": [log("https://c", &first), log("https://d", &second)],
    }));
    let count = |list: &str| root[list].as_array().unwrap().len();
    assert_eq!(count("certificateAuthorities"), 2);
    assert_eq!(count("timestampAuthorities"), 2);
    assert_eq!(count("tlogs"), 3);
    assert_eq!(count("ctlogs"), 2);
}

#[test]
fn a_timestamp_authority_may_list_its_chain_in_any_order() {
    let [root, middle, leaf] = chain();
    let certificates = |pem: &str| {
        let read = json_of(&json!({"timestampAuthorities": [authority(pem)]}));
        read["timestampAuthorities"][0]["certChain"].clone()
    };
    let ordered = certificates(&format!("{leaf}{middle}{root}"));
    assert_eq!(certificates(&format!("{root}{leaf}{middle}")), ordered);
    assert_eq!(ordered["certificates"].as_array().unwrap().len(), 3);
}

/// Blank lines and words between blocks make policy-controller refuse the whole resource.
#[test]
fn words_around_pem_blocks_do_not_matter() {
    let [root, middle, _] = chain();
    let plain =
        json_of(&json!({"certificateAuthorities": [authority(&format!("{middle}{root}"))]}));
    let spaced = json_of(
        &json!({"certificateAuthorities": [authority(&format!("Issuing CA\n{middle}\n\nRoot\n{root}\n\n"))]}),
    );
    assert_eq!(plain, spaced);
}

#[test]
fn every_field_that_cannot_be_used_is_named() {
    let [root, _, leaf] = chain();
    let [_, _, other] = chain();
    let key = key(&rcgen::PKCS_ECDSA_P256_SHA256);
    let at = "spec.sigstoreKeys";
    let mut no_hash = log("https://l", &key);
    no_hash["hashAlgorithm"] = json!("md5");
    let private = json!({"baseURL": "https://l", "hashAlgorithm": "sha-256", "publicKey": STANDARD.encode(key.serialize_pem())});
    let found = problems(&json!({
        "certificateAuthorities": [authority("nothing"), authority(&root), authority(&key.public_key_pem())],
        "timestampAuthorities": [authority(&format!("{leaf}{other}{root}"))],
        "tLogs": [no_hash, private],
    }));
    assert_eq!(
        found,
        [
            format!("{at}.tLogs[0].hashAlgorithm: none of sha-256, sha-384, sha-512"),
            format!("{at}.tLogs[1].publicKey: there is a PEM block that is no PUBLIC KEY"),
            format!(
                "{at}.certificateAuthorities[0].certChain: there is no CERTIFICATE in PEM (the field is base64 of PEM)"
            ),
            format!(
                "{at}.certificateAuthorities[2].certChain: there is a PEM block that is no CERTIFICATE"
            ),
            format!(
                "{at}.timestampAuthorities[0].certChain: at most one certificate may be that of the timestamp authority, the others are of certificate authorities"
            ),
        ]
    );
}

#[test]
fn the_recorded_trust_root_of_a_private_sigstore_is_read() {
    let Some(vectors) = vectors() else { return };
    let recorded = std::fs::read(vectors.join("peer/trustroot.json")).unwrap();
    let recorded: Value = serde_json::from_slice(&recorded).unwrap();
    let root = json_of(&recorded["spec"]["sigstoreKeys"]);
    for list in ["certificateAuthorities", "ctlogs", "tlogs"] {
        assert!(!root[list].as_array().unwrap().is_empty(), "{list}");
    }
}

/// Also those of a private Sigstore, whose logs have no addresses.
#[test]
fn every_recorded_trusted_root_is_trust_material() {
    let Some(vectors) = vectors() else { return };
    let mut paths = vec![vectors.join("conforma/trusted_root.json")];
    for entry in std::fs::read_dir(vectors.join("roots")).unwrap() {
        paths.push(entry.unwrap().path());
    }
    for path in paths.iter().filter(|path| path.extension().is_some()) {
        let json = std::fs::read(path).unwrap();
        let read = TrustMaterial::from_trusted_root_json(&json);
        assert!(read.is_ok(), "{}: {read:?}", path.display());
    }
}
