//! Folding outcomes, written once.
//!
//! Two properties are tested: the order of what is folded does not matter, and adding a violation never admits.

use super::{
    AuthorityVerdict, Cause, ImageVerdict, Judgement, Mode, NoMatchPolicy, Outcome, PolicyVerdict,
    Reason, ReviewVerdict,
};

/// Authorities of one policy: any that is satisfied wins, else any that could not judge, else it is violated.
///
/// Of several reasons the one that ranks first is kept, so that it does not depend on the order.
pub fn fold_authorities(authorities: &[AuthorityVerdict]) -> (Outcome, Reason, Option<Cause>) {
    let first = |outcome: Outcome| {
        authorities
            .iter()
            .filter(|a| a.outcome == outcome)
            .map(|a| a.reason)
            .min()
    };
    if let Some(reason) = first(Outcome::Satisfied) {
        return (Outcome::Satisfied, reason, None);
    }
    if let Some(reason) = first(Outcome::Unknown) {
        return (Outcome::Unknown, reason, Some(Cause::Authorities));
    }
    match telling(authorities) {
        Some(reason) => (Outcome::Violated, reason, Some(Cause::Authorities)),
        None => (
            Outcome::Violated,
            Reason::Unsigned,
            Some(Cause::NoAuthorities),
        ),
    }
}

/// Of several violations the most telling: "signed by somebody else" says more than "unsigned".
fn telling(authorities: &[AuthorityVerdict]) -> Option<Reason> {
    authorities
        .iter()
        .filter(|a| a.outcome == Outcome::Violated)
        .map(|a| a.reason)
        .max()
}

/// Policies of one image: an enforced violation denies with its reason; else anything enforced that could not be judged; else, where
/// no policy matched, the setting for that; else it is admitted, with warnings where a `warn` policy is not satisfied.
pub fn fold_image(policies: &[PolicyVerdict], no_match: NoMatchPolicy) -> (Judgement, Reason) {
    if policies.is_empty() {
        return match no_match {
            NoMatchPolicy::Deny => (Judgement::Deny, Reason::NoMatch),
            NoMatchPolicy::Warn => (Judgement::Warn, Reason::NoMatch),
            NoMatchPolicy::Allow => (Judgement::Admit, Reason::NoMatch),
        };
    }
    let reason = |mode: Mode, outcome: Outcome| {
        policies
            .iter()
            .filter(|p| p.mode == mode && p.outcome == outcome)
            .map(|p| p.reason)
            .min()
    };
    if let Some(reason) = reason(Mode::Enforce, Outcome::Violated) {
        return (Judgement::Deny, reason);
    }
    if let Some(reason) = reason(Mode::Enforce, Outcome::Unknown) {
        return (Judgement::Unknown, reason);
    }
    let warned =
        reason(Mode::Warn, Outcome::Violated).or_else(|| reason(Mode::Warn, Outcome::Unknown));
    match warned {
        Some(reason) => (Judgement::Warn, reason),
        None => (
            Judgement::Admit,
            policies
                .iter()
                .map(|p| p.reason)
                .min()
                .unwrap_or(Reason::Internal),
        ),
    }
}

/// Images of one review: the gravest judgement stands for all. A review without images runs nothing that we judge.
pub fn fold_review(images: Vec<ImageVerdict>) -> ReviewVerdict {
    let gravest = images
        .iter()
        .map(|image| (image.judgement, std::cmp::Reverse(image.reason)))
        .max();
    match gravest {
        Some((judgement, std::cmp::Reverse(reason))) => ReviewVerdict {
            judgement,
            reason,
            images,
        },
        None => ReviewVerdict::admitted(Reason::NotCovered),
    }
}
