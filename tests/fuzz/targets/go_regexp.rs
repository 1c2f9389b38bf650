//! Regular expressions: what is accepted keeps its meaning within a group and beside itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vouchsafe::go_regexp::GoRegexp;

fuzz_target!(|text: &str| {
    let (pattern, subject) = text.split_once('\0').unwrap_or((text, "dev@example.com"));
    let Ok(regexp) = GoRegexp::new(pattern) else {
        return;
    };
    let found = regexp.is_match(subject);
    // Names of groups must not stand twice, and an open quotation reaches to the end.
    if pattern.contains("<") || pattern.contains(r"\Q") {
        return;
    }
    for same in [
        format!("(?:{pattern})"),
        format!("(?:{pattern})|(?:{pattern})"),
    ] {
        if let Ok(same) = GoRegexp::new(&same) {
            assert_eq!(same.is_match(subject), found, "{pattern:?} on {subject:?}");
            assert_eq!(same.is_anchored(), regexp.is_anchored(), "{pattern:?}");
        }
    }
    // What is anchored is asked about the whole text, so asking for the whole text changes nothing.
    if let Ok(whole) = GoRegexp::new(&format!(r"\A(?:{pattern})\z")) {
        assert!(whole.is_anchored());
        assert!(
            found || !whole.is_match(subject),
            "{pattern:?} on {subject:?}"
        );
        if regexp.is_anchored() {
            assert_eq!(whole.is_match(subject), found, "{pattern:?} on {subject:?}");
        }
    }
});
