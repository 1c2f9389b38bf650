//! Verdicts to put into words: one for each reason to deny.

use std::sync::Arc;

use vouchsafe::evidence::{DecodeError, Format, Location};
use vouchsafe::image::Digest;
use vouchsafe::statement::PredicateType;
use vouchsafe::verdict::{
    AuthorityKind, AuthorityVerdict, Cause, Class, EvidenceSummary, ImageVerdict, Judgement, Mode,
    NoMatchPolicy, Outcome, PolicyVerdict, Reason, RegoResult, RejectedEvidence, ReviewVerdict,
    fold_authorities, fold_image, fold_review,
};
use vouchsafe::verify::{KeyFingerprint, PublicKey, Rejection, Signer};
use vouchsafe::workload::FieldPath;

/// The key that the policies want.
const WANTED: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/QmqBqs+TnLly2D3SddcjGDHuAQa
4i06vLe/qkCrWw4xo/E5haN/twbidj5+yxpHh2P2CAmtp2HaY0m7JMFPqA==
-----END PUBLIC KEY-----";

pub(crate) const CART: &str = "registry.example.com/shop/cart:1.4";

#[expect(clippy::expect_used, reason = "the key is written above")]
pub(crate) fn key() -> KeyFingerprint {
    PublicKey::from_pem(WANTED)
        .expect("a P-256 key")
        .fingerprint()
}

pub(crate) fn digest(of: &str) -> Digest {
    Digest::sha256_of(of.as_bytes())
}

pub(crate) fn authority(name: &str, reason: Reason, cause: Option<Cause>) -> AuthorityVerdict {
    let (outcome, evidence) = match reason.class() {
        Class::Admitted => (Outcome::Satisfied, vec![signed()]),
        Class::Violated => (Outcome::Violated, Vec::new()),
        Class::Unknown => (Outcome::Unknown, Vec::new()),
    };
    AuthorityVerdict {
        name: Arc::from(name),
        kind: AuthorityKind::Key,
        wanted: Some(key()),
        outcome,
        reason,
        cause,
        evidence,
        rego: None,
        inputs: Vec::new(),
    }
}

pub(crate) fn signed() -> EvidenceSummary {
    EvidenceSummary {
        signer: Signer::Key(key()),
        format: Format::SignatureTag,
        digest: digest("signature"),
        predicate_type: None,
        time: None,
    }
}

pub(crate) fn satisfied(name: &str) -> AuthorityVerdict {
    authority(name, Reason::Satisfied, None)
}

pub(crate) fn unsigned(name: &str) -> AuthorityVerdict {
    authority(
        name,
        Reason::Unsigned,
        Some(Cause::NothingFound {
            wanted: None,
            looked: vec![Location::SignatureTag],
        }),
    )
}

pub(crate) fn unreachable(name: &str) -> AuthorityVerdict {
    let detail = "registry registry.example.com cannot be reached: connection refused".to_owned();
    authority(
        name,
        Reason::RegistryUnreachable,
        Some(Cause::Unavailable { detail }),
    )
}

pub(crate) fn rejected(
    name: &str,
    reason: Reason,
    wanted: Option<PredicateType>,
    rejections: Vec<Rejection>,
) -> AuthorityVerdict {
    let format = if wanted.is_some() {
        Format::AttestationTag
    } else {
        Format::SignatureTag
    };
    let pieces = rejections.into_iter().enumerate();
    let rejections = pieces
        .map(|(i, rejection)| RejectedEvidence {
            format,
            digest: digest(&format!("piece {i}")),
            rejection,
        })
        .collect();
    authority(name, reason, Some(Cause::Rejected { wanted, rejections }))
}

pub(crate) fn policy(name: &str, mode: Mode, authorities: Vec<AuthorityVerdict>) -> PolicyVerdict {
    let (outcome, reason, cause) = fold_authorities(&authorities);
    PolicyVerdict {
        name: Arc::from(name),
        mode,
        outcome,
        reason,
        cause,
        authorities,
        rego: None,
        input: None,
    }
}

/// A policy with a cause of its own.
pub(crate) fn policy_caused(name: &str, reason: Reason, cause: Cause) -> PolicyVerdict {
    let outcome = if reason.class() == Class::Unknown {
        Outcome::Unknown
    } else {
        Outcome::Violated
    };
    PolicyVerdict {
        name: Arc::from(name),
        mode: Mode::Enforce,
        outcome,
        reason,
        cause: Some(cause),
        authorities: Vec::new(),
        rego: None,
        input: None,
    }
}

pub(crate) fn image_at(field: &str, written: &str, policies: Vec<PolicyVerdict>) -> ImageVerdict {
    let (judgement, reason) = fold_image(&policies, NoMatchPolicy::Deny);
    ImageVerdict {
        fields: vec![FieldPath::new(field)],
        written: written.to_owned(),
        reference: written.parse().ok(),
        digest: Some(digest(written)),
        resolved: !written.contains('@'),
        policies,
        judgement,
        reason,
        detail: None,
    }
}

pub(crate) fn image(policies: Vec<PolicyVerdict>) -> ImageVerdict {
    image_at("spec.containers[0].image", CART, policies)
}

/// An image that no policy is to blame for.
pub(crate) fn image_alone(
    written: &str,
    judgement: Judgement,
    reason: Reason,
    detail: Option<&str>,
) -> ImageVerdict {
    let image = image_at("spec.containers[0].image", written, Vec::new());
    ImageVerdict {
        judgement,
        reason,
        digest: None,
        resolved: false,
        detail: detail.map(str::to_owned),
        ..image
    }
}

pub(crate) fn review(images: Vec<ImageVerdict>) -> ReviewVerdict {
    fold_review(images)
}

/// A review that is denied for this reason; `None` for reasons that admit.
pub(crate) fn denied_for(reason: Reason) -> Option<ReviewVerdict> {
    let image = match reason.class() {
        Class::Admitted => return None,
        Class::Violated => violated(reason),
        Class::Unknown => unjudged(reason),
    };
    assert_eq!(image.reason, reason, "the verdict folds to its reason");
    Some(review(vec![image]))
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn violated(reason: Reason) -> ImageVerdict {
    let by_release = |authorities| image(vec![policy("release", Mode::Enforce, authorities)]);
    let slsa = || PredicateType::new("slsaprovenance");
    match reason {
        Reason::NoMatch => image_alone(CART, Judgement::Deny, reason, None),
        Reason::InvalidReference => image_alone(
            "Registry/Shop:",
            Judgement::Deny,
            reason,
            Some("repository name must be lower case, found 'S' at position 9"),
        ),
        Reason::TagNotPinned => image_alone(
            CART,
            Judgement::Deny,
            reason,
            Some("registry registry.example.com asks us to slow down"),
        ),
        Reason::NoAttestation => {
            let found = vec![
                "https://spdx.dev/Document".to_owned(),
                "https://cyclonedx.org/bom".to_owned(),
            ];
            let absent = Cause::NothingFound {
                wanted: Some(slsa()),
                looked: vec![Location::AttestationTag],
            };
            by_release(vec![
                authority(
                    "ci",
                    reason,
                    Some(Cause::OtherPredicates {
                        wanted: slsa(),
                        found,
                    }),
                ),
                authority("builder", reason, Some(absent)),
            ])
        }
        Reason::UntrustedSigner => {
            let by_others = vec![
                Rejection::WrongKey { wanted: key() },
                Rejection::WrongKey { wanted: key() },
                Rejection::NotASignature,
            ];
            by_release(vec![
                rejected("ci", reason, None, by_others),
                unsigned("github"),
            ])
        }
        Reason::SubjectMismatch => {
            let found = vec![digest("another").to_string()];
            by_release(vec![rejected(
                "ci",
                reason,
                None,
                vec![Rejection::SubjectMismatch {
                    expected: digest(CART),
                    found,
                }],
            )])
        }
        Reason::PredicateMalformed => {
            let error = DecodeError::Envelope {
                detail: "expected exactly one signature, found 2".to_owned(),
            };
            by_release(vec![rejected(
                "ci",
                reason,
                Some(slsa()),
                vec![Rejection::Undecodable(error)],
            )])
        }
        Reason::PolicyDenied => {
            let messages = vec![
                "policy is not compliant for query 'isCompliant = data.sigstore.isCompliant'"
                    .to_owned(),
                "with errors: critical CVE found: CVE-2021-44228".to_owned(),
            ];
            let cause = Cause::PolicyDenied {
                attestation: Some("scan".to_owned()),
                messages: messages.clone(),
            };
            let rego = Some(RegoResult {
                passed: false,
                messages,
            });
            by_release(vec![AuthorityVerdict {
                rego,
                ..authority("scanner", reason, Some(cause))
            }])
        }
        Reason::StaticDeny => {
            let cause = Cause::StaticDeny {
                message: "images of this registry are being retired".to_owned(),
            };
            by_release(vec![AuthorityVerdict {
                kind: AuthorityKind::Static,
                wanted: None,
                ..authority("authority-0", reason, Some(cause))
            }])
        }
        _ => by_release(vec![authority(
            "ci",
            reason,
            (reason == Reason::Unsigned)
                .then_some(())
                .and(unsigned("ci").cause),
        )]),
    }
}

fn unjudged(reason: Reason) -> ImageVerdict {
    let detail = match reason {
        Reason::PolicyInvalid => {
            let problems = vec!["invalid value: -----BEGIN: spec.authorities[0].key.data\nno PEM block \"PUBLIC KEY\" was found".to_owned()];
            return image(vec![policy_caused(
                "release",
                reason,
                Cause::PolicyInvalid { problems },
            )]);
        }
        Reason::PolicyBudget => "the evaluation took longer than 100 ms",
        Reason::TrustRootUnavailable => "trustRootRef internal not found",
        Reason::RegistryAuth => {
            "registry registry.example.com refuses access to shop/cart: 401 without a reason"
        }
        Reason::RegistryThrottled => "registry registry.example.com asks us to slow down",
        Reason::RegistryMalformed => "registry registry.example.com knows no tag 1.4 of shop/cart",
        Reason::DigestMismatch => {
            "registry registry.example.com sent other bytes than asked for shop/cart"
        }
        Reason::LimitExceeded => "signatures of shop/cart: 500 found, 128 allowed",
        Reason::Deadline => "no answer from registry registry.example.com in time",
        Reason::Overloaded => "too many requests in flight to answer in time (evidence bytes)",
        Reason::Internal => "the evaluation of the policy failed unexpectedly",
        _ => {
            return image(vec![policy(
                "release",
                Mode::Enforce,
                vec![unreachable("ci"), unsigned("github")],
            )]);
        }
    };
    let cause = Cause::Unavailable {
        detail: detail.to_owned(),
    };
    image(vec![policy(
        "release",
        Mode::Enforce,
        vec![authority("ci", reason, Some(cause))],
    )])
}

/// One image of each kind of answer.
#[expect(clippy::unwrap_used, reason = "these reasons deny")]
pub(crate) fn some_images() -> Vec<ImageVerdict> {
    let wrong_key = denied_for(Reason::UntrustedSigner)
        .unwrap()
        .images
        .remove(0);
    let mut policies = wrong_key.policies;
    policies.insert(0, policy("base", Mode::Warn, vec![satisfied("google")]));
    let first = ImageVerdict {
        fields: Vec::new(),
        ..image(policies)
    };
    let (judgement, reason) = fold_image(&[], NoMatchPolicy::Allow);
    let unmatched = ImageVerdict {
        judgement,
        reason,
        ..image_at("spec.initContainers[0].image", "nginx", Vec::new())
    };
    let warned = image_at(
        "spec.containers[0].image",
        "registry.example.com/shop/web:2",
        vec![policy("base", Mode::Warn, vec![unsigned("google")])],
    );
    let mut images = vec![first, unmatched, warned];
    images.extend(denied_for(Reason::RegistryUnreachable).unwrap().images);
    images.extend(denied_for(Reason::PolicyInvalid).unwrap().images);
    images.extend(denied_for(Reason::InvalidReference).unwrap().images);
    images
}
