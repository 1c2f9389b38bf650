//! Who judges, who watches, and the reviews that they are shown.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use futures::future::{BoxFuture, FutureExt};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use vouchsafe::limits::Limits;
use vouchsafe::server::{
    Answer, Mutate, Mutation, Observer, PolicyAnswer, Routes, Validate, ValidatePolicy, router,
};
use vouchsafe::verdict::{Judgement, Reason};
use vouchsafe::workload::{Operation, Request};

pub(crate) const UID: &str = "705ab4f5-6393-11e8-b7cc-42010a800002";

/// Judges by the name of the object.
pub(crate) struct ByName;

impl Validate for ByName {
    fn validate(&self, request: Request, deadline: Instant) -> BoxFuture<'_, Answer> {
        async move {
            if let Some(milliseconds) = request.name.strip_prefix("takes-") {
                sleep(Duration::from_millis(milliseconds.parse().unwrap())).await;
            }
            match request.name.as_str() {
                "hangs" => std::future::pending().await,
                "blocks" => std::thread::sleep(Duration::from_secs(2)),
                "panics" => panic!("a bug"),
                "slow" => sleep(Duration::from_millis(700)).await,
                "until-its-deadline" => {
                    tokio::time::sleep_until(deadline).await;
                    return answer(Reason::RegistryUnreachable);
                }
                _ => {}
            }
            answer(if request.name == "denied" {
                Reason::Unsigned
            } else {
                Reason::Satisfied
            })
        }
        .boxed()
    }

    fn unjudged(&self, _: &str, reason: Reason) -> Answer {
        answer(reason)
    }
}

impl ValidatePolicy for ByName {
    fn validate_policy(&self, request: &Request) -> PolicyAnswer {
        match request.name.as_str() {
            "panics" => panic!("a bug"),
            "blocks" => std::thread::sleep(Duration::from_secs(2)),
            _ => {}
        }
        PolicyAnswer {
            refusal: (request.name == "denied").then(|| "validation failed: no".to_owned()),
            warnings: vec!["one".to_owned(), "two".to_owned()],
        }
    }
}

/// Changes the kind of the object, and hangs or panics by its name.
impl Mutate for ByName {
    fn mutate(&self, request: Request, _: Instant) -> BoxFuture<'_, Mutation> {
        async move {
            match request.name.as_str() {
                "hangs" => std::future::pending().await,
                "panics" => panic!("a bug"),
                "unchanged" => return Mutation::default(),
                _ => {}
            }
            let patch = json!([{"op": "replace", "path": "/kind", "value": "Changed"}]);
            Mutation {
                patch: serde_json::from_value(patch).unwrap(),
                warnings: vec!["a warning".to_owned()],
                pinned: 1,
                ..Mutation::default()
            }
        }
        .boxed()
    }
}

pub(crate) fn answer(reason: Reason) -> Answer {
    let allowed = reason == Reason::Satisfied;
    Answer {
        allowed,
        code: if allowed { 200 } else { 403 },
        reason: if allowed { "" } else { "Forbidden" },
        message: if allowed {
            String::new()
        } else {
            format!("validation failed: {reason}")
        },
        causes: Vec::new(),
        warnings: Vec::new(),
        audit_annotations: BTreeMap::from([("reason".to_owned(), reason.to_string())]),
        judgement: if allowed {
            Judgement::Admit
        } else {
            Judgement::Unknown
        },
        verdict_reason: reason,
    }
}

/// Remembers what was reported.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) panics: AtomicU64,
    pub(crate) in_flight: AtomicI64,
    pub(crate) refused: Mutex<Vec<StatusCode>>,
    pub(crate) answered: Mutex<Vec<(Option<Operation>, Reason)>>,
    pub(crate) mutated: Mutex<Vec<(Option<Operation>, Mutation)>>,
}

impl Observer for Seen {
    fn answered(&self, operation: Option<Operation>, answer: &Answer, _: Duration) {
        self.answered
            .lock()
            .unwrap()
            .push((operation, answer.verdict_reason));
    }

    fn mutated(&self, operation: Option<Operation>, mutation: &Mutation, _: Duration) {
        self.mutated
            .lock()
            .unwrap()
            .push((operation, mutation.clone()));
    }

    fn refused(&self, status: StatusCode) {
        self.refused.lock().unwrap().push(status);
    }

    fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::SeqCst);
    }

    fn began(&self) {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
    }

    fn ended(&self) {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A router with its own watcher.
pub(crate) fn watched_router(limits: &Limits) -> (Router, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    (
        router(
            Routes {
                validate: Arc::new(ByName),
                mutate: Arc::new(ByName),
                validate_policy: Arc::new(ByName),
            },
            seen.clone(),
            limits,
        ),
        seen,
    )
}

/// A review of a Pod of this name.
pub(crate) fn review(name: &str) -> Value {
    json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": UID,
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "namespace": "shop",
            "name": name,
            "operation": "CREATE",
            "object": {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"image": "registry.example.com/a:1"}]}},
        }
    })
}
