//! The routes, and the story of one call.
//!
//! 1. the time starts with the head; `?timeout=` says when it ends ([`super::deadline`])
//! 2. the body is read under its bounds ([`super::body`])
//! 3. it is decoded, strictly ([`super::review`])
//! 4. it is judged, or what it may change is decided, on a task of its own, so that neither a hang nor a panic takes the answer with
//!    it (T-11, T-17)
//! 5. the answer is written, with the uid of the review

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderValue, Method, Uri, header};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, Span};

use super::body::{BodyReader, Received};
use super::policies::validate_policy;
use super::refusal::Refusal;
use super::room::Held;
use super::{deadline, review};
use crate::explain;
use crate::limits::Limits;
use crate::server::{Answer, Mutate, Mutation, Observer, Validate, ValidatePolicy};
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
    /// `POST /mutate`
    pub mutate: Arc<dyn Mutate>,
}

/// What a call needs; cheap to clone.
#[derive(Clone)]
pub(super) struct Door {
    validate: Arc<dyn Validate>,
    mutate: Arc<dyn Mutate>,
    pub(super) validate_policy: Arc<dyn ValidatePolicy>,
    /// One turn, for one check of a policy at a time.
    pub(super) policy_checks: Arc<Semaphore>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) bodies: BodyReader,
    pub(super) depth: usize,
}

/// A call, as far as it could be read.
enum Read {
    /// It was read.
    Review(Box<Review>),
    /// There was no room for it; who asked is known.
    NoRoom { uid: String },
}

/// A review that was read.
struct Review {
    request: Request,
    deadline: Instant,
    /// What its bytes take of what all calls may hold.
    room: Held,
}

/// A call that began, until it is dropped: also when the client goes away.
pub(super) struct InFlight(Arc<dyn Observer>);

/// The routes of the webhook. One per process: it counts what all its calls hold.
pub fn router(routes: Routes, observer: Arc<dyn Observer>, limits: &Limits) -> Router {
    let door = Door {
        validate: routes.validate,
        validate_policy: routes.validate_policy,
        policy_checks: Arc::new(Semaphore::new(1)),
        mutate: routes.mutate,
        observer,
        bodies: BodyReader::new(limits),
        depth: limits.review.json_depth,
    };
    Router::new()
        .route("/validate", post(validate))
        .route("/validate-policy", post(validate_policy))
        .route("/mutate", post(mutate))
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown_path)
        .with_state(door)
}

/// `POST /validate`
async fn validate(State(door): State<Door>, call: axum::extract::Request) -> Response {
    let arrival = Instant::now();
    let _in_flight = InFlight::begin(&door.observer);
    let read = match door.read(call, arrival).await {
        Ok(read) => read,
        Err(refusal) => return door.refuse(refusal),
    };
    let (uid, operation) = read.asked();
    let answer = match read {
        Read::Review(review) => door.judge(*review).await,
        Read::NoRoom { .. } => door.validate.unjudged(&uid, Reason::Overloaded),
    };
    door.observer
        .answered(operation, &answer, arrival.elapsed());
    door.write(review::encode(&uid, &answer))
}

/// `POST /mutate`
async fn mutate(State(door): State<Door>, call: axum::extract::Request) -> Response {
    let arrival = Instant::now();
    let _in_flight = InFlight::begin(&door.observer);
    let read = match door.read(call, arrival).await {
        Ok(read) => read,
        Err(refusal) => return door.refuse(refusal),
    };
    let (uid, operation) = read.asked();
    let mutation = match read {
        Read::Review(review) => door.change(*review).await,
        Read::NoRoom { .. } => explain::unpinned(Reason::Overloaded),
    };
    door.observer
        .mutated(operation, &mutation, arrival.elapsed());
    door.write(review::encode_mutation(&uid, &mutation))
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
    /// From a call to a review; or it was none.
    async fn read(&self, call: axum::extract::Request, arrival: Instant) -> Result<Read, Refusal> {
        let (head, body) = call.into_parts();
        let deadline = arrival + deadline::budget(head.uri.query())?;
        let (bytes, room) = match self.bodies.read(head, body, deadline).await? {
            Received::Whole { bytes, room } => (bytes, room),
            // Without a uid nothing can be said as a review.
            Received::NoRoom { uid } => {
                let uid = uid.ok_or(Refusal::Overloaded)?;
                return Ok(Read::NoRoom { uid });
            }
        };
        let request = review::decode(&bytes, self.depth)?;
        Ok(Read::Review(Box::new(Review {
            request,
            deadline,
            room,
        })))
    }

    /// The answer to a review.
    async fn judge(&self, review: Review) -> Answer {
        let Review {
            request,
            deadline,
            room,
        } = review;
        let (uid, span) = (request.uid.clone(), span("validate", &request));
        let validate = Arc::clone(&self.validate);
        let judging = async move { validate.validate(request, deadline).await };
        let answer = match self.on_a_task(judging, &span, deadline, room).await {
            Ok(answer) => answer,
            Err(reason) => self.validate.unjudged(&uid, reason),
        };
        let (verdict, reason) = (answer.judgement.as_str(), answer.verdict_reason.as_str());
        tracing::info!(parent: &span, verdict, reason, allowed = answer.allowed, "review");
        answer
    }

    /// What a review is to be changed by.
    async fn change(&self, review: Review) -> Mutation {
        let Review {
            request,
            deadline,
            room,
        } = review;
        let span = span("mutate", &request);
        let mutate = Arc::clone(&self.mutate);
        let deciding = async move { mutate.mutate(request, deadline).await };
        let mutation = match self.on_a_task(deciding, &span, deadline, room).await {
            Ok(mutation) => mutation,
            Err(reason) => explain::unpinned(reason),
        };
        let (pinned, kept, left) = (mutation.pinned, mutation.kept, mutation.left.len());
        tracing::info!(parent: &span, pinned, kept, left, "mutation");
        mutation
    }

    /// Runs something on a task of its own, which keeps the room of the review until it is really over.
    async fn on_a_task<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
        span: &Span,
        deadline: Instant,
        room: Held,
    ) -> Result<T, Reason> {
        let work = async move {
            let done = work.await;
            drop(room);
            done
        };
        let task = AbortOnDropHandle::new(tokio::spawn(work.instrument(span.clone())));
        match timeout_at(deadline + LAST_WORD, task).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(failed)) => {
                self.observer.panicked();
                tracing::error!(parent: span, panic = failed.is_panic(), "the judgement failed");
                Err(Reason::Internal)
            }
            Err(_) => Err(Reason::Deadline),
        }
    }

    fn write(&self, encoded: Result<Vec<u8>, serde_json::Error>) -> Response {
        match encoded {
            Ok(body) => json_response(body),
            Err(source) => self.refuse(Refusal::Unwritable { source }),
        }
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
pub(super) fn span(route: &'static str, request: &Request) -> Span {
    tracing::info_span!(
        "review",
        route,
        uid = logged(&request.uid),
        operation = ?request.operation,
        namespace = logged(&request.namespace),
        kind = logged(&request.kind),
        // Not `name`: that is the span's own, and in JSON one would hide the other.
        object = logged(&request.name),
        dry_run = request.dry_run,
    )
}

/// What a caller wrote, cut to the length of the longest name of Kubernetes.
fn logged(text: &str) -> &str {
    const BYTES: usize = 253;
    text.get(..text.floor_char_boundary(BYTES))
        .unwrap_or_default()
}

// === impl Read ===

impl Read {
    /// Whose review it is, and about what, as far as that is known.
    fn asked(&self) -> (String, Option<Operation>) {
        match self {
            Self::Review(read) => (read.request.uid.clone(), Some(read.request.operation)),
            Self::NoRoom { uid } => (uid.clone(), None),
        }
    }
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
