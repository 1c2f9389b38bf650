//! Trust: a `TrustRoot` is written again as it was read; a `trusted_root.json` or certificates have one epoch.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vouchsafe::api::decode_trust_root;
use vouchsafe::apply::check_trust_root;
use vouchsafe::limits::json::parse_strict;
use vouchsafe::trust::TrustMaterial;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(root) = TrustMaterial::from_trusted_root_json(bytes) {
        let again = TrustMaterial::from_trusted_root_json(bytes).expect("it was read before");
        assert!(again.epoch() == root.epoch());
        assert!(root.epoch() != TrustMaterial::keys_only().epoch());
    }
    if let Ok(pem) = std::str::from_utf8(bytes) {
        let _ = TrustMaterial::from_certificate_authority_pem(pem);
    }
    let Ok(value) = parse_strict(bytes, 64) else {
        return;
    };
    let Ok(root) = decode_trust_root(value) else {
        return;
    };
    let written = serde_json::to_value(&root).expect("a TrustRoot is JSON");
    assert_eq!(decode_trust_root(written).as_ref(), Ok(&root));
    for finding in check_trust_root(&root) {
        assert!(!finding.problem.to_string().is_empty());
    }
});
