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
        input: None,
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

fn any_authorities() -> impl Strategy<Value = Vec<AuthorityVerdict>> {
    let one = any_outcome().prop_map(|(outcome, reason)| authority(outcome, reason));
    prop::collection::vec(one, 0..8)
}

fn any_images() -> impl Strategy<Value = Vec<ImageVerdict>> {
    let one = any_policies().prop_map(|policies| {
        let (judgement, reason) = fold_image(&policies, NoMatchPolicy::Warn);
        ImageVerdict {
            fields: Vec::new(),
            written: String::new(),
            reference: None,
            digest: None,
            resolved: false,
            policies,
            judgement,
            reason,
            detail: None,
        }
    });
    prop::collection::vec(one, 0..6)
}

/// The same things twice, the second time shuffled.
fn in_two_orders<T: Clone + std::fmt::Debug>(
    things: impl Strategy<Value = Vec<T>>,
) -> impl Strategy<Value = (Vec<T>, Vec<T>)> {
    things.prop_flat_map(|things| (Just(things.clone()), Just(things).prop_shuffle()))
}

proptest! {
    #[test]
    fn folding_policies_does_not_depend_on_their_order((policies, other) in in_two_orders(any_policies())) {
        prop_assert_eq!(fold_image(&policies, NoMatchPolicy::Deny), fold_image(&other, NoMatchPolicy::Deny));
    }

    #[test]
    fn folding_authorities_does_not_depend_on_their_order((authorities, other) in in_two_orders(any_authorities())) {
        prop_assert_eq!(fold_authorities(&authorities), fold_authorities(&other));
    }

    #[test]
    fn folding_images_does_not_depend_on_their_order((images, other) in in_two_orders(any_images())) {
        let (one, other) = (fold_review(images), fold_review(other));
        prop_assert_eq!((one.judgement, one.reason), (other.judgement, other.reason));
    }

    #[test]
    fn an_authority_that_is_not_satisfied_changes_no_satisfied_policy(authorities in any_authorities(), (outcome, reason) in any_outcome()) {
        let before = fold_authorities(&authorities).0;
        let mut more = authorities;
        more.push(authority(outcome, reason));
        let after = fold_authorities(&more).0;
        let is_satisfied = [before, outcome].contains(&Outcome::Satisfied);
        prop_assert_eq!(after == Outcome::Satisfied, is_satisfied);
    }

    #[test]
    fn a_review_admits_only_when_every_image_is_admitted(images in any_images()) {
        let all = images.iter().all(|image| image.judgement.admits());
        prop_assert_eq!(fold_review(images).judgement.admits(), all);
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
