//! Public keys: the first block counts, whatever follows it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vouchsafe::verify::{HashAlgorithm, PublicKey};

fuzz_target!(|text: &str| {
    let Ok(key) = PublicKey::from_pem(text) else {
        return;
    };
    let followed = format!("{text}\n-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
    if let Ok(again) = PublicKey::from_pem(&followed) {
        assert_eq!(again.fingerprint(), key.fingerprint());
    }
    for hash in HashAlgorithm::ALL {
        if let Ok(again) = PublicKey::from_pem_with_hash(text, hash) {
            assert_eq!(again.fingerprint(), key.fingerprint());
            assert_eq!(again.hash_algorithm(), Some(hash));
        }
    }
});
