//! All the I/O of the program, each kind of it in a folder of its own.
//!
//! An adapter turns something outside (files, registries, key management services, mirrors of trust) into the values that the
//! pure modules work on, within bounds, and reports what it could not read: never an empty value
//! instead of an unreadable one.

pub mod ahead;
pub mod certs;
pub mod cloud;
pub mod cluster;
pub mod credentials;
pub mod files;
pub mod identity;
pub mod kms;
pub mod metrics;
pub mod objects;
pub mod oci;
pub mod outbound;
pub mod recording;
pub mod refresh;
pub mod remote_policies;
pub mod trust;
