//! Registry credentials: those of whoever runs us, and the pull secrets of a workload where they come from files.
//!
//! | file | what |
//! |---|---|
//! | `own` | our own: the docker config with its helpers, then the tokens of clouds |
//! | `files` | pull secrets from files, then our own: without an API server |
//! | `secret` | what a Secret holds, in either of the two forms of a pull secret |
//!
//! In a cluster, [`super::cluster`] reads pull secrets instead, and our own come after them in the same way.

mod files;
mod own;
pub(in crate::adapters) mod secret;

pub use files::FileCredentials;
pub use own::OwnCredentials;
