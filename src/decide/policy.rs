//! One policy about one image: its authorities, and then its own program over what they found.

use std::sync::Arc;

use futures::future::join_all;
use serde_json::{Map, Value, json};

use super::authority::{self, Found};
use super::rego::Allowance;
use super::{Judge, Scope};
use crate::image::PinnedImage;
use crate::policy::{CompiledPolicy, Policy};
use crate::predicate_policy::{Decision, Program};
use crate::verdict::{Cause, Outcome, PolicyVerdict, Reason, RegoResult, fold_authorities};

/// Judges one policy.
pub(super) async fn judge(
    judge: &Judge,
    policy: &CompiledPolicy,
    image: &PinnedImage,
    scope: &Scope<'_>,
) -> PolicyVerdict {
    match &policy.body {
        Ok(body) => evaluate(judge, policy, body, image, scope).await,
        Err(problems) => PolicyVerdict {
            name: Arc::clone(&policy.name),
            mode: policy.mode,
            outcome: Outcome::Unknown,
            reason: Reason::PolicyInvalid,
            cause: Some(Cause::PolicyInvalid {
                problems: problems.iter().map(ToString::to_string).collect(),
            }),
            authorities: Vec::new(),
            rego: None,
        },
    }
}

async fn evaluate(
    judge: &Judge,
    policy: &CompiledPolicy,
    body: &Policy,
    image: &PinnedImage,
    scope: &Scope<'_>,
) -> PolicyVerdict {
    let allowance = Allowance::of_one_policy();
    // All authorities run to their end: a policy over what they found must see all of it.
    let running = body
        .authorities
        .iter()
        .map(|authority| authority::judge(judge, authority, image, &allowance, scope));
    let (authorities, found): (Vec<_>, Vec<_>) = join_all(running).await.into_iter().unzip();
    let (outcome, reason, cause) = match (&body.program, authorities.is_empty()) {
        // No authorities, but a program: it decides alone.
        (Some(_), true) => (Outcome::Satisfied, Reason::Satisfied, None),
        _ => fold_authorities(&authorities),
    };
    let verdict = PolicyVerdict {
        name: Arc::clone(&policy.name),
        mode: policy.mode,
        outcome,
        reason,
        cause,
        authorities,
        rego: None,
    };
    match &body.program {
        Some(program) if outcome == Outcome::Satisfied => {
            over_authorities(judge, program, found, verdict, &allowance, scope).await
        }
        _ => verdict,
    }
}

/// The program of the policy itself, over all that its satisfied authorities found.
async fn over_authorities(
    judge: &Judge,
    program: &Arc<Program>,
    found: Vec<Found>,
    verdict: PolicyVerdict,
    allowance: &Allowance,
    scope: &Scope<'_>,
) -> PolicyVerdict {
    let names = verdict
        .authorities
        .iter()
        .map(|authority| authority.name.to_string());
    let matches: Map<String, Value> = names
        .zip(found)
        .filter_map(|(name, found)| found.authority_match.map(|value| (name, value)))
        .collect();
    // Members that are empty are left out, as policy-controller does; an empty `authorityMatches` is kept for a policy that stands alone.
    let input = json!({ "authorityMatches": matches }).to_string();
    let answer = judge
        .rego
        .evaluate(program, Arc::from(input), allowance, scope.access.deadline)
        .await;
    let decision = match answer {
        Ok(decision) => decision,
        Err(none) => {
            let cause = Some(Cause::Unavailable {
                detail: none.detail,
            });
            return PolicyVerdict {
                outcome: Outcome::Unknown,
                reason: none.reason,
                cause,
                ..verdict
            };
        }
    };
    match decision {
        Decision::Pass => PolicyVerdict {
            rego: Some(RegoResult {
                passed: true,
                messages: Vec::new(),
            }),
            ..verdict
        },
        // A warning beside `result: true` does not satisfy an enforcing policy, as in policy-controller.
        Decision::Warn(messages) | Decision::Fail(messages) => PolicyVerdict {
            outcome: Outcome::Violated,
            reason: Reason::PolicyDenied,
            cause: Some(Cause::PolicyDenied {
                attestation: None,
                messages: messages.clone(),
            }),
            rego: Some(RegoResult {
                passed: false,
                messages,
            }),
            ..verdict
        },
    }
}
