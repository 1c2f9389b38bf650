//! Whatever strings a verdict carries, every text keeps its bounds and its lines.

use std::sync::Arc;

use proptest::prelude::*;
use vouchsafe::evidence::Location;
use vouchsafe::explain::{Context, Style, Tags, answer, tree};
use vouchsafe::statement::PredicateType;
use vouchsafe::verdict::{
    AuthorityVerdict, Cause, ImageVerdict, Judgement, Mode, NoMatchPolicy, Outcome, PolicyVerdict,
    Reason, fold_image,
};
use vouchsafe::verify::Rejection;
use vouchsafe::workload::FieldPath;

use super::verdicts::{authority, digest, key, rejected, review};

/// Any text, with a liking for what does harm.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::collection::vec(any::<char>(), 0..40).prop_map(String::from_iter),
        prop::collection::vec(
            prop::sample::select(vec![
                '\n', '\r', '\u{1b}', '\u{202e}', '\u{0}', '…', 'a', ' ', '\u{9b}'
            ]),
            0..60
        )
        .prop_map(String::from_iter),
        (
            prop::sample::select(vec!["\n", "x", "é", "\u{1b}[0m", "no space "]),
            0_usize..3_000
        )
            .prop_map(|(s, n)| s.repeat(n)),
    ]
}

fn reason() -> impl Strategy<Value = Reason> {
    prop::sample::select(Reason::ALL.to_vec())
}

fn cause() -> impl Strategy<Value = Cause> {
    let wanted = || prop::option::of(text().prop_map(|t| PredicateType::new(&t)));
    let texts = || prop::collection::vec(text(), 0..4);
    prop_oneof![
        wanted().prop_map(|wanted| Cause::NothingFound {
            wanted,
            looked: vec![Location::SignatureTag, Location::AttestationTag]
        }),
        (text(), texts()).prop_map(|(wanted, found)| Cause::OtherPredicates {
            wanted: PredicateType::new(&wanted),
            found
        }),
        (prop::option::of(text()), texts()).prop_map(|(attestation, messages)| {
            Cause::PolicyDenied {
                attestation,
                messages,
            }
        }),
        text().prop_map(|message| Cause::StaticDeny { message }),
        text().prop_map(|detail| Cause::Unavailable { detail }),
        texts().prop_map(|problems| Cause::PolicyInvalid { problems }),
        (wanted(), text(), texts()).prop_map(|(wanted, found, others)| {
            let rejections = vec![
                Rejection::PayloadType {
                    found: found.clone(),
                },
                Rejection::MalformedPayload { detail: found },
                Rejection::SubjectMismatch {
                    expected: digest("x"),
                    found: others,
                },
                Rejection::WrongKey { wanted: key() },
            ];
            rejected("a", Reason::UntrustedSigner, wanted, rejections)
                .cause
                .unwrap_or(Cause::Authorities)
        }),
        Just(Cause::NoAuthorities),
        Just(Cause::Authorities),
    ]
}

fn any_authority() -> impl Strategy<Value = AuthorityVerdict> {
    (text(), reason(), prop::option::of(cause()))
        .prop_map(|(name, reason, cause)| authority(&name, reason, cause))
}

fn any_policy() -> impl Strategy<Value = PolicyVerdict> {
    let outcome = prop::sample::select(vec![
        Outcome::Satisfied,
        Outcome::Violated,
        Outcome::Unknown,
    ]);
    let mode = prop::sample::select(vec![Mode::Enforce, Mode::Warn]);
    let authorities = prop::collection::vec(any_authority(), 0..24);
    (
        text(),
        mode,
        outcome,
        reason(),
        prop::option::of(cause()),
        authorities,
    )
        .prop_map(
            |(name, mode, outcome, reason, cause, authorities)| PolicyVerdict {
                name: Arc::from(name),
                mode,
                outcome,
                reason,
                cause,
                authorities,
                rego: None,
                input: None,
            },
        )
}

/// Any image; where it has a reference, that is as long as references get.
fn any_image() -> impl Strategy<Value = ImageVerdict> {
    let long = format!(
        "registry.example.com:5000/{}:{}",
        "team/".repeat(62) + "app",
        "1".repeat(128)
    );
    let policies = prop::collection::vec(any_policy(), 0..4);
    let alone = (reason(), prop::option::of(text()), prop::bool::ANY);
    (
        prop::collection::vec(text(), 0..5),
        text(),
        any::<bool>(),
        policies,
        alone,
    )
        .prop_map(
            move |(fields, written, readable, policies, (reason, detail, resolved))| {
                let folded = fold_image(&policies, NoMatchPolicy::Deny);
                let (judgement, reason) = if policies.is_empty() {
                    (Judgement::Unknown, reason)
                } else {
                    folded
                };
                let written = if readable { long.clone() } else { written };
                ImageVerdict {
                    fields: fields.into_iter().map(FieldPath::new).collect(),
                    reference: written.parse().ok(),
                    digest: readable.then(|| digest("image")),
                    written,
                    resolved,
                    policies,
                    judgement,
                    reason,
                    detail,
                }
            },
        )
}

fn is_printable(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'))
}

/// Where the remedy of the first block ends.
fn remedy_ends(message: &str) -> usize {
    let start = message.find("\n  next  ").unwrap_or(usize::MAX - 1) + 1;
    let line = message
        .get(start..)
        .unwrap_or_default()
        .lines()
        .next()
        .unwrap_or_default();
    start + line.find("; details: ").unwrap_or(line.len())
}

proptest! {
    #[test]
    fn every_text_keeps_its_bounds_and_its_lines(
        images in prop::collection::vec(any_image(), 0..6), uid in text(), footer in text(), trust_epoch in text(),
    ) {
        let verdict = review(images);
        let context = Context { uid: &uid, footer: Some(&footer), trust_epoch, tags: Tags::MayMove, ..super::context() };
        let answer = answer(&verdict, &context);

        prop_assert!(answer.message.len() <= 8 << 10, "{} bytes", answer.message.len());
        for line in answer.message.lines() {
            prop_assert!(is_printable(line), "{line:?}");
        }
        if answer.allowed {
            prop_assert!(answer.message.is_empty());
        } else {
            prop_assert!(answer.message.starts_with("validation failed: "));
            prop_assert!(remedy_ends(&answer.message) <= 1 << 10, "{}", answer.message);
        }
        prop_assert!(answer.warnings.iter().all(|w| w.len() <= 256 && is_printable(w)));
        prop_assert!(answer.warnings.iter().map(String::len).sum::<usize>() <= 4_096);
        prop_assert!(answer.audit_annotations.values().all(|v| v.len() <= 1 << 10 && is_printable(v)));
        prop_assert!(answer.causes.iter().all(|c| c.message.len() <= 512 && is_printable(&c.message) && is_printable(&c.field)));
        prop_assert!(answer.causes.len() <= 65);
    }

    #[test]
    fn the_tree_keeps_its_lines(images in prop::collection::vec(any_image(), 0..4), width in 0_usize..200) {
        let drawn = tree(&images, Style { color: false, width });
        prop_assert!(drawn.lines().all(is_printable), "{drawn:?}");
    }
}
