//! An authority that wants attestations: each of its rules must be met.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::memory;
use super::super::rego::{Allowance, NoAnswer};
use super::evidence::{Shortfall, search, signer_entry, summary};
use super::{Answer, Judge, Scope, Thoroughness};
use crate::evidence::Candidate;
use crate::gather::{FetchError, WantedEvidence};
use crate::image::PinnedImage;
use crate::policy::{AttestationRule, SignedBy};
use crate::predicate_policy::Decision;
use crate::statement::PredicateType;
use crate::verdict::{Cause, Reason, RegoResult};
use crate::verify::{self, Attestation, Verified};

/// The rules are tried on all that was found so far, as soon as there is something for each of them, and again when more was found.
/// With the answer come the statements that the rules look at, for people who ask what their policies are given.
pub(super) async fn judge(
    judge: &Judge,
    signed: &SignedBy,
    rules: &[AttestationRule],
    image: &PinnedImage,
    allowance: &Allowance,
    scope: &Scope<'_>,
    thoroughness: Thoroughness,
) -> Result<(Answer, Vec<Arc<str>>), FetchError> {
    let (requirement, now) = (&signed.requirement, judge.now());
    let key = |candidate: &Candidate| memory::key(image.digest(), candidate, requirement);
    let is_known = |candidate: &Candidate| judge.memory.has_attestation(&key(candidate));
    let verify = |candidate: &Candidate| {
        let verify = || {
            verify::attestation(
                candidate,
                image.digest(),
                requirement,
                &judge.limits.evidence,
                now,
            )
        };
        judge.memory.attestation(key(candidate), verify)
    };
    let types: BTreeSet<&str> = rules.iter().map(|rule| rule.predicate_type.uri()).collect();
    let wanted = WantedEvidence::Attestations(types.into_iter().map(str::to_owned).collect());
    let mut search = search(judge, signed, &wanted, image, scope);
    let (mut pool, mut refused, mut cut_short) = (Pool::default(), None, None);
    loop {
        let gathered = match search.next().await {
            Ok(Some(gathered)) => gathered,
            Ok(None) => break,
            Err(error) => {
                cut_short = Some(error);
                break;
            }
        };
        let verified = pool
            .shortfall
            .sort(gathered, &judge.parsing, is_known, verify)
            .await;
        if verified.is_empty() {
            continue;
        }
        let had_enough = pool.covers(rules);
        pool.verified.extend(verified);
        if !pool.covers(rules) {
            continue;
        }
        if thoroughness == Thoroughness::Everything {
            if !had_enough {
                search.was_right();
            }
            continue;
        }
        match all_rules(judge, rules, &pool, allowance, scope).await {
            answer @ Answer::Satisfied { .. } => {
                search.was_right();
                return Ok((answer, pool.inputs(rules)));
            }
            answer => refused = Some(answer),
        }
    }
    let unread = cut_short.or_else(|| pool.shortfall.all_read().err());
    let inputs = pool.inputs(rules);
    let answer = match refused {
        Some(answer) => answer,
        None => all_rules(judge, rules, &pool, allowance, scope).await,
    };
    match (answer, unread) {
        (
            Answer::Satisfied {
                evidence,
                rego,
                authority_match,
                ..
            },
            unread,
        ) => {
            let answer = Answer::Satisfied {
                evidence,
                rego,
                authority_match,
                unread,
            };
            Ok((answer, inputs))
        }
        // What was not read could have been what is missing.
        (_, Some(error)) => Err(error),
        (answer, None) => Ok((answer, inputs)),
    }
}

/// What there is to satisfy rules with.
#[derive(Default)]
struct Pool {
    verified: Vec<Arc<Verified<Attestation>>>,
    shortfall: Shortfall,
}

/// Every rule must be satisfied, each by at least one verified attestation of its type. A rule that is violated decides at once,
/// whatever could not be judged about another.
async fn all_rules(
    judge: &Judge,
    rules: &[AttestationRule],
    pool: &Pool,
    allowance: &Allowance,
    scope: &Scope<'_>,
) -> Answer {
    let (mut evidence, mut entries, mut evaluated) = (Vec::new(), serde_json::Map::new(), false);
    let mut unknown = None;
    for rule in rules {
        match one_rule(judge, rule, pool, allowance, scope).await {
            Answer::Satisfied {
                evidence: proof,
                rego,
                authority_match,
                ..
            } => {
                evidence.extend(proof);
                entries.insert(rule.name.to_string(), authority_match);
                evaluated |= rego.is_some();
            }
            violated @ Answer::Violated { .. } => return violated,
            other @ Answer::Unknown { .. } => unknown = unknown.or(Some(other)),
        }
    }
    unknown.unwrap_or_else(|| Answer::Satisfied {
        evidence,
        rego: evaluated.then(|| RegoResult {
            passed: true,
            messages: Vec::new(),
        }),
        authority_match: json!({ "attestations": entries }),
        unread: None,
    })
}

async fn one_rule(
    judge: &Judge,
    rule: &AttestationRule,
    pool: &Pool,
    allowance: &Allowance,
    scope: &Scope<'_>,
) -> Answer {
    let is_wanted = |v: &&Arc<Verified<Attestation>>| {
        v.value().statement.predicate_type() == rule.predicate_type.uri()
    };
    let wanted: Vec<_> = pool.verified.iter().filter(is_wanted).collect();
    if wanted.is_empty() {
        return pool.nothing_for(rule);
    }
    let (mut passed, mut refused, mut unanswered) = (Vec::new(), None, None);
    for attestation in wanted {
        match passes(judge, rule, attestation, allowance, scope).await {
            Ok(Decision::Pass) => passed.push(attestation),
            // A warning beside `result: true` does not satisfy an authority, as in policy-controller.
            Ok(Decision::Warn(messages) | Decision::Fail(messages)) => {
                refused = refused.or(Some(messages));
            }
            Err(none) => unanswered = unanswered.or(Some(none)),
        }
    }
    if !passed.is_empty() {
        let entries: Vec<Value> = passed
            .iter()
            .map(|v| attestation_entry(v, &rule.predicate_type))
            .collect();
        let evidence = passed
            .iter()
            .map(|v| summary(v, Some(v.value().statement.predicate_type().to_owned())))
            .collect();
        let rego = rule.program.as_ref().map(|_| RegoResult {
            passed: true,
            messages: Vec::new(),
        });
        return Answer::Satisfied {
            evidence,
            rego,
            authority_match: Value::Array(entries),
            unread: None,
        };
    }
    if let Some(none) = unanswered {
        return Answer::Unknown {
            reason: none.reason,
            cause: Cause::Unavailable {
                detail: none.detail,
            },
        };
    }
    let messages = refused.unwrap_or_default();
    Answer::Violated {
        reason: Reason::PolicyDenied,
        cause: Cause::PolicyDenied {
            attestation: Some(rule.name.to_string()),
            messages: messages.clone(),
        },
        rego: Some(RegoResult {
            passed: false,
            messages,
        }),
    }
}

/// What the rule's program says of one statement, exactly as it was signed. Without a program, that it exists is enough.
async fn passes(
    judge: &Judge,
    rule: &AttestationRule,
    attestation: &Verified<Attestation>,
    allowance: &Allowance,
    scope: &Scope<'_>,
) -> Result<Decision, NoAnswer> {
    let Some(program) = &rule.program else {
        return Ok(Decision::Pass);
    };
    let input = Arc::clone(attestation.value().statement.json());
    judge
        .rego
        .evaluate(program, input, allowance, scope.access.deadline)
        .await
}

fn attestation_entry(verified: &Verified<Attestation>, predicate_type: &PredicateType) -> Value {
    let mut entry = signer_entry(verified.signer());
    entry.insert("id".to_owned(), json!(verified.value().id));
    entry.insert("predicateType".to_owned(), json!(predicate_type.written()));
    entry.insert("digest".to_owned(), json!(verified.evidence().to_string()));
    Value::Object(entry)
}

impl Pool {
    /// Whether there is something to try every rule on.
    fn covers(&self, rules: &[AttestationRule]) -> bool {
        rules.iter().all(|rule| {
            let mut statements = self.verified.iter().map(|v| &v.value().statement);
            statements.any(|s| s.predicate_type() == rule.predicate_type.uri())
        })
    }

    /// The verified statements that the rules look at, as they were signed.
    fn inputs(&self, rules: &[AttestationRule]) -> Vec<Arc<str>> {
        let statements = self
            .verified
            .iter()
            .map(|verified| &verified.value().statement);
        let wanted = |predicate_type: &str| {
            rules
                .iter()
                .any(|rule| rule.predicate_type.uri() == predicate_type)
        };
        let wanted = statements.filter(|statement| wanted(statement.predicate_type()));
        wanted
            .map(|statement| Arc::clone(statement.json()))
            .collect()
    }

    /// Why no verified attestation of the rule's type is there.
    fn nothing_for(&self, rule: &AttestationRule) -> Answer {
        let mut others: BTreeSet<String> = self
            .verified
            .iter()
            .map(|v| v.value().statement.predicate_type().to_owned())
            .collect();
        others.extend(self.shortfall.passed_over.iter().cloned());
        if self.shortfall.rejections.is_empty() && !others.is_empty() {
            let cause = Cause::OtherPredicates {
                wanted: rule.predicate_type.clone(),
                found: others.into_iter().collect(),
            };
            return Answer::Violated {
                reason: Reason::NoAttestation,
                cause,
                rego: None,
            };
        }
        self.shortfall
            .nothing_proven(Some(rule.predicate_type.clone()))
    }
}
