//! Annotations of a layer: certificates, a log entry and a timestamp, each ended by a zero byte.

#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use vouchsafe::evidence::{EvidenceLayer, Format, simple_signing};

const NAMES: [&str; 4] = [
    "dev.sigstore.cosign/certificate",
    "dev.sigstore.cosign/chain",
    "dev.sigstore.cosign/bundle",
    "dev.sigstore.cosign/rfc3161timestamp",
];

fuzz_target!(|bytes: &[u8]| {
    let texts = bytes.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let annotations: HashMap<String, String> = NAMES
        .into_iter()
        .zip(texts)
        .map(|(name, text)| (name.to_owned(), text.into_owned()))
        .collect();
    let is_there = |name: &str| {
        annotations
            .get(name)
            .is_some_and(|text| !text.trim().is_empty())
    };
    let layer = EvidenceLayer {
        format: Format::SignatureTag,
        digest: format!("sha256:{}", "0".repeat(64))
            .parse()
            .expect("a digest"),
        size: 0,
        annotations: annotations.clone(),
    };
    let read = || simple_signing::decode(&layer, Vec::new().into()).material;
    let Ok(material) = read() else {
        return;
    };
    assert!(material.certificates.len() <= 16);
    assert_eq!(!material.certificates.is_empty(), is_there(NAMES[0]));
    assert_eq!(material.entries.len(), usize::from(is_there(NAMES[2])));
    assert_eq!(material.timestamps.len(), usize::from(is_there(NAMES[3])));
    for certificate in &material.certificates {
        // A sequence, whole: tag, length, and as many bytes.
        assert_eq!(certificate.as_bytes().first(), Some(&0x30));
    }
    assert_eq!(read(), Ok(material));
});
