//! `POST /validate-policy`: the AdmissionReview of one of our own resources, checked when it is applied.
//!
//! This webhook is registered with `failurePolicy: Ignore`: a policy that was not checked is caught where it is compiled, and denies
//! what it matches. So whatever keeps us from checking (time, a panic, too much in flight) is a status of HTTP and no denial. Policies
//! are checked one at a time: whoever reaches this route can make us compile, and images must be judged meanwhile.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::body::Received;
use super::refusal::Refusal;
use super::router::{Door, InFlight, json_response, span};
use super::{deadline, review};
use crate::workload::Request;

/// What stands behind `POST /validate-policy`.
pub trait ValidatePolicy: Send + Sync + 'static {
    /// Checks one resource. Called on a thread that may block.
    fn validate_policy(&self, request: &Request) -> PolicyAnswer;
}

/// What the author of a resource is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyAnswer {
    /// Why it is refused; `None` accepts it.
    pub refusal: Option<String>,
    /// What its author may not have meant; one line each.
    pub warnings: Vec<String>,
}

/// `POST /validate-policy`
pub(super) async fn validate_policy(
    State(door): State<Door>,
    call: axum::extract::Request,
) -> Response {
    let arrival = Instant::now();
    let _in_flight = InFlight::begin(&door.observer);
    match check(&door, call, arrival).await {
        Ok(body) => json_response(body),
        Err(refusal) => door.refuse(refusal),
    }
}

async fn check(
    door: &Door,
    call: axum::extract::Request,
    arrival: Instant,
) -> Result<Vec<u8>, Refusal> {
    let (head, body) = call.into_parts();
    let deadline = arrival + deadline::budget(head.uri.query())?;
    // Read first: whoever is slow to send must not keep others from the only turn.
    let (bytes, room) = match door.bodies.read(head, body, deadline).await? {
        Received::Whole { bytes, room } => (bytes, room),
        Received::NoRoom { .. } => return Err(Refusal::Overloaded),
    };
    // Held until the check is really over: one that goes on beyond its deadline keeps one processor busy, and no more.
    let waiting = timeout_at(deadline, Arc::clone(&door.policy_checks).acquire_owned());
    let Ok(Ok(turn)) = waiting.await else {
        return Err(Refusal::Overloaded);
    };
    let request = review::decode(&bytes, door.depth)?;
    drop(bytes);
    let (uid, span) = (request.uid.clone(), span("validate-policy", &request));
    let validate = Arc::clone(&door.validate_policy);
    let checking = spawn_blocking(move || {
        let answer = validate.validate_policy(&request);
        drop((room, turn));
        answer
    });
    let answer = match timeout_at(deadline, checking).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(failed)) => {
            door.observer.panicked();
            tracing::error!(parent: &span, panic = failed.is_panic(), "the check of a policy failed");
            return Err(Refusal::Unchecked {
                why: "the check failed",
            });
        }
        Err(_) => {
            return Err(Refusal::Unchecked {
                why: "the time was over",
            });
        }
    };
    let allowed = answer.refusal.is_none();
    tracing::info!(parent: &span, allowed, warnings = answer.warnings.len(), "policy review");
    review::encode_policy(&uid, &answer).map_err(|source| Refusal::Unwritable { source })
}
