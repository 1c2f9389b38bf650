//! The composition root: where adapters are made and handed to the stages that need them.
//!
//! | file | what it composes |
//! |---|---|
//! | [`cases`] | one case of `vouchsafe test`: the engine over recorded answers |
//! | `certificate` | the serving certificate, from files, made here, or shared in a Secret |
//! | [`cluster`] | the watch on the API server, and the engine that follows it |
//! | `compiler` | policies as they are compiled, kept while nothing about them changes |
//! | [`controls`] | settings of the ConfigMap `config-policy-controller` |
//! | `credentials` | our own credentials for registries, and where those of workloads come from |
//! | [`denials`] | Events about what was denied |
//! | [`engine`] | judge, registries, credentials and the snapshot of policies: shared by the webhook and the command line |
//! | [`in_force`] | what is in force, and of what it was made |
//! | [`kinds`] | the file of `--kinds` |
//! | `observers` | what edge and registry client report, as metrics |
//! | [`referents`] | what objects hold for policies to refer to |
//! | [`roots`] | the root that is trusted where nobody names another one |
//! | `sources` | what policies refer to outside of themselves: Secrets, key management services, trust roots |
//! | [`status`] | what the leader says in the status of policies and trust roots |
//! | [`webhook`] | the engine behind HTTPS, its certificate, its admin port, and the tasks that keep all of it fresh |

pub mod cases;
mod certificate;
pub mod cluster;
mod compiler;
pub mod controls;
mod credentials;
pub mod denials;
pub mod engine;
pub mod in_force;
pub mod kinds;
mod observers;
pub mod referents;
pub mod roots;
mod sources;
pub mod status;
pub mod webhook;
