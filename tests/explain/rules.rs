//! What holds for every text, whatever its exact words.

use vouchsafe::explain::{Context, Enforcement, Style, Tags, answer, tree, unjudged, warnings};
use vouchsafe::verdict::{Cause, Judgement, Mode, Reason, ReviewVerdict};

use super::verdicts::*;
use super::{PLAIN, context, shown};

#[test]
fn the_phrases_that_scripts_look_for_are_kept() {
    let phrases = [
        (
            Reason::Unsigned,
            "validation failed: failed policy: release: spec.containers[0].image\n",
        ),
        (Reason::Unsigned, "no signatures found"),
        (Reason::UntrustedSigner, "no matching signatures"),
        (
            Reason::NoAttestation,
            "no matching attestations with type slsaprovenance",
        ),
        (
            Reason::NoAttestation,
            "checked the following predicateTypes: \"https://spdx.dev/Document,https://cyclonedx.org/bom\"",
        ),
        (
            Reason::PolicyDenied,
            "failed evaluating rego policy for type scan: policy is not compliant for query 'isCompliant = data.sigstore.isCompliant' with errors: critical CVE",
        ),
        (
            Reason::StaticDeny,
            "disallowed by static policy: images of this registry are being retired",
        ),
        (
            Reason::TagNotPinned,
            "validation failed: invalid value: registry.example.com/shop/cart:1.4 must be an image digest: spec.containers[0].image\n",
        ),
        (
            Reason::NoMatch,
            "validation failed: no matching policies: spec.containers[0].image\n",
        ),
        (
            Reason::InvalidReference,
            "validation failed: could not parse reference: Registry/Shop:: spec.containers[0].image\n",
        ),
    ];
    for (reason, phrase) in phrases {
        let message = answer(&denied_for(reason).unwrap(), &context()).message;
        assert!(message.contains(phrase), "{phrase:?} is not in\n{message}");
    }
}

#[test]
fn what_could_not_be_judged_says_so_and_is_never_called_unsigned() {
    for reason in Reason::ALL {
        let Some(verdict) =
            denied_for(reason).filter(|verdict| verdict.judgement == Judgement::Unknown)
        else {
            continue;
        };
        let answer = answer(&verdict, &context());
        let all = shown(&answer);
        assert!(answer.message.contains("could not judge"), "{all}");
        for phrase in ["no signatures found", "no matching", "unsigned"] {
            assert!(!all.contains(phrase), "{phrase:?} is in\n{all}");
        }
    }
}

#[test]
fn a_long_answer_of_a_policy_is_cut_at_its_end() {
    let headline = "policy is not compliant for query 'isCompliant = data.sigstore.isCompliant'";
    let messages = vec![
        headline.to_owned(),
        format!("with errors: {}", "too old; ".repeat(100)),
    ];
    let cause = Cause::PolicyDenied {
        attestation: None,
        messages,
    };
    let policy = policy_caused("release", Reason::PolicyDenied, cause);
    let message = answer(&review(vec![image(vec![policy])]), &context()).message;
    assert!(
        message.contains(&format!("{headline} with errors: too old; too old; ")),
        "{message}"
    );
}

/// T-42: metrics are labelled by what an answer carries for them, and that is a closed set.
#[test]
fn t42_labels_are_a_closed_set_whatever_the_strings_are() {
    let evil = "\"} 1\nvouchsafe_up{x=\"".to_owned();
    for reason in Reason::ALL {
        let verdict = review(vec![image_alone(
            &evil,
            Judgement::Deny,
            reason,
            Some(&evil),
        )]);
        let answer = answer(&verdict, &context());
        assert_eq!(answer.verdict_reason, reason);
        assert_eq!(answer.audit_annotations["reason"], reason.as_str());
        assert!(
            answer
                .causes
                .iter()
                .all(|cause| cause.reason == reason.as_str())
        );
    }
}

#[test]
fn an_image_that_is_not_admitted_is_denied_whatever_the_review_says() {
    let images = vec![image(vec![policy(
        "release",
        Mode::Enforce,
        vec![unsigned("ci")],
    )])];
    let verdict = ReviewVerdict {
        judgement: Judgement::Admit,
        reason: Reason::Satisfied,
        images,
    };
    assert!(!answer(&verdict, &context()).allowed);
}

#[test]
fn beside_another_controller_nothing_is_denied_and_everything_is_recorded_and_told() {
    let verdict = denied_for(Reason::Unsigned).unwrap();
    let answer = answer(
        &verdict,
        &Context {
            enforcement: Enforcement::Shadow,
            ..context()
        },
    );
    assert!(answer.allowed && answer.message.is_empty() && answer.causes.is_empty());
    assert_eq!(answer.code, 200);
    assert_eq!(
        (answer.judgement, answer.verdict_reason),
        (Judgement::Deny, Reason::Unsigned)
    );
    assert_eq!(answer.audit_annotations["verdict"], "deny");
    assert_eq!(answer.audit_annotations["enforcement"], "shadow");
    let [warning] = answer.warnings.try_into().unwrap();
    assert!(
        warning.starts_with("would be denied: ") && warning.contains("no signatures found"),
        "{warning}"
    );
}

#[test]
fn beside_another_controller_what_could_not_be_judged_goes_on_too() {
    let shadow = Context {
        enforcement: Enforcement::Shadow,
        ..context()
    };
    for reason in [Reason::Deadline, Reason::Overloaded, Reason::Internal] {
        let answer = unjudged(reason, &shadow);
        assert!(answer.allowed);
        assert_eq!(answer.judgement, Judgement::Unknown);
        let [warning] = answer.warnings.try_into().unwrap();
        assert!(warning.starts_with("would be denied: "), "{warning}");
    }
}

#[test]
fn what_holds_is_answered_alike_whether_denials_are_carried_out_or_not() {
    let verdict = review(vec![image(vec![policy(
        "release",
        Mode::Enforce,
        vec![satisfied("ci")],
    )])]);
    let shadow = Context {
        enforcement: Enforcement::Shadow,
        ..context()
    };
    let (mut shadowed, enforced) = (answer(&verdict, &shadow), answer(&verdict, &context()));
    shadowed.audit_annotations.remove("enforcement");
    assert_eq!(shadowed, enforced);
}

#[test]
fn a_tag_that_nothing_holds_is_warned_about() {
    let verdict = review(vec![image(vec![policy(
        "release",
        Mode::Enforce,
        vec![satisfied("ci")],
    )])]);
    assert_eq!(warnings(&verdict, Tags::Pinned), Vec::<String>::new());
    let [warning] = warnings(&verdict, Tags::MayMove).try_into().unwrap();
    assert!(warning.contains("may move"), "{warning}");
}

#[test]
fn the_tree_has_colours_only_where_asked() {
    let images = some_images();
    assert!(!tree(&images, PLAIN).contains('\u{1b}'));
    let painted = tree(
        &images,
        Style {
            color: true,
            width: usize::MAX,
        },
    );
    assert!(painted.contains("\u{1b}[31mDENIED\u{1b}[0m"));
}

#[test]
fn the_tree_of_one_denied_image_ends_as_announced() {
    let drawn = tree(&some_images()[..1], PLAIN);
    assert!(drawn.ends_with("1 image: 1 denied\n"), "{drawn}");
}
