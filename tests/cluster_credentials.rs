//! Pull secrets in a cluster: read from the API server for each workload, and what becomes of an image when they cannot be read.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that breaks fails the test by panicking"
)]

mod support;

mod cluster_credentials {
    mod pods;
    mod sources;
    mod stage;
}
