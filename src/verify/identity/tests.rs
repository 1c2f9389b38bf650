//! T-09, T-41, T-77: every field of an identity decides, and none is ever passed over.

use rstest::rstest;

use super::*;
use crate::verify::{GithubWorkflow, Identities, Subject};

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const WORKFLOW: &str = "https://github.com/o/r/.github/workflows/w.yml@refs/heads/main";

fn holder(subjects: Vec<Subject>, issuer: Option<&str>) -> Holder {
    Holder {
        subjects,
        issuer: issuer.map(str::to_owned),
        github: GithubWorkflow::default(),
    }
}

fn workflow() -> Holder {
    holder(vec![Subject::Uri(WORKFLOW.to_owned())], Some(ISSUER))
}

fn exact(text: &str) -> Expected {
    Expected::Exact(text.to_owned())
}

fn pattern(text: &str) -> Expected {
    Expected::Pattern(Pattern::new(text).expect("a pattern"))
}

#[rstest]
#[case::both_exact(exact(ISSUER), exact(WORKFLOW), true)]
#[case::both_patterns(
    pattern("^https://token[.]actions"),
    pattern("^https://github[.]com/o/"),
    true
)]
#[case::anchored(
    pattern("^https://token.actions.githubusercontent.com$"),
    pattern("@refs/heads/main$"),
    true
)]
#[case::searched_within(pattern("githubusercontent"), pattern("o/r"), true)]
#[case::another_issuer(exact("https://accounts.google.com"), exact(WORKFLOW), false)]
#[case::another_subject(
    exact(ISSUER),
    exact("https://github.com/evil/r/.github/workflows/w.yml@refs/heads/main"),
    false
)]
#[case::a_prefix_is_not_exact(exact(ISSUER), exact("https://github.com/o/r"), false)]
#[case::a_longer_one_is_not_exact(
    exact("https://token.actions.githubusercontent.com/"),
    exact(WORKFLOW),
    false
)]
#[case::case_matters(exact(ISSUER), exact(&WORKFLOW.to_uppercase()), false)]
#[case::another_issuer_pattern(pattern("^https://accounts"), pattern("."), false)]
#[case::another_subject_pattern(pattern("."), pattern("^https://gitlab"), false)]
#[case::sides_are_not_swapped(exact(WORKFLOW), exact(ISSUER), false)]
fn issuer_and_subject_decide_together(
    #[case] issuer: Expected,
    #[case] subject: Expected,
    #[case] expected: bool,
) {
    let identity = Identity { issuer, subject };
    assert_eq!(identity.is(&workflow()), expected, "{identity}");
}

#[test]
fn subjects_of_every_type_are_compared_and_any_of_them_is_enough() {
    let subjects = [
        Subject::Dns("example.com".to_owned()),
        Subject::Email("dev@example.com".to_owned()),
        Subject::Uri("spiffe://example.com/ci".to_owned()),
        Subject::UserName("dev!example.com".to_owned()),
    ];
    let all = holder(subjects.to_vec(), Some(ISSUER));
    for subject in &subjects {
        let identity = Identity {
            issuer: exact(ISSUER),
            subject: exact(subject.as_str()),
        };
        assert!(identity.is(&all), "{identity}");
        assert!(identity.is(&holder(vec![subject.clone()], Some(ISSUER))));
    }
}

#[test]
fn who_has_no_subject_is_nobody() {
    let identity = Identity {
        issuer: pattern(""),
        subject: pattern(""),
    };
    assert!(!identity.is(&holder(Vec::new(), Some(ISSUER))));
}

/// A certificate authority of one's own may name no issuer.
#[test]
fn a_missing_issuer_is_only_ever_matched_by_a_pattern_for_anything() {
    let nobody = holder(vec![Subject::Email("a@b.c".to_owned())], None);
    for (issuer, expected) in [
        (exact(ISSUER), false),
        (exact(""), false),
        (pattern(".+"), false),
        (pattern(".*"), true),
    ] {
        let identity = Identity {
            issuer,
            subject: exact("a@b.c"),
        };
        assert_eq!(identity.is(&nobody), expected, "{identity}");
    }
}

#[test]
fn an_empty_list_of_identities_is_none() {
    assert_eq!(Identities::new(Vec::new()), None);
}

#[test]
fn an_identity_says_which_of_its_sides_are_patterns() {
    let identity = Identity {
        issuer: exact(ISSUER),
        subject: pattern("^a$"),
    };
    assert_eq!(
        identity.to_string(),
        r#"subject matching "^a$", issuer "https://token.actions.githubusercontent.com""#
    );
}
