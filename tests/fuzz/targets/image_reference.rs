//! References: what is accepted is short, reads back as itself, and is pinned to what it is pinned to.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vouchsafe::image::{Digest, ImageReference};

fuzz_target!(|text: &str| {
    let Ok(reference) = text.parse::<ImageReference>() else {
        return;
    };
    assert!(text.len() <= ImageReference::MAX_BYTES);
    assert_eq!(reference.written(), text);
    let shown = reference.to_string();
    // The canonical form may be longer than what is read.
    if shown.len() <= ImageReference::MAX_BYTES {
        let again: ImageReference = shown.parse().expect("the canonical form is a reference");
        assert_eq!(again, reference);
        assert_eq!(again.matching_name(), reference.matching_name());
        assert_eq!(again.to_string(), shown);
    }
    let digest = Digest::sha256_of(text.as_bytes());
    let pinned = reference.pinned_spelling(&digest);
    if let Ok(again) = pinned.parse::<ImageReference>() {
        assert_eq!(again.digest(), Some(reference.digest().unwrap_or(&digest)));
        assert_eq!(again.repository(), reference.repository());
        assert_eq!(again.pinned_spelling(&Digest::sha256_of(b"other")), pinned);
    } else {
        assert!(pinned.len() > ImageReference::MAX_BYTES, "{pinned}");
    }
});
