//! One authority about one image: what it wants is gathered, verified, bound, and read by its predicate policies.
//!
//! Evidence is gathered in stages, the likeliest place first, and each stage is judged before the next one is asked for: an
//! authority that is satisfied asks for nothing more.

mod attestations;
mod evidence;
mod pull_secrets;
mod signatures;

use std::sync::Arc;

use serde_json::{Value, json};

use super::rego::Allowance;
use super::{Judge, Scope, unavailable};
use crate::gather::FetchError;
use crate::image::PinnedImage;
use crate::policy::{Authority, AuthorityKind, SignedBy, StaticAction, Wanted};
use crate::verdict::{self, AuthorityVerdict, Cause, EvidenceSummary, Outcome, Reason, RegoResult};
use crate::verify::Requirement;

/// What an authority found, for the program of its policy.
pub(super) struct Found {
    /// Its entry in `authorityMatches`; `None` unless it is satisfied.
    pub(super) authority_match: Option<Value>,
    /// What could not be read beside that, where all of it was asked for.
    pub(super) unread: Option<FetchError>,
}

/// How much of what an authority could find is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thoroughness {
    /// As much as satisfies it.
    Enough,
    /// All there is: a program over the whole policy counts and compares, and its answer may not depend on which place was asked
    /// first.
    Everything,
}

/// What became of what an authority wants.
enum Answer {
    Satisfied {
        evidence: Vec<EvidenceSummary>,
        rego: Option<RegoResult>,
        authority_match: Value,
        unread: Option<FetchError>,
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
    thoroughness: Thoroughness,
) -> (AuthorityVerdict, Found) {
    let (kind, wanted, admits_as, (answer, inputs)) = match &authority.kind {
        AuthorityKind::Static(action) => (
            verdict::AuthorityKind::Static,
            None,
            Reason::StaticPass,
            (fixed(action), Vec::new()),
        ),
        AuthorityKind::Signed(signed) => {
            let (kind, wanted) = match &signed.requirement {
                Requirement::Key(asked) => {
                    (verdict::AuthorityKind::Key, Some(asked.key.fingerprint()))
                }
                Requirement::Keyless(_) => (verdict::AuthorityKind::Keyless, None),
            };
            let answered = signed_by(judge, signed, image, allowance, scope, thoroughness).await;
            (kind, wanted, Reason::Satisfied, answered)
        }
        AuthorityKind::Rootless {
            keyless, detail, ..
        } => {
            let kind = if *keyless {
                verdict::AuthorityKind::Keyless
            } else {
                verdict::AuthorityKind::Key
            };
            (
                kind,
                None,
                Reason::Satisfied,
                (rootless(detail), Vec::new()),
            )
        }
    };
    let (outcome, reason, cause, evidence, rego, found) = match answer {
        Answer::Satisfied {
            evidence,
            rego,
            authority_match,
            unread,
        } => (
            Outcome::Satisfied,
            admits_as,
            None,
            evidence,
            rego,
            Found {
                authority_match: Some(authority_match),
                unread,
            },
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
            Found::nothing(),
        ),
        Answer::Unknown { reason, cause } => (
            Outcome::Unknown,
            reason,
            Some(cause),
            Vec::new(),
            None,
            Found::nothing(),
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
    (verdict, found)
}

impl Found {
    fn nothing() -> Self {
        Self {
            authority_match: None,
            unread: None,
        }
    }
}

fn fixed(action: &StaticAction) -> Answer {
    match action {
        StaticAction::Pass => Answer::Satisfied {
            evidence: Vec::new(),
            rego: None,
            authority_match: json!({ "static": true }),
            unread: None,
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

/// Nobody knows whom to trust, so nothing is asked for and nothing is found wanting.
fn rootless(detail: &str) -> Answer {
    Answer::Unknown {
        reason: Reason::TrustRootUnavailable,
        cause: Cause::Unavailable {
            detail: detail.to_owned(),
        },
    }
}

async fn signed_by(
    judge: &Judge,
    signed: &SignedBy,
    image: &PinnedImage,
    allowance: &Allowance,
    scope: &Scope<'_>,
    thoroughness: Thoroughness,
) -> (Answer, Vec<Arc<str>>) {
    let own = match pull_secrets::access(judge, &signed.place, scope).await {
        Ok(access) => access,
        Err((reason, cause)) => return (Answer::Unknown { reason, cause }, Vec::new()),
    };
    let scope = &Scope {
        snapshot: scope.snapshot,
        object: scope.object,
        request: scope.request,
        access: own.unwrap_or_else(|| scope.access.clone()),
        demands_digest: scope.demands_digest,
    };
    let answer = match &signed.wanted {
        Wanted::Signature => signatures::judge(judge, signed, image, scope, thoroughness)
            .await
            .map(|answer| (answer, Vec::new())),
        Wanted::Attestations(rules) => {
            attestations::judge(judge, signed, rules, image, allowance, scope, thoroughness).await
        }
    };
    answer.unwrap_or_else(|error| {
        let (reason, cause) = (unavailable::reason(&error), unavailable::cause(&error));
        (Answer::Unknown { reason, cause }, Vec::new())
    })
}
