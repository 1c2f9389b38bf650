//! Lies: whatever one of the actors says falsely, the image is not admitted, in any form.

use serde_json::json;
use vouchsafe::verdict::{Judgement, Reason};

use crate::sigstore::{About, Act, Algorithm, Form, Key, Lie, Logged, Version};
use crate::stage::{OURS, SIGNATURES, Stage, and, keyless, release, wanting};

/// What each lie is answered, in every form that can hold it.
#[tokio::test]
async fn t30_no_lie_is_admitted_in_any_form() {
    let stage = Stage::new().await;
    let root = stage.root();
    let (mut told, mut odd) = (0, Vec::new());
    for form in SIGNATURES.into_iter().chain([Form::Attestation]) {
        for (logged, stamped) in ways(form) {
            let act = release().logged(logged);
            let act = if stamped { act.stamped() } else { act };
            let mut authority = wanting(form, &keyless());
            if logged == Logged::Nowhere {
                let stamps = json!({"rfc3161timestamp": {"trustRootRef": OURS}});
                authority = and(&authority, &stamps);
            }
            let honest = stage.signed(form, &act);
            stage.admits(&honest, &authority, &root).await;
            for lie in Lie::ALL {
                if !is_told(lie, form, logged, stamped) {
                    continue;
                }
                let image = stage.signed(form, &act.clone().lying(lie));
                let verdict = stage.judged(&image, &authority, &root).await;
                let context = format!("{lie:?} {form:?} {logged:?} stamped: {stamped}");
                assert_ne!(
                    verdict.judgement,
                    Judgement::Admit,
                    "{context}: {verdict:#?}"
                );
                if !reasons(lie.about()).contains(&verdict.reason) {
                    odd.push(format!("{context}: {}", verdict.reason));
                }
                told += 1;
            }
        }
    }
    assert!(odd.is_empty(), "refused for something else: {odd:#?}");
    assert!(told > 200, "{told} lies were told");
}

/// How evidence of this form is logged and stamped.
fn ways(form: Form) -> Vec<(Logged, bool)> {
    match form {
        Form::Signature | Form::Attestation => {
            vec![(Logged::Promised, false), (Logged::Nowhere, true)]
        }
        Form::Message(Version::V01) | Form::Statement(Version::V01) => {
            vec![(Logged::Promised, false), (Logged::Both, true)]
        }
        Form::Message(Version::V02) | Form::Statement(Version::V02) => vec![(Logged::Both, false)],
        Form::Message(Version::V03) | Form::Statement(Version::V03) => {
            vec![
                (Logged::Both, true),
                (Logged::V2, true),
                (Logged::Nowhere, true),
            ]
        }
    }
}

/// Whether anybody says it there.
fn is_told(lie: Lie, form: Form, logged: Logged, stamped: bool) -> bool {
    // Beside a layer nothing says what kind of entry it is, but the entry.
    let is_layer = matches!(form, Form::Signature | Form::Attestation);
    if lie == Lie::EntryOfAnotherKind && is_layer {
        return false;
    }
    match lie.about() {
        About::Signature | About::Certificate | About::Sct => true,
        About::Entry => logged != Logged::Nowhere,
        About::Set => matches!(logged, Logged::Promised | Logged::Both),
        About::Proof => matches!(logged, Logged::Both | Logged::V2),
        // Where the log tells the time, nobody asks for stamps.
        About::Stamp => stamped && matches!(logged, Logged::Nowhere | Logged::V2),
    }
}

/// The reasons that a lie about this may be answered with.
fn reasons(about: About) -> &'static [Reason] {
    match about {
        About::Signature => &[Reason::UntrustedSigner],
        About::Certificate => &[Reason::CertificateInvalid, Reason::UntrustedSigner],
        About::Sct => &[Reason::CertificateInvalid],
        // An entry of a kind that cannot be about this makes the whole bundle one that says nothing.
        About::Entry => &[Reason::NotLogged, Reason::PredicateMalformed],
        About::Set | About::Proof => &[Reason::NotLogged],
        About::Stamp => &[Reason::NoTimestamp],
    }
}

/// T-30, for keys: the log's entry must be about this signature, this key and this payload.
#[tokio::test]
async fn t30_an_entry_of_another_signature_does_not_log_a_key() {
    let stage = Stage::new().await;
    let (root, key) = (stage.root(), Key::generate(Algorithm::P256));
    let authority =
        json!({"name": "k", "key": {"data": key.pem()}, "ctlog": {"trustRootRef": OURS}});
    for form in SIGNATURES.into_iter().chain([Form::Attestation]) {
        let act = Act::with_key(&key);
        let authority = wanting(form, &authority);
        stage
            .admits(&stage.signed(form, &act), &authority, &root)
            .await;
        for lie in Lie::ALL {
            let logged = match form {
                Form::Signature | Form::Attestation => Logged::Promised,
                Form::Message(_) | Form::Statement(_) => Logged::Both,
            };
            let about_log = matches!(lie.about(), About::Entry | About::Set | About::Proof);
            if !about_log || !is_told(lie, form, logged, false) {
                continue;
            }
            let image = stage.signed(form, &act.clone().lying(lie));
            let verdict = stage.judged(&image, &authority, &root).await;
            assert_eq!(
                verdict.reason,
                Reason::NotLogged,
                "{lie:?} {form:?} {verdict:#?}"
            );
        }
    }
}

/// T-32 and T-36 for what nobody can lie about: a bundle that was cut, or has two of what there is one of.
#[tokio::test]
async fn t36_what_is_missing_or_there_twice_is_no_proof() {
    let stage = Stage::new().await;
    let root = stage.root();
    for form in [Form::Message(Version::V03), Form::Statement(Version::V03)] {
        let image = stage.image();
        let mut signed = stage.sigstore.sign(form, &image.subject(form), &release());
        signed.signature.clear();
        stage.keep(&image, &signed);
        let verdict = stage.judged(&image, &keyless(), &root).await;
        assert_ne!(verdict.judgement, Judgement::Admit, "{form:?}");
    }
}

/// T-34: the same entry twice, or the same signature twice, is once; and a second entry that is a lie spoils the first.
#[tokio::test]
async fn t34_an_entry_that_is_there_twice_counts_once() {
    let stage = Stage::new().await;
    let root = stage.root();
    for form in [Form::Message(Version::V03), Form::Statement(Version::V03)] {
        let (one, two) = (stage.image(), stage.image());
        // An entry without promise and proof proves nothing, however often it is there.
        let bare = release().logged(Logged::Both).stamped();
        let mut signed = stage.sigstore.sign(form, &one.subject(form), &bare);
        for entry in &mut signed.entries {
            (entry.promise, entry.proof) = (None, None);
        }
        let entry = signed.entries[0].clone();
        signed.entries = vec![entry; 3];
        stage.keep(&one, &signed);
        stage
            .refuses(&one, &keyless(), &root, Reason::NotLogged)
            .await;

        let mut signed = stage.sigstore.sign(form, &two.subject(form), &release());
        let liar = release().lying(Lie::SetByAnotherLog);
        let lie = stage.sigstore.sign(form, &two.subject(form), &liar);
        signed.entries.extend(lie.entries);
        stage.keep(&two, &signed);
        stage
            .refuses(&two, &keyless(), &root, Reason::NotLogged)
            .await;
    }
}
