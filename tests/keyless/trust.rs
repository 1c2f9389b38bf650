//! Whom: roots that are wrong, roots that change, chains that are too long, and evidence that would have us ask somebody.

use serde_json::json;
use vouchsafe::trust::TrustMaterial;
use vouchsafe::verdict::Judgement;

use crate::sigstore::{Act, Algorithm, Form, Logged, Setup, Sigstore, Trusted, Version, Window};
use crate::stage::{SIGNATURES, Stage, and, keyless, release, wanting};

#[tokio::test]
async fn another_root_is_another_world() {
    let stage = Stage::new().await;
    let theirs = Sigstore::new().trusted_root();
    for form in SIGNATURES.into_iter().chain([Form::Attestation]) {
        let image = stage.signed(form, &release());
        let authority = wanting(form, &keyless());
        stage.admits(&image, &authority, &stage.root()).await;
        let verdict = stage.judged(&image, &authority, &theirs).await;
        assert_ne!(verdict.judgement, Judgement::Admit, "{form:?} {verdict:#?}");
    }
}

/// Each kind of authority is needed, and none stands for another.
#[tokio::test]
async fn a_root_that_lacks_an_authority_proves_nothing() {
    let stage = Stage::new().await;
    let theirs = Sigstore::new().trusted_root();
    for form in SIGNATURES.into_iter().chain([Form::Attestation]) {
        let authority = wanting(form, &keyless());
        let image = stage.signed(form, &release());
        for trusted in [
            Trusted::CertificateAuthorities,
            Trusted::CtLogs,
            Trusted::Logs,
        ] {
            // Replaced, not only missing: without logs a root asks for something else.
            let foreign = stage.root().without(trusted).and(trusted, &theirs);
            let verdict = stage.judged(&image, &authority, &foreign).await;
            assert_ne!(
                verdict.judgement,
                Judgement::Admit,
                "{form:?} {trusted:?} {verdict:#?}"
            );
        }
    }
}

#[tokio::test]
async fn an_sct_may_be_waived_by_the_policy_alone() {
    let stage = Stage::new().await;
    let root = stage.root().without(Trusted::CtLogs);
    let mut waived = keyless();
    waived["keyless"]["insecureIgnoreSCT"] = json!(true);
    for form in SIGNATURES.into_iter().chain([Form::Attestation]) {
        let image = stage.signed(form, &release().lying(crate::sigstore::Lie::NoSct));
        stage.admits(&image, &wanting(form, &waived), &root).await;
        let verdict = stage
            .judged(&image, &wanting(form, &keyless()), &root)
            .await;
        assert_ne!(verdict.judgement, Judgement::Admit, "{form:?} {verdict:#?}");
    }
}

/// T-72: what was proven under one root is not remembered under the next.
#[tokio::test]
async fn t72_a_root_that_changes_forgets() {
    let stage = Stage::new().await;
    let theirs = Sigstore::new().trusted_root();
    for form in SIGNATURES.into_iter().chain([Form::Attestation]) {
        let image = stage.signed(form, &release());
        let authority = wanting(form, &keyless());
        for _ in 0..2 {
            stage.admits(&image, &authority, &stage.root()).await;
        }
        let without = stage
            .root()
            .without(Trusted::Logs)
            .and(Trusted::Logs, &theirs);
        for root in [&theirs, &without] {
            let verdict = stage.judged(&image, &authority, root).await;
            assert_ne!(verdict.judgement, Judgement::Admit, "{form:?} {verdict:#?}");
        }
        // One authority more changes nothing for what was proven.
        let more = stage.root().and(Trusted::CertificateAuthorities, &theirs);
        stage.admits(&image, &authority, &more).await;
    }
}

/// T-35: a window that ends before it begins, or has no beginning, is no window.
#[test]
fn t35_a_window_that_is_none_spoils_its_root() {
    let sigstore = Sigstore::new();
    let good = sigstore.trusted_root();
    assert!(TrustMaterial::from_trusted_root_json(good.json().as_bytes()).is_ok());
    for trusted in Trusted::ALL {
        let backwards = Window::new("2030-01-01T00:00:00Z", "2020-01-01T00:00:00Z");
        let root = good.clone().within(trusted, backwards);
        assert!(TrustMaterial::from_trusted_root_json(root.json().as_bytes()).is_err());
    }
    for pointer in [
        "/tlogs/0/publicKey/validFor",
        "/certificateAuthorities/0/validFor",
    ] {
        let mut root = good.clone();
        root.value()
            .pointer_mut(pointer)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove("start");
        assert!(TrustMaterial::from_trusted_root_json(root.json().as_bytes()).is_err());
    }
}

/// T-40: nothing in evidence makes us ask anybody but the registry.
#[tokio::test]
async fn t40_a_url_in_evidence_is_not_asked() {
    let stage = Stage::new().await;
    let bait = Stage::new().await;
    let url = bait.registry.url("/api/v1/log/entries");
    let mut root = stage.root();
    for pointer in [
        "/tlogs/0/baseUrl",
        "/ctlogs/0/baseUrl",
        "/certificateAuthorities/0/uri",
    ] {
        *root.value().pointer_mut(pointer).unwrap() = json!(url);
    }
    let mut authority = and(&keyless(), &json!({"ctlog": {"url": url}}));
    authority["keyless"]["url"] = json!(url);
    let who = crate::sigstore::Identity::uri(&url, &url);
    authority["keyless"]["identities"] = json!([{"issuer": url, "subject": url}]);
    for form in SIGNATURES {
        for act in [
            Act::by(who.clone()),
            Act::by(who.clone()).logged(Logged::Nowhere),
        ] {
            let image = stage.signed(form, &act);
            let _either = stage.judged(&image, &authority, &root).await;
        }
    }
    assert_eq!(bait.registry.requests().len(), 0);
}

/// T-57: a chain that somebody made endless costs no more than others, and proves nothing.
#[tokio::test]
async fn t57_a_chain_that_is_too_long_is_no_chain() {
    let stage = Stage::new().await;
    let stranger = Sigstore::new();
    let root = stage.root();
    for form in [
        Form::Signature,
        Form::Attestation,
        Form::Message(Version::V01),
    ] {
        let image = stage.image();
        let act = release().logged(Logged::Promised);
        let mut signed = stranger.sign(form, &image.subject(form), &act);
        if let crate::sigstore::Signer::Certificate(issued) = &mut signed.signer {
            let above = issued.chain.first().unwrap().clone();
            issued.chain = vec![above; 400];
        }
        stage.keep(&image, &signed);
        let started = std::time::Instant::now();
        let verdict = stage
            .judged(&image, &wanting(form, &keyless()), &root)
            .await;
        assert_ne!(verdict.judgement, Judgement::Admit, "{form:?} {verdict:#?}");
        let took = started.elapsed();
        assert!(
            took < std::time::Duration::from_secs(5),
            "{form:?} took {took:?}"
        );
    }
}

#[tokio::test]
async fn an_authority_without_an_intermediate_is_as_good() {
    for (ca, intermediate) in [
        (Algorithm::P256, None),
        (Algorithm::P384, None),
        (Algorithm::P256, Some(Window::always())),
    ] {
        let stage = Stage::with(Setup {
            ca,
            intermediate,
            ..Setup::default()
        })
        .await;
        for form in SIGNATURES.into_iter().chain([Form::Attestation]) {
            let image = stage.signed(form, &release());
            stage
                .admits(&image, &wanting(form, &keyless()), &stage.root())
                .await;
        }
    }
}
