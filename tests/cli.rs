//! The command as a user meets it: exit codes, outputs, manifests, wording, and the webhook as a process.
//!
//! The contract is that of the command line; every test runs the binary and looks at nothing else.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

#[path = "cli/cases.rs"]
mod cases;
#[path = "cli/desk.rs"]
mod desk;
#[path = "cli/elsewhere.rs"]
mod elsewhere;
#[path = "cli/exit_codes.rs"]
mod exit_codes;
#[path = "cli/manifests.rs"]
mod manifests;
#[path = "cli/outputs.rs"]
mod outputs;
#[path = "cli/probe.rs"]
mod probe;
#[path = "cli/recorded_trust.rs"]
mod recorded_trust;
#[path = "cli/recordings.rs"]
mod recordings;
#[path = "support/sigstore/mod.rs"]
mod sigstore;
#[path = "cli/statements.rs"]
mod statements;
#[path = "cli/webhook.rs"]
mod webhook;
#[path = "cli/words.rs"]
mod words;
