//! `TrustRoot`s: what is read is written again as it was.

use libfuzzer_sys::fuzz_target;
use vouchsafe::api::decode_trust_root;
use vouchsafe::apply::check_trust_root;
use vouchsafe::limits::json::parse_strict;

fuzz_target!(|bytes: &[u8]| {
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
