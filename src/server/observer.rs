//! What the edge reports about itself; implemented over the metrics by whoever composes the program.

use std::time::Duration;

use http::StatusCode;

use crate::server::{Answer, Mutation};
use crate::workload::Operation;

/// Counts what the webhook does. Called on the request path: must not block.
pub trait Observer: Send + Sync + 'static {
    /// A review was answered, `took` after its head arrived. `operation` is `None` where the review was not read (overloaded).
    fn answered(&self, operation: Option<Operation>, answer: &Answer, took: Duration);

    /// The same for a review of `/mutate`.
    fn mutated(&self, operation: Option<Operation>, mutation: &Mutation, took: Duration);

    /// A call was refused before it was a review.
    fn refused(&self, status: StatusCode);

    /// A judgement panicked.
    fn panicked(&self);

    /// A call began.
    fn began(&self);

    /// A call that began has ended, answered or not.
    fn ended(&self);
}
