//! One authority about one image: what it wants is gathered, verified, bound, and read by its predicate policies.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::memory;
use super::rego::{Allowance, NoAnswer};
use super::{Judge, Scope, unavailable};
use crate::evidence::{Candidate, Format};
use crate::gather::{FetchError, Gathered, WantedEvidence};
use crate::image::PinnedImage;
use crate::policy::{AttestationRule, Authority, AuthorityKind, SignedBy, StaticAction, Wanted};
use crate::predicate_policy::Decision;
use crate::statement::PredicateType;
use crate::verdict::{
    self, AuthorityVerdict, Cause, EvidenceSummary, Outcome, Reason, RegoResult, RejectedEvidence,
};
use crate::verify::{self, Attestation, Rejection, Requirement, SignedImage, Verified};

/// SHA-256 of nothing: the `id` of attestations by key, as policy-controller writes it (their layers carry no signature annotation).
const NO_SIGNATURE_ID: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What an authority found, for the program of its policy.
pub(super) struct Found {
    /// Its entry in `authorityMatches`; `None` unless it is satisfied.
    pub(super) authority_match: Option<Value>,
}

/// What became of what an authority wants.
enum Answer {
    Satisfied {
        evidence: Vec<EvidenceSummary>,
        rego: Option<RegoResult>,
        authority_match: Value,
    },
    Violated {
        reason: Reason,
        cause: Cause,
        rego: Option<RegoResult>,
    },
    Unknown {
        reason: Reason,
        cause: Cause,
    },
}

/// Judges one authority.
pub(super) async fn judge(
    judge: &Judge,
    authority: &Authority,
    image: &PinnedImage,
    allowance: &Allowance,
    scope: &Scope<'_>,
) -> (AuthorityVerdict, Found) {
    let (kind, wanted, admits_as, (answer, inputs)) = match &authority.kind {
        AuthorityKind::Static(action) => (
            verdict::AuthorityKind::Static,
            None,
            Reason::StaticPass,
            (fixed(action), Vec::new()),
        ),
        AuthorityKind::Signed(signed) => {
            let Requirement::Key(key) = &signed.requirement;
            let answered = signed_by(judge, signed, image, allowance, scope).await;
            (
                verdict::AuthorityKind::Key,
                Some(key.fingerprint()),
                Reason::Satisfied,
                answered,
            )
        }
    };
    let (outcome, reason, cause, evidence, rego, authority_match) = match answer {
        Answer::Satisfied {
            evidence,
            rego,
            authority_match,
        } => (
            Outcome::Satisfied,
            admits_as,
            None,
            evidence,
            rego,
            Some(authority_match),
        ),
        Answer::Violated {
            reason,
            cause,
            rego,
        } => (
            Outcome::Violated,
            reason,
            Some(cause),
            Vec::new(),
            rego,
            None,
        ),
        Answer::Unknown { reason, cause } => (
            Outcome::Unknown,
            reason,
            Some(cause),
            Vec::new(),
            None,
            None,
        ),
    };
    let name = Arc::clone(&authority.name);
    let verdict = AuthorityVerdict {
        name,
        kind,
        wanted,
        outcome,
        reason,
        cause,
        evidence,
        rego,
        inputs,
    };
    (verdict, Found { authority_match })
}

fn fixed(action: &StaticAction) -> Answer {
    match action {
        StaticAction::Pass => Answer::Satisfied {
            evidence: Vec::new(),
            rego: None,
            authority_match: json!({ "static": true }),
        },
        StaticAction::Fail { message } => {
            let cause = Cause::StaticDeny {
                message: message.clone(),
            };
            Answer::Violated {
                reason: Reason::StaticDeny,
                cause,
                rego: None,
            }
        }
    }
}

async fn signed_by(
    judge: &Judge,
    signed: &SignedBy,
    image: &PinnedImage,
    allowance: &Allowance,
    scope: &Scope<'_>,
) -> (Answer, Vec<Arc<str>>) {
    let answer = match &signed.wanted {
        Wanted::Signature => signatures(judge, signed, image, scope)
            .await
            .map(|answer| (answer, Vec::new())),
        Wanted::Attestations(rules) => {
            attestations(judge, signed, rules, image, allowance, scope).await
        }
    };
    answer.unwrap_or_else(|error| {
        let (reason, cause) = (unavailable::reason(&error), unavailable::cause(&error));
        (Answer::Unknown { reason, cause }, Vec::new())
    })
}

async fn gather(
    judge: &Judge,
    signed: &SignedBy,
    wanted: &WantedEvidence,
    image: &PinnedImage,
    scope: &Scope<'_>,
) -> Result<Gathered, FetchError> {
    let repository = signed
        .place
        .repository
        .as_ref()
        .unwrap_or(image.reference.repository());
    judge
        .gatherer
        .evidence(
            repository,
            &signed.place.tag_prefix,
            image.digest(),
            wanted,
            &scope.access,
        )
        .await
}

// === signatures ===

async fn signatures(
    judge: &Judge,
    signed: &SignedBy,
    image: &PinnedImage,
    scope: &Scope<'_>,
) -> Result<Answer, FetchError> {
    let gathered = gather(judge, signed, &WantedEvidence::Signatures, image, scope).await?;
    let trust = &scope.snapshot.trust;
    let verify = |candidate: &Candidate| {
        let key = memory::key(image.digest(), candidate, &signed.requirement, trust);
        let verify = || {
            verify::signature(
                candidate,
                image.digest(),
                &signed.requirement,
                trust,
                &judge.limits.evidence,
            )
        };
        judge.memory.signature(key, verify)
    };
    let (verified, rejections) = sort(&gathered.candidates, verify);
    if verified.is_empty() {
        return Ok(nothing_proven(None, gathered.looked, rejections));
    }
    let entries: Vec<Value> = verified
        .iter()
        .map(|v: &Arc<Verified<SignedImage>>| signature_entry(v))
        .collect();
    let evidence = verified.iter().map(|v| summary(v, None)).collect();
    Ok(Answer::Satisfied {
        evidence,
        rego: None,
        authority_match: json!({ "signatures": entries }),
    })
}

fn signature_entry(verified: &Verified<SignedImage>) -> Value {
    json!({ "id": verified.value().id })
}

// === attestations ===

async fn attestations(
    judge: &Judge,
    signed: &SignedBy,
    rules: &[AttestationRule],
    image: &PinnedImage,
    allowance: &Allowance,
    scope: &Scope<'_>,
) -> Result<(Answer, Vec<Arc<str>>), FetchError> {
    let types: BTreeSet<&str> = rules.iter().map(|rule| rule.predicate_type.uri()).collect();
    let wanted = WantedEvidence::Attestations(types.into_iter().map(str::to_owned).collect());
    let gathered = gather(judge, signed, &wanted, image, scope).await?;
    let trust = &scope.snapshot.trust;
    let verify = |candidate: &Candidate| {
        let key = memory::key(image.digest(), candidate, &signed.requirement, trust);
        let verify = || {
            verify::attestation(
                candidate,
                image.digest(),
                &signed.requirement,
                trust,
                &judge.limits.evidence,
            )
        };
        judge.memory.attestation(key, verify)
    };
    let (verified, rejections) = sort(&gathered.candidates, verify);
    let pool = Pool {
        verified,
        rejections,
        passed_over: gathered.passed_over,
        looked: gathered.looked,
    };
    let inputs = pool.inputs(rules);
    Ok((
        all_rules(judge, rules, &pool, allowance, scope).await,
        inputs,
    ))
}

/// What there is to satisfy rules with.
struct Pool {
    verified: Vec<Arc<Verified<Attestation>>>,
    rejections: Vec<RejectedEvidence>,
    passed_over: Vec<String>,
    looked: Vec<Format>,
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
    json!({
        "id": NO_SIGNATURE_ID,
        "predicateType": predicate_type.written(),
        "digest": verified.evidence().to_string(),
    })
}

impl Pool {
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
        others.extend(self.passed_over.iter().cloned());
        if self.rejections.is_empty() && !others.is_empty() {
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
        nothing_proven(
            Some(rule.predicate_type.clone()),
            self.looked.clone(),
            self.rejections.clone(),
        )
    }
}

// === both ===

/// Candidates that prove what is asked, and why the others do not, the most telling first.
fn sort<T>(
    candidates: &[Candidate],
    verify: impl Fn(&Candidate) -> Result<Arc<Verified<T>>, Rejection>,
) -> (Vec<Arc<Verified<T>>>, Vec<RejectedEvidence>) {
    let (mut verified, mut rejections) = (Vec::new(), Vec::new());
    for candidate in candidates {
        match verify(candidate) {
            Ok(proof) => verified.push(proof),
            Err(rejection) => {
                rejections.push(RejectedEvidence {
                    format: candidate.format,
                    digest: candidate.digest.clone(),
                    rejection,
                });
            }
        }
    }
    rejections.sort_by(|a, b| {
        b.rejection
            .rank()
            .cmp(&a.rejection.rank())
            .then_with(|| a.digest.cmp(&b.digest))
    });
    (verified, rejections)
}

fn nothing_proven(
    wanted: Option<PredicateType>,
    looked: Vec<Format>,
    rejections: Vec<RejectedEvidence>,
) -> Answer {
    let reason = match (rejections.first(), &wanted) {
        (Some(first), _) => reason(&first.rejection),
        (None, None) => Reason::Unsigned,
        (None, Some(_)) => Reason::NoAttestation,
    };
    let cause = if rejections.is_empty() {
        Cause::NothingFound { wanted, looked }
    } else {
        Cause::Rejected { wanted, rejections }
    };
    Answer::Violated {
        reason,
        cause,
        rego: None,
    }
}

fn reason(rejection: &Rejection) -> Reason {
    match rejection {
        Rejection::WrongKey { .. } | Rejection::NotASignature | Rejection::NotAnAttestation => {
            Reason::UntrustedSigner
        }
        Rejection::SubjectMismatch { .. } => Reason::SubjectMismatch,
        Rejection::Undecodable(_)
        | Rejection::PayloadType { .. }
        | Rejection::MalformedPayload { .. }
        | Rejection::PayloadKind { .. }
        | Rejection::MalformedStatement(_) => Reason::PredicateMalformed,
    }
}

fn summary<T>(verified: &Verified<T>, predicate_type: Option<String>) -> EvidenceSummary {
    EvidenceSummary {
        signer: verified.signer().clone(),
        format: verified.format(),
        digest: verified.evidence().clone(),
        predicate_type,
    }
}
