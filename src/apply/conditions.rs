//! What the status of a resource says: to people, and to tools that wait for `Ready`.
//!
//! *In*: what became of a ClusterImagePolicy when it was compiled, or of a TrustRoot when it was read. *Out*: its conditions, with the
//! names and reasons of policy-controller ([`of_policy`], [`of_trust_root`]). Beside the status that is there already they say what is
//! to be written, if anything ([`settle`]), and whether that is news ([`readiness`]).
//!
//! | condition | `False` because | reason |
//! |---|---|---|
//! | `KeysInlined` | a key or certificate cannot be used | `InliningKeysFailed` |
//! | | a TrustRoot that an authority needs is not there | `TrustRootUnavailable` |
//! | `PoliciesInlined` | a program cannot be used | `InliningPoliciesFailed` |
//! | | a program is in CUE | `CueNotSupported` |
//! | `Ready` | one of these is not true, or anything else is wrong | that one's, else `PolicyInvalid` |
//!
//! `ConfigMapUpdated` is always true, and says that no ConfigMap is used. `Stale` is there, and true, while something is used that
//! could not be fetched again.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::api::{Condition, Status};
use crate::explain::printable_line;
use crate::policy::{Authority, AuthorityKind, Policy, Problem};
use crate::predicate_policy::Dialect;

/// The condition that sums up the others.
pub const READY: &str = "Ready";
const KEYS: &str = "KeysInlined";
const PROGRAMS: &str = "PoliciesInlined";

const NO_KEYS: &str = "InliningKeysFailed";
const CUE: &str = "CueNotSupported";

/// A message as a whole, in bytes, and what it says of one thing.
const MESSAGE: usize = 4 << 10;
const ENTRY: usize = 1 << 10;

/// That a resource is ready now, or is not, or is not for another reason than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Whether it is ready.
    pub ready: bool,
    /// Why not, in one word; empty where it is.
    pub reason: String,
    /// The same, for people.
    pub message: String,
}

/// The conditions of a policy that was compiled. `stale` names what it refers to and could not be fetched again, each in words, and is
/// used all the same. Times are empty: [`settle`] gives them.
pub fn of_policy(compiled: &Result<Policy, Vec<Problem>>, stale: &[String]) -> Vec<Condition> {
    let (keys, programs, wrong) = match compiled {
        Ok(policy) => {
            let roots = missing_roots(policy);
            let keys = unless(&roots, KEYS, "TrustRootUnavailable");
            (keys, is_true(PROGRAMS, dialects(policy)), roots)
        }
        Err(problems) => {
            let all = problems.iter().map(ToString::to_string).collect();
            (about_keys(problems), about_programs(problems), all)
        }
    };
    // What no edit of a key mends, because this version cannot read it, comes first.
    let mut failed = [&programs, &keys]
        .map(|condition| (condition.status == "False").then_some(condition.reason.as_str()));
    failed.sort_by_key(|reason| *reason != Some(CUE));
    let reason = failed.into_iter().flatten().next();
    let ready = unless(&wrong, READY, reason.unwrap_or("PolicyInvalid"));
    let unused = "policies are compiled in memory; no ConfigMap is written or read for it";
    all([
        Some(not_used(unused)),
        Some(keys),
        Some(programs),
        Some(ready),
        used_stale(stale),
    ])
}

/// The conditions of a TrustRoot that was read; or that could not be, in words. `stale` and times are as with [`of_policy`].
pub fn of_trust_root(read: Result<(), &str>, stale: &[String]) -> Vec<Condition> {
    let wrong: Vec<String> = read.err().map(str::to_owned).into_iter().collect();
    let [keys, ready] = [KEYS, READY].map(|name| unless(&wrong, name, NO_KEYS));
    let unused = "trust roots are kept in memory; no ConfigMap is written or read for it";
    all([
        Some(not_used(unused)),
        Some(keys),
        Some(ready),
        used_stale(stale),
    ])
}

/// The status to write for what was found of `generation`, beside the one that is there; `None` where it says all of that already.
///
/// A condition whose status stays keeps the time at which it came to it; another one came to it `now`.
pub fn settle(
    present: &Status,
    generation: Option<i64>,
    found: Vec<Condition>,
    now: Timestamp,
) -> Option<Status> {
    let before = |name: &str| {
        present
            .conditions
            .iter()
            .find(|condition| condition.type_ == name)
    };
    let with_time = |mut condition: Condition| {
        condition.last_transition_time = match before(&condition.type_) {
            Some(old) if old.status == condition.status && !old.last_transition_time.is_empty() => {
                old.last_transition_time.clone()
            }
            _ => now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        };
        condition
    };
    let conditions: Vec<Condition> = found.into_iter().map(with_time).collect();
    let is_said = present.observed_generation == generation && present.conditions == conditions;
    (!is_said).then(|| Status {
        observed_generation: generation,
        conditions,
        annotations: BTreeMap::new(),
    })
}

/// What is new about readiness in `next`, after `present`.
pub fn readiness(present: &Status, next: &Status) -> Option<Readiness> {
    let of = |status: &Status| {
        let ready = status
            .conditions
            .iter()
            .find(|condition| condition.type_ == READY)?;
        let Condition {
            reason, message, ..
        } = ready.clone();
        let ready = ready.status == "True";
        let reason = if ready { String::new() } else { reason };
        Some(Readiness {
            ready,
            reason,
            message,
        })
    };
    let next = of(next)?;
    let is_old = of(present)
        .is_some_and(|present| (present.ready, &present.reason) == (next.ready, &next.reason));
    (!is_old).then_some(next)
}

/// In the order of their names, as policy-controller keeps them.
fn all(conditions: impl IntoIterator<Item = Option<Condition>>) -> Vec<Condition> {
    conditions.into_iter().flatten().collect()
}

fn not_used(why: &str) -> Condition {
    Condition {
        reason: "NotUsed".to_owned(),
        ..is_true("ConfigMapUpdated", why.to_owned())
    }
}

fn used_stale(stale: &[String]) -> Option<Condition> {
    let condition = Condition {
        reason: "LastGoodUsed".to_owned(),
        ..is_true("Stale", text(stale))
    };
    (!stale.is_empty()).then_some(condition)
}

fn is_true(name: &str, message: String) -> Condition {
    Condition {
        type_: name.to_owned(),
        status: "True".to_owned(),
        message,
        ..Condition::default()
    }
}

/// True, unless something is wrong.
fn unless(wrong: &[String], name: &str, reason: &str) -> Condition {
    if wrong.is_empty() {
        return is_true(name, String::new());
    }
    Condition {
        status: "False".to_owned(),
        reason: reason.to_owned(),
        ..is_true(name, text(wrong))
    }
}

fn about_keys(problems: &[Problem]) -> Condition {
    let is_of_a_key = |field: &str| {
        field
            .split('.')
            .any(|word| ["key", "ca-cert"].contains(&word))
    };
    unless(&with_field(problems, is_of_a_key), KEYS, NO_KEYS)
}

fn about_programs(problems: &[Problem]) -> Condition {
    let wrong = with_field(problems, is_of_a_program);
    let is_cue = |problem: &Problem| {
        let mut fields = problem.fields().iter();
        problem.is_not_supported() && fields.any(|field| field.ends_with("policy.type"))
    };
    let reason = if problems.iter().any(is_cue) {
        CUE
    } else {
        "InliningPoliciesFailed"
    };
    unless(&wrong, PROGRAMS, reason)
}

/// The fields of the program over a whole policy stand at `spec` itself, in the words of policy-controller.
fn is_of_a_program(field: &str) -> bool {
    const WHOLE: [&str; 4] = ["type", "data", "remote", "configMapRef"];
    let mut words = field.split('.');
    words.clone().any(|word| word == "policy")
        || words.next() == Some("spec") && words.next().is_some_and(|word| WHOLE.contains(&word))
}

/// Those problems that are about such a field.
fn with_field(problems: &[Problem], is_such: impl Fn(&str) -> bool) -> Vec<String> {
    let such = problems
        .iter()
        .filter(|problem| problem.fields().iter().any(|field| is_such(field)));
    such.map(ToString::to_string).collect()
}

/// The authorities that nobody can satisfy, because the root that they trust is not there.
fn missing_roots(policy: &Policy) -> Vec<String> {
    let missing = policy
        .authorities
        .iter()
        .filter_map(|authority| match &authority.kind {
            AuthorityKind::Rootless { detail, .. } => {
                Some(format!("authority {}: {detail}", authority.name))
            }
            AuthorityKind::Static(_) | AuthorityKind::Signed(_) => None,
        });
    missing.collect()
}

/// In which Rego the programs are written; empty where there are none.
fn dialects(policy: &Policy) -> String {
    let rules = policy
        .authorities
        .iter()
        .flat_map(Authority::attestation_rules);
    let programs = rules.filter_map(|rule| rule.program.as_ref());
    let whole = policy.program.as_ref().map(|whole| &whole.program);
    let (mut v0, mut v1) = (0_usize, 0_usize);
    for program in programs.chain(whole) {
        match program.dialect() {
            Dialect::V0 => v0 += 1,
            Dialect::V1 => v1 += 1,
        }
    }
    match (v0, v1) {
        (0, 0) => String::new(),
        (_, 0) => "read as Rego v0".to_owned(),
        (0, _) => "read as Rego v1".to_owned(),
        (v0, v1) => format!("{v0} programs read as Rego v0, {v1} as Rego v1"),
    }
}

/// The entries on one line, as tools show a message; fit for a terminal, and cut.
fn text(entries: &[String]) -> String {
    let mut text = String::new();
    for entry in entries {
        let lines: Vec<&str> = entry.lines().collect();
        let entry = printable_line(&lines.join(": "), ENTRY);
        if text.len() + entry.len() > MESSAGE {
            text.push_str("; …");
            break;
        }
        if !text.is_empty() {
            text.push_str("; ");
        }
        text.push_str(&entry);
    }
    text
}

#[cfg(test)]
mod tests;
