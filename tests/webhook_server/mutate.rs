//! `POST /mutate` at the edge: the same bounds as `/validate`, and no denial whatever happens.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::ServiceExt as _;
use vouchsafe::limits::Limits;
use vouchsafe::limits::json::weight;
use vouchsafe::verdict::Reason;
use vouchsafe::workload::Operation;

use crate::stand_ins::{UID, review, watched_router};

fn call(query: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(format!("/mutate{query}"))
        .header("content-type", "application/json")
        .body(body.into())
        .unwrap()
}

async fn ask(router: &Router, query: &str, body: String) -> (StatusCode, Value) {
    let response = router.clone().oneshot(call(query, body)).await.unwrap();
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

/// The `response`: whatever it says, it allows.
async fn mutated(router: &Router, query: &str, name: &str) -> Value {
    let (status, mut answer) = ask(router, query, review(name).to_string()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(answer["kind"], "AdmissionReview");
    let response = answer["response"].take();
    assert_eq!(response["uid"], UID);
    assert_eq!(response["allowed"], true);
    assert_eq!(response.get("status"), None);
    response
}

#[tokio::test]
async fn a_patch_is_json_in_base64() {
    let (router, seen) = watched_router(&Limits::default());
    let response = mutated(&router, "?timeout=10s", "good").await;
    assert_eq!(response["patchType"], "JSONPatch");
    let patch = BASE64_STANDARD
        .decode(response["patch"].as_str().unwrap())
        .unwrap();
    let patch: Value = serde_json::from_slice(&patch).unwrap();
    assert_eq!(
        patch,
        json!([{"op": "replace", "path": "/kind", "value": "Changed"}])
    );
    assert_eq!(response["warnings"], json!(["a warning"]));
    let counted = seen.mutated.lock().unwrap();
    assert_eq!(counted.len(), 1);
    assert_eq!(counted[0].0, Some(Operation::Create));
    assert!(seen.answered.lock().unwrap().is_empty());
}

#[tokio::test]
async fn without_a_change_there_is_no_patch() {
    let (router, _) = watched_router(&Limits::default());
    let response = mutated(&router, "", "unchanged").await;
    for absent in ["patch", "patchType", "warnings", "auditAnnotations"] {
        assert_eq!(response.get(absent), None, "{absent}");
    }
}

/// T-11: a panic changes nothing, and the process lives.
#[tokio::test]
async fn what_panics_changes_nothing_and_says_so() {
    let (router, seen) = watched_router(&Limits::default());
    let response = mutated(&router, "", "panics").await;
    assert_eq!(response.get("patch"), None);
    assert_eq!(
        response["warnings"],
        json!(["images are not pinned: an internal error"])
    );
    assert_eq!(seen.panics.load(Ordering::SeqCst), 1);
    mutated(&router, "", "good").await;
}

/// T-17: the API server is answered before it gives up.
#[tokio::test]
async fn what_hangs_changes_nothing_and_is_answered_in_time() {
    let (router, seen) = watched_router(&Limits::default());
    let started = Instant::now();
    let response = mutated(&router, "?timeout=1s", "hangs").await;
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(response.get("patch"), None);
    assert_eq!(seen.mutated.lock().unwrap()[0].1.left, [Reason::Deadline]);
    assert_eq!(seen.in_flight.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn for_want_of_room_nothing_is_changed() {
    let body = review("hangs").to_string();
    let mut limits = Limits::default();
    limits.review.body_bytes = body.len();
    limits.in_flight.review_bytes = body.len() + weight(body.as_bytes());
    let (router, _) = watched_router(&limits);
    let (_, second) = tokio::join!(ask(&router, "?timeout=3s", body.clone()), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        ask(&router, "?timeout=1s", body.clone()).await
    });
    let (status, answer) = second;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["response"]["allowed"], true);
    let warning = answer["response"]["warnings"][0].as_str().unwrap();
    assert!(warning.contains("too much is being judged"), "{warning}");
}

#[rstest]
#[case::garbage("{")]
#[case::no_request(r#"{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}"#)]
#[case::another_kind(r#"{"apiVersion": "v1", "kind": "Pod"}"#)]
#[tokio::test]
async fn what_is_no_review_is_refused(#[case] body: &str) {
    let (router, seen) = watched_router(&Limits::default());
    let (status, _) = ask(&router, "", body.to_owned()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(*seen.refused.lock().unwrap(), [StatusCode::BAD_REQUEST]);
}

#[tokio::test]
async fn only_post_is_taken() {
    let (router, _) = watched_router(&Limits::default());
    let request = Request::get("/mutate").body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
}
