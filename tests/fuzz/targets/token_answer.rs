//! Answers of token services: a token fits into its header and is not kept for ever.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use vouchsafe::adapters::oci::fuzzing::token;

fuzz_target!(|body: &[u8]| {
    let Some((header, life)) = token(body) else {
        return;
    };
    let token = header
        .as_bytes()
        .strip_prefix(b"Bearer ")
        .expect("a bearer token");
    assert!(!token.is_empty() && token.iter().all(u8::is_ascii_graphic));
    assert!(header.is_sensitive());
    assert!(life <= Duration::from_secs(3600));
});
