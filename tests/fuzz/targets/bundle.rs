//! Bundles: one content, one kind of material, one signature.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vouchsafe::evidence::Bundle;

fuzz_target!(|bytes: &[u8]| {
    let Ok((bundle, material)) = Bundle::parse(bytes) else {
        return;
    };
    let value: serde_json::Value = serde_json::from_slice(bytes).expect("a bundle is JSON");
    let is_there = |name: &str| value.get(name).is_some_and(|found| !found.is_null());
    match &bundle {
        Bundle::Message(_) => assert!(is_there("messageSignature") && !is_there("dsseEnvelope")),
        Bundle::Statement(_) => assert!(is_there("dsseEnvelope") && !is_there("messageSignature")),
    }
    let written = value["verificationMaterial"].as_object().expect("material");
    let kinds = ["publicKey", "certificate", "x509CertificateChain"];
    let given = kinds
        .iter()
        .filter(|kind| written.get(**kind).is_some_and(|found| !found.is_null()));
    assert_eq!(given.count(), 1);
    if let Ok(material) = &material {
        let most = material
            .certificates
            .len()
            .max(material.entries.len())
            .max(material.timestamps.len());
        assert!(most <= 16, "{most}");
    }
    assert_eq!(Bundle::parse(bytes), Ok((bundle, material)));
});
