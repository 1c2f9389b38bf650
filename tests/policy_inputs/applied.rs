//! `POST /validate-policy`: what the author of a policy is told when it is applied.

use rstest::rstest;
use serde_json::{Value, json};
use vouchsafe::adapters::files;

use crate::stage::Stage;
use crate::support::policies::{Policy, yaml};
use crate::support::vectors::vectors;
use crate::support::webhook::Webhook;

const GROUP: &str = "policy.sigstore.dev";

/// The review of a change of `object`, which was `old`.
fn review(operation: &str, object: &Value, old: &Value) -> Value {
    let of = if object.is_null() { old } else { object };
    let version = of["apiVersion"].as_str().unwrap().rsplit('/').next();
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "operation": operation, "name": of["metadata"]["name"],
        "kind": {"group": GROUP, "version": version, "kind": of["kind"]},
        "object": object, "oldObject": old,
    }})
}

fn policy(spec: &Value) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/v1beta1"), "kind": "ClusterImagePolicy",
        "metadata": {"name": "p"}, "spec": spec,
    })
}

async fn webhook() -> Webhook {
    Webhook::start(&yaml(&[Policy::new("any").fixed("fail")])).await
}

async fn created(webhook: &Webhook, object: &Value) -> Value {
    let answer = webhook
        .post("/validate-policy", &review("CREATE", object, &Value::Null))
        .await;
    answer["response"].clone()
}

/// All fixtures of policy-controller's end-to-end tests, in both versions; each says which text it is refused with.
#[tokio::test]
async fn every_fixture_is_answered_as_policy_controller_answers_it() {
    let Some(vectors) = vectors() else { return };
    let index = std::fs::read(vectors.join("INDEX.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let webhook = webhook().await;
    let mut asked = 0;
    for case in index["cases"].as_array().unwrap() {
        if case["kind"] != "cip" {
            continue;
        }
        let manifest = vectors.join(case["files"]["manifest"].as_str().unwrap());
        let text = std::fs::read_to_string(&manifest).unwrap();
        let object: Value = serde_saphyr::from_str(&text).unwrap();
        for version in ["v1alpha1", "v1beta1"] {
            let mut object = object.clone();
            object["apiVersion"] = json!(format!("{GROUP}/{version}"));
            let response = created(&webhook, &object).await;
            let wanted = case["expected"] == "pass";
            assert_eq!(response["allowed"], wanted, "{}: {response}", case["id"]);
            if !wanted {
                assert_eq!(response["status"]["code"], 400);
                assert_eq!(response["status"]["reason"], "BadRequest");
                let message = response["status"]["message"].as_str().unwrap();
                assert!(message.starts_with("validation failed: "), "{message}");
                // The same words as those of `lint`, which has the file.
                let documents = files::load(std::slice::from_ref(&manifest)).unwrap();
                let linted = crate::applied::linted(&documents.policies[0].value);
                assert_eq!(message, linted, "{}", case["id"]);
            }
            asked += 1;
        }
    }
    assert_eq!(asked, 2 * 47);
}

/// What `lint` says a cluster would answer.
fn linted(policy: &vouchsafe::api::ClusterImagePolicy) -> String {
    let nothing = vouchsafe::policy::Referents::default();
    let around = vouchsafe::apply::Surroundings::Partly(&nothing);
    let namespace = vouchsafe::apply::DEFAULT_NAMESPACE;
    let found = vouchsafe::apply::check_policy(policy, namespace, around);
    vouchsafe::apply::refusal(&found).unwrap()
}

#[rstest]
#[case::a_key(json!({"images": [{"glob": "**"}], "authorities": [{"key": {"data": "no key"}}]}), "invalid value: no key: spec.authorities[0].key.data")]
#[case::a_regex(
    json!({"images": [{"glob": "**"}], "authorities": [{"keyless": {"identities": [{"issuerRegExp": "(", "subject": "s"}]}}]}),
    "regex is invalid: error parsing regexp: missing closing )"
)]
#[case::a_glob(json!({"images": [{"glob": "a["}], "authorities": [{"static": {"action": "pass"}}]}), "invalid value: a[: spec.images[0].glob")]
#[case::rego(
    json!({"images": [{"glob": "**"}], "authorities": [{"static": {"action": "pass"}}], "policy": {"type": "rego", "data": "package sigstore\nisCompliant {"}}),
    "spec.policy.data"
)]
#[case::a_field_that_nobody_knows(json!({"images": [{"glob": "**"}], "authoritys": []}), "decoding request failed: cannot decode incoming new object: json: unknown field \"authoritys\"")]
#[tokio::test]
async fn what_cannot_be_used_is_refused(#[case] spec: Value, #[case] words: &str) {
    let response = created(&webhook().await, &policy(&spec)).await;
    assert_eq!(response["allowed"], false);
    let message = response["status"]["message"].as_str().unwrap();
    assert!(message.contains(words), "{message}");
}

#[tokio::test]
async fn what_is_legal_and_dangerous_is_warned_about() {
    let identity = json!({"issuer": "https://issuer.example", "subjectRegExp": "@example.com"});
    let spec = json!({
        "images": [{"glob": "**"}],
        "authorities": [{"static": {"action": "pass"}}, {"keyless": {"identities": [identity]}}],
    });
    let response = created(&webhook().await, &policy(&spec)).await;
    assert_eq!(response["allowed"], true, "{response}");
    let warnings = response["warnings"].to_string();
    assert!(
        warnings.contains("every image is admitted without proof"),
        "{warnings}"
    );
    assert!(
        warnings.contains("regular expression is not anchored"),
        "{warnings}"
    );
}

/// A reference that dangles is mended where it leads to, so it does not stand in the way of what is applied in another order.
#[tokio::test]
async fn a_reference_that_leads_nowhere_is_warned_about_and_one_that_leads_somewhere_is_not() {
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "rules"},
        "data": {"good": "package sigstore\nisCompliant { true }", "bad": "isCompliant {"},
    });
    let policies = yaml(&[Policy::new("any").fixed("fail")]);
    let webhook = Webhook::start(&format!("{policies}\n---\n{map}\n")).await;
    for (name, key, words) in [
        ("rules", "good", None),
        (
            "rules",
            "bad",
            Some("what it refers to cannot be used: spec.policy.configMapRef"),
        ),
        (
            "rules",
            "gone",
            Some("configmap \"rules\" does not contain key gone"),
        ),
        ("gone", "good", Some("configmap \"gone\" not found")),
    ] {
        let spec = json!({
            "images": [{"glob": "registry.example/**"}], "authorities": [{"static": {"action": "pass"}}],
            "policy": {"type": "rego", "configMapRef": {"name": name, "key": key}},
        });
        let response = created(&webhook, &policy(&spec)).await;
        assert_eq!(response["allowed"], true, "{response}");
        let warnings = response["warnings"].to_string().replace("\\\"", "\"");
        match words {
            Some(words) => assert!(warnings.contains(words), "{warnings}"),
            None => assert_eq!(response.get("warnings"), None, "{warnings}"),
        }
    }
}

/// What was stored before must stay writable: its finalizers, its labels, its status, its end.
#[tokio::test]
async fn a_broken_policy_that_is_stored_already_can_be_changed_in_everything_but_its_spec() {
    let webhook = webhook().await;
    let broken = json!({"images": [], "authorities": []});
    let stored = policy(&broken);
    let mut released = stored.clone();
    released["metadata"]["finalizers"] = json!([]);
    released["status"] = json!({"conditions": []});
    let mut edited = stored.clone();
    edited["spec"]["mode"] = json!("warn");
    let mut status = review("UPDATE", &edited, &stored);
    status["request"]["subResource"] = json!("status");
    for (review, allowed) in [
        (review("UPDATE", &released, &stored), true),
        (review("UPDATE", &edited, &stored), false),
        (status, true),
        (review("DELETE", &Value::Null, &stored), true),
        (review("CREATE", &stored, &Value::Null), false),
    ] {
        let answer = webhook.post("/validate-policy", &review).await;
        assert_eq!(answer["response"]["allowed"], allowed, "{review}");
        assert_eq!(answer["response"]["uid"], "u");
    }
}

#[tokio::test]
async fn a_trust_root_is_checked_and_other_kinds_are_unhandled() {
    let webhook = webhook().await;
    let root = json!({
        "apiVersion": format!("{GROUP}/v1alpha1"), "kind": "TrustRoot",
        "metadata": {"name": "r"}, "spec": {},
    });
    let response = created(&webhook, &root).await;
    assert_eq!(
        response["status"]["message"],
        "validation failed: expected exactly one, got neither: spec.remote, spec.repository, spec.sigstoreKeys"
    );
    let mut other = root.clone();
    other["kind"] = json!("Policy");
    let response = created(&webhook, &other).await;
    assert_eq!(
        response["status"]["message"],
        "unhandled kind: policy.sigstore.dev/v1alpha1, Kind=Policy"
    );
}

/// An image is judged as before: this path is for policies alone.
#[tokio::test]
async fn policies_that_are_applied_change_nothing_that_is_in_force() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    let webhook = stage.wants_signature().await;
    let pass = json!({"images": [{"glob": "**"}], "authorities": [{"static": {"action": "fail"}}]});
    assert_eq!(created(&webhook, &policy(&pass)).await["allowed"], true);
    webhook.judge(&image.pinned()).await.admitted("satisfied");
}
