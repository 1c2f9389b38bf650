//! Events about denials: where the denied object is, once, and never of a rehearsal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;
use vouchsafe::adapters::metrics::Metrics;
use vouchsafe::app::denials::{Denials, denials};
use vouchsafe::explain::{Answer, AnswerCause};
use vouchsafe::verdict::{Judgement, Reason};
use vouchsafe::workload::{Operation, Request};

use super::support::api_server::{ApiServer, Fault};
use super::{cluster, until};

const SOON: Duration = Duration::from_secs(10);

fn creation(name: &str) -> Request {
    Request {
        uid: "u".to_owned(),
        operation: Operation::Create,
        group: String::new(),
        version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        subresource: String::new(),
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        object: json!({"metadata": {"name": name}}),
        old_object: None,
        dry_run: false,
    }
}

fn denied() -> Answer {
    Answer {
        allowed: false,
        code: 403,
        reason: "Forbidden",
        message: "validation failed: failed policy: release: spec.containers[0].image".to_owned(),
        causes: vec![AnswerCause {
            reason: "unsigned",
            field: "spec.containers[0].image".to_owned(),
            message: "no signatures found".to_owned(),
        }],
        warnings: Vec::new(),
        audit_annotations: BTreeMap::new(),
        judgement: Judgement::Deny,
        verdict_reason: Reason::Unsigned,
    }
}

async fn start(server: &ApiServer) -> (Denials, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new());
    let (denials, teller) = denials(&cluster(server).await, "replica-1", Arc::clone(&metrics));
    tokio::spawn(teller.run());
    (denials, metrics)
}

#[tokio::test]
async fn a_denial_is_told_in_the_namespace_of_the_object_and_the_same_one_once() {
    let server = ApiServer::start().await;
    let (denials, _metrics) = start(&server).await;
    for _ in 0..10 {
        denials.note(&creation("cart"), &denied());
    }
    denials.note(&creation("till"), &denied());
    until("both are told", SOON, || server.all("events").len() == 2).await;
    sleep(Duration::from_millis(600)).await;
    let events = server.all("events");
    assert_eq!(events.len(), 2);
    let event = &events[0];
    assert_eq!(event["metadata"]["namespace"], "shop");
    assert_eq!(
        (&event["type"], &event["reason"]),
        (&json!("Warning"), &json!("Unsigned"))
    );
    assert_eq!(
        event["regarding"],
        json!({"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "cart"})
    );
    assert_eq!(event["note"], denied().message);
    assert_eq!(event["reportingController"], "vouchsafe");
}

#[tokio::test]
async fn t76_a_rehearsal_an_admission_and_our_own_namespace_leave_no_event() {
    let server = ApiServer::start().await;
    let (denials, _metrics) = start(&server).await;
    denials.note(
        &Request {
            dry_run: true,
            ..creation("a")
        },
        &denied(),
    );
    denials.note(
        &creation("b"),
        &Answer {
            allowed: true,
            ..denied()
        },
    );
    denials.note(
        &Request {
            namespace: "cosign-system".to_owned(),
            ..creation("c")
        },
        &denied(),
    );
    denials.note(
        &Request {
            namespace: String::new(),
            ..creation("d")
        },
        &denied(),
    );
    sleep(Duration::from_millis(500)).await;
    assert!(server.asked().is_empty(), "{:?}", server.asked());
}

#[tokio::test]
async fn many_denials_make_few_events_and_nobody_waits() {
    let server = ApiServer::start().await;
    server.on(|_| Some(Fault::Hang));
    let (denials, metrics) = start(&server).await;
    let began = std::time::Instant::now();
    for index in 0..1_000 {
        denials.note(&creation(&format!("p{index}")), &denied());
    }
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert!(
        metrics
            .encode()
            .contains("vouchsafe_events_total{outcome=\"dropped\"} 9"),
        "{}",
        metrics.encode()
    );
    sleep(Duration::from_millis(500)).await;
    assert_eq!(server.asked().len(), 1, "one at a time");
}
