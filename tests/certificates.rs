//! The serving certificate that replicas share through a Secret, and the `caBundle` of the configurations that call them: kept by real
//! replicas on an API server in memory, and called by clients that trust what is published and nothing else.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "certificates/callers.rs"]
mod callers;
#[path = "certificates/cluster.rs"]
mod cluster;
#[path = "certificates/lost.rs"]
mod lost;
#[path = "certificates/process.rs"]
mod process;
#[path = "certificates/published.rs"]
mod published;
#[path = "certificates/rotation.rs"]
mod rotation;
#[path = "certificates/start.rs"]
mod start;
mod support;
