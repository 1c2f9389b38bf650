//! Manifests and lists of referrers: no document is both (T-50), and nothing is listed that is not there.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vouchsafe::adapters::oci::fuzzing::media_type;
use vouchsafe::evidence::image::{ConfigFile, ImageDocument};
use vouchsafe::evidence::manifest::{referring, tagged};
use vouchsafe::evidence::{Format, Referrers, simple_signing};

fuzz_target!(|bytes: &[u8]| {
    let index = Referrers::parse(bytes);
    if let Ok(index) = &index {
        assert!(index.entries.len() <= index.count);
        for entry in &index.entries {
            assert!(entry.weight() > 0);
        }
    }
    let mut layers = referring(bytes).unwrap_or_default();
    for format in [Format::SignatureTag, Format::AttestationTag, Format::Bundle] {
        layers.extend(tagged(format, bytes).unwrap_or_default());
    }
    assert!(
        layers.is_empty() || index.is_err(),
        "a list that has layers"
    );
    for layer in &layers {
        let _ = layer.claims();
        assert!(layer.weight() > 0);
        // What cosign writes beside a signature: certificates, log entries, timestamps.
        let candidate = simple_signing::decode(layer, Default::default());
        if let Ok(material) = &candidate.material {
            let most = material.entries.len().max(material.timestamps.len());
            assert!(material.certificates.len() <= 16 && most <= 1);
        }
    }
    let kinds = [
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
    ];
    let read = kinds.map(|kind| media_type(Some(kind.as_bytes()), bytes));
    if let [Some(_), Some(_)] = read {
        assert!(layers.is_empty() && index.as_ref().map_or(0, |index| index.count) == 0);
    }
    if let Ok(config) = ConfigFile::parse(bytes) {
        assert_eq!(config.json.as_bytes(), bytes);
    }
    if let (Some(kind), Ok(ImageDocument::Index(members))) =
        (&read[1], ImageDocument::parse(kinds[1], bytes))
    {
        assert!(kind == kinds[1] && layers.is_empty(), "{members:?}");
    }
    if let Some(own) = media_type(None, bytes) {
        assert_eq!(
            media_type(Some(own.as_bytes()), bytes).unwrap_or(own.clone()),
            own
        );
    }
});
