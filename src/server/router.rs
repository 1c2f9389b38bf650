//! The routes, and the story of one call.
//!
//! 1. the time starts with the head; `?timeout=` says when it ends ([`super::deadline`])
//! 2. the body is read under its bounds ([`super::body`])
//! 3. it is decoded, strictly ([`super::review`])
//! 4. it is judged, on a task of its own, so that neither a hang nor a panic takes the answer with it (T-11, T-17)
//! 5. the answer is written, with the uid of the review

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderValue, Method, Uri, header};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, Span};

use super::body::{BodyReader, Received};
use super::policies::validate_policy;
use super::refusal::Refusal;
use super::{deadline, review};
use crate::limits::Limits;
use crate::server::{Answer, Observer, Validate, ValidatePolicy};
use crate::verdict::Reason;
use crate::workload::{Operation, Request};

/// How long after its deadline a judgement is waited for: it answers `deadline` itself, with what it knows, and only one that
/// hangs is answered for. The margin of the deadline is ten times this.
const LAST_WORD: Duration = Duration::from_millis(50);

/// What stands behind each path.
#[derive(Clone)]
pub struct Routes {
    /// `POST /validate`
    pub validate: Arc<dyn Validate>,
    /// `POST /validate-policy`
    pub validate_policy: Arc<dyn ValidatePolicy>,
}

/// What a call needs; cheap to clone.
#[derive(Clone)]
pub(super) struct Door {
    validate: Arc<dyn Validate>,
    pub(super) validate_policy: Arc<dyn ValidatePolicy>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) bodies: BodyReader,
    pub(super) depth: usize,
}

/// An answer, and to what.
struct Answered {
    uid: String,
    operation: Option<Operation>,
    answer: Answer,
}

/// A call that began, until it is dropped: also when the client goes away.
pub(super) struct InFlight(Arc<dyn Observer>);

/// The routes of the webhook. One per process: it counts what all its calls hold.
pub fn router(routes: Routes, observer: Arc<dyn Observer>, limits: &Limits) -> Router {
    let door = Door {
        validate: routes.validate,
        validate_policy: routes.validate_policy,
        observer,
        bodies: BodyReader::new(limits),
        depth: limits.review.json_depth,
    };
    Router::new()
        .route("/validate", post(validate))
        .route("/validate-policy", post(validate_policy))
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown_path)
        .with_state(door)
}

/// `POST /validate`
async fn validate(State(door): State<Door>, call: axum::extract::Request) -> Response {
    let arrival = Instant::now();
    let _in_flight = InFlight::begin(&door.observer);
    let written = match door.answer(call, arrival).await {
        Ok(answered) => {
            let Answered {
                uid,
                operation,
                answer,
            } = answered;
            door.observer
                .answered(operation, &answer, arrival.elapsed());
            review::encode(&uid, &answer).map_err(|source| Refusal::Unwritable { source })
        }
        Err(refusal) => Err(refusal),
    };
    match written {
        Ok(body) => json_response(body),
        Err(refusal) => door.refuse(refusal),
    }
}

pub(super) fn json_response(body: Vec<u8>) -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], body).into_response()
}

/// Any other method of a path that exists.
async fn wrong_method(State(door): State<Door>, method: Method, uri: Uri) -> Response {
    door.refuse(Refusal::WrongMethod {
        path: uri.path().to_owned(),
        method,
    })
}

/// Any other path.
async fn unknown_path(State(door): State<Door>, uri: Uri) -> Response {
    door.refuse(Refusal::UnknownPath {
        path: uri.path().to_owned(),
    })
}

// === impl Door ===

impl Door {
    /// From a call to an answer; or it was not a review.
    async fn answer(
        &self,
        call: axum::extract::Request,
        arrival: Instant,
    ) -> Result<Answered, Refusal> {
        let (head, body) = call.into_parts();
        let deadline = arrival + deadline::budget(head.uri.query())?;
        let (bytes, room) = match self.bodies.read(&head.headers, body, deadline).await? {
            Received::Whole { bytes, room } => (bytes, room),
            Received::NoRoom { uid } => return self.overloaded(uid),
        };
        let request = review::decode(&bytes, self.depth)?;
        drop(bytes);
        let (uid, operation) = (request.uid.clone(), Some(request.operation));
        let answer = self.judge(request, deadline, room).await;
        Ok(Answered {
            uid,
            operation,
            answer,
        })
    }

    /// Judges on a task of its own, which keeps the room of the review until it is really over.
    async fn judge(
        &self,
        request: Request,
        deadline: Instant,
        room: impl Send + 'static,
    ) -> Answer {
        let uid = request.uid.clone();
        let span = span(&request);
        let validate = Arc::clone(&self.validate);
        let judging = async move {
            let answer = validate.validate(request, deadline).await;
            drop(room);
            answer
        };
        let task = AbortOnDropHandle::new(tokio::spawn(judging.instrument(span.clone())));
        let answer = match timeout_at(deadline + LAST_WORD, task).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(failed)) => {
                self.observer.panicked();
                tracing::error!(parent: &span, panic = failed.is_panic(), "the judgement failed");
                self.validate.unjudged(&uid, Reason::Internal)
            }
            Err(_) => self.validate.unjudged(&uid, Reason::Deadline),
        };
        let (verdict, reason) = (answer.judgement.as_str(), answer.verdict_reason.as_str());
        tracing::info!(parent: &span, verdict, reason, allowed = answer.allowed, "review");
        answer
    }

    /// Without a uid nothing can be said as a review.
    fn overloaded(&self, uid: Option<String>) -> Result<Answered, Refusal> {
        let uid = uid.ok_or(Refusal::Overloaded)?;
        let answer = self.validate.unjudged(&uid, Reason::Overloaded);
        Ok(Answered {
            uid,
            operation: None,
            answer,
        })
    }

    pub(super) fn refuse(&self, refusal: Refusal) -> Response {
        self.observer.refused(refusal.status());
        tracing::warn!(
            status = refusal.status().as_u16(),
            why = refusal.text(),
            "refused a call"
        );
        refusal.into_response()
    }
}

/// One span per review.
pub(super) fn span(request: &Request) -> Span {
    tracing::info_span!(
        "review",
        uid = request.uid,
        operation = ?request.operation,
        namespace = request.namespace,
        kind = request.kind,
        name = request.name,
        dry_run = request.dry_run,
    )
}

// === impl InFlight ===

impl InFlight {
    pub(super) fn begin(observer: &Arc<dyn Observer>) -> Self {
        observer.began();
        Self(Arc::clone(observer))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.ended();
    }
}
