//! The edge: HTTP and TLS, and nothing about policies.
//!
//! *In*: a TLS connection of an API server. *Out*: one AdmissionReview for one AdmissionReview, or a status that the API server
//! counts as a failed call. What an answer says comes from whoever implements [`Validate`] and [`Mutate`].
//!
//! ```text
//! TCP ─► listener   connection cap, by address, 5 s for the handshake, TLS 1.3  tls, listener, connection, peers
//!     ─► router     POST /validate, /mutate; the rest is refused with words   router
//!                   POST /validate-policy goes a way of its own              policies
//!     ─► body       type, encoding, 7 MiB, 5 s, 128 MiB over all requests    body, room
//!     ─► review     AdmissionReview v1 ─► workload::Request                  review
//!     ─► Validate   on a task of its own: a deadline and a panic still answer  router
//!        or Mutate
//!     ─► review     Answer or Mutation ─► AdmissionReview, uid echoed         review
//! ```
//!
//! Three promises: what cannot be read is never admitted (400, 408, 413, 415: the webhook's `failurePolicy: Fail` denies);
//! a review that was read is answered before the API server's own timeout, whatever hangs behind; a panic is a denial (of
//! `/mutate`: no change) and the process lives (CVE-2025-47281, CVE-2026-41485).
//!
//! A second listener without TLS ([`admin`]) tells whether we live, whether we are ready, and the metrics.

pub mod admin;

mod body;
mod connection;
mod deadline;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod listener;
mod observer;
mod peers;
mod policies;
mod readiness;
mod refusal;
mod review;
mod room;
mod router;
mod tls;

use futures::future::BoxFuture;
use tokio::time::Instant;

use crate::verdict::Reason;
use crate::workload::Request;

pub use crate::explain::{Answer, AnswerCause, Mutation};
pub use listener::{BindError, Bound, ServeSettings};
pub use observer::Observer;
pub use policies::{PolicyAnswer, ValidatePolicy};
pub use readiness::{Pending, Readiness};
pub use router::{Routes, router};
pub use tls::{Tls, TlsError, TlsVersion};

/// What stands behind `POST /validate`.
pub trait Validate: Send + Sync + 'static {
    /// Judges one request, until `deadline`. Whoever runs over it is abandoned and answered with [`Validate::unjudged`].
    fn validate(&self, request: Request, deadline: Instant) -> BoxFuture<'_, Answer>;

    /// The answer for a review that could not be judged here: `deadline`, `overloaded` or `internal`. Must not block.
    fn unjudged(&self, uid: &str, reason: Reason) -> Answer;
}

/// What stands behind `POST /mutate`.
pub trait Mutate: Send + Sync + 'static {
    /// Decides what is changed, until `deadline`. Whoever runs over it is abandoned, and nothing is changed.
    fn mutate(&self, request: Request, deadline: Instant) -> BoxFuture<'_, Mutation>;
}
