//! The Sigstore of our own (`support/sigstore`) against a verifier that nobody here wrote: what it makes is accepted, and each of its lies
//! is refused. Tests of Vouchsafe that stand on it are worth what this one says.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/sigstore/mod.rs"]
mod sigstore;

use rstest::rstest;
use sigstore::{
    About, Act, Algorithm, Form, Identity, Key, Kind, Lie, Logged, San, Setup, Sigstore, Subject,
    TrustedRoot, Version, Window, bundle, time,
};
use sigstore_trust_root::TrustedRoot as VerifierRoot;
use sigstore_types::{Bundle, DerPublicKey};
use sigstore_verify::{PublicKeyVerificationPolicy, VerificationPolicy, Verifier};

const ISSUER: &str = "https://accounts.example";
const WHO: &str = "release@shop.example";

/// What the verifier says.
fn verified(root: &TrustedRoot, act: &Act, sigstore: &Sigstore, form: Form) -> Result<(), String> {
    let subject = Subject::of(b"a manifest");
    let (Form::Message(version) | Form::Statement(version)) = form else {
        return Err("not a bundle".to_owned());
    };
    let signed = sigstore.sign(form, &subject, act);
    let text = bundle(&signed, version).to_string();
    let verifier = Verifier::new(&VerifierRoot::from_json(&root.json()).unwrap()).unwrap();
    let parsed = Bundle::from_json(&text).map_err(|error| error.to_string())?;
    let done = match &act.by {
        sigstore::By::Identity(identity, _) => {
            let policy = match (&identity.san, act.logged) {
                (San::Email(name) | San::Uri(name), _) => {
                    VerificationPolicy::new(name.as_str(), identity.issuer.as_str())
                }
                _ => VerificationPolicy::any_identity(),
            };
            let policy = match act.logged {
                Logged::Nowhere => policy.skip_tlog_unsafe(),
                _ => policy,
            };
            verifier.verify(&subject.bytes, &parsed, &policy)
        }
        sigstore::By::Key(key) => {
            let policy = PublicKeyVerificationPolicy::new(DerPublicKey::new(key.spki().to_vec()));
            verifier.verify(&subject.bytes, &parsed, &policy)
        }
    };
    done.map(drop).map_err(|error| format!("{error:?}"))
}

fn accepted(sigstore: &Sigstore, act: &Act, form: Form) {
    assert_eq!(
        verified(&sigstore.trusted_root(), act, sigstore, form),
        Ok(()),
        "{form:?}"
    );
}

fn somebody() -> Act {
    Act::by(Identity::email(WHO, ISSUER))
}

#[rstest]
#[case(Form::Message(Version::V01), Logged::Both)]
#[case(Form::Message(Version::V01), Logged::Promised)]
#[case(Form::Message(Version::V02), Logged::Both)]
#[case(Form::Message(Version::V03), Logged::Both)]
#[case(Form::Message(Version::V03), Logged::V2)]
#[case(Form::Statement(Version::V01), Logged::Promised)]
#[case(Form::Statement(Version::V02), Logged::Both)]
#[case(Form::Statement(Version::V03), Logged::Both)]
#[case(Form::Statement(Version::V03), Logged::V2)]
fn every_form_and_log_is_accepted(#[case] form: Form, #[case] logged: Logged) {
    let sigstore = Sigstore::new();
    let act = somebody().logged(logged);
    if logged != Logged::V2 {
        accepted(&sigstore, &act, form);
    }
    accepted(&sigstore, &act.stamped(), form);
}

#[rstest]
#[case(Form::Message(Version::V02))]
#[case(Form::Statement(Version::V03))]
fn a_proof_without_a_time_needs_a_stamp(#[case] form: Form) {
    let sigstore = Sigstore::new();
    let act = somebody().logged(Logged::Proven);
    assert!(verified(&sigstore.trusted_root(), &act, &sigstore, form).is_err());
    accepted(&sigstore, &act.stamped(), form);
}

#[rstest]
#[case(Form::Message(Version::V03))]
#[case(Form::Statement(Version::V03))]
fn a_stamp_alone_is_accepted_where_logs_are_waived(#[case] form: Form) {
    accepted(
        &Sigstore::new(),
        &somebody().logged(Logged::Nowhere).stamped(),
        form,
    );
}

#[test]
fn every_kind_of_entry_for_an_envelope_is_accepted() {
    let sigstore = Sigstore::new();
    for kind in [Kind::Dsse001, Kind::Intoto002] {
        accepted(
            &sigstore,
            &somebody().kind(kind),
            Form::Statement(Version::V02),
        );
    }
}

#[rstest]
#[case(Algorithm::P256)]
#[case(Algorithm::P384)]
#[case(Algorithm::Rsa)]
fn every_algorithm_of_the_authorities_is_accepted(#[case] algorithm: Algorithm) {
    for intermediate in [None, Some(Window::always())] {
        let ct = if algorithm == Algorithm::Rsa {
            Algorithm::Rsa
        } else {
            Algorithm::P256
        };
        let setup = Setup {
            ca: algorithm,
            ct,
            intermediate,
            ..Setup::default()
        };
        accepted(
            &Sigstore::with(setup),
            &somebody().stamped(),
            Form::Message(Version::V03),
        );
    }
}

#[rstest]
#[case(Algorithm::P256)]
#[case(Algorithm::Ed25519)]
fn every_algorithm_of_rekor_v2_is_accepted(#[case] algorithm: Algorithm) {
    for witnesses in [0, 3] {
        let setup = Setup {
            rekor_v2: algorithm,
            witnesses,
            ..Setup::default()
        };
        let act = somebody().logged(Logged::V2).stamped();
        accepted(&Sigstore::with(setup), &act, Form::Message(Version::V03));
    }
}

#[rstest]
#[case(Algorithm::P256)]
#[case(Algorithm::P384)]
#[case(Algorithm::Ed25519)]
fn every_algorithm_of_a_signer_is_accepted(#[case] algorithm: Algorithm) {
    accepted(
        &Sigstore::new(),
        &somebody().algorithm(algorithm),
        Form::Statement(Version::V03),
    );
}

#[test]
fn every_kind_of_identity_is_accepted() {
    let sigstore = Sigstore::new();
    for identity in [
        Identity::uri(
            "https://kubernetes.io/namespaces/ci/serviceaccounts/builder",
            ISSUER,
        ),
        Identity::workflow("shop/cart", "release.yml", "refs/tags/v1.4.0"),
        Identity::of(San::OtherName("builder!shop.example".to_owned()), ISSUER),
        Identity::of(San::Dns("build.shop.example".to_owned()), ISSUER),
    ] {
        accepted(&sigstore, &Act::by(identity), Form::Message(Version::V03));
    }
}

#[rstest]
#[case(Logged::Both)]
#[case(Logged::V2)]
fn a_known_key_is_accepted(#[case] logged: Logged) {
    let sigstore = Sigstore::new();
    let act = Act::with_key(&Key::generate(Algorithm::P256)).logged(logged);
    for form in [Form::Message(Version::V03), Form::Statement(Version::V03)] {
        accepted(&sigstore, &act, form);
    }
}

#[test]
fn stamps_with_and_without_the_certificate_are_accepted() {
    for stamps_embed_certificate in [false, true] {
        let setup = Setup {
            stamps_embed_certificate,
            ..Setup::default()
        };
        let act = somebody().logged(Logged::Nowhere).stamped();
        accepted(&Sigstore::with(setup), &act, Form::Message(Version::V03));
    }
}

#[test]
fn another_instance_is_refused() {
    let (ours, theirs) = (Sigstore::new(), Sigstore::new());
    let form = Form::Message(Version::V03);
    assert!(verified(&theirs.trusted_root(), &somebody(), &ours, form).is_err());
}

#[rstest]
#[case(Form::Message(Version::V03))]
#[case(Form::Statement(Version::V03))]
fn every_lie_is_refused(#[case] form: Form) {
    let sigstore = Sigstore::new();
    for lie in Lie::ALL {
        for logged in [Logged::Both, Logged::V2] {
            if lie.about() == About::Set && logged == Logged::V2 {
                continue;
            }
            let act = somebody().logged(logged).stamped().lying(lie);
            let said = verified(&sigstore.trusted_root(), &act, &sigstore, form).unwrap_err();
            let names_it = errors(lie.about()).iter().any(|error| said.contains(error));
            assert!(names_it, "{lie:?} {logged:?} {form:?}: {said}");
        }
    }
}

/// The verifier's errors that a lie about this may have: it is refused for what it is, not for something beside it.
fn errors(about: About) -> &'static [&'static str] {
    match about {
        About::Signature => &["SignatureInvalid"],
        About::Certificate => &["ChainInvalid", "SignatureInvalid"],
        About::Sct => &["Certificate(Sct"],
        About::Entry => &[
            "EntryMismatch",
            "ArtifactMismatch",
            "MalformedEntry",
            "UnsupportedBundle",
        ],
        About::Set => &["InclusionPromise"],
        About::Proof => &["InclusionProof", "Checkpoint"],
        About::Stamp => &["Timestamp(Invalid"],
    }
}

#[test]
fn a_future_that_everybody_agrees_on_is_refused() {
    let (issued, at) = (time("2044-01-01T00:00:00Z"), time("2044-01-01T00:01:00Z"));
    let act = somebody().issued(issued).at(at);
    let sigstore = Sigstore::new();
    let form = Form::Message(Version::V03);
    assert!(verified(&sigstore.trusted_root(), &act, &sigstore, form).is_err());
}
