//! Calls to the router itself: what is refused, what is answered, and when.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tower::ServiceExt;
use vouchsafe::limits::Limits;
use vouchsafe::limits::json::weight;
use vouchsafe::verdict::Reason;
use vouchsafe::workload::Operation;

use crate::stand_ins::{UID, review, watched_router};

fn call(body: impl Into<Body>) -> Request<Body> {
    call_with_timeout("10s", body)
}

fn call_with_timeout(timeout: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(format!("/validate?timeout={timeout}"))
        .header("content-type", "application/json")
        .body(body.into())
        .unwrap()
}

async fn ask(router: &Router, request: Request<Body>) -> Response<Body> {
    router.clone().oneshot(request).await.unwrap()
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(
        response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .to_vec(),
    )
    .unwrap()
}

/// The `response` of a review that was answered.
async fn answered(response: Response<Body>) -> Value {
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/json");
    let mut review: Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(review["kind"], "AdmissionReview");
    assert_eq!(review["apiVersion"], "admission.k8s.io/v1");
    review["response"].take()
}

/// That it is a denial, for this reason, of the right review.
fn is_denied(response: &Value, reason: Reason) {
    assert_eq!(response["uid"], UID);
    assert_eq!(response["allowed"], false);
    assert_eq!(response["status"]["code"], 403);
    assert_eq!(response["status"]["reason"], "Forbidden");
    assert_eq!(response["auditAnnotations"]["reason"], reason.as_str());
}

/// That it is refused with words, and that it was counted.
async fn is_refused(request: Request<Body>, status: StatusCode, words: &str) {
    let (router, seen) = watched_router(&Limits::default());
    let response = ask(&router, request).await;
    assert_eq!(response.status(), status);
    let text = text(response).await;
    assert!(text.contains(words), "{text}");
    assert!(text.len() <= 1_100);
    assert_eq!(*seen.refused.lock().unwrap(), [status]);
    assert!(seen.answered.lock().unwrap().is_empty());
    assert_eq!(seen.in_flight.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn admits_and_denies_as_it_is_told() {
    let (router, seen) = watched_router(&Limits::default());
    let admitted = answered(ask(&router, call(review("good").to_string())).await).await;
    assert_eq!(admitted["uid"], UID);
    assert_eq!(admitted["allowed"], true);
    assert_eq!(admitted.get("status"), None);
    is_denied(
        &answered(ask(&router, call(review("denied").to_string())).await).await,
        Reason::Unsigned,
    );
    let create = Some(Operation::Create);
    assert_eq!(
        *seen.answered.lock().unwrap(),
        [(create, Reason::Satisfied), (create, Reason::Unsigned)]
    );
}

#[tokio::test]
async fn takes_a_content_type_with_parameters() {
    let (router, _) = watched_router(&Limits::default());
    let mut request = call(review("good").to_string());
    request.headers_mut().insert(
        "content-type",
        "Application/JSON; charset=utf-8".parse().unwrap(),
    );
    assert_eq!(answered(ask(&router, request).await).await["allowed"], true);
}

#[tokio::test]
async fn refuses_a_body_of_8_mib_by_what_it_claims() {
    let mut request = call(Body::empty());
    request
        .headers_mut()
        .insert("content-length", "8388608".parse().unwrap());
    is_refused(request, StatusCode::PAYLOAD_TOO_LARGE, "7340032").await;
}

#[tokio::test]
async fn refuses_a_body_of_8_mib_that_claims_nothing() {
    let chunk = Bytes::from(vec![b' '; 1 << 20]);
    let stream = futures::stream::iter((0..8).map(move |_| Ok::<_, std::io::Error>(chunk.clone())));
    is_refused(
        call(Body::from_stream(stream)),
        StatusCode::PAYLOAD_TOO_LARGE,
        "7340032",
    )
    .await;
}

#[rstest]
#[case::request_null(json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": null}), "`request` is missing")]
#[case::v1beta1(json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1beta1", "request": {"uid": "a"}}), "admissionReviewVersions")]
#[case::another_kind(json!({"kind": "Pod", "apiVersion": "v1"}), "AdmissionReview")]
#[case::a_list(json!([1]), "AdmissionReview")]
#[case::missing_uid(json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {"operation": "CREATE"}}), "uid")]
#[tokio::test]
async fn refuses_what_is_no_review(#[case] body: Value, #[case] words: &str) {
    is_refused(call(body.to_string()), StatusCode::BAD_REQUEST, words).await;
}

#[rstest]
#[case::empty("")]
#[case::garbage("\u{0}\u{1}\u{2}")]
#[case::half_a_review(
    "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{\"uid\":\"a\""
)]
#[case::two_documents("{} {}")]
#[tokio::test]
async fn refuses_garbage(#[case] body: &'static str) {
    is_refused(
        call(body),
        StatusCode::BAD_REQUEST,
        "not an AdmissionReview",
    )
    .await;
}

#[tokio::test]
async fn refuses_a_depth_bomb() {
    is_refused(
        call("[".repeat(100_000)),
        StatusCode::BAD_REQUEST,
        "64 levels",
    )
    .await;
}

/// A megabyte on the wire, a hundred once it is parsed.
#[tokio::test]
async fn t95_refuses_a_review_that_is_small_on_the_wire_and_large_in_memory() {
    let objects = vec![r#"{"":0}"#; 150_000].join(",");
    is_refused(
        call(format!("[{objects}]")),
        StatusCode::PAYLOAD_TOO_LARGE,
        "once it is parsed",
    )
    .await;
}

#[tokio::test]
async fn answers_a_garbage_key_of_megabytes_with_little() {
    let key = "k".repeat(2 << 20);
    is_refused(
        call(format!("{{\"{key}\":1,\"{key}\":2}}")),
        StatusCode::BAD_REQUEST,
        "not an AdmissionReview",
    )
    .await;
}

#[rstest]
#[case::gzip("gzip")]
#[case::several("identity, gzip")]
#[tokio::test]
async fn refuses_an_encoded_body(#[case] encoding: &str) {
    let mut request = call(review("good").to_string());
    request
        .headers_mut()
        .insert("content-encoding", encoding.parse().unwrap());
    is_refused(
        request,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "content-encoding",
    )
    .await;
}

#[rstest]
#[case::missing(None)]
#[case::yaml(Some("application/yaml"))]
#[case::text(Some("text/plain"))]
#[case::something_like_it(Some("application/json-patch+json"))]
#[tokio::test]
async fn refuses_another_content_type(#[case] found: Option<&str>) {
    let mut request = call(review("good").to_string());
    request.headers_mut().remove("content-type");
    if let Some(found) = found {
        request
            .headers_mut()
            .insert("content-type", found.parse().unwrap());
    }
    is_refused(
        request,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "application/json",
    )
    .await;
}

#[tokio::test]
async fn refuses_a_timeout_that_it_would_have_to_guess() {
    is_refused(
        call_with_timeout("soon", review("good").to_string()),
        StatusCode::BAD_REQUEST,
        "timeout",
    )
    .await;
}

#[tokio::test]
async fn says_where_reviews_go_when_asked_elsewhere() {
    let request = Request::post("/mutates")
        .header("content-type", "application/json")
        .body(Body::empty())
        .unwrap();
    is_refused(request, StatusCode::NOT_FOUND, "POST /validate").await;
}

#[rstest]
#[case(Method::GET)]
#[case(Method::PUT)]
#[case(Method::DELETE)]
#[tokio::test]
async fn takes_reviews_by_post_only(#[case] method: Method) {
    let (router, _) = watched_router(&Limits::default());
    let request = Request::builder()
        .method(method)
        .uri("/validate")
        .body(Body::empty())
        .unwrap();
    let response = ask(&router, request).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()["allow"], "POST");
    assert!(text(response).await.contains("POST"));
}

#[tokio::test]
async fn denies_in_time_what_hangs() {
    let (router, seen) = watched_router(&Limits::default());
    let start = Instant::now();
    let response = answered(
        ask(
            &router,
            call_with_timeout("3s", review("hangs").to_string()),
        )
        .await,
    )
    .await;
    assert!(start.elapsed() >= Duration::from_millis(2_500));
    assert!(
        start.elapsed() < Duration::from_millis(2_600),
        "{:?}",
        start.elapsed()
    );
    is_denied(&response, Reason::Deadline);
    assert_eq!(seen.in_flight.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn denies_in_time_what_blocks_its_thread() {
    let (router, _) = watched_router(&Limits::default());
    let start = Instant::now();
    let response = answered(
        ask(
            &router,
            call_with_timeout("1s", review("blocks").to_string()),
        )
        .await,
    )
    .await;
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    is_denied(&response, Reason::Deadline);
}

#[tokio::test]
async fn answers_in_time_and_never_admits_too_late_whatever_a_judgement_takes() {
    let (router, _) = watched_router(&Limits::default());
    let calls = (0..=1_200).step_by(30).map(|takes| {
        let router = router.clone();
        async move {
            let start = Instant::now();
            let call = call_with_timeout("1s", review(&format!("takes-{takes}")).to_string());
            let response = answered(ask(&router, call).await).await;
            assert!(start.elapsed() < Duration::from_millis(900), "{takes}");
            match takes {
                // The deadline is at half a second, and a busy machine is late.
                0..400 => assert_eq!(response["allowed"], true, "{takes}"),
                400..600 => assert_eq!(response["uid"], UID),
                _ => is_denied(&response, Reason::Deadline),
            }
        }
    });
    futures::future::join_all(calls).await;
}

#[tokio::test]
async fn leaves_the_last_word_to_who_judges_until_the_deadline() {
    let (router, _) = watched_router(&Limits::default());
    let response = answered(
        ask(
            &router,
            call_with_timeout("1s", review("until-its-deadline").to_string()),
        )
        .await,
    )
    .await;
    is_denied(&response, Reason::RegistryUnreachable);
}

#[tokio::test]
async fn denies_what_panics_and_goes_on() {
    let (router, seen) = watched_router(&Limits::default());
    is_denied(
        &answered(ask(&router, call(review("panics").to_string())).await).await,
        Reason::Internal,
    );
    assert_eq!(seen.panics.load(Ordering::SeqCst), 1);
    assert_eq!(
        answered(ask(&router, call(review("good").to_string())).await).await["allowed"],
        true
    );
    assert_eq!(seen.in_flight.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_panic_gives_back_the_room_of_its_review() {
    let body = review("panics").to_string();
    let mut limits = Limits::default();
    limits.review.body_bytes = body.len();
    limits.in_flight.review_bytes = body.len() + weight(body.as_bytes());
    let (router, _) = watched_router(&limits);
    for _ in 0..3 {
        is_denied(
            &answered(ask(&router, call(body.clone())).await).await,
            Reason::Internal,
        );
    }
}

#[tokio::test]
async fn gives_up_on_a_slow_body() {
    let mut limits = Limits::default();
    limits.review.body_time = Duration::from_millis(200);
    let (router, seen) = watched_router(&limits);
    let drip = futures::stream::unfold((), |()| async {
        sleep(Duration::from_millis(50)).await;
        Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), ()))
    });
    let start = Instant::now();
    let response = ask(&router, call(Body::from_stream(drip))).await;
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
    assert!(start.elapsed() < Duration::from_millis(400));
    assert_eq!(seen.in_flight.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_slow_body_does_not_outlast_the_deadline() {
    let (router, _) = watched_router(&Limits::default());
    let silent = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
    let start = Instant::now();
    assert_eq!(
        ask(&router, call_with_timeout("1s", silent)).await.status(),
        StatusCode::REQUEST_TIMEOUT
    );
    assert!(start.elapsed() < Duration::from_millis(700));
}

#[tokio::test]
async fn denies_for_want_of_room_and_goes_on_when_there_is_room() {
    let body = review("slow").to_string();
    let mut limits = Limits::default();
    limits.review.body_bytes = body.len();
    limits.in_flight.review_bytes = body.len() + weight(body.as_bytes());
    let (router, seen) = watched_router(&limits);
    let (first, second) = tokio::join!(
        ask(&router, call(body.clone())),
        ask(&router, call_with_timeout("1s", body.clone()))
    );
    assert_eq!(answered(first).await["allowed"], true);
    is_denied(&answered(second).await, Reason::Overloaded);
    assert!(
        seen.answered
            .lock()
            .unwrap()
            .contains(&(None, Reason::Overloaded))
    );
    // One that may wait gets its turn.
    let (first, second) = tokio::join!(
        ask(&router, call(body.clone())),
        ask(&router, call(body.clone()))
    );
    assert_eq!(answered(first).await["allowed"], true);
    assert_eq!(answered(second).await["allowed"], true);
}

#[tokio::test]
async fn a_body_takes_room_for_what_came_and_not_for_what_it_claims() {
    let body = review("slow").to_string();
    let mut limits = Limits::default();
    limits.review.body_bytes = 20 * body.len();
    limits.in_flight.review_bytes = 20 * (body.len() + weight(body.as_bytes()));
    let (router, _) = watched_router(&limits);
    let silent = || {
        let mut call = call_with_timeout(
            "2s",
            Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>()),
        );
        let claimed = (20 * body.len()).to_string().parse().unwrap();
        call.headers_mut().insert("content-length", claimed);
        call
    };
    let (first, second, third) = tokio::join!(
        ask(&router, silent()),
        ask(&router, silent()),
        ask(&router, call_with_timeout("2s", body.clone()))
    );
    assert_eq!(first.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(second.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(answered(third).await["allowed"], true);
}

// --- the other path ---

fn policy_call(timeout: &str, name: &str) -> Request<Body> {
    Request::post(format!("/validate-policy?timeout={timeout}"))
        .header("content-type", "application/json")
        .body(review(name).to_string().into())
        .unwrap()
}

#[tokio::test]
async fn a_policy_is_answered_with_its_uid_and_its_warnings() {
    let (router, seen) = watched_router(&Limits::default());
    let response = answered(ask(&router, policy_call("5s", "good")).await).await;
    let expected = json!({"uid": UID, "allowed": true, "warnings": ["one", "two"]});
    assert_eq!(response, expected);
    let response = answered(ask(&router, policy_call("5s", "denied")).await).await;
    assert_eq!(response["allowed"], false);
    let status = json!({"status": "Failure", "code": 400, "reason": "BadRequest", "message": "validation failed: no"});
    assert_eq!(response["status"], status);
    assert_eq!(seen.in_flight.load(Ordering::SeqCst), 0);
}

/// T-11, T-17: no answer in time and none at all are calls that failed, which `failurePolicy: Ignore` passes: what a policy is worth is
/// seen where it is put in force.
#[rstest]
#[case::a_panic("panics", "the check failed")]
#[case::no_answer_in_time("blocks", "the time was over")]
#[tokio::test]
async fn a_policy_that_was_not_checked_is_a_failed_call(#[case] name: &str, #[case] words: &str) {
    let started = Instant::now();
    is_refused(
        policy_call("1s", name),
        StatusCode::INTERNAL_SERVER_ERROR,
        words,
    )
    .await;
    assert!(started.elapsed() < Duration::from_secs(1));
}

/// Who is slow to send does not keep others from the one turn.
#[tokio::test]
async fn a_slow_policy_does_not_hold_up_another_one() {
    let (router, _) = watched_router(&Limits::default());
    let mut slow = policy_call("2s", "good");
    *slow.body_mut() =
        Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
    let started = Instant::now();
    let meanwhile = async {
        let response = answered(ask(&router, policy_call("5s", "good")).await).await;
        assert_eq!(response["allowed"], true);
        started.elapsed()
    };
    let (slow, took) = tokio::join!(ask(&router, slow), meanwhile);
    assert_eq!(slow.status(), StatusCode::REQUEST_TIMEOUT);
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test]
async fn a_body_that_is_no_review_is_refused_there_too() {
    let call = Request::post("/validate-policy")
        .header("content-type", "application/json")
        .body(Body::from("{}"))
        .unwrap();
    is_refused(call, StatusCode::BAD_REQUEST, "not an AdmissionReview").await;
}
