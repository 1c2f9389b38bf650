//! The composition root: where adapters are made and handed to the stages that need them.
//!
//! | file | what it composes |
//! |---|---|
//! | [`cases`] | one case of `vouchsafe test`: the engine over recorded answers |
//! | [`engine`] | judge, registries, credentials and the snapshot of policies: shared by the webhook and the command line |
//! | `observers` | what edge and registry client report, as metrics |
//! | [`webhook`] | the engine behind HTTPS, its certificate, its admin port, and the tasks that keep all of it fresh |

pub mod cases;
pub mod engine;
mod observers;
pub mod webhook;
