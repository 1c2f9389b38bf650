//! Adapters: where the pure stages meet the network and the disk.
pub mod oci;
