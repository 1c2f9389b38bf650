//! Who: issuers and subjects, exact and by pattern, of every kind of name; and what is no identity.

use rstest::rstest;
use serde_json::{Value, json};
use vouchsafe::verdict::{Judgement, Reason};

use crate::sigstore::{Act, Algorithm, Form, Identity, Key, San, Subject, Version};
use crate::stage::{
    ISSUER, PROVENANCE, SIGNATURES, Stage, WHO, keyless, keyless_of, predicate, provenance,
    release, wanting,
};

const WORKFLOW: &str =
    "https://github.com/shop/cart/.github/workflows/release.yml@refs/tags/v1.4.0";
const GITHUB: &str = "https://token.actions.githubusercontent.com";

fn workflow() -> Act {
    Act::by(Identity::workflow(
        "shop/cart",
        "release.yml",
        "refs/tags/v1.4.0",
    ))
}

/// T-09: each field of an identity, right and wrong, alone.
#[rstest]
#[case(json!({"issuer": ISSUER, "subject": WHO}), true)]
#[case(json!({"issuer": "https://accounts.example/", "subject": WHO}), false)]
#[case(json!({"issuer": "https://accounts.exampl", "subject": WHO}), false)]
#[case(json!({"issuer": "HTTPS://accounts.example", "subject": WHO}), false)]
#[case(json!({"issuer": ISSUER, "subject": "release@shop.exampl"}), false)]
#[case(json!({"issuer": ISSUER, "subject": "release@shop.example "}), false)]
#[case(json!({"issuer": ISSUER, "subject": "Release@shop.example"}), false)]
#[case(json!({"issuer": ISSUER, "subject": "release"}), false)]
#[case(json!({"issuer": WHO, "subject": ISSUER}), false)]
#[case(json!({"issuerRegExp": r"^https://accounts\.example$", "subject": WHO}), true)]
#[case(json!({"issuerRegExp": r"^https://accounts\.elsewhere$", "subject": WHO}), false)]
#[case(json!({"issuer": ISSUER, "subjectRegExp": r"^[a-z]+@shop\.example$"}), true)]
#[case(json!({"issuer": ISSUER, "subjectRegExp": r"^[0-9]+@shop\.example$"}), false)]
#[case(json!({"issuerRegExp": r"^https://accounts\.example$", "subjectRegExp": r"^release@"}), true)]
#[case(json!({"issuerRegExp": r"^https://other\.example$", "subjectRegExp": r"^release@"}), false)]
#[case(json!({"issuerRegExp": r"^https://accounts\.example$", "subjectRegExp": r"^other@"}), false)]
// As policy-controller has it, a pattern that is not anchored is searched for.
#[case(json!({"issuer": ISSUER, "subjectRegExp": "shop"}), true)]
#[tokio::test]
async fn t09_every_field_of_an_identity_decides(#[case] identity: Value, #[case] is_them: bool) {
    let stage = Stage::new().await;
    let (root, authority) = (stage.root(), keyless_of(&json!([identity])));
    for form in SIGNATURES.into_iter().chain([Form::Attestation]) {
        let image = stage.signed(form, &release());
        let authority = wanting(form, &authority);
        if is_them {
            stage.admits(&image, &authority, &root).await;
        } else {
            stage
                .refuses(&image, &authority, &root, Reason::IdentityMismatch)
                .await;
        }
    }
}

/// T-41: a pattern that its author anchored is not matched by a longer name.
#[tokio::test]
async fn t41_a_name_around_the_right_one_is_another_name() {
    let stage = Stage::new().await;
    let root = stage.root();
    let pattern = json!([{"issuer": ISSUER, "subjectRegExp": r"^release@shop\.example$"}]);
    for name in [
        "release@shop.example.evil.example",
        "evil+release@shop.example",
        "release@shopXexample",
        "release@shop.example\n",
    ] {
        let image = stage.signed(Form::Signature, &Act::by(Identity::email(name, ISSUER)));
        let authority = keyless_of(&pattern);
        stage
            .refuses(&image, &authority, &root, Reason::IdentityMismatch)
            .await;
    }
}

#[rstest]
#[case(San::Email(WHO.to_owned()), WHO)]
#[case(San::Uri("https://kubernetes.io/namespaces/ci/serviceaccounts/builder".to_owned()), "https://kubernetes.io/namespaces/ci/serviceaccounts/builder")]
#[case(San::Uri("spiffe://shop.example/ns/ci/sa/builder".to_owned()), "spiffe://shop.example/ns/ci/sa/builder")]
#[case(San::OtherName("builder!shop.example".to_owned()), "builder!shop.example")]
#[tokio::test]
async fn every_kind_of_name_is_an_identity(#[case] san: San, #[case] subject: &str) {
    let stage = Stage::new().await;
    let root = stage.root();
    for form in SIGNATURES.into_iter().chain([Form::Attestation]) {
        let image = stage.signed(form, &Act::by(Identity::of(san.clone(), ISSUER)));
        let of = |subject: &str| {
            wanting(
                form,
                &keyless_of(&json!([{"issuer": ISSUER, "subject": subject}])),
            )
        };
        stage.admits(&image, &of(subject), &root).await;
        let other = format!("{subject}x");
        stage
            .refuses(&image, &of(&other), &root, Reason::IdentityMismatch)
            .await;
    }
}

#[tokio::test]
async fn any_of_several_identities_is_enough() {
    let stage = Stage::new().await;
    let root = stage.root();
    let image = stage.signed(Form::Message(Version::V03), &workflow());
    let others = json!([
        {"issuer": ISSUER, "subject": WHO},
        {"issuer": GITHUB, "subjectRegExp": "^https://github.com/shop/other/"},
    ]);
    stage
        .refuses(
            &image,
            &keyless_of(&others),
            &root,
            Reason::IdentityMismatch,
        )
        .await;
    let mut them = others.clone();
    them.as_array_mut()
        .unwrap()
        .push(json!({"issuer": GITHUB, "subject": WORKFLOW}));
    stage.admits(&image, &keyless_of(&them), &root).await;
    // The issuer of one and the subject of another are nobody.
    let halves =
        json!([{"issuer": GITHUB, "subject": WHO}, {"issuer": ISSUER, "subject": WORKFLOW}]);
    stage
        .refuses(
            &image,
            &keyless_of(&halves),
            &root,
            Reason::IdentityMismatch,
        )
        .await;
}

#[tokio::test]
async fn any_of_several_signatures_is_enough() {
    let stage = Stage::new().await;
    let root = stage.root();
    for signers in [
        vec![workflow(), workflow()],
        vec![workflow(), release(), workflow()],
    ] {
        let image = stage.image();
        for signer in &signers {
            stage.attach(&image, Form::Signature, signer);
            stage.attach(&image, Form::Message(Version::V03), signer);
        }
        if signers.len() == 2 {
            stage
                .refuses(&image, &keyless(), &root, Reason::IdentityMismatch)
                .await;
        } else {
            stage.admits(&image, &keyless(), &root).await;
        }
    }
}

/// T-77: nobody is named, so nobody is trusted.
#[tokio::test]
async fn t77_no_identities_never_mean_anybody() {
    let stage = Stage::new().await;
    let root = stage.root();
    let image = stage.signed(Form::Signature, &release());
    for nobody in [
        json!([]),
        Value::Null,
        json!([{}]),
        json!([{"issuer": "", "subject": ""}]),
    ] {
        let authority = keyless_of(&nobody);
        stage
            .refuses(&image, &authority, &root, Reason::PolicyInvalid)
            .await;
    }
    let mut authority = keyless();
    authority["keyless"]
        .as_object_mut()
        .unwrap()
        .remove("identities");
    stage
        .refuses(&image, &authority, &root, Reason::PolicyInvalid)
        .await;
}

/// T-33: a key authority is not satisfied by an identity, nor an identity by a key.
#[tokio::test]
async fn t33_a_key_and_an_identity_do_not_stand_for_each_other() {
    let stage = Stage::new().await;
    let root = stage.root();
    let key = Key::generate(Algorithm::P256);
    let of_key = json!({"name": "k", "key": {"data": key.pem()}});
    for form in SIGNATURES.into_iter().chain([Form::Attestation]) {
        let by_identity = stage.signed(form, &release());
        let by_key = stage.signed(form, &Act::with_key(&key));
        stage
            .admits(&by_identity, &wanting(form, &keyless()), &root)
            .await;
        stage.admits(&by_key, &wanting(form, &of_key), &root).await;
        stage
            .refuses(
                &by_identity,
                &wanting(form, &of_key),
                &root,
                Reason::UntrustedSigner,
            )
            .await;
        let verdict = stage
            .judged(&by_key, &wanting(form, &keyless()), &root)
            .await;
        assert_ne!(verdict.judgement, Judgement::Admit, "{form:?} {verdict:#?}");
    }
}

/// T-44: who built it is told by the certificate; a predicate may say what it likes.
#[tokio::test]
async fn t44_a_predicate_that_names_the_builder_does_not_make_its_signer_the_builder() {
    let stage = Stage::new().await;
    let root = stage.root();
    let stranger = Act::by(Identity::workflow(
        "evil/cart",
        "release.yml",
        "refs/tags/v1.4.0",
    ));
    let authority = provenance(&keyless_of(
        &json!([{"issuer": GITHUB, "subject": WORKFLOW}]),
    ));
    let says_so = json!({"runDetails": {"builder": {"id": WORKFLOW}}});
    for form in [Form::Attestation, Form::Statement(Version::V03)] {
        for (signer, is_them) in [(&stranger, false), (&workflow(), true)] {
            let image = stage.image();
            let subject = Subject::of(&image.bytes).predicate(PROVENANCE, says_so.clone());
            stage.keep(&image, &stage.sigstore.sign(form, &subject, signer));
            if is_them {
                stage.admits(&image, &authority, &root).await;
            } else {
                stage
                    .refuses(&image, &authority, &root, Reason::IdentityMismatch)
                    .await;
            }
        }
    }
}

#[tokio::test]
async fn an_attestation_is_no_signature_of_an_identity_either() {
    let stage = Stage::new().await;
    let root = stage.root();
    let image = stage.image();
    let form = Form::Statement(Version::V03);
    let subject = Subject::of(&image.bytes).predicate(PROVENANCE, predicate());
    stage.keep(&image, &stage.sigstore.sign(form, &subject, &release()));
    let verdict = stage.judged(&image, &keyless(), &root).await;
    assert_ne!(verdict.judgement, Judgement::Admit, "{verdict:#?}");
    stage.admits(&image, &provenance(&keyless()), &root).await;
}

#[rstest]
#[case(Algorithm::P256)]
#[case(Algorithm::P384)]
#[case(Algorithm::Ed25519)]
#[tokio::test]
async fn an_identity_may_use_any_usual_key(#[case] algorithm: Algorithm) {
    let stage = Stage::new().await;
    let root = stage.root();
    for form in [
        Form::Signature,
        Form::Attestation,
        Form::Statement(Version::V03),
    ] {
        let image = stage.signed(form, &release().algorithm(algorithm));
        stage
            .admits(&image, &wanting(form, &keyless()), &root)
            .await;
    }
}
