//! What a resource is told when it is applied: whether it would be refused, and what its author may not have meant.
//!
//! In come a [`ClusterImagePolicy`](api::ClusterImagePolicy) or a [`TrustRoot`](api::TrustRoot) as written. Out come [`Finding`]s:
//! everything that policy-controller's validating webhook refuses, in its words, and programs that do not compile
//! ([`Severity::Refused`]); and what is accepted but weak, without effect, or not implemented by this version
//! ([`Severity::Warning`]). Nothing is fetched. What a policy refers to is looked at as far as it is known ([`Surroundings`]); what is
//! wrong there is a warning, because it is mended there and may be applied later.
//!
//! The rules of a policy's shape are those by which policies are compiled ([`crate::policy`]), so what is accepted here and asks for
//! nothing that is not implemented is a policy that can be enforced. What became of one that was stored is told by its
//! [`conditions`].

mod advice;
pub mod conditions;
mod trust_root;

use crate::api;
use crate::policy::{Problem, Referents, compile};

/// The namespace in which Secrets of policies are looked for, unless told otherwise.
pub const DEFAULT_NAMESPACE: &str = "cosign-system";

/// What one finding means for its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The resource is refused.
    Refused,
    /// The resource is accepted, and its author should know.
    Warning,
}

/// What is known of the things that policies refer to.
#[derive(Clone, Copy, Debug)]
pub enum Surroundings<'a> {
    /// A part of it: what is missing may well be there. Files on a desk.
    Partly(&'a Referents),
    /// All of it: what is missing is missing. What a webhook judges with.
    Wholly(&'a Referents),
}

/// One thing that was found in a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What it means for the resource.
    pub severity: Severity,
    /// What it is.
    pub problem: Problem,
}

/// Checks a policy. `namespace` is the only one whose Secrets and ConfigMaps the webhook reads.
///
/// Findings come refusals first, then warnings, each merged and sorted as [`Problem::merged`] does.
pub fn check_policy(
    policy: &api::ClusterImagePolicy,
    namespace: &str,
    surroundings: Surroundings<'_>,
) -> Vec<Finding> {
    let (Surroundings::Partly(referents) | Surroundings::Wholly(referents)) = surroundings;
    let (mut wrong, mut warnings) = (foreign_secrets(policy, namespace), Vec::new());
    let problems = match compile(policy, referents).body {
        Ok(body) => {
            warnings.extend(advice::dialects(&body));
            Vec::new()
        }
        Err(problems) => problems,
    };
    for problem in problems {
        if problem.is_unresolved() {
            let is_known = matches!(surroundings, Surroundings::Wholly(_));
            warnings.extend(is_known.then_some(problem));
        } else if problem.is_not_supported() || problem.is_elsewhere() {
            warnings.push(problem);
        } else {
            wrong.push(problem);
        }
    }
    warnings.extend(advice::about(policy, namespace));
    // What is refused needs no advice.
    let is_refused = |field: &String| wrong.iter().any(|problem| problem.fields().contains(field));
    warnings.retain(|warning| !warning.fields().iter().any(is_refused));
    findings(wrong, warnings)
}

/// The same, where policies without authorities are accepted (policy-controller's `fail-on-empty-authorities: "false"`). Such a policy is
/// checked as if it had the one authority that it amounts to, which never vouches for anything.
pub fn check_policy_without_authorities(
    policy: &api::ClusterImagePolicy,
    namespace: &str,
    surroundings: Surroundings<'_>,
) -> Vec<Finding> {
    let spec = &policy.spec;
    if !spec.authorities.is_empty() || spec.policy.is_some() {
        return check_policy(policy, namespace, surroundings);
    }
    let mut amounting = policy.clone();
    amounting.spec.authorities.push(api::Authority {
        static_: Some(api::StaticRef {
            action: "fail".to_owned(),
            ..api::StaticRef::default()
        }),
        ..api::Authority::default()
    });
    let mut findings = check_policy(&amounting, namespace, surroundings);
    findings.push(Finding {
        severity: Severity::Warning,
        problem: Problem::new(
            "no authorities",
            "spec.authorities",
            "nobody can vouch for the images that the policy matches: they are denied",
        ),
    });
    findings
}

/// Checks a `TrustRoot`. Findings come in the same order as those of [`check_policy`].
pub fn check_trust_root(root: &api::TrustRoot) -> Vec<Finding> {
    findings(trust_root::check(&root.spec), Vec::new())
}

/// What the API server would answer, in policy-controller's words; `None` if it accepts.
pub fn refusal(findings: &[Finding]) -> Option<String> {
    let refused = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Refused);
    let entries: Vec<String> = refused.map(|finding| finding.problem.to_string()).collect();
    (!entries.is_empty()).then(|| format!("validation failed: {}", entries.join("\n")))
}

/// The same of what cannot even be read as a resource.
pub fn undecodable(error: &api::DecodeError) -> String {
    format!("decoding request failed: cannot decode incoming new object: {error}")
}

fn findings(refused: Vec<Problem>, warnings: Vec<Problem>) -> Vec<Finding> {
    let with = |severity, problems| {
        let merged = Problem::merged(problems).into_iter();
        merged.map(move |problem| Finding { severity, problem })
    };
    with(Severity::Refused, refused)
        .chain(with(Severity::Warning, warnings))
        .collect()
}

/// Secrets of another namespace, which are never read.
fn foreign_secrets(policy: &api::ClusterImagePolicy, namespace: &str) -> Vec<Problem> {
    let authorities = policy.spec.authorities.iter().enumerate();
    let keys = authorities.flat_map(|(index, authority)| {
        let path = format!("spec.authorities[{index}]");
        let ca = authority
            .keyless
            .as_ref()
            .and_then(|keyless| keyless.ca_cert.as_ref());
        [
            (authority.key.as_ref(), format!("{path}.key")),
            (ca, format!("{path}.keyless.ca-cert")),
        ]
    });
    let secrets = keys.filter_map(|(key, path)| Some((key?.secret_ref.as_ref()?, path)));
    secrets
        .filter(|(secret, _)| !secret.namespace.is_empty() && secret.namespace != namespace)
        .map(|(secret, path)| {
            Problem::invalid(
                &secret.namespace,
                format!("{path}.secretref.namespace"),
                format!("the Secret must be in the controller's namespace, {namespace}"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests;
