//! The registry client against registries that misbehave in one way each.
//!
//! Every server listens on loopback and is a closure from request to answer (`stub`). What is asserted is the variant of the
//! error, what was sent to whom, and how often.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "registry_client/answers.rs"]
mod answers;
#[path = "registry_client/authorization.rs"]
mod authorization;
#[path = "registry_client/faults.rs"]
mod faults;
#[path = "registry_client/fence.rs"]
mod fence;
#[path = "registry_client/mirrors.rs"]
mod mirrors;
#[path = "registry_client/stub.rs"]
mod stub;
