//! What a review of a workload is answered: the judge's verdict, in the words of `explain`, counted and noted.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::time::Instant;

use crate::adapters::metrics::Metrics;
use crate::app::denials::Denials;
use crate::app::engine::Engine;
use crate::decide::Snapshot;
use crate::explain::{self, Answer, Context, Enforcement, Tags};
use crate::server::{Mutate, Mutation, Validate};
use crate::verdict::Reason;
use crate::workload::Request;

/// What stands behind `/validate` and `/mutate`.
pub(super) struct Reviewer {
    pub(super) engine: Arc<Engine>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) footer: Option<String>,
    pub(super) enforcement: Enforcement,
    /// What Events are made of, where any are made about denials.
    pub(super) denials: Option<Denials>,
}

// === impl Reviewer ===

impl Reviewer {
    /// What an answer to this review says beside its verdict.
    fn context<'a>(&'a self, uid: &'a str, snapshot: &Snapshot) -> Context<'a> {
        Context {
            uid,
            footer: self.footer.as_deref(),
            trust_epoch: snapshot.trust.epoch().to_string(),
            // In shadow nobody is warned of a tag that would be pinned.
            tags: if snapshot.tags.may_move() && self.enforcement == Enforcement::Enforce {
                Tags::MayMove
            } else {
                Tags::Pinned
            },
            enforcement: self.enforcement,
        }
    }
}

impl Validate for Reviewer {
    fn validate(&self, request: Request, deadline: Instant) -> BoxFuture<'_, Answer> {
        Box::pin(async move {
            let snapshot = self.engine.snapshot();
            let verdict = self
                .engine
                .judge()
                .review(&request, &snapshot, deadline)
                .await;
            for image in &verdict.images {
                self.metrics.image_verdict(image.reason);
            }
            let answer = explain::answer(&verdict, &self.context(&request.uid, &snapshot));
            if let Some(denials) = &self.denials {
                denials.note(&request, &answer);
            }
            answer
        })
    }

    fn unjudged(&self, uid: &str, reason: Reason) -> Answer {
        explain::unjudged(reason, &self.context(uid, &self.engine.snapshot()))
    }
}

impl Mutate for Reviewer {
    fn mutate(&self, request: Request, deadline: Instant) -> BoxFuture<'_, Mutation> {
        Box::pin(async move {
            let snapshot = self.engine.snapshot();
            let pinning = self.engine.judge().pin(&request, &snapshot, deadline).await;
            explain::mutation(&pinning)
        })
    }
}
