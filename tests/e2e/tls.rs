//! A registry over TLS with an authority of its own, which wants a certificate of its clients: all of it said in `registries.yaml`.

use std::path::Path;

use libtest_mimic::Trial;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tempfile::TempDir;

use crate::registries::{Registry, TlsFiles};
use crate::stage::{Cosign, Form, Key, Stage};
use crate::tools::trial;

const COSIGN: Cosign = Cosign::Three;

/// The trials.
pub(crate) fn trials() -> Vec<Trial> {
    let name = "a registry with an authority of its own that wants a client certificate: judges with both, and only with both";
    vec![trial(name, &["crane", "registry", COSIGN.tool()], judged)]
}

fn judged() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("store");
    let files = certificates(folder.path());
    let tls = Registry::over_tls(folder.path(), &store, &files);
    // The signing tools use the same things by the other door.
    let plain = Registry::with_store(folder.path(), &store);
    let (host, door) = (tls.host(), plain.host());
    let stage = Stage::around(folder, plain, COSIGN, Form::Tags);
    let (signed, unsigned) = (stage.image("signed"), stage.image("unsigned"));
    stage.sign(&signed, Key::Release);
    let policy = stage.signed();
    let by_tls = |reference: &str| reference.replace(&door, &host);

    let both = "ca: ca.pem, clientCert: {cert: client.pem, key: client.key}";
    let settings = stage.path("registries.yaml");
    let say = |what: &str| {
        let text = format!("registries: [{{host: \"{host}\", insecure: false, {what}}}]");
        std::fs::write(&settings, text).unwrap();
    };
    let rest = ["--registries", settings.to_str().unwrap()];
    say(both);
    for reference in [&signed.by_tag, &signed.by_digest] {
        let judged = stage.verify_with(&policy, &by_tls(reference), &rest);
        judged.admitted();
    }
    let judged = stage.verify_with(&policy, &by_tls(&unsigned.by_digest), &rest);
    judged.denied("no signatures found");

    for half in [
        "ca: ca.pem",
        "clientCert: {cert: client.pem, key: client.key}",
    ] {
        say(half);
        let judged = stage.verify_with(&policy, &by_tls(&signed.by_digest), &rest);
        judged.unjudged("registry-unreachable");
    }
}

/// An authority, a certificate of the registry and one of ours, in files.
fn certificates(folder: &Path) -> TlsFiles {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let authority_key = KeyPair::generate().unwrap();
    let certificate = authority.self_signed(&authority_key).unwrap();
    std::fs::write(folder.join("ca.pem"), certificate.pem()).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    for (name, usage) in [
        ("server", ExtendedKeyUsagePurpose::ServerAuth),
        ("client", ExtendedKeyUsagePurpose::ClientAuth),
    ] {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
    TlsFiles {
        certificate: folder.join("server.pem"),
        key: folder.join("server.key"),
        authority: folder.join("ca.pem"),
    }
}
