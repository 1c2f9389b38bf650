//! Who we are to the clouds: keys of AWS, tokens of Google and Azure, from what the environment says.
//!
//! *In*: the variables that the clouds' own tools read, and files that they name, read each time since others renew them. *Out*: a
//! credential and how long it is good, or in words what is missing. Key management and registries ask through here; each of them
//! decides to which hosts the credential may go.
//!
//! | file | what |
//! |---|---|
//! | `aws` | keys in the environment, a web identity (IRSA), the agent of EKS Pod Identity, the metadata service of EC2 |
//! | `google` | the key of a service account, a federation file, the metadata service |
//! | `azure` | a client secret, a federated token (workload identity), the metadata service |
//! | `sigv4` | AWS' signature of a request |
//! | `exchange` | requests to token services: bounded, and no answer is repeated |
//!
//! Metadata services are link-local and speak plain HTTP. They are asked at the addresses that are documented for them, which are in
//! this folder, and only where the caller says that what the machine may do is meant.

pub mod aws;
pub mod azure;
pub mod google;

pub(in crate::adapters) mod error;
pub(in crate::adapters) mod exchange;
mod secret_text;
pub(in crate::adapters) mod sigv4;

use std::time::Duration;

pub use error::ServiceError;
pub use secret_text::SecretText;

/// The shortest and longest life of a credential that are believed.
pub(in crate::adapters) const LIVES: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_hours(12));

/// A credential that is good for some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeLimited<T> {
    /// The credential.
    pub value: T,
    /// For how long, counted from when it was issued.
    pub life: Duration,
}
