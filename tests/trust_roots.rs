//! Where trust comes from: keys in a TrustRoot, TUF repositories in archives and behind mirrors, files.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a fixture that breaks fails the test by panicking"
)]

mod support;

mod trust_roots {
    mod admitted;
    mod archive;
    mod engine;
    mod keys;
    mod mirror;
}
