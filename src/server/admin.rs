//! The second listener, without TLS, for kubelet and Prometheus: it can only be read.
//!
//! It is apart from the webhook, so that a full webhook still says that it lives, and so that a `NetworkPolicy` can tell them apart.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};

use crate::server::Readiness;

/// The type of the text that the metrics are written in.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Writes all metrics as `OpenMetrics` text.
pub type Exposition = Arc<dyn Fn() -> String + Send + Sync>;

/// `/healthz`: the event loop turns. `/readyz`: 200, or 503 with what is pending. `/metrics`.
pub fn router(readiness: Readiness, metrics: Exposition) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(exposition).with_state(metrics))
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    let pending = readiness.pending();
    if pending.is_empty() {
        return "ok\n".into_response();
    }
    let text = format!("not ready, waiting for: {}\n", pending.join(", "));
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn exposition(State(metrics): State<Exposition>) -> Response {
    ([(header::CONTENT_TYPE, OPENMETRICS)], metrics()).into_response()
}
