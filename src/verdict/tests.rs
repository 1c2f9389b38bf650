//! Folding is order-free and monotone.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn authority(outcome: Outcome, reason: Reason) -> AuthorityVerdict {
    AuthorityVerdict {
        name: Arc::from("a"),
        kind: AuthorityKind::Key,
        wanted: None,
        outcome,
        reason,
        cause: None,
        evidence: Vec::new(),
        rego: None,
        inputs: Vec::new(),
    }
}

fn policy(mode: Mode, outcome: Outcome, reason: Reason) -> PolicyVerdict {
    PolicyVerdict {
        name: Arc::from("p"),
        mode,
        outcome,
        reason,
        cause: None,
        authorities: Vec::new(),
        rego: None,
    }
}

fn any_outcome() -> impl Strategy<Value = (Outcome, Reason)> {
    prop::sample::select(Reason::ALL.to_vec()).prop_map(|reason| match reason.class() {
        Class::Admitted => (Outcome::Satisfied, Reason::Satisfied),
        Class::Violated => (Outcome::Violated, reason),
        Class::Unknown => (Outcome::Unknown, reason),
    })
}

fn any_policies() -> impl Strategy<Value = Vec<PolicyVerdict>> {
    let one = (any_outcome(), prop::bool::ANY).prop_map(|((outcome, reason), warn)| {
        policy(
            if warn { Mode::Warn } else { Mode::Enforce },
            outcome,
            reason,
        )
    });
    prop::collection::vec(one, 0..8)
}

proptest! {
    #[test]
    fn folding_policies_does_not_depend_on_their_order(policies in any_policies().prop_shuffle(), rotate in 0_usize..8) {
        let mut other = policies.clone();
        if !other.is_empty() {
            let by = rotate % other.len();
            other.rotate_left(by);
        }
        prop_assert_eq!(fold_image(&policies, NoMatchPolicy::Deny), fold_image(&other, NoMatchPolicy::Deny));
    }

    #[test]
    fn adding_an_enforced_violation_never_admits(policies in any_policies(), no_match in 0_u8..3) {
        let no_match = [NoMatchPolicy::Deny, NoMatchPolicy::Allow, NoMatchPolicy::Warn][usize::from(no_match)];
        for (outcome, reason) in [(Outcome::Violated, Reason::Unsigned), (Outcome::Unknown, Reason::RegistryUnreachable)] {
            let mut more = policies.clone();
            more.push(policy(Mode::Enforce, outcome, reason));
            prop_assert!(!fold_image(&more, no_match).0.admits());
        }
    }

    #[test]
    fn a_warn_policy_never_denies_whatever_the_cause(policies in any_policies()) {
        let warn: Vec<_> = policies.into_iter().map(|p| PolicyVerdict { mode: Mode::Warn, ..p }).collect();
        if !warn.is_empty() {
            prop_assert!(fold_image(&warn, NoMatchPolicy::Deny).0.admits());
        }
    }

    #[test]
    fn an_authority_admits_only_when_one_is_satisfied(outcomes in prop::collection::vec(any_outcome(), 0..8)) {
        let authorities: Vec<_> = outcomes.iter().map(|(o, r)| authority(*o, *r)).collect();
        let (outcome, reason, _) = fold_authorities(&authorities);
        prop_assert_eq!(outcome == Outcome::Satisfied, outcomes.iter().any(|(o, _)| *o == Outcome::Satisfied));
        prop_assert_eq!(reason.class() == Class::Admitted, outcome == Outcome::Satisfied);
    }
}

#[test]
fn a_warn_and_an_enforce_policy_that_both_fail_deny() {
    let policies = [
        policy(Mode::Warn, Outcome::Unknown, Reason::Deadline),
        policy(Mode::Enforce, Outcome::Violated, Reason::UntrustedSigner),
    ];
    assert_eq!(
        fold_image(&policies, NoMatchPolicy::Allow),
        (Judgement::Deny, Reason::UntrustedSigner)
    );
}

#[test]
fn a_policy_without_authorities_is_violated() {
    assert_eq!(
        fold_authorities(&[]),
        (
            Outcome::Violated,
            Reason::Unsigned,
            Some(Cause::NoAuthorities)
        )
    );
}

#[test]
fn what_could_not_be_judged_is_told_apart_from_what_is_unsigned() {
    let folded = fold_authorities(&[
        authority(Outcome::Violated, Reason::Unsigned),
        authority(Outcome::Unknown, Reason::RegistryAuth),
    ]);
    assert_eq!(
        folded,
        (
            Outcome::Unknown,
            Reason::RegistryAuth,
            Some(Cause::Authorities)
        )
    );
}

#[test]
fn every_reason_has_its_own_name() {
    let names: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
    assert_eq!(names.len(), Reason::ALL.len());
}
