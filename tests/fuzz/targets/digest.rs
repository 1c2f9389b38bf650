//! Digests: exactly one spelling, and tags made of them are tags.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vouchsafe::image::Digest;

fuzz_target!(|text: &str| {
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
        assert_eq!(digest.hex().len(), digest.algorithm().hex_len());
        assert_eq!(digest.as_bytes().len() * 2, digest.algorithm().hex_len());
    }
    let (prefix, suffix) = text.split_once('\n').unwrap_or((text, "sig"));
    if let Ok(tag) = Digest::sha256_of(b"image").tag_with_suffix(prefix, suffix) {
        let tag = tag.as_str();
        assert!(
            tag.len() <= 128 && !tag.contains(['/', ':', '@', '\n', '\0']),
            "{tag}"
        );
    }
});
