//! What policies are given, what they refer to, and what their authors are told: over HTTPS, with the real webhook and a registry.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

#[path = "policy_inputs/applied.rs"]
mod applied;
#[path = "policy_inputs/given.rs"]
mod given;
#[path = "policy_inputs/references.rs"]
mod references;
#[allow(
    dead_code,
    reason = "the stage of another suite, of which this one uses a part"
)]
#[path = "hostile/stage.rs"]
mod stage;
