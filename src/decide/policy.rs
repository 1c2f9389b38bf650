//! One policy about one image: its authorities, and then its own program over what they found.

use std::sync::Arc;

use futures::future::join_all;
use serde_json::Map;

use super::authority::{self, Found, Thoroughness};
use super::rego::Allowance;
use super::{Judge, Scope, input, unavailable};
use crate::gather::FetchError;
use crate::image::PinnedImage;
use crate::policy::{CompiledPolicy, Policy, WholeProgram};
use crate::predicate_policy::Decision;
use crate::verdict::{
    AuthorityVerdict, Cause, Outcome, PolicyVerdict, Reason, RegoResult, fold_authorities,
};

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
            input: None,
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
    let thoroughness = match &body.program {
        Some(_) => Thoroughness::Everything,
        None => Thoroughness::Enough,
    };
    let running = body.authorities.iter().map(|authority| {
        authority::judge(judge, authority, image, &allowance, scope, thoroughness)
    });
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
        input: None,
    };
    match &body.program {
        Some(program) if outcome == Outcome::Satisfied => {
            over_authorities(judge, program, image, found, verdict, (&allowance, scope)).await
        }
        _ => verdict,
    }
}

/// The program of the policy itself, over all that its satisfied authorities found and what else it asks for.
async fn over_authorities(
    judge: &Judge,
    whole: &WholeProgram,
    image: &PinnedImage,
    found: Vec<Found>,
    verdict: PolicyVerdict,
    (allowance, scope): (&Allowance, &Scope<'_>),
) -> PolicyVerdict {
    let repository = image.reference.repository();
    let configs = if whole.inputs.config {
        let fetched = judge
            .gatherer
            .config_files(repository, image.digest(), &scope.access);
        match fetched.await {
            Ok(configs) => Some(configs),
            Err(error) => return unread(&error, verdict),
        }
    } else {
        None
    };
    let names = verdict
        .authorities
        .iter()
        .map(|authority| authority.name.to_string());
    let (mut matches, mut missing) = (Map::new(), None);
    for (name, found) in names.zip(found) {
        matches.extend(found.authority_match.map(|value| (name, value)));
        missing = missing.or(found.unread);
    }
    // A program that holds when something is not there cannot know otherwise that it was not read.
    let unjudged = |authority: &AuthorityVerdict| authority.outcome == Outcome::Unknown;
    let incomplete = missing.is_some() || verdict.authorities.iter().any(unjudged);
    let input: Arc<str> = Arc::from(input::document(
        matches,
        whole.inputs,
        scope.request,
        configs.as_deref(),
        incomplete,
    ));
    let verdict = PolicyVerdict {
        input: Some(Arc::clone(&input)),
        ..verdict
    };
    let answer = judge
        .rego
        .evaluate(&whole.program, input, allowance, scope.access.deadline)
        .await;
    let decision = match (answer, missing) {
        (Ok(decision @ Decision::Pass), _) | (Ok(decision), None) => decision,
        // What could not be read could have been what the program misses.
        (Ok(Decision::Warn(_) | Decision::Fail(_)), Some(error)) => return unread(&error, verdict),
        (Err(none), _) => {
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

/// The policy could not judge, since the registry could not be asked for something.
fn unread(error: &FetchError, verdict: PolicyVerdict) -> PolicyVerdict {
    PolicyVerdict {
        outcome: Outcome::Unknown,
        reason: unavailable::reason(error),
        cause: Some(unavailable::cause(error)),
        ..verdict
    }
}
