//! Which log and which time an authority asks for: the table of `docs/keyless.md`, row by row, for every form of evidence.

use serde_json::{Value, json};
use vouchsafe::verdict::{Judgement, Reason};

use crate::sigstore::{
    Act, Algorithm, Form, Key, LayerStamp, Lie, Logged, Sigstore, Trusted, Version,
};
use crate::stage::{OURS, SIGNATURES, Stage, and, keyless, provenance, release, wanting};

/// What an act of signing has to show for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Nothing,
    /// A stamp, no log entry.
    Stamp,
    /// Rekor v1, whatever the form can hold of it.
    Log,
    /// Rekor v1 and a stamp.
    LogAndStamp,
    /// Rekor v2 and a stamp.
    V2AndStamp,
    /// Rekor v2 alone, which tells no time.
    V2,
}

// === impl Shown ===

impl Shown {
    fn by(self, act: Act) -> Act {
        match self {
            Self::Nothing => act.logged(Logged::Nowhere),
            Self::Stamp => act.logged(Logged::Nowhere).stamped(),
            Self::Log => act.logged(Logged::Both),
            Self::LogAndStamp => act.logged(Logged::Both).stamped(),
            Self::V2AndStamp => act.logged(Logged::V2).stamped(),
            Self::V2 => act.logged(Logged::V2),
        }
    }

    /// Whether evidence of this form can hold it: layers know Rekor v1 alone, and bundles before v0.3 want its promise.
    fn fits(self, form: Form) -> bool {
        match self {
            Self::V2 | Self::V2AndStamp => {
                matches!(
                    form,
                    Form::Message(Version::V03) | Form::Statement(Version::V03)
                )
            }
            Self::Nothing | Self::Stamp | Self::Log | Self::LogAndStamp => true,
        }
    }
}

/// One line of the table: under this authority, and roots with these parts, what is admitted and why the rest is not.
struct Row {
    authority: Value,
    /// Parts that the named root does not have.
    ours_without: &'static [Trusted],
    admitted: &'static [Shown],
    refused: &'static [(Shown, Reason)],
}

async fn plays(row: &Row, act: impl Fn() -> Act) {
    let stage = Stage::new().await;
    let default = stage.root();
    let ours = row
        .ours_without
        .iter()
        .fold(stage.root(), |root, part| root.without(*part));
    for form in SIGNATURES.into_iter().chain([Form::Attestation]) {
        let authority = wanting(form, &row.authority);
        let all = row.admitted.iter().map(|shown| (*shown, None));
        let all = all.chain(
            row.refused
                .iter()
                .map(|(shown, reason)| (*shown, Some(*reason))),
        );
        for (shown, reason) in all.filter(|(shown, _)| shown.fits(form)) {
            let image = stage.signed(form, &shown.by(act()));
            let verdict = stage
                .judged_under(&image, &authority, Some(&ours), Some(&default))
                .await;
            let said = (verdict.judgement == Judgement::Admit, verdict.reason);
            let wanted = reason.map_or((true, Reason::Satisfied), |reason| (false, reason));
            assert_eq!(
                said, wanted,
                "{form:?} {shown:?} under {authority}: {verdict:#?}"
            );
        }
    }
}

#[tokio::test]
async fn a_key_without_a_log_needs_no_log() {
    let key = Key::generate(Algorithm::P256);
    for ctlog in [json!({}), json!({"ctlog": {}})] {
        let row = Row {
            authority: and(&json!({"name": "k", "key": {"data": key.pem()}}), &ctlog),
            ours_without: &[],
            admitted: &[
                Shown::Nothing,
                Shown::Log,
                Shown::Stamp,
                Shown::V2,
                Shown::LogAndStamp,
            ],
            refused: &[],
        };
        plays(&row, || Act::with_key(&key)).await;
    }
}

#[tokio::test]
async fn a_key_with_a_log_needs_its_entry() {
    let key = Key::generate(Algorithm::P256);
    for ctlog in [
        json!({"url": "https://rekor.sigstore.test"}),
        json!({"trustRootRef": OURS}),
    ] {
        let row = Row {
            authority: json!({"name": "k", "key": {"data": key.pem()}, "ctlog": ctlog}),
            ours_without: &[],
            admitted: &[Shown::Log, Shown::LogAndStamp],
            refused: &[
                (Shown::Nothing, Reason::NotLogged),
                (Shown::Stamp, Reason::NotLogged),
            ],
        };
        plays(&row, || Act::with_key(&key)).await;
    }
}

#[tokio::test]
async fn an_identity_needs_an_entry_and_a_time() {
    for ctlog in [
        json!({}),
        json!({"ctlog": {}}),
        json!({"ctlog": {"url": "https://rekor.sigstore.test"}}),
        json!({"ctlog": {"trustRootRef": OURS}}),
    ] {
        let row = Row {
            authority: and(&keyless(), &ctlog),
            ours_without: &[],
            admitted: &[Shown::Log, Shown::LogAndStamp, Shown::V2AndStamp],
            refused: &[
                (Shown::Nothing, Reason::NotLogged),
                (Shown::Stamp, Reason::NotLogged),
                (Shown::V2, Reason::NoTimestamp),
            ],
        };
        plays(&row, release).await;
    }
}

#[tokio::test]
async fn an_identity_of_the_default_root_needs_an_entry_and_a_time() {
    let mut authority = keyless();
    authority["keyless"]
        .as_object_mut()
        .unwrap()
        .remove("trustRootRef");
    for ctlog in [json!({}), json!({"ctlog": {}})] {
        let row = Row {
            authority: and(&authority, &ctlog),
            // Nobody asks it.
            ours_without: &Trusted::ALL,
            admitted: &[Shown::Log, Shown::V2AndStamp],
            refused: &[
                (Shown::Nothing, Reason::NotLogged),
                (Shown::Stamp, Reason::NotLogged),
            ],
        };
        plays(&row, release).await;
    }
}

#[tokio::test]
async fn an_identity_of_a_root_without_logs_needs_a_stamp() {
    let row = Row {
        authority: keyless(),
        ours_without: &[Trusted::Logs],
        admitted: &[Shown::Stamp],
        refused: &[(Shown::Nothing, Reason::NoTimestamp)],
    };
    plays(&row, release).await;
}

#[tokio::test]
async fn an_identity_of_a_root_without_logs_and_stamps_must_be_valid_now() {
    let row = Row {
        authority: keyless(),
        ours_without: &[Trusted::Logs, Trusted::TimestampAuthorities],
        admitted: &[Shown::Nothing],
        refused: &[],
    };
    plays(&row, || release().issued(jiff::Timestamp::now())).await;
    let row = Row {
        admitted: &[],
        refused: &[(Shown::Nothing, Reason::CertificateInvalid)],
        ..row
    };
    plays(&row, release).await;
}

#[tokio::test]
async fn a_named_timestamp_authority_replaces_the_log_for_identities() {
    let row = Row {
        authority: and(
            &keyless(),
            &json!({"rfc3161timestamp": {"trustRootRef": OURS}}),
        ),
        ours_without: &[],
        admitted: &[Shown::Stamp, Shown::LogAndStamp, Shown::V2AndStamp],
        refused: &[
            (Shown::Nothing, Reason::NoTimestamp),
            (Shown::Log, Reason::NoTimestamp),
        ],
    };
    plays(&row, release).await;
}

#[tokio::test]
async fn a_named_timestamp_authority_is_asked_about_keys_where_there_is_a_stamp() {
    let key = Key::generate(Algorithm::P256);
    let row = Row {
        authority: json!({
            "name": "k",
            "key": {"data": key.pem()},
            "rfc3161timestamp": {"trustRootRef": OURS},
        }),
        ours_without: &[],
        admitted: &[Shown::Nothing, Shown::Stamp],
        refused: &[],
    };
    plays(&row, || Act::with_key(&key)).await;
}

/// cosign 2 stamps an `.att` layer, cosign 3.1 the signature in it: both show when it was signed.
#[tokio::test]
async fn a_stamp_beside_a_layer_is_about_the_layer_or_its_signature() {
    let stage = Stage::new().await;
    let stamps = json!({"rfc3161timestamp": {"trustRootRef": OURS}});
    let authority = and(&provenance(&keyless()), &stamps);
    for about in [LayerStamp::Layer, LayerStamp::Signature] {
        let act = release().logged(Logged::Nowhere).stamped().stamping(about);
        let image = stage.signed(Form::Attestation, &act);
        stage.admits(&image, &authority, &stage.root()).await;
        let image = stage.signed(Form::Attestation, &act.lying(Lie::StampOfAnotherSignature));
        stage
            .refuses(&image, &authority, &stage.root(), Reason::NoTimestamp)
            .await;
    }
}

#[tokio::test]
async fn a_log_of_another_root_is_no_log() {
    let stage = Stage::new().await;
    let theirs = Sigstore::new().trusted_root();
    let foreign = stage
        .root()
        .without(Trusted::Logs)
        .and(Trusted::Logs, &theirs);
    for form in SIGNATURES {
        let image = stage.signed(form, &release());
        let verdict = stage.judged(&image, &keyless(), &foreign).await;
        assert_ne!(verdict.judgement, Judgement::Admit, "{form:?}");
        assert_eq!(verdict.reason, Reason::NotLogged, "{form:?} {verdict:#?}");
    }
}

#[tokio::test]
async fn a_trust_root_that_is_not_there_is_said() {
    let stage = Stage::new().await;
    let image = stage.signed(Form::Signature, &release());
    let verdict = stage
        .judged_under(&image, &keyless(), None, Some(&stage.root()))
        .await;
    assert_ne!(verdict.judgement, Judgement::Admit);
    assert_eq!(verdict.reason, Reason::TrustRootUnavailable, "{verdict:#?}");
    let default = keyless_without_root();
    let verdict = stage
        .judged_under(&image, &default, Some(&stage.root()), None)
        .await;
    assert_ne!(verdict.judgement, Judgement::Admit);
    assert_eq!(verdict.reason, Reason::TrustRootUnavailable, "{verdict:#?}");
}

fn keyless_without_root() -> Value {
    let mut authority = keyless();
    authority["keyless"]
        .as_object_mut()
        .unwrap()
        .remove("trustRootRef");
    authority
}
