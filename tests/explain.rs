//! Every word that a person or a machine reads about a verdict. Wording is reviewed like code: the texts are in `tests/snapshots`.

#[path = "explain/bounds.rs"]
mod bounds;
#[path = "explain/machines.rs"]
mod machines;
#[path = "explain/rules.rs"]
mod rules;
#[path = "explain/verdicts.rs"]
mod verdicts;

use std::sync::Arc;

use insta::{assert_json_snapshot, assert_snapshot};
use verdicts::*;
use vouchsafe::explain::{
    Answer, Context, Enforcement, Style, Tags, answer, report, tree, unjudged, warnings,
};
use vouchsafe::verdict::{
    Cause, ImageVerdict, Judgement, Mode, NoMatchPolicy, Outcome, PolicyVerdict, Reason, fold_image,
};
use vouchsafe::workload::FieldPath;

const PLAIN: Style = Style {
    color: false,
    width: usize::MAX,
};

pub(crate) fn context() -> Context<'static> {
    Context {
        uid: "7f0c2d9e-4b1a-4c55-9d7e-0a1b2c3d4e5f",
        footer: Some("questions: #platform"),
        trust_epoch: "3".to_owned(),
        tags: Tags::Pinned,
        enforcement: Enforcement::Enforce,
    }
}

/// Everything that one answer says, as text.
fn shown(answer: &Answer) -> String {
    let head = format!("{} {}\n{}\n", answer.code, answer.reason, answer.message);
    let causes = answer
        .causes
        .iter()
        .map(|c| format!("cause   {} | {} | {}", c.reason, c.field, c.message));
    let warnings = answer
        .warnings
        .iter()
        .map(|warning| format!("warning {warning}"));
    let audit = answer
        .audit_annotations
        .iter()
        .map(|(key, value)| format!("audit   {key}={value}"));
    std::iter::once(head)
        .chain(causes)
        .chain(warnings)
        .chain(audit)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn every_reason_to_deny_is_put_into_words() {
    for reason in Reason::ALL {
        let Some(verdict) = denied_for(reason) else {
            continue;
        };
        let answer = answer(&verdict, &context());
        assert!(
            !answer.allowed && answer.code == 403 && answer.reason == "Forbidden",
            "{reason}"
        );
        assert_snapshot!(format!("denial_{reason}"), shown(&answer));
    }
}

#[test]
fn a_policy_of_the_cluster_image_policy_is_named_as_upstream_names_it() {
    let messages = vec![
        "policy is not compliant for query 'isCompliant = data.sigstore.isCompliant'".to_owned(),
    ];
    let cause = Cause::PolicyDenied {
        attestation: None,
        messages,
    };
    let policy = PolicyVerdict {
        authorities: vec![satisfied("ci")],
        ..policy_caused("release", Reason::PolicyDenied, cause)
    };
    assert_snapshot!(shown(&answer(
        &review(vec![image(vec![policy])]),
        &context()
    )));
}

#[test]
fn several_images_and_policies_are_one_block_each() {
    let cart = image(vec![
        policy("base", Mode::Enforce, vec![unsigned("google")]),
        policy("mirror", Mode::Enforce, vec![satisfied("mirror")]),
        policy(
            "release",
            Mode::Enforce,
            vec![unsigned("ci"), unsigned("github")],
        ),
    ]);
    let fields = ["spec.containers[0].image", "spec.initContainers[0].image"]
        .map(FieldPath::new)
        .to_vec();
    let shop = image_at(
        "spec.containers[1].image",
        "registry.example.com/shop/web:2",
        vec![policy("base", Mode::Enforce, vec![satisfied("google")])],
    );
    let proxy = image_at(
        "spec.containers[2].image",
        "registry.example.com/proxy:3",
        vec![policy("base", Mode::Enforce, vec![unreachable("google")])],
    );
    let verdict = review(vec![ImageVerdict { fields, ..cart }, shop, proxy]);
    assert_snapshot!(shown(&answer(&verdict, &context())));
}

#[test]
fn verdict_and_remedy_stand_before_details_that_are_too_long() {
    let authorities = (0..40)
        .map(|n| unsigned(&format!("team-{n:02}-of-the-release-department")))
        .collect();
    let message = answer(
        &review(vec![image(vec![policy(
            "release",
            Mode::Enforce,
            authorities,
        )])]),
        &context(),
    )
    .message;
    assert!(message.find("\n  next").unwrap() < 1024);
    assert_snapshot!(message);
}

#[test]
fn many_images_end_with_a_count() {
    let one = |n: usize| {
        image_at(
            &format!("spec.containers[{n}].image"),
            &format!("registry.example.com/shop/app-{n}:1"),
            vec![policy("release", Mode::Enforce, vec![unsigned("ci")])],
        )
    };
    let answer = answer(&review((0..500).map(one).collect()), &context());
    assert!(answer.message.len() <= 8 << 10);
    assert_snapshot!(answer.message.lines().last().unwrap());
    assert_eq!(answer.causes.len(), 65);
    assert_eq!(answer.causes[64].message, "… and 436 more");
}

/// T-15: what an attacker chose stays on its line, short and visible.
#[test]
fn t15_hostile_text_is_escaped_and_cut() {
    let evil = "harmless\u{1b}[2J\u{1b}[1;1H\n  verdict   ADMITTED\r\n\u{202e}gnp.exe\u{200b}<script>alert(1)</script>\u{0}".to_owned();
    let cause = Cause::PolicyDenied {
        attestation: Some(evil.clone()),
        messages: vec![evil.clone(), "x".repeat(5_000)],
    };
    let denied = policy(
        "release",
        Mode::Enforce,
        vec![authority("ci", Reason::PolicyDenied, Some(cause))],
    );
    let unjudged = policy_caused(
        "base",
        Reason::RegistryMalformed,
        Cause::Unavailable {
            detail: evil.clone(),
        },
    );
    let verdict = review(vec![
        image(vec![unjudged, denied]),
        image_alone(
            &evil,
            Judgement::Deny,
            Reason::InvalidReference,
            Some(&evil),
        ),
    ]);
    assert_snapshot!(shown(&answer(
        &verdict,
        &Context {
            footer: Some(&evil),
            uid: &evil,
            ..context()
        }
    )));
    assert_snapshot!("t15_tree", tree(&verdict.images, PLAIN));
}

/// T-69: a warn policy and an enforce policy fail on one image.
#[test]
fn t69_a_denial_names_the_warn_policy_that_failed_too() {
    let verdict = review(vec![image(vec![
        policy("base", Mode::Warn, vec![unsigned("google")]),
        policy("release", Mode::Enforce, vec![unsigned("ci")]),
    ])]);
    let answer = answer(&verdict, &context());
    assert!(!answer.allowed);
    assert!(
        answer
            .message
            .starts_with("validation failed: failed policy: release: spec.containers[0].image\n")
    );
    assert!(answer.message.contains("failed policy: base (mode warn"));
    assert_snapshot!(shown(&answer));
}

#[test]
fn an_admitted_image_is_answered_with_warnings_only() {
    let warned = image(vec![
        policy("base", Mode::Warn, vec![unsigned("google")]),
        policy("mirror", Mode::Warn, vec![unreachable("mirror")]),
        policy("release", Mode::Enforce, vec![satisfied("ci")]),
    ]);
    let unmatched = image_at(
        "spec.containers[1].image",
        "docker.io/library/nginx@sha256:1111111111111111111111111111111111111111111111111111111111111111",
        Vec::new(),
    );
    let (judgement, reason) = fold_image(&[], NoMatchPolicy::Warn);
    let verdict = review(vec![
        warned,
        ImageVerdict {
            judgement,
            reason,
            ..unmatched
        },
    ]);
    let answer = answer(
        &verdict,
        &Context {
            tags: Tags::MayMove,
            ..context()
        },
    );
    assert!(answer.allowed && answer.message.is_empty() && answer.causes.is_empty());
    assert_snapshot!(shown(&answer));
}

#[test]
fn a_request_that_was_never_judged_is_denied() {
    for reason in [Reason::Deadline, Reason::Overloaded, Reason::Internal] {
        let answer = unjudged(reason, &context());
        assert!(!answer.allowed);
        assert_snapshot!(format!("unjudged_{reason}"), shown(&answer));
    }
}

/// The registry says what the tag names, and nothing wrote it into the Pod.
#[test]
fn a_tag_that_nothing_pinned_is_denied_with_the_digest_to_write() {
    let verdict = review(vec![ImageVerdict {
        digest: Some(verdicts::digest(CART)),
        resolved: true,
        ..image_alone(
            CART,
            Judgement::Deny,
            Reason::TagNotPinned,
            Some(
                "nothing pinned it on its way here: see that /mutate is registered for it, and answers",
            ),
        )
    }]);
    let answer = answer(&verdict, &context());
    assert!(answer.message.contains("must be an image digest"));
    assert_snapshot!(shown(&answer));
    assert_snapshot!("tag_that_nothing_pinned_tree", tree(&verdict.images, PLAIN));
}

#[test]
fn the_tree_shows_every_step() {
    assert_snapshot!(tree(&some_images(), PLAIN));
}

#[test]
fn the_tree_continues_below_itself_where_the_terminal_ends() {
    let drawn = tree(
        &some_images(),
        Style {
            color: false,
            width: 80,
        },
    );
    assert!(
        drawn.lines().all(|line| line.chars().count() <= 100),
        "{drawn}"
    );
    assert_snapshot!(drawn);
}

#[test]
fn a_report_has_every_field_of_the_contract() {
    let verdict = review(some_images());
    assert_json_snapshot!(report(&verdict, warnings(&verdict, Tags::MayMove)));
}

#[test]
fn a_satisfied_policy_without_authorities_reads_well() {
    let satisfied = PolicyVerdict {
        name: Arc::from("labels"),
        mode: Mode::Enforce,
        outcome: Outcome::Satisfied,
        reason: Reason::Satisfied,
        cause: None,
        authorities: Vec::new(),
        rego: None,
        input: None,
    };
    assert_snapshot!(tree(&[image(vec![satisfied])], PLAIN));
}
