//! Policies that are broken, that reach out, or that cost too much: whatever they match is denied, and nothing else is.

use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};

use crate::stage::Stage;
use crate::support::policies::{Policy, yaml};
use crate::support::webhook::Webhook;

const PEM: &str =
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n";

/// T-70: a policy that cannot be used as it is written denies what it matches, and only that.
#[rstest]
#[case::a_key_that_is_none(json!([{"key": {"data": "no key"}}]))]
#[case::half_a_key(json!([{"key": {"data": PEM}}]))]
#[case::a_key_of_nothing(json!([{"key": {"data": ""}}]))]
#[case::a_key_without_anything(json!([{"key": {}}]))]
#[case::a_key_management_service(json!([{"key": {"kms": "awskms:///alias/release"}}]))]
#[case::a_missing_secret(json!([{"key": {"secretRef": {"name": "gone"}}}]))]
#[case::an_unknown_hash(json!([{"key": {"data": PEM, "hashAlgorithm": "md5"}}]))]
#[case::no_authorities(json!([]))]
#[case::null_authorities(json!(null))]
#[case::an_authority_of_no_kind(json!([{"name": "x"}]))]
#[case::an_authority_of_two_kinds(json!([{"key": {"data": PEM}, "static": {"action": "pass"}}]))]
#[case::a_static_action_that_is_none(json!([{"static": {"action": "allow"}}]))]
#[case::a_static_action_of_nothing(json!([{"static": {}}]))]
#[case::a_static_pass_with_attestations(json!([{"static": {"action": "pass"}, "attestations": [{"name": "a", "predicateType": "x"}]}]))]
#[case::a_log_that_nobody_knows(json!([{"key": {"data": PEM}, "ctlog": {"url": "https://rekor.example"}}]))]
#[case::an_attestation_without_a_type(json!([{"key": {"data": PEM}, "attestations": [{"name": "a"}]}]))]
#[tokio::test]
async fn a_policy_that_cannot_be_used_denies_what_it_matches(#[case] authorities: Value) {
    let stage = Stage::new().await;
    let (image, other) = (stage.signed("t/app"), stage.signed("t/other"));
    let host = stage.registry.host();
    let broken = Policy::new("broken")
        .glob(&format!("{host}/t/app**"))
        .spec("authorities", authorities);
    let webhook = Webhook::start(&yaml(&[broken, stage.release()])).await;
    webhook
        .judge(&image.pinned())
        .await
        .denied("policy-invalid");
    webhook.judge(&other.pinned()).await.admitted("satisfied");
}

/// T-77: no identity is nobody, never anybody.
#[rstest]
#[case::no_keyless_fields(json!({}))]
#[case::no_identities(json!({"identities": []}))]
#[case::null_identities(json!({"identities": null}))]
#[case::an_identity_of_nothing(json!({"identities": [{}]}))]
#[case::empty_strings(json!({"identities": [{"issuer": "", "subject": ""}]}))]
#[case::one_identity(json!({"identities": [{"issuer": "https://issuer.example", "subject": "ci@shop.example"}]}))]
#[case::a_pattern_for_everybody(json!({"identities": [{"issuerRegExp": ".*", "subjectRegExp": ".*"}]}))]
#[tokio::test]
async fn an_authority_of_identities_admits_nobody_that_was_not_verified(#[case] keyless: Value) {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    let policy = Policy::new("keyless").authority(json!({"name": "ci", "keyless": keyless}));
    let webhook = Webhook::start(&yaml(&[policy])).await;
    webhook
        .judge(&image.pinned())
        .await
        .denied("policy-invalid");
}

/// T-70: an authority that cannot be used spoils its policy also where another one would be satisfied.
#[tokio::test]
async fn a_good_authority_does_not_excuse_a_broken_one() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    let half = stage
        .release()
        .authority(json!({"name": "half", "key": {"data": "no key"}}));
    let webhook = Webhook::start(&yaml(&[half])).await;
    webhook
        .judge(&image.pinned())
        .await
        .denied("policy-invalid");
}

/// T-70: a glob that cannot be read could have matched anything.
#[rstest]
#[case::a_character_class("registry.example/[a-z]*")]
#[case::a_regular_expression("^registry.example/.+$")]
#[case::a_negation("!registry.example/**")]
#[tokio::test]
async fn a_glob_that_cannot_be_read_matches_everything_and_denies(#[case] glob: &str) {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    let broken = Policy::new("broken").glob(glob).fixed("pass");
    let webhook = Webhook::start(&yaml(&[broken, stage.release()])).await;
    webhook
        .judge(&image.pinned())
        .await
        .denied("policy-invalid");
}

/// T-14: a policy is a function of the evidence: it reaches nothing, knows nothing else, and is not left to chance.
#[rstest]
#[case::http(
    r#"http.send({"method": "get", "url": "http://169.254.169.254/"}).status_code == 200"#
)]
#[case::name_lookup(r#"net.lookup_ip_addr("attacker.example")"#)]
#[case::environment("opa.runtime().env.HOME")]
#[case::random(r#"rand.intn("x", 2) == 1"#)]
#[case::identifier(r#"uuid.rfc4122("x")"#)]
#[case::a_builtin_that_is_replaced(r#"count("x") == 1 with count as http.send"#)]
#[tokio::test]
async fn a_policy_that_reaches_out_is_invalid(#[case] body: &str) {
    let stage = Stage::new().await;
    let image = stage.built("t/app");
    let rego = format!("package sigstore\nisCompliant {{ {body} }}\n");
    rules(&stage, &rego)
        .await
        .judge(&image.pinned())
        .await
        .denied("policy-invalid");
}

/// T-14: there is no data beside the input.
#[rstest]
#[case::data("data.kubernetes")]
#[case::secrets("data.secrets[_]")]
#[case::token("input.token")]
#[case::environment("input.env")]
#[tokio::test]
async fn a_policy_finds_nothing_but_the_statement(#[case] body: &str) {
    let stage = Stage::new().await;
    let image = stage.built("t/app");
    let rego = format!("package sigstore\nisCompliant {{ {body} }}\n");
    let answered = rules(&stage, &rego).await.judge(&image.pinned()).await;
    assert!(!answered.allowed);
    assert!(
        ["policy-denied", "policy-invalid"].contains(&answered.reason()),
        "{}",
        answered.message
    );
}

/// T-13, T-18: as shipped, steps, output and memory of a policy are bounded; passing a bound is *could not judge*, and the webhook lives.
#[rstest]
#[case::steps(
    "count([1 | a := numbers.range(1, 3000)[_]; b := numbers.range(1, 3000)[_]; a * b == 0]) == 0"
)]
#[case::a_long_range("count(numbers.range(1, 1000000000)) > 0")]
#[case::a_long_text(r#"count(sprintf("%1000000000d", [1])) > 0"#)]
#[case::doubling(r#"a := concat("", ["0123456789", "0123456789"]); x := [concat("", [a | numbers.range(1, 20000)[_]]) | numbers.range(1, 20000)[_]]; count(x) > 0"#)]
#[case::replacing(r#"a := replace(concat("", [x | numbers.range(1, 9999)[_]; x := "a"]), "a", concat("", [x | numbers.range(1, 9999)[_]; x := "bb"])); count(a) > 0"#)]
#[case::shifting("bits.lsh(1, 100000000000) > 0")]
#[tokio::test]
async fn a_policy_beyond_its_budget_is_not_judged(#[case] body: &str) {
    let stage = Stage::new().await;
    let (image, good) = (stage.built("t/app"), stage.signed("t/good"));
    let rego = format!("package sigstore\nisCompliant {{ {body} }}\n");
    let policies = yaml(&[
        Policy::new("costly").glob("**/t/app**").attested(
            "chains",
            &stage.release,
            "https://slsa.dev/provenance/v0.2",
            Some(&rego),
        ),
        stage.release().glob("**/t/good**"),
    ]);
    let webhook = Webhook::start(&policies).await;
    let answered = webhook.judge(&image.pinned()).await;
    answered.denied("policy-budget");
    assert!(
        answered.took < Duration::from_secs(3),
        "{:?}",
        answered.took
    );
    webhook.judge(&good.pinned()).await.admitted("satisfied");
}

/// T-13: what a policy says is cut, and cannot push the verdict out of sight.
#[tokio::test]
async fn a_policy_that_talks_too_much_is_cut() {
    let stage = Stage::new().await;
    let image = stage.built("t/app");
    let rego = r#"package sigstore
isCompliant[answer] {
  noise := concat("", ["evil\u001b[2J\n" | numbers.range(1, 5000)[_]])
  answer := {"result": false, "error": noise}
}
"#;
    let answered = rules(&stage, rego).await.judge(&image.pinned()).await;
    answered.denied("policy-denied");
    assert!(answered.message.len() <= 8 << 10);
    assert!(
        answered
            .message
            .starts_with("validation failed: failed policy: rules: spec.containers[0].image")
    );
    assert!(
        answered
            .message
            .chars()
            .all(|c| c == '\n' || !c.is_control())
    );
}

/// T-13: an output beyond its bound is not judged.
#[tokio::test]
async fn a_policy_whose_answer_is_too_large_is_not_judged() {
    let stage = Stage::new().await;
    let image = stage.built("t/app");
    let rego = r#"package sigstore
isCompliant[answer] {
  n := numbers.range(1, 9000)[_]
  text := "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
  answer := {"result": true, "n": n, "text": text}
}
"#;
    rules(&stage, rego)
        .await
        .judge(&image.pinned())
        .await
        .denied("policy-budget");
}

/// What is no clear yes is no.
#[rstest]
#[case::undefined("isCompliant { false }", "policy-denied")]
#[case::a_number("isCompliant := 1", "policy-denied")]
#[case::a_text(r#"isCompliant := "true""#, "policy-denied")]
#[case::null("isCompliant := null", "policy-denied")]
#[case::an_empty_object("isCompliant := {}", "policy-denied")]
#[case::a_result_that_is_a_text(r#"isCompliant := {"result": "true"}"#, "policy-denied")]
#[case::an_empty_set("isCompliant[answer] { false; answer := 1 }", "policy-denied")]
#[case::noes(
    r#"isCompliant[answer] { answer := [{"result": false}, {"result": false, "error": "x"}][_] }"#,
    "policy-denied"
)]
#[case::a_set_with_something_else_in_it(
    r#"isCompliant[answer] { answer := [1, {"result": true}][_] }"#,
    "policy-denied"
)]
#[case::yes_with_a_warning(
    r#"isCompliant := {"result": true, "warning": "soon"}"#,
    "policy-denied"
)]
#[case::two_values(
    "isCompliant := true { true }\nisCompliant := false { true }",
    "policy-invalid"
)]
#[case::a_builtin_that_fails(r#"isCompliant { to_number("x") == 1 }"#, "policy-denied")]
#[tokio::test]
async fn an_answer_that_is_no_clear_yes_denies(#[case] rule: &str, #[case] reason: &str) {
    let stage = Stage::new().await;
    let image = stage.built("t/app");
    let rego = format!("package sigstore\n{rule}\n");
    rules(&stage, &rego)
        .await
        .judge(&image.pinned())
        .await
        .denied(reason);
}

/// T-70: a program that does not compile.
#[rstest]
#[case::no_rego("this is not rego")]
#[case::nothing(" ")]
#[case::another_package("package other\nisCompliant { true }")]
#[case::no_rule("package sigstore\nallow { true }")]
#[case::recursion("package sigstore\nisCompliant { f(1) }\nf(x) { f(x) }")]
#[case::an_unknown_function("package sigstore\nisCompliant { open_sesame(1) }")]
#[tokio::test]
async fn a_program_that_does_not_compile_denies(#[case] rego: &str) {
    let stage = Stage::new().await;
    let image = stage.built("t/app");
    rules(&stage, rego)
        .await
        .judge(&image.pinned())
        .await
        .denied("policy-invalid");
}

/// T-69: where an enforcing and a warning policy fail on one image it is denied, and the text names both for what they are.
#[tokio::test]
async fn a_denial_names_the_warning_policy_that_failed_too() {
    let stage = Stage::new().await;
    let image = stage.image("t/app");
    let advisory = Policy::new("advisory")
        .mode("warn")
        .key("stranger", &stage.stranger);
    let webhook = Webhook::start(&yaml(&[stage.release(), advisory])).await;
    let answered = webhook.judge(&image.pinned()).await;
    answered.denied("unsigned");
    assert!(
        answered
            .message
            .starts_with("validation failed: failed policy: release: spec.containers[0].image"),
        "{}",
        answered.message
    );
    let line = answered
        .message
        .lines()
        .find(|line| line.contains("advisory"));
    assert!(
        line.is_some_and(|line| line.contains("warn")),
        "{}",
        answered.message
    );
    assert_eq!(
        answered.annotations["policies"],
        "advisory=violated:unsigned,release=violated:unsigned"
    );
}

/// T-69: the other way about, a satisfied enforcing policy does not hide the warning.
#[tokio::test]
async fn a_warning_policy_that_failed_alone_warns() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    let advisory = Policy::new("advisory")
        .mode("warn")
        .key("stranger", &stage.stranger);
    let webhook = Webhook::start(&yaml(&[stage.release(), advisory])).await;
    let answered = webhook.judge(&image.pinned()).await;
    answered.admitted("untrusted-signer");
    assert!(
        answered
            .warnings
            .iter()
            .any(|line| line.contains("advisory")),
        "{:?}",
        answered.warnings
    );
}

/// T-70: one broken policy beside a satisfied one is still a policy that could not be judged, and a violated one wins over both.
#[tokio::test]
async fn a_broken_policy_outweighs_a_satisfied_one_and_a_violated_one_both() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    let broken = || Policy::new("broken").spec("authorities", json!([]));
    let violated = Policy::new("violated").key("stranger", &stage.stranger);
    let webhook = Webhook::start(&yaml(&[stage.release(), broken()])).await;
    webhook
        .judge(&image.pinned())
        .await
        .denied("policy-invalid");
    let webhook = Webhook::start(&yaml(&[stage.release(), broken(), violated])).await;
    webhook
        .judge(&image.pinned())
        .await
        .denied("untrusted-signer");
}

/// A webhook that wants provenance by the release key with which this program agrees.
async fn rules(stage: &Stage, rego: &str) -> Webhook {
    let provenance = "https://slsa.dev/provenance/v0.2";
    let policy = Policy::new("rules").attested("chains", &stage.release, provenance, Some(rego));
    Webhook::start(&yaml(&[policy])).await
}
