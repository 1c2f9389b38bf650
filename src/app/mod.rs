//! The composition root: where adapters are made and handed to the stages that need them.
//!
//! | file | what it composes |
//! |---|---|
//! | [`engine`] | judge, registries, credentials and the snapshot of policies: shared by the webhook and the command line |
//! | `observers` | what edge and registry client report, as metrics |
//! | `policies` | what a ClusterImagePolicy or TrustRoot is told when it is applied |
//! | `sources` | what policies refer to outside of themselves: Secrets, key management services, trust roots |
//! | [`webhook`] | the engine behind HTTPS, its certificate, its admin port, and the tasks that keep all of it fresh |

pub mod engine;
mod observers;
mod policies;
mod sources;
pub mod webhook;
