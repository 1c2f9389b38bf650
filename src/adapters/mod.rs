//! All the I/O of the program, each kind of it in a folder of its own.
//!
//! An adapter turns something outside (files, registries, key management services, mirrors of trust) into the values that the
//! pure modules work on, within bounds, and reports what it could not read: never an empty value
//! instead of an unreadable one.
//!
//! | module | what it reaches, or keeps |
//! |---|---|
//! | [`files`] | policies and what they refer to, from files |
//! | [`cluster`] | the API server: policies, pull secrets, status, Events, the shared certificate |
//! | [`enforced`] | what either of them gives: policies, trust roots, Secrets, ConfigMaps |
//! | [`oci`] | registries |
//! | [`recording`] | what registries answered, kept as files and answered again |
//! | [`outbound`] | requests to services that are no registries; what the next four ask through |
//! | [`identity`] | who we are to the clouds |
//! | [`cloud`] | credentials for the registries of clouds |
//! | [`kms`] | public keys of key management services |
//! | [`trust`] | trust roots, from mirrors and from a file |
//! | [`remote_policies`] | texts of policies behind URLs |
//! | [`credentials`] | credentials for registries: our own, and the pull secrets of files |
//! | [`certs`] | the certificate that the webhook shows |
//! | [`metrics`] | what Prometheus may ask |
//! | [`ahead`] | values that are fetched when they are first asked for, and again before they end |
//! | [`refresh`] | values that are fetched again and again, off the path of requests |

pub mod ahead;
pub mod certs;
pub mod cloud;
pub mod cluster;
pub mod credentials;
pub mod enforced;
pub mod files;
pub mod identity;
pub mod kms;
pub mod metrics;
pub mod oci;
pub mod outbound;
pub mod recording;
pub mod refresh;
pub mod remote_policies;
pub mod trust;
