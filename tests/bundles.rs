//! Evidence that refers to its image: sigstore bundles as cosign 3 writes them, older signatures attached as referrers, and everything
//! else that may stand in such a list.
//!
//! Each test judges an image through the real registry client, against a registry on loopback that counts what it is asked.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

#[path = "bundles/bars.rs"]
mod bars;
#[path = "bundles/discovery.rs"]
mod discovery;
#[path = "bundles/junk.rs"]
mod junk;
#[path = "bundles/proof.rs"]
mod proof;
#[path = "bundles/properties.rs"]
mod properties;
#[path = "bundles/stage.rs"]
mod stage;
