//! How registries are reached, as an operator sets it: proxies, `registries.yaml`, and the pull secrets of a policy's source.
//!
//! The real ways only: the command with its environment, and the webhook over HTTPS.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

#[path = "registries/clouds.rs"]
mod clouds;
#[path = "registries/helpers.rs"]
mod helpers;
#[path = "registries/proxies.rs"]
mod proxies;
#[path = "registries/proxy.rs"]
mod proxy;
#[path = "registries/settings.rs"]
mod settings;
#[path = "registries/sources.rs"]
mod sources;
#[path = "registries/stage.rs"]
mod stage;
