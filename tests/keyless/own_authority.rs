//! A certificate authority of one's own (`ca-cert`): by its certificates, or by its key alone.

use rstest::rstest;
use serde_json::{Value, json};
use vouchsafe::verdict::Reason;

use crate::sigstore::{Form, Setup, Sigstore, Trusted, certificate};
use crate::stage::{SIGNATURES, Stage, keyless, release, wanting};

/// What a policy says of its authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Certificates,
    /// The key of whoever signs the signers' certificates.
    Key,
}

// === impl Said ===

impl Said {
    fn of(self, sigstore: &Sigstore) -> String {
        match self {
            Self::Certificates => {
                let chain = sigstore.ca.chain();
                chain.iter().map(|der| certificate::pem(der)).collect()
            }
            Self::Key => sigstore.ca.issuing().key.pem(),
        }
    }
}

fn trusting(pem: &str) -> Value {
    let mut authority = keyless();
    let keyless = authority["keyless"].as_object_mut().unwrap();
    keyless.remove("url");
    keyless.insert("ca-cert".to_owned(), json!({"data": pem}));
    authority
}

/// The root has logs and no authority: whoever issues is said by the policy.
#[rstest]
#[tokio::test]
async fn an_authority_of_ones_own_takes_the_place_of_the_roots(
    #[values(Said::Certificates, Said::Key)] said: Said,
    #[values(true, false)] has_intermediate: bool,
) {
    let stage = Stage::with(Setup {
        intermediate: has_intermediate.then(crate::sigstore::Window::always),
        ..Setup::default()
    })
    .await;
    let root = stage.root().without(Trusted::CertificateAuthorities);
    let (ours, theirs) = (said.of(&stage.sigstore), said.of(&Sigstore::new()));
    for form in SIGNATURES.into_iter().chain([Form::Attestation]) {
        let image = stage.signed(form, &release());
        let authority = wanting(form, &trusting(&ours));
        stage.admits(&image, &authority, &root).await;
        let authority = wanting(form, &trusting(&theirs));
        stage
            .refuses(
                &image,
                &authority,
                &stage.root(),
                Reason::CertificateInvalid,
            )
            .await;
    }
}

/// A key says nothing of names and dates, which are still those of the certificates; and the log of certificates is still asked.
#[tokio::test]
async fn an_authority_known_by_its_key_waives_nothing_else() {
    let stage = Stage::new().await;
    let root = stage.root().without(Trusted::CertificateAuthorities);
    let authority = trusting(&Said::Key.of(&stage.sigstore));
    let late = release().issued(crate::sigstore::time("2025-05-31T12:00:00Z"));
    for (act, reason) in [
        (late, Reason::CertificateInvalid),
        (
            release().lying(crate::sigstore::Lie::NoSct),
            Reason::CertificateInvalid,
        ),
        (
            release().lying(crate::sigstore::Lie::CertificateByAnotherAuthority),
            Reason::CertificateInvalid,
        ),
        (
            crate::sigstore::Act::by(crate::sigstore::Identity::email(
                "stranger@shop.example",
                crate::stage::ISSUER,
            )),
            Reason::IdentityMismatch,
        ),
    ] {
        for form in SIGNATURES {
            let image = stage.signed(form, &act);
            stage.refuses(&image, &authority, &root, reason).await;
        }
    }
}
