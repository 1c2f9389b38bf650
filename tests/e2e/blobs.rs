//! What the tests' own Sigstore makes, before the real cosign: it verifies the good and refuses the bad, offline.
//!
//! The first ring asks another verifier the same (`tests/sigstore.rs`). That two who never met Vouchsafe agree is what the keyless tests
//! stand on.

use std::process::Command;

use libtest_mimic::Trial;

use crate::process;
use crate::sigstore::{
    Act, Form, Identity, Kind, Lie, Logged, Sigstore, Subject, Trusted, Version, bundle,
};
use crate::tools::{path, trial};

const WHO: &str = "release@shop.example";
const ISSUER: &str = "https://accounts.example";
const PREDICATE: &str = "https://slsa.dev/provenance/v1";

/// What is signed, and how.
struct Case {
    name: &'static str,
    form: Form,
    act: fn(Act) -> Act,
}

const CASES: &[Case] = &[
    Case {
        name: "bytes, Rekor v1",
        form: Form::Message(Version::V03),
        act: |act| act,
    },
    Case {
        name: "bytes, Rekor v1 and a stamp",
        form: Form::Message(Version::V03),
        act: Act::stamped,
    },
    Case {
        name: "bytes, Rekor v2 and a stamp",
        form: Form::Message(Version::V03),
        act: |act| act.logged(Logged::V2).stamped(),
    },
    Case {
        name: "bytes, bundle v0.1 with a promise only",
        form: Form::Message(Version::V01),
        act: |act| act.logged(Logged::Promised),
    },
    Case {
        name: "a statement, Rekor v1",
        form: Form::Statement(Version::V03),
        act: |act| act,
    },
    Case {
        name: "a statement, Rekor v1 as intoto 0.0.2",
        form: Form::Statement(Version::V02),
        act: |act| act.kind(Kind::Intoto002),
    },
    Case {
        name: "a statement, Rekor v2 and a stamp",
        form: Form::Statement(Version::V03),
        act: |act| act.logged(Logged::V2).stamped(),
    },
];

pub(crate) fn trials() -> Vec<Trial> {
    let case = |case: &'static Case| {
        let name = format!("our sigstore before cosign: {}", case.name);
        trial(name, &["cosign"], move || play(case))
    };
    CASES.iter().map(case).collect()
}

fn play(case: &Case) {
    let sigstore = Sigstore::new();
    let act = (case.act)(Act::by(Identity::email(WHO, ISSUER)));
    let root = sigstore.trusted_root();
    verify(&sigstore, case.form, &act, &root.json(), WHO).unwrap();

    let stranger = verify(
        &sigstore,
        case.form,
        &act,
        &root.json(),
        "stranger@shop.example",
    );
    assert!(stranger.is_err(), "another identity");
    for trusted in [Trusted::CertificateAuthorities, Trusted::Logs] {
        let less = root.clone().without(trusted).json();
        let said = verify(&sigstore, case.form, &act, &less, WHO);
        assert!(said.is_err(), "without {trusted:?}");
    }
    for lie in [
        Lie::SignatureByAnotherKey,
        Lie::CertificateByAnotherAuthority,
        Lie::SctByAnotherLog,
        Lie::EntryOfAnotherSignature,
        Lie::EntryOfAnotherVerifier,
    ] {
        let said = verify(
            &sigstore,
            case.form,
            &act.clone().lying(lie),
            &root.json(),
            WHO,
        );
        assert!(said.is_err(), "{lie:?}");
    }
}

/// What cosign says, when asked for this identity.
fn verify(sigstore: &Sigstore, form: Form, act: &Act, root: &str, who: &str) -> Result<(), String> {
    let (Form::Message(version) | Form::Statement(version)) = form else {
        panic!("{form:?} is no bundle");
    };
    let subject = Subject::of(b"an artifact").predicate(PREDICATE, serde_json::json!({}));
    let signed = sigstore.sign(form, &subject, act);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let bundle = write(
        "bundle.json",
        bundle(&signed, version).to_string().as_bytes(),
    );
    let (root, artifact) = (
        write("root.json", root.as_bytes()),
        write("artifact", &subject.bytes),
    );
    let mut arguments = match form {
        Form::Statement(_) => vec!["verify-blob-attestation", "--type", PREDICATE],
        _ => vec!["verify-blob"],
    };
    arguments.extend(["--bundle", &bundle, "--trusted-root", &root]);
    arguments.extend([
        "--certificate-identity",
        who,
        "--certificate-oidc-issuer",
        ISSUER,
    ]);
    if !act.stamps.is_empty() {
        arguments.push("--use-signed-timestamps");
    }
    arguments.push(&artifact);
    // A home of its own: nothing that a user configured, and no cache of public trust.
    let done = process::finish(
        Command::new(path("cosign"))
            .args(&arguments)
            .env("HOME", folder.path())
            .env("COSIGN_YES", "true"),
    );
    if done.status.success() {
        Ok(())
    } else {
        Err(done.stderr)
    }
}
