//! The webhook's edge, in process: the router alone, and the whole of it over real TLS.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "webhook_server/client_ca.rs"]
mod client_ca;
#[path = "webhook_server/mutate.rs"]
mod mutate;
#[path = "webhook_server/over_tls.rs"]
mod over_tls;
#[path = "webhook_server/pressure.rs"]
mod pressure;
#[path = "webhook_server/router.rs"]
mod router;
#[path = "webhook_server/running.rs"]
mod running;
#[path = "webhook_server/stand_ins.rs"]
mod stand_ins;
