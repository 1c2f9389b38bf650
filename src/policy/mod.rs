//! Policies, compiled: what a ClusterImagePolicy means, ready to be matched and evaluated.
//!
//! *In*: the resource as its author wrote it ([`crate::api`]). *Out*: a [`CompiledPolicy`] in an immutable [`PolicySet`], with its
//! globs in one automaton, its keys parsed and its Rego compiled. Everything that can be wrong with a policy is found here, once,
//! and not while an image waits.
//!
//! A policy that does not compile is **kept**: it still matches its images, and they are denied as `policy-invalid` (a broken policy
//! that disappears is an open door). What this version does not understand yet is a problem like any other.

mod authority;
mod bounds;
mod compile;
mod key_source;
mod problem;
mod program;
mod pull_secret;
mod referents;
mod select;
mod set;
mod shape;
mod trust;

pub use authority::{
    AttestationRule, Authority, AuthorityKind, Place, PullSecret, PullSecretForm, SignedBy,
    StaticAction, Wanted,
};
pub use compile::{CompiledPolicy, Policy, compile, unreadable, unready};
pub use problem::Problem;
pub use program::{Inputs, WholeProgram};
pub use referents::{Fetched, PullSecretsIn, Referents, RemotePolicy, remote_policies};
pub use select::{ObjectFacts, Selector};
pub use set::{Match, PolicySet};

#[cfg(test)]
mod tests;
