//! What several test binaries share.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "each suite uses its part, and a fixture that breaks fails the test by panicking"
)]

pub mod api_server;
pub mod command;
pub mod policies;
pub mod policy_text;
pub mod registry;
pub mod stand_in;
pub mod tuf;
pub(crate) mod vectors;
pub mod webhook;
