//! Which condition says what, when a status is written, and when that is news.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::api;
use crate::policy::{Referents, compile};

const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n-----END PUBLIC KEY-----\n";
const V0: &str = "package sigstore\nisCompliant { true }";
const V1: &str = "package sigstore\nisCompliant if { true }";

fn conditions(spec: &Value) -> Vec<Condition> {
    let document = json!({
        "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "p"}, "spec": spec,
    });
    let policy = api::decode_cluster_image_policy(document).expect("a well-formed policy");
    of_policy(&compile(&policy, &Referents::default()).body, &[])
}

fn with(authority: &Value) -> Value {
    json!({"images": [{"glob": "ghcr.io/**"}], "authorities": [authority]})
}

/// `TYPE STATUS REASON` of each.
fn short(conditions: &[Condition]) -> Vec<String> {
    let line = |condition: &Condition| {
        let Condition {
            type_,
            status,
            reason,
            ..
        } = condition;
        format!("{type_} {status} {reason}").trim_end().to_owned()
    };
    conditions.iter().map(line).collect()
}

fn message<'a>(conditions: &'a [Condition], name: &str) -> &'a str {
    let found = conditions.iter().find(|condition| condition.type_ == name);
    &found.expect("the condition").message
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

#[test]
fn each_kind_of_problem_is_told_under_the_condition_and_reason_of_policy_controller() {
    let rego = |program: &Value| json!({"images": [{"glob": "**"}], "authorities": [{"static": {"action": "pass"}}], "policy": program});
    let in_map = json!({"type": "rego", "configMapRef": {"name": "m", "key": "k"}});
    let attested = |program: &Value| {
        with(
            &json!({"key": {"data": KEY}, "attestations": [{"name": "a", "predicateType": "https://a/b", "policy": program}]}),
        )
    };
    let keyless = json!({"keyless": {"trustRootRef": "mine", "identities": [{"issuer": "https://i", "subject": "s"}]}});
    for (spec, keys, programs, ready) in [
        (with(&json!({"key": {"data": KEY}})), "True", "True", "True"),
        (
            with(&json!({"static": {"action": "pass"}})),
            "True",
            "True",
            "True",
        ),
        (
            with(&json!({"key": {"secretRef": {"name": "s"}}})),
            "False InliningKeysFailed",
            "True",
            "False InliningKeysFailed",
        ),
        (
            with(&json!({"key": {"kms": "hashivault://a"}})),
            "False InliningKeysFailed",
            "True",
            "False InliningKeysFailed",
        ),
        (
            with(&json!({"key": {}})),
            "False InliningKeysFailed",
            "True",
            "False InliningKeysFailed",
        ),
        (
            with(&keyless),
            "False TrustRootUnavailable",
            "True",
            "False TrustRootUnavailable",
        ),
        (
            rego(&in_map),
            "True",
            "False InliningPoliciesFailed",
            "False InliningPoliciesFailed",
        ),
        (
            attested(&in_map),
            "True",
            "False InliningPoliciesFailed",
            "False InliningPoliciesFailed",
        ),
        (
            rego(&json!({"type": "rego", "data": "nonsense"})),
            "True",
            "False InliningPoliciesFailed",
            "False InliningPoliciesFailed",
        ),
        (
            rego(&json!({"type": "rego"})),
            "True",
            "False InliningPoliciesFailed",
            "False InliningPoliciesFailed",
        ),
        (
            rego(&json!({"type": "cue", "data": "a: 1"})),
            "True",
            "False CueNotSupported",
            "False CueNotSupported",
        ),
        (
            attested(&json!({"type": "cue", "data": "a: 1"})),
            "True",
            "False CueNotSupported",
            "False CueNotSupported",
        ),
        (
            json!({"authorities": [{"key": {"data": KEY}}]}),
            "True",
            "True",
            "False PolicyInvalid",
        ),
        (
            json!({"images": [{"glob": "**"}]}),
            "True",
            "True",
            "False PolicyInvalid",
        ),
    ] {
        let expected = [
            "ConfigMapUpdated True NotUsed".to_owned(),
            format!("KeysInlined {keys}"),
            format!("PoliciesInlined {programs}"),
            format!("Ready {ready}"),
        ];
        assert_eq!(short(&conditions(&spec)), expected, "{spec}");
    }
}

#[test]
fn ready_says_everything_that_is_wrong_and_cue_first() {
    let spec = json!({
        "images": [{"glob": "a["}],
        "authorities": [{"key": {"secretRef": {"name": "s"}}}],
        "policy": {"type": "cue", "data": "a: 1"},
    });
    let found = conditions(&spec);
    assert_eq!(
        short(&found),
        [
            "ConfigMapUpdated True NotUsed",
            "KeysInlined False InliningKeysFailed",
            "PoliciesInlined False CueNotSupported",
            "Ready False CueNotSupported"
        ]
    );
    for part in [
        "a[: spec.images[0].glob",
        "secret \"s\" is not in",
        "a policy in CUE",
    ] {
        assert!(
            message(&found, READY).contains(part),
            "{}",
            message(&found, READY)
        );
    }
    assert!(!message(&found, KEYS).contains("CUE"));
}

#[test]
fn the_dialect_of_the_programs_is_told() {
    let spec = |programs: [&str; 2]| {
        let attestations: Vec<Value> = programs
            .iter()
            .map(|text| json!({"name": "a", "predicateType": "https://a/b", "policy": {"type": "rego", "data": text}}))
            .collect();
        with(&json!({"key": {"data": KEY}, "attestations": attestations}))
    };
    for (programs, told) in [
        ([V0, V0], "read as Rego v0"),
        ([V1, V1], "read as Rego v1"),
        ([V0, V1], "1 programs read as Rego v0, 1 as Rego v1"),
    ] {
        assert_eq!(message(&conditions(&spec(programs)), PROGRAMS), told);
    }
}

#[test]
fn what_is_used_although_it_could_not_be_fetched_again_is_told_and_the_policy_is_ready() {
    let empty = Policy {
        authorities: Vec::new(),
        program: None,
    };
    let stale = ["key hashivault://a: HTTP 503".to_owned()];
    let found = of_policy(&Ok(empty), &stale);
    assert_eq!(
        short(&found).last().map(String::as_str),
        Some("Stale True LastGoodUsed")
    );
    assert!(short(&found).contains(&"Ready True".to_owned()));
    assert_eq!(message(&found, "Stale"), stale[0]);
    let found = of_trust_root(Ok(()), &stale);
    assert_eq!(
        short(&found),
        [
            "ConfigMapUpdated True NotUsed",
            "KeysInlined True",
            "Ready True",
            "Stale True LastGoodUsed"
        ]
    );
}

#[test]
fn a_trust_root_that_cannot_be_read_says_why() {
    let found = of_trust_root(
        Err("validation failed: missing field(s): spec.remote.mirror"),
        &[],
    );
    assert_eq!(
        short(&found),
        [
            "ConfigMapUpdated True NotUsed",
            "KeysInlined False InliningKeysFailed",
            "Ready False InliningKeysFailed"
        ]
    );
    assert_eq!(
        message(&found, READY),
        "validation failed: missing field(s): spec.remote.mirror"
    );
}

#[test]
fn a_time_stays_while_the_status_of_its_condition_does() {
    let first = settle(
        &Status::default(),
        Some(1),
        of_trust_root(Ok(()), &[]),
        at(10),
    )
    .expect("new");
    assert_eq!(first.observed_generation, Some(1));
    assert!(
        first
            .conditions
            .iter()
            .all(|c| c.last_transition_time == "1970-01-01T00:00:10Z"),
        "{first:?}"
    );
    // Said already.
    assert_eq!(
        settle(&first, Some(1), of_trust_root(Ok(()), &[]), at(20)),
        None
    );
    // The same of a newer generation.
    let second = settle(&first, Some(2), of_trust_root(Ok(()), &[]), at(20)).expect("newer");
    assert_eq!(second.conditions, first.conditions);
    // Another reason and message, with the status that it has had.
    let broken = settle(&second, Some(2), of_trust_root(Err("a"), &[]), at(30)).expect("changed");
    let again = settle(&broken, Some(2), of_trust_root(Err("b"), &[]), at(40)).expect("changed");
    let time = |status: &Status, name: &str| {
        let found = status.conditions.iter().find(|c| c.type_ == name);
        found.expect("the condition").last_transition_time.clone()
    };
    assert_eq!(time(&again, READY), "1970-01-01T00:00:30Z");
    assert_eq!(time(&again, "ConfigMapUpdated"), "1970-01-01T00:00:10Z");
    let mended = settle(&again, Some(2), of_trust_root(Ok(()), &[]), at(50)).expect("changed");
    assert_eq!(time(&mended, READY), "1970-01-01T00:00:50Z");
}

#[test]
fn conditions_of_another_controller_are_replaced_and_their_times_kept() {
    let foreign = |type_: &str, status: &str| Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        last_transition_time: "2024-01-01T00:00:00Z".to_owned(),
        ..Condition::default()
    };
    let present = Status {
        observed_generation: Some(1),
        conditions: vec![foreign(PROGRAMS, "Unknown"), foreign(READY, "True")],
        annotations: BTreeMap::new(),
    };
    let next = settle(&present, Some(1), of_trust_root(Ok(()), &[]), at(10)).expect("new");
    assert_eq!(
        short(&next.conditions),
        [
            "ConfigMapUpdated True NotUsed",
            "KeysInlined True",
            "Ready True"
        ]
    );
    assert_eq!(
        next.conditions[2].last_transition_time,
        "2024-01-01T00:00:00Z"
    );
    assert_eq!(readiness(&present, &next), None);
}

#[test]
fn it_is_news_when_readiness_or_its_reason_changes_and_else_not() {
    let none = Status::default();
    let status = |found: Vec<Condition>| settle(&none, Some(1), found, at(10)).expect("new");
    let good = status(of_trust_root(Ok(()), &[]));
    let stale = status(of_trust_root(Ok(()), &["x".to_owned()]));
    let (bad, worse) = (
        status(of_trust_root(Err("a"), &[])),
        status(of_trust_root(Err("b"), &[])),
    );
    let news = |from: &Status, to: &Status| {
        readiness(from, to).map(|news| (news.ready, news.reason, news.message))
    };
    let failed = |message: &str| Some((false, "InliningKeysFailed".to_owned(), message.to_owned()));
    assert_eq!(
        news(&none, &good),
        Some((true, String::new(), String::new()))
    );
    assert_eq!(news(&good, &stale), None);
    assert_eq!(news(&good, &bad), failed("a"));
    assert_eq!(news(&bad, &worse), None);
    assert_eq!(
        news(&bad, &good),
        Some((true, String::new(), String::new()))
    );
    assert_eq!(news(&none, &none), None);
}

#[test]
fn t15_a_message_is_one_line_fit_for_a_terminal_and_bounded() {
    let found = of_trust_root(Err("a\u{1b}[31mb\n\u{202e}c"), &[]);
    assert_eq!(message(&found, READY), "a\\u{1b}[31mb: \\u{202e}c");
    let long = vec!["x".repeat(2_000); 100];
    let found = of_trust_root(Ok(()), &long);
    let message = message(&found, "Stale");
    assert!(
        message.len() <= MESSAGE + "; …".len() && message.ends_with("; …"),
        "{}",
        message.len()
    );
}
