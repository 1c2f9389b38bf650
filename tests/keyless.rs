//! Identities: who may vouch by a certificate instead of a key, what must prove it, and when.
//!
//! Each test judges images through the real registry client, against a registry on loopback. Evidence comes from the Sigstore of our own
//! (`support/sigstore`), which signs anything at any time and lies on request; that it is a faithful one is shown by `tests/sigstore.rs`
//! and, before the real cosign, by the second ring.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

#[path = "keyless/github_actions.rs"]
mod github_actions;
#[path = "keyless/identities.rs"]
mod identities;
#[path = "keyless/lies.rs"]
mod lies;
#[path = "keyless/own_authority.rs"]
mod own_authority;
#[path = "keyless/own_release.rs"]
mod own_release;
#[path = "support/sigstore/mod.rs"]
mod sigstore;
#[path = "keyless/stage.rs"]
mod stage;
#[path = "keyless/transparency.rs"]
mod transparency;
#[path = "keyless/trust.rs"]
mod trust;
#[path = "keyless/windows.rs"]
mod windows;
#[path = "keyless/workflows.rs"]
mod workflows;
