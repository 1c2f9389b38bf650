//! What the edge and the registry client report, as metrics.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::adapters::metrics::Metrics;
use crate::adapters::oci::{RequestClass, RequestObserver, RequestOutcome};
use crate::explain::{Answer, Mutation};
use crate::server::Observer;
use crate::workload::Operation;

/// Requests to registries.
pub(super) struct Requests(pub(super) Arc<Metrics>);

/// Calls of the webhook.
pub(super) struct Reviews(pub(super) Arc<Metrics>);

impl RequestObserver for Requests {
    fn exchanged(&self, class: RequestClass, outcome: RequestOutcome, _took: Duration) {
        self.0.registry_request(class, outcome);
    }
}

impl Observer for Reviews {
    fn answered(&self, operation: Option<Operation>, answer: &Answer, took: Duration) {
        self.0
            .admission(operation, answer.judgement, answer.verdict_reason, took);
        if answer.allowed && !answer.judgement.admits() {
            self.0.would_deny(answer.verdict_reason);
        }
    }

    fn mutated(&self, operation: Option<Operation>, mutation: &Mutation, took: Duration) {
        let left = mutation.left.iter().copied();
        self.0
            .mutation(operation, mutation.pinned, mutation.kept, left, took);
    }

    fn refused(&self, status: StatusCode) {
        self.0.refused(status);
    }

    fn panicked(&self) {
        self.0.panicked();
    }

    fn began(&self) {
        self.0.admission_began();
    }

    fn ended(&self) {
        self.0.admission_ended();
    }
}
