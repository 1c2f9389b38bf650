//! Policies from the API server: what changes there is in force here, and whatever happens to the API server, what is known stays.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

#[path = "cluster_watch/broken.rs"]
mod broken;
#[path = "cluster_watch/many.rs"]
mod many;
#[path = "cluster_watch/outages.rs"]
mod outages;
#[path = "cluster_watch/settings.rs"]
mod settings;
#[path = "cluster_watch/stage.rs"]
mod stage;
#[path = "cluster_watch/start.rs"]
mod start;
