//! The policies of the scripts that are in CUE, as they are: accepted with a warning, and images that they match are not judged. The other
//! modules have them in Rego.

use rstest::rstest;
use serde_json::{Value, json};

use crate::stage::{ATTESTATION, CUSTOM, IN_JOB, Stage, by_account, demo_policy, job, with};
use crate::support::policies::{Policy, yaml};
use crate::support::webhook::Webhook;

/// A policy that wants an attestation of which CUE decides.
fn attested(cue: &str) -> Policy {
    let wanted = json!([{
        "name": ATTESTATION, "predicateType": CUSTOM, "policy": {"type": "cue", "data": cue},
    }]);
    demo_policy("in-cue").authority(with(by_account(), "attestations", wanted))
}

/// A policy over which CUE decides.
fn whole(program: &Value) -> Policy {
    let mut policy = json!({"type": "cue"});
    let members = policy.as_object_mut().unwrap();
    members.extend(program.as_object().unwrap().clone());
    demo_policy("in-cue").fixed("pass").spec("policy", policy)
}

#[rstest]
#[case::with_attestations_step_2(attested(
    "predicateType: \"https://cosign.sigstore.dev/attestation/v1\"\npredicate: Data: \"foobar e2e test\"\n"
))]
#[case::with_attestations_step_5(attested(
    "predicateType: \"https://cosign.sigstore.dev/attestation/v1\"\npredicate: Data: \"foobar key e2e test\"\n"
))]
#[case::with_attestations_step_7(whole(&json!({
    "data": "package sigstore\nimport \"struct\"\nimport \"list\"\nauthorityMatches: {\n  keylessattMinAttestations: {\n    attestations: struct.MaxFields(1)\n  }\n}\n",
})))]
#[case::with_source_step_3(attested("predicate: Data: \"foobar prefix e2e test\"\n"))]
#[case::fetch_config_file(whole(&json!({
    "fetchConfigFile": true, "data": "config: \"linux/amd64\": config: User: \"55554\"\n",
})))]
#[case::from_configmap(whole(&json!({
    "fetchConfigFile": true, "configMapRef": {"name": "policy-config", "key": "policy"},
})))]
#[case::from_url(whole(&json!({
    "fetchConfigFile": true,
    "remote": {"url": "https://127.0.0.1:1/policy.cue", "sha256sum": "0".repeat(64)},
})))]
#[case::include_spec(whole(&json!({
    "includeSpec": true, "data": "spec: serviceAccount: \"default\"\n",
})))]
#[case::include_objectmeta(whole(&json!({
    "includeObjectMeta": true, "data": "metadata: labels: foo: \"bar\"\n",
})))]
#[case::include_typemeta(whole(&json!({
    "includeTypeMeta": true, "data": "typemeta: kind: \"Pod\"\n",
})))]
#[tokio::test]
async fn a_policy_in_cue_is_accepted_with_a_warning_and_denies_what_it_matches(
    #[case] policy: Policy,
) {
    let stage = Stage::new().await;
    let (demo, other) = (stage.image("demo"), stage.image("other"));
    let beside = Policy::new("beside").glob("**other**").fixed("pass");
    let documents = yaml(&[policy.clone(), beside]);
    let webhook = stage.under_documents(&documents, |_| {}).await;

    let denied = webhook.review(&job(&demo.pinned())).await;
    denied.denied("policy-invalid");
    let begins = format!("validation failed: failed policy: in-cue: {IN_JOB}");
    assert!(denied.message.starts_with(&begins), "{}", denied.message);
    assert!(
        denied.message.contains("a policy in CUE"),
        "{}",
        denied.message
    );
    let untouched = webhook.review(&job(&other.pinned())).await;
    untouched.admitted("static-pass");

    accepts_with_a_warning(&webhook, &policy).await;
}

/// `kubectl apply` of the policy is answered with a yes and a warning.
async fn accepts_with_a_warning(webhook: &Webhook, policy: &Policy) {
    let text = yaml(std::slice::from_ref(policy));
    let object: Value = serde_saphyr::from_str(&text).unwrap();
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "u", "operation": "CREATE", "name": "in-cue",
            "kind": {"group": "policy.sigstore.dev", "version": "v1beta1", "kind": "ClusterImagePolicy"},
            "object": object, "oldObject": null,
        },
    });
    let answer = webhook.post("/validate-policy", &review).await;
    let response = &answer["response"];
    assert_eq!(response["allowed"], true, "{response}");
    let warnings = response["warnings"].to_string();
    assert!(warnings.contains("CUE"), "{response}");
}
