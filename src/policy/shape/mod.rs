//! The shape of a policy: which fields may stand beside which, and what may stand in them.
//!
//! In come authorities and Rego or CUE policies as their author wrote them, with the path at which they stand. Out come the problems
//! for which policy-controller's validating webhook would refuse the resource, in its words and with its paths (an attestation's
//! path has no index, a policy of a whole resource stands at `spec`), because scripts look for them. Defaults count as written: a
//! `keyless` with neither `url` nor `ca-cert` is the public Sigstore.
//!
//! What a well-formed field *means*, and whether this version can verify it, is decided where policies are compiled.

mod key;
mod keyless;
mod kms;
mod pattern;
mod source;

use super::problem::Problem;
use crate::api;

pub(super) use pattern::is_syntax_error;

/// Where a Rego or CUE policy stands, which decides what it may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// It is about one attestation's statement.
    Attestation,
    /// It is about all that the authorities found.
    Whole,
}

/// What is wrong with one authority, which stands at `path`.
pub(super) fn authority(authority: &api::Authority, path: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    // Without identities the API server refuses the object by its schema, before anybody asks of which kind the authority is.
    if let Some(keyless) = &authority.keyless {
        problems.extend(keyless::no_identities(keyless, &format!("{path}.keyless")));
    }
    let kinds = || ["key", "keyless", "static"].map(|kind| format!("{path}.{kind}"));
    match (&authority.key, &authority.keyless, &authority.static_) {
        (None, None, None) => {
            problems.push(Problem::neither(kinds()));
            return problems;
        }
        (Some(key), None, None) => problems.extend(key::public_key(key, &format!("{path}.key"))),
        (None, Some(keyless), None) => {
            problems.extend(keyless::keyless(keyless, &format!("{path}.keyless")));
        }
        (None, None, Some(fixed)) => problems.extend(fixed_answer(authority, fixed, path)),
        _ => {
            problems.push(Problem::both(kinds()));
            return problems;
        }
    }
    problems.extend(source::sources(&authority.sources, path));
    let at = format!("{path}.attestations");
    problems.extend(
        authority
            .attestations
            .iter()
            .flat_map(|found| attestation(found, &at)),
    );
    problems
}

fn fixed_answer(authority: &api::Authority, fixed: &api::StaticRef, path: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    match fixed.action.as_str() {
        "pass" | "fail" => {}
        "" => problems.push(Problem::missing(format!("{path}.static.action"))),
        other => problems.push(Problem::invalid(
            other,
            format!("{path}.static.action"),
            "unsupported action",
        )),
    }
    let beside = [
        ("attestations", !authority.attestations.is_empty()),
        ("source", !authority.sources.is_empty()),
        ("ctlog", authority.ctlog.is_some()),
        ("rfc3161timestamp", authority.rfc3161_timestamp.is_some()),
    ];
    let present = beside.into_iter().filter(|(_, present)| *present);
    problems
        .extend(present.map(|(field, _)| {
            Problem::both([format!("{path}.static"), format!("{path}.{field}")])
        }));
    problems
}

fn attestation(attestation: &api::Attestation, path: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    if attestation.name.is_empty() {
        problems.push(Problem::missing(format!("{path}.name")));
    }
    if attestation.predicate_type.is_empty() {
        problems.push(Problem::missing(format!("{path}.predicateType")));
    }
    if let Some(policy) = &attestation.policy {
        let at = format!("{path}.policy");
        problems.extend(predicate_policy(policy, &at, Level::Attestation));
    }
    problems
}

/// What is wrong with a Rego or CUE policy. One of a whole resource is reported at `spec`, whatever its field is called.
pub(super) fn predicate_policy(
    policy: &api::PredicatePolicy,
    path: &str,
    level: Level,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !["rego", "cue"].contains(&policy.language.as_str()) {
        problems.push(Problem::invalid(
            &policy.language,
            format!("{path}.type"),
            "only [cue,rego] are supported at the moment",
        ));
    }
    let bodies = ["configMapRef", "data", "remote"].map(|field| format!("{path}.{field}"));
    let given = [
        !policy.data.is_empty(),
        policy.remote.is_some(),
        policy.config_map_ref.is_some(),
    ];
    match given.iter().filter(|given| **given).count() {
        0 => problems.push(Problem::all_missing(bodies)),
        1 => {}
        _ => problems.push(Problem::both(bodies)),
    }
    if let Some(remote) = &policy.remote {
        problems.extend(remote_policy(remote, &format!("{path}.remote")));
    }
    if let Some(map) = &policy.config_map_ref {
        let missing = [("name", map.name.is_empty()), ("key", map.key.is_empty())];
        let missing = missing.into_iter().filter(|(_, missing)| *missing);
        problems.extend(
            missing.map(|(field, _)| Problem::missing(format!("{path}.configMapRef.{field}"))),
        );
    }
    if level == Level::Attestation {
        let set = whole_policy_inputs(policy)
            .into_iter()
            .filter(|(_, wanted)| wanted.is_some());
        problems.extend(set.map(|(field, _)| Problem::disallowed(format!("{path}.{field}"))));
    }
    problems
}

fn remote_policy(remote: &api::RemotePolicy, path: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let host = remote.url.strip_prefix("https://");
    if host.is_none_or(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#'])) {
        problems.push(Problem::invalid(
            &remote.url,
            format!("{path}.url"),
            "url valid is invalid. host and https scheme are expected",
        ));
    }
    if remote.sha256sum.is_empty() {
        problems.push(Problem::missing(format!("{path}.sha256sum")));
    }
    problems
}

/// What only the policy of a whole ClusterImagePolicy may ask for.
pub(super) fn whole_policy_inputs(
    policy: &api::PredicatePolicy,
) -> [(&'static str, Option<bool>); 4] {
    [
        ("fetchConfigFile", policy.fetch_config_file),
        ("includeSpec", policy.include_spec),
        ("includeObjectMeta", policy.include_object_meta),
        ("includeTypeMeta", policy.include_type_meta),
    ]
}
