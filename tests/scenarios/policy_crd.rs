//! `e2e_test_policy_crd.sh`: policies as they are applied, in both versions, with the texts that the script greps for.
//!
//! The files of the script themselves, where they are at hand, go through `tests/lint.rs` and `tests/policy_inputs/applied.rs`.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::policies::{Policy, yaml};
use crate::support::webhook::Webhook;

const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZxAfzrQG1EbWyCI8LiSB7YgSFXoI\nFNGTyQGKHFc6/H8TQumT9VLS78pUwtv3w7EfKoyFZoP32KrO7nzUy2q6Cw==\n-----END PUBLIC KEY-----\n";

/// What `kubectl create` of a policy with this `spec` is answered, in each version.
async fn created(spec: &Value) -> [Value; 2] {
    let webhook = Webhook::start(&yaml(&[Policy::new("any").fixed("fail")])).await;
    let mut answers = Vec::new();
    for version in ["v1alpha1", "v1beta1"] {
        let object = json!({
            "apiVersion": format!("policy.sigstore.dev/{version}"), "kind": "ClusterImagePolicy",
            "metadata": {"name": "image-policy"}, "spec": spec,
        });
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
                "uid": "u", "operation": "CREATE", "name": "image-policy",
                "kind": {"group": "policy.sigstore.dev", "version": version, "kind": "ClusterImagePolicy"},
                "object": object, "oldObject": null,
            },
        });
        let answer = webhook.post("/validate-policy", &review).await;
        answers.push(answer["response"].clone());
    }
    answers.try_into().unwrap()
}

/// A `spec` with these authorities.
fn by(authorities: &Value) -> Value {
    json!({"images": [{"glob": "image*"}], "authorities": authorities})
}

fn by_identity(identity: &Value) -> Value {
    by(&json!([{"keyless": {"url": "https://fulcio.sigstore.dev", "identities": [identity]}}]))
}

#[rstest]
#[case::invalid_authority(
    by(&json!([{"rfc3161timestamp": {"trustRootRef": "my-sigstore-keys"}}])),
    "expected exactly one, got neither: spec.authorities[0].key, spec.authorities[0].keyless, spec.authorities[0].static"
)]
#[case::empty_keyref(
    by(&json!([{"key": {}}])),
    "expected exactly one, got neither: spec.authorities[0].key.data, spec.authorities[0].key.kms, spec.authorities[0].key.secretref"
)]
#[case::keyref_with_multiple_properties(
    by(&json!([{"key": {"data": KEY, "kms": "hashivault://url"}}])),
    "expected exactly one, got both: spec.authorities[0].key.data, spec.authorities[0].key.kms, spec.authorities[0].key.secretref"
)]
#[case::valid_keyref_and_keylessref(
    by(&json!([{"keyless": {"identities": [{"issuer": "issue-details"}]}, "key": {"kms": "hashivault://url"}}])),
    "expected exactly one, got both: spec.authorities[0].key, spec.authorities[0].keyless, spec.authorities[0].static"
)]
#[case::keylessref_with_multiple_properties(
    by(&json!([{"keyless": {
        "identities": [{
            "issuerRegExp": ".*kubernetes.default.*",
            "subjectRegExp": ".*kubernetes.io/namespaces/default/serviceaccounts/default",
        }],
        "ca-cert": {"secretRef": {"name": "ca-cert-secret"}}, "url": "http://example.com",
    }}])),
    "expected exactly one, got both: spec.authorities[0].keyless.ca-cert, spec.authorities[0].keyless.url"
)]
#[case::invalid_keyref_awskms_by_id(
    by(&json!([{"key": {"kms": "awskms:///1234abcd-12ab-34cd-56ef-1234567890ab"}}])),
    "spec.authorities[0].key.kms"
)]
#[case::invalid_keyref_awskms_by_alias(
    by(&json!([
        {"key": {"kms": "awskms:///alias/ExampleAlias"}},
        {"key": {"kms": "awskms://localhost:4566/alias/ExampleAlias"}},
    ])),
    "spec.authorities[1].key.kms"
)]
#[case::missing_identity(
    by(&json!([{"keyless": {"url": "https://fulcio.sigstore.dev"}}])),
    "keyless.identities: Invalid value"
)]
#[case::empty_keyref_and_keylessref(
    by(&json!([{"keyless": {}, "key": {}}])),
    "keyless.identities: Invalid value"
)]
#[case::invalid_pubkey(
    by(&json!([{"key": {"data": "---somedata---"}}])),
    "validation failed: invalid value: ---somedata---: spec.authorities[0].key.data"
)]
#[case::keylessref_with_malformed_issuer(
    by(&json!([{"keyless": {"identities": [{"issuerRegExp": "****"}]}}])),
    "invalid value: ****: spec.authorities[0].keyless.identities[0].issuerRegExp"
)]
#[case::keylessref_with_malformed_subject(
    by(&json!([{"keyless": {"identities": [{"subjectRegExp": "****"}]}}])),
    "invalid value: ****: spec.authorities[0].keyless.identities[0].subjectRegExp"
)]
#[case::invalid_hash_algo(
    by(&json!([{"key": {"hashAlgorithm": "shaINVALID", "data": KEY}}])),
    "validation failed: invalid value: shaINVALID: spec.authorities[0].key.hashAlgorithm"
)]
#[case::invalid_match_resource(
    json!({
        "images": [{"glob": "image*"}], "authorities": [{"key": {"data": KEY}}],
        "match": [{"resource": "apple", "version": "v1", "group": "apps"}],
    }),
    "validation failed: invalid value: apple: spec.match[0].resource"
)]
#[case::invalid_mode(
    json!({"mode": "garbage", "images": [{"glob": "**"}], "authorities": [{"key": {"data": KEY}}]}),
    "invalid value: garbage: spec.mode"
)]
#[case::missing_subject(
    by_identity(&json!({"issuer": "testissuer"})),
    "missing field(s): spec.authorities[0].keyless.identities[0].subject, spec.authorities[0].keyless.identities[0].subjectRegExp"
)]
#[case::missing_issuer(
    by_identity(&json!({"subject": "testsubject"})),
    "missing field(s): spec.authorities[0].keyless.identities[0].issuer, spec.authorities[0].keyless.identities[0].issuerRegExp"
)]
#[case::empty_authorities(by(&json!([])), "missing field(s): spec.authorities")]
#[case::invalid_glob(
    json!({"images": [{"glob": "["}], "authorities": [{"key": {"data": KEY}}]}),
    "invalid value: [: spec.images[0].glob"
)]
#[tokio::test]
async fn is_refused_in_both_versions(#[case] spec: Value, #[case] words: &str) {
    for response in created(&spec).await {
        assert_eq!(response["allowed"], false, "{response}");
        let message = response["status"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{words}: {message}");
    }
}

#[rstest]
#[case::globs(json!({
    "images": [{"glob": "images.*"}, {"glob": "image*"}], "authorities": [{"key": {"data": KEY}}],
}))]
#[case::keys_of_each_kind(by(&json!([
    {"key": {"data": KEY}}, {"key": {"kms": "hashivault://key/path"}},
    {"key": {"secretRef": {"name": "secret-name", "namespace": "cosign-system"}}},
])))]
#[case::keys_of_aws(by(&json!([
    {"key": {"kms": "awskms:///arn:aws:kms:us-east-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"}},
    {"key": {"kms": "awskms://localhost:4566/arn:aws:kms:us-east-2:111122223333:alias/ExampleAlias"}},
])))]
#[case::own_authorities(by(&json!([{"keyless": {
    "ca-cert": {"secretRef": {"name": "ca-cert-secret"}},
    "identities": [{"issuer": "issuer", "subject": "subject"}],
}}])))]
#[case::several_identities(by(&json!([{"keyless": {
    "url": "http://example.com",
    "identities": [{"issuer": "a", "subject": "b"}, {"issuerRegExp": "^a$", "subjectRegExp": "^b$"}],
}}])))]
#[case::hash_algorithm_sha512(by(&json!([{"key": {"data": KEY, "hashAlgorithm": "sha512"}}])))]
#[case::insecure_ignore_sct(by(&json!([{"keyless": {
    "url": "http://example.com", "insecureIgnoreSCT": true,
    "identities": [{"issuer": "issuer", "subject": "subject"}],
}}])))]
#[case::match_resource_and_label(json!({
    "images": [{"glob": "image*"}], "authorities": [{"key": {"data": KEY}}],
    "match": [{
        "resource": "pods", "version": "v1", "selector": {"matchLabels": {"match": "match"}},
    }],
}))]
#[case::signature_pull_secrets(by(&json!([{
    "key": {"data": KEY},
    "source": [{"oci": "registry.example/signatures", "signaturePullSecrets": [{"name": "mysecret"}]}],
}])))]
#[tokio::test]
async fn is_accepted_in_both_versions(#[case] spec: Value) {
    for response in created(&spec).await {
        assert_eq!(response["allowed"], true, "{response}");
    }
}
