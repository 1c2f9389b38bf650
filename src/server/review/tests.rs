use rstest::rstest;
use serde_json::json;

use super::*;
use crate::verdict::{Judgement, Reason};

fn review(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut review = json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "name": "cart",
            "namespace": "shop",
            "operation": "CREATE",
            "userInfo": {"username": "alice", "groups": ["dev"]},
            "object": {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": []}},
            "oldObject": null,
            "dryRun": false,
            "options": {"kind": "CreateOptions"}
        }
    });
    change(&mut review);
    serde_json::to_vec(&review).unwrap()
}

fn answer(allowed: bool) -> Answer {
    Answer {
        allowed,
        code: if allowed { 200 } else { 403 },
        reason: if allowed { "" } else { "Forbidden" },
        message: if allowed {
            String::new()
        } else {
            "validation failed: no\nbecause".to_owned()
        },
        causes: if allowed {
            Vec::new()
        } else {
            vec![AnswerCause {
                reason: "unsigned",
                field: "spec.containers[0].image".into(),
                message: "nothing found".into(),
            }]
        },
        warnings: vec!["look".to_owned()],
        audit_annotations: BTreeMap::from([("verdict".to_owned(), "x".to_owned())]),
        judgement: if allowed {
            Judgement::Admit
        } else {
            Judgement::Deny
        },
        verdict_reason: if allowed {
            Reason::Satisfied
        } else {
            Reason::Unsigned
        },
    }
}

#[test]
fn reads_what_the_api_server_writes() {
    let request = decode(&review(|_| {}), 64).unwrap();
    assert_eq!(request.uid, "705ab4f5-6393-11e8-b7cc-42010a800002");
    assert_eq!(request.operation, Operation::Create);
    assert_eq!(
        (
            request.group.as_str(),
            request.version.as_str(),
            request.kind.as_str()
        ),
        ("", "v1", "Pod")
    );
    assert_eq!(
        (
            request.namespace.as_str(),
            request.name.as_str(),
            request.subresource.as_str()
        ),
        ("shop", "cart", "")
    );
    assert_eq!(request.object["kind"], "Pod");
    assert_eq!(request.old_object, None);
    assert!(!request.dry_run);
}

#[test]
fn reads_a_subresource_an_old_object_and_a_dry_run() {
    let body = review(|r| {
        r["request"]["operation"] = json!("UPDATE");
        r["request"]["subResource"] = json!("ephemeralcontainers");
        r["request"]["oldObject"] = json!({"kind": "Pod"});
        r["request"]["dryRun"] = json!(true);
    });
    let request = decode(&body, 64).unwrap();
    assert_eq!(request.operation, Operation::Update);
    assert_eq!(request.subresource, "ephemeralcontainers");
    assert_eq!(request.old_object, Some(json!({"kind": "Pod"})));
    assert!(request.dry_run);
}

#[test]
fn a_deletion_has_no_object() {
    let body = review(|r| {
        r["request"]["operation"] = json!("DELETE");
        r["request"]["object"] = Value::Null;
    });
    assert_eq!(decode(&body, 64).unwrap().object, Value::Null);
}

#[rstest]
#[case::create("CREATE", Value::Null)]
#[case::update("UPDATE", Value::Null)]
#[case::a_list_is_no_object("CREATE", json!([]))]
#[case::text_is_no_object("CREATE", json!("Pod"))]
fn refuses_a_change_without_its_object(#[case] operation: &str, #[case] object: Value) {
    let body = review(|r| {
        r["request"]["operation"] = json!(operation);
        r["request"]["object"] = object;
    });
    assert_eq!(
        decode(&body, 64),
        Err(ReviewError::NoObject {
            operation: operation.to_owned()
        })
    );
}

#[rstest]
#[case::v1beta1(json!("admission.k8s.io/v1beta1"), json!("AdmissionReview"))]
#[case::another_kind(json!("admission.k8s.io/v1"), json!("AdmissionRequest"))]
#[case::missing(Value::Null, json!("AdmissionReview"))]
#[case::no_text(json!(1), json!("AdmissionReview"))]
fn refuses_another_version_or_kind(#[case] version: Value, #[case] kind: Value) {
    let body = review(|r| {
        r["apiVersion"] = version;
        r["kind"] = kind;
    });
    assert!(matches!(
        decode(&body, 64),
        Err(ReviewError::Version { .. })
    ));
}

#[test]
fn refuses_a_review_without_request() {
    assert_eq!(
        decode(&review(|r| r["request"] = Value::Null), 64),
        Err(ReviewError::NoRequest)
    );
    let without = br#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}"#;
    assert_eq!(decode(without, 64), Err(ReviewError::NoRequest));
}

#[rstest]
#[case::missing(Value::Null)]
#[case::empty(json!(""))]
#[case::a_number(json!(7))]
fn refuses_a_request_without_uid(#[case] uid: Value) {
    let body = review(|r| match uid {
        Value::Null => drop(r["request"].as_object_mut().unwrap().remove("uid")),
        uid => r["request"]["uid"] = uid,
    });
    assert!(matches!(
        decode(&body, 64),
        Err(ReviewError::NoUid | ReviewError::Shape { .. })
    ));
}

#[rstest]
#[case::lower_case(json!("create"))]
#[case::unknown(json!("PATCH"))]
#[case::empty(json!(""))]
#[case::a_wildcard(json!("*"))]
fn refuses_an_operation_that_v1_does_not_have(#[case] operation: Value) {
    let body = review(|r| r["request"]["operation"] = operation);
    assert!(matches!(
        decode(&body, 64),
        Err(ReviewError::Operation { .. })
    ));
}

#[test]
fn refuses_a_kind_that_is_text() {
    let body = review(|r| r["request"]["kind"] = json!("Pod"));
    assert!(matches!(decode(&body, 64), Err(ReviewError::Shape { .. })));
}

#[test]
fn refuses_two_requests_in_one_review() {
    let twice = br#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"a"},"request":{"uid":"b"}}"#;
    assert!(matches!(decode(twice, 64), Err(ReviewError::Json(_))));
}

#[test]
fn a_denial_says_everything_and_echoes_the_uid_exactly() {
    let uid = "  odd \"uid\" \u{e9} ";
    let sent: Value = serde_json::from_slice(&encode(uid, &answer(false)).unwrap()).unwrap();
    assert_eq!(
        sent,
        json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "response": {
                "uid": uid,
                "allowed": false,
                "status": {
                    "status": "Failure",
                    "code": 403,
                    "reason": "Forbidden",
                    "message": "validation failed: no\nbecause",
                    "details": {"causes": [
                        {"reason": "unsigned", "field": "spec.containers[0].image", "message": "nothing found"}
                    ]}
                },
                "warnings": ["look"],
                "auditAnnotations": {"verdict": "x"}
            }
        })
    );
}

#[test]
fn an_admission_has_no_status() {
    let sent: Value = serde_json::from_slice(&encode("u", &answer(true)).unwrap()).unwrap();
    assert_eq!(sent["response"]["allowed"], true);
    assert_eq!(sent["response"].get("status"), None);
}

#[test]
fn finds_the_uid_in_the_beginning_of_a_review() {
    let body = br#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"705ab","kind":{"gro"#;
    assert_eq!(uid_of_prefix(body), Some("705ab".to_owned()));
    assert_eq!(uid_of_prefix(&body[..76]), None);
    assert_eq!(
        uid_of_prefix(br#"{"uid":"outside","request":{"object":{"uid":"deeper"}"#),
        None
    );
    assert_eq!(uid_of_prefix(b"\xff"), None);
}
