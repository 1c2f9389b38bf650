//! What holds of the whole judge, whatever lies around an image: a second, simple reading of the evidence says whether it must be
//! admitted, and the judge must agree.

use std::time::Duration;

use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;
use vouchsafe::demo::signer::{
    AttestationOptions, BundleOptions, ReferrerOptions, SignatureOptions, SigningKey,
    attach_attestation, attach_bundle_attestation, attach_document, attach_message_signature,
    attach_signature, attach_signature_referrer, slsa_v02,
};
use vouchsafe::verdict::{Class, Judgement, Reason};

use crate::stage::{BUILDER, PROVENANCE, REPOSITORY, Stage};
use crate::support::registry::{Fault, Match};

/// A predicate type that no policy here asks for.
const OTHER_TYPE: &str = "https://example.com/review/v1";

/// Something that somebody who may push attaches to an image.
#[derive(Clone, Copy, Debug)]
enum Piece {
    /// A signature, in one of its forms.
    Signature(Form, Signer),
    /// Provenance, true or by another builder, in a bundle or under the tag.
    Provenance {
        right: bool,
        bundle: bool,
        by: Signer,
    },
    /// An attestation of another type.
    OtherType(Signer),
    /// A bundle that is about another image.
    AboutAnother(Signer),
    /// A document that is no evidence.
    Junk(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signer {
    Release,
    Stranger,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Tag,
    Referrer,
    Bundle,
    Message,
}

impl Piece {
    /// Whether it proves that the release key signed the image.
    fn is_release_signature(self) -> bool {
        matches!(self, Self::Signature(_, Signer::Release))
    }

    /// Whether it proves that the release key says who built the image, and that is the right one.
    fn is_release_provenance(self) -> bool {
        matches!(
            self,
            Self::Provenance {
                right: true,
                by: Signer::Release,
                ..
            }
        )
    }

    fn attach(self, stage: &Stage, number: usize) {
        let key = |signer: Signer| match signer {
            Signer::Release => &stage.release,
            Signer::Stranger => &stage.stranger,
        };
        match self {
            Self::Signature(form, by) => sign(stage, form, key(by), number),
            Self::Provenance {
                right,
                bundle: true,
                by,
            } => {
                let builder = if right {
                    BUILDER
                } else {
                    "https://elsewhere.example"
                };
                stage.attest(key(by), builder, &BundleOptions::default());
            }
            Self::Provenance {
                right,
                bundle: false,
                by,
            } => {
                let builder = if right {
                    BUILDER
                } else {
                    "https://elsewhere.example"
                };
                let predicate = slsa_v02(builder, "https://git.example/shop", "c0ffee");
                let options = AttestationOptions::default();
                let (store, image) = (stage.store(), &stage.image);
                attach_attestation(
                    store,
                    REPOSITORY,
                    image,
                    key(by),
                    PROVENANCE,
                    &predicate,
                    &options,
                )
                .unwrap();
            }
            Self::OtherType(by) => {
                let options = BundleOptions::default();
                let (store, image) = (stage.store(), &stage.image);
                // It says what the policy would like to hear, under another name.
                let predicate = slsa_v02(BUILDER, "https://git.example/shop", "c0ffee");
                attach_bundle_attestation(
                    store,
                    REPOSITORY,
                    image,
                    key(by),
                    OTHER_TYPE,
                    &predicate,
                    &options,
                )
                .unwrap();
            }
            Self::AboutAnother(by) => {
                let options = BundleOptions {
                    subjects: Some(json!([{"digest": {"sha256": "00".repeat(32)}}])),
                    ..BundleOptions::default()
                };
                stage.sign(key(by), &options);
                stage.attest(key(by), BUILDER, &options);
            }
            Self::Junk(kind) => {
                let types = [
                    "application/spdx+json",
                    "application/vnd.cncf.notary.signature",
                ];
                let kind = types[usize::from(kind) % types.len()];
                let document = format!("{kind} {number}").into_bytes();
                let (store, image) = (stage.store(), &stage.image);
                let options = ReferrerOptions::default();
                attach_document(store, REPOSITORY, image, kind, &document, &options).unwrap();
            }
        }
    }
}

fn sign(stage: &Stage, form: Form, key: &SigningKey, number: usize) {
    let (store, image) = (stage.store(), &stage.image);
    match form {
        Form::Tag => {
            let options = SignatureOptions {
                // Otherwise the same bytes each time.
                reference: Some(format!("shop/cart-{number}")),
                ..SignatureOptions::default()
            };
            attach_signature(store, REPOSITORY, image, key, &options).unwrap();
        }
        Form::Referrer => {
            attach_signature_referrer(store, REPOSITORY, image, key, &ReferrerOptions::default())
                .unwrap();
        }
        Form::Bundle => stage.sign(key, &BundleOptions::default()),
        Form::Message => {
            attach_message_signature(store, REPOSITORY, image, key, &BundleOptions::default())
                .unwrap();
        }
    }
}

fn any_signer() -> impl Strategy<Value = Signer> {
    // Mostly strangers: what is looked for must stay rare.
    prop_oneof![1 => Just(Signer::Release), 4 => Just(Signer::Stranger)]
}

fn any_piece() -> impl Strategy<Value = Piece> {
    let form = prop::sample::select(vec![Form::Tag, Form::Referrer, Form::Bundle, Form::Message]);
    prop_oneof![
        (form, any_signer()).prop_map(|(form, by)| Piece::Signature(form, by)),
        (any::<bool>(), any::<bool>(), any_signer())
            .prop_map(|(right, bundle, by)| Piece::Provenance { right, bundle, by }),
        any_signer().prop_map(Piece::OtherType),
        any_signer().prop_map(Piece::AboutAnother),
        any::<u8>().prop_map(Piece::Junk),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Monotone and order-free: whether an image is admitted depends on the good pieces alone, not on what lies around them, in which
    /// form, in which order, or how the registry lists it (T-01, T-33, T-63, T-79).
    #[test]
    fn an_image_is_admitted_exactly_when_a_good_piece_is_there(
        pieces in prop::collection::vec(any_piece(), 0..14),
        listing in 0_u8..4,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let stage = Stage::new().await;
            match listing {
                0 => {}
                1 => stage.store().filter_referrers(false),
                2 => stage.store().page_referrers(Some(3)),
                _ => stage.store().serve_referrers(false),
            }
            for (number, piece) in pieces.iter().enumerate() {
                piece.attach(&stage, number);
            }
            for (policy, good) in [
                (stage.signed(), pieces.iter().any(|piece| piece.is_release_signature())),
                (stage.provenance(), pieces.iter().any(|piece| piece.is_release_provenance())),
            ] {
                let verdict = stage.judged(&policy).await;
                prop_assert_eq!(verdict.judgement == Judgement::Admit, good, "{:#?}", verdict);
                // All of it can be read, so it is told what is missing, and never that one cannot tell.
                prop_assert!(good || verdict.reason.class() == Class::Violated, "{:#?}", verdict);
            }
            Ok(())
        })?;
    }
}

/// T-17: whatever the moment at which time is over, it denies, and says that it was time.
#[tokio::test]
async fn a_deadline_at_any_moment_denies() {
    /// What every answer of the registry takes, and the least number of them that proof needs, one after the other.
    const STEP: Duration = Duration::from_millis(12);
    const STEPS: u32 = 3;
    let (mut denied, mut admitted) = (0, 0);
    for moment in (0..30).map(|number| Duration::from_millis(5) * number) {
        // Nothing is remembered from one to the next.
        let stage = Stage::new().await;
        stage.sign(&stage.release, &BundleOptions::default());
        stage.registry.on(Match::any(), Fault::Delay(STEP));
        let verdict = stage
            .judged_within(moment, REPOSITORY, &stage.signed())
            .await;
        if verdict.judgement == Judgement::Admit {
            assert!(moment > STEP * STEPS, "admitted within {moment:?}");
            admitted += 1;
        } else {
            assert_eq!(
                verdict.reason,
                Reason::Deadline,
                "after {moment:?}: {verdict:#?}"
            );
            denied += 1;
        }
    }
    assert!(denied > 5 && admitted + denied == 30);
}

/// T-33: who may vouch for one type of predicate may not vouch for another.
#[rstest]
#[tokio::test]
async fn t33_a_signer_is_authorised_for_its_own_predicate_type_only(
    #[values(false, true)] is_built: bool,
) {
    let stage = Stage::new().await;
    let (store, image) = (stage.store(), &stage.image);
    let (builder, reviewer) = (&stage.release, &stage.stranger);
    let wants = |key: &SigningKey, predicate_type: &str| {
        let wanted = json!([{"name": "wanted", "predicateType": predicate_type}]);
        let key = json!({"data": key.public_key_pem()});
        let mut policy = stage.signed();
        policy["spec"]["authorities"] = json!([{"name": "a", "key": key, "attestations": wanted}]);
        policy
    };
    // Each says what the other one should say.
    for (key, predicate_type) in [(reviewer, PROVENANCE), (builder, OTHER_TYPE)] {
        let options = BundleOptions::default();
        attach_bundle_attestation(
            store,
            REPOSITORY,
            image,
            key,
            predicate_type,
            &json!({}),
            &options,
        )
        .unwrap();
    }
    if is_built {
        stage.attest(builder, BUILDER, &BundleOptions::default());
        stage.admits(&wants(builder, PROVENANCE)).await;
    } else {
        let reason = Reason::UntrustedSigner;
        stage.refuses(&wants(builder, PROVENANCE), reason).await;
    }
    stage
        .refuses(&wants(reviewer, OTHER_TYPE), Reason::UntrustedSigner)
        .await;
}
