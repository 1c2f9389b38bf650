//! The program of a policy: its text, wherever that is kept, compiled; and what a program over a whole policy wants to see.

use std::borrow::Cow;
use std::sync::Arc;

use super::problem::Problem;
use super::referents::{Referents, RemotePolicy};
use super::shape::{self, Level};
use crate::api;
use crate::image::Digest;
use crate::predicate_policy::Program;

/// A program over all that a policy's authorities found.
#[derive(Clone, Debug)]
pub struct WholeProgram {
    /// The program.
    pub program: Arc<Program>,
    /// What it sees beside `authorityMatches`.
    pub inputs: Inputs,
}

/// What a program over a whole policy sees beside `authorityMatches`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four switches of the resource, each on its own"
)]
pub struct Inputs {
    /// `config`: the image's config files (`fetchConfigFile`).
    pub config: bool,
    /// `spec` of the object (`includeSpec`).
    pub spec: bool,
    /// `metadata` of the object (`includeObjectMeta`).
    pub metadata: bool,
    /// `typemeta`: kind and API version of the object (`includeTypeMeta`).
    pub type_meta: bool,
}

/// The program over all that a policy's authorities found; `None` when there is a problem.
pub(super) fn whole(
    policy: &api::PredicatePolicy,
    referents: &Referents,
    problems: &mut Vec<Problem>,
) -> Option<WholeProgram> {
    let wrong = shape::predicate_policy(policy, "spec", Level::Whole);
    if !wrong.is_empty() {
        problems.extend(wrong);
        return None;
    }
    let inputs = Inputs {
        config: policy.fetch_config_file == Some(true),
        spec: policy.include_spec == Some(true),
        metadata: policy.include_object_meta == Some(true),
        type_meta: policy.include_type_meta == Some(true),
    };
    program(policy, "spec.policy", referents, problems)
        .map(|program| WholeProgram { program, inputs })
}

/// The program of a well-formed policy, which stands at `path`; `None` when there is a problem.
pub(super) fn program(
    policy: &api::PredicatePolicy,
    path: &str,
    referents: &Referents,
    problems: &mut Vec<Problem>,
) -> Option<Arc<Program>> {
    if policy.language == "cue" {
        let field = format!("{path}.type");
        problems.push(Problem::not_supported(field, "a policy in CUE"));
        return None;
    }
    let Text { field, text } = match text(policy, path, referents) {
        Ok(text) => text,
        Err(problem) => {
            problems.push(problem);
            return None;
        }
    };
    match Program::compile(&text) {
        Ok(program) => Some(Arc::new(program)),
        Err(error) if policy.data.is_empty() => {
            problems.push(Problem::elsewhere(field, error.to_string()));
            None
        }
        Err(error) => {
            problems.push(Problem::invalid("policy", field, error.to_string()));
            None
        }
    }
}

/// The text of a program, and the field that gives it.
struct Text<'a> {
    field: String,
    text: Cow<'a, str>,
}

/// The text of a well-formed policy, which has exactly one of its three bodies.
fn text<'a>(
    policy: &'a api::PredicatePolicy,
    path: &str,
    referents: &'a Referents,
) -> Result<Text<'a>, Problem> {
    if let Some(map) = &policy.config_map_ref {
        let field = format!("{path}.configMapRef");
        return match in_config_map(map, referents) {
            Ok(text) => Ok(Text {
                field,
                text: text.into(),
            }),
            Err(why) => Err(Problem::unresolved(field, why)),
        };
    }
    if let Some(remote) = &policy.remote {
        let field = format!("{path}.remote");
        return from_elsewhere(remote, field, referents);
    }
    Ok(Text {
        field: format!("{path}.data"),
        text: policy.data.as_str().into(),
    })
}

/// A key of a ConfigMap of our own namespace. Which namespace the reference names is not looked at, as in policy-controller.
fn in_config_map<'a>(
    reference: &api::ConfigMapReference,
    referents: &'a Referents,
) -> Result<&'a str, String> {
    let api::ConfigMapReference { name, key, .. } = reference;
    let map = referents
        .config_maps
        .get(name)
        .ok_or_else(|| format!("configmap {name:?} not found"))?;
    if map.is_empty() {
        return Err(format!("configmap {name:?} contains no data"));
    }
    map.get(key)
        .map(String::as_str)
        .ok_or_else(|| format!("configmap {name:?} does not contain key {key}"))
}

/// What a URL gave, if it is what the policy pins.
fn from_elsewhere<'a>(
    remote: &api::RemotePolicy,
    field: String,
    referents: &'a Referents,
) -> Result<Text<'a>, Problem> {
    let key = RemotePolicy::of(remote);
    match referents.remote_policies.get(&key) {
        None => Err(Problem::unresolved(
            field,
            format!("{} has not been fetched", key.without_query()),
        )),
        Some(Err(why)) => Err(Problem::elsewhere(field, why.clone())),
        Some(Ok(text)) => {
            key.check(text)
                .map_err(|why| Problem::elsewhere(&field, why))?;
            Ok(Text {
                field,
                text: Cow::Borrowed(text),
            })
        }
    }
}

// === impl RemotePolicy ===

impl RemotePolicy {
    /// What a policy refers to.
    pub fn of(remote: &api::RemotePolicy) -> Self {
        Self {
            url: remote.url.clone(),
            sha256: remote.sha256sum.trim().to_ascii_lowercase(),
        }
    }

    /// The URL as it may be shown: a query may hold a secret.
    pub fn without_query(&self) -> &str {
        self.url.split(['?', '#']).next().unwrap_or_default()
    }

    /// Whether `text` is what was pinned; otherwise what is wrong, in policy-controller's words.
    pub fn check(&self, text: &str) -> Result<(), String> {
        let found = Digest::sha256_of(text.as_bytes());
        if found.hex() == self.sha256 {
            return Ok(());
        }
        Err(format!(
            "failed to check sha256sum from policy remote: {} got {}",
            self.sha256,
            found.hex()
        ))
    }
}
