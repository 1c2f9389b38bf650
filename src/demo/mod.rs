//! The quick start: a registry, keys and evidence that need nothing but this binary.
//!
//! | module | what it is |
//! |---|---|
//! | [`cast`] | the images of the demo, and the policy that tells them apart |
//! | [`registry`] | an OCI registry in memory that answers over HTTP on a loopback port |
//! | [`signer`] | signatures and attestations as cosign and Tekton Chains write them, put into that registry |
//!
//! The integration tests stand on the same two modules; that is why [`signer`]'s options can be told to lie in every field.

pub mod cast;
pub mod registry;
pub mod signer;
