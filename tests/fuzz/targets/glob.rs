//! Globs against a second, slow implementation: `**` is any run, `*` any run without `/`, the rest is itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vouchsafe::image::{GlobSet, ImageGlob, ImageReference};

fuzz_target!(|text: &str| {
    let Some((glob, reference)) = text.split_once('\n') else {
        return;
    };
    let (Ok(glob), Ok(reference)) = (ImageGlob::new(glob), reference.parse::<ImageReference>())
    else {
        return;
    };
    let set = GlobSet::new(std::slice::from_ref(&glob)).expect("one pattern fits");
    let found = set.matches(&reference);
    let pattern = match glob.as_str() {
        "*" => "index.docker.io/library/*",
        "*/*" => "index.docker.io/*/*",
        written => written,
    };
    let holds = |name: &str| matches(pattern.as_bytes(), name.as_bytes());
    // A name or a spelling that holds is found. What is found in addition comes from another spelling of tag or host.
    if holds(&reference.matching_name()) {
        assert!(
            found.iter().any(|found| !found.only_by_tag),
            "{glob} on {reference}"
        );
    }
    if holds(reference.written()) {
        assert!(!found.is_empty(), "{glob} on {}", reference.written());
    }
    let plain_host = reference.repository().registry();
    let is_plain = plain_host == plain_host.to_lowercase() && !plain_host.contains(':');
    let names = [
        Some(reference.matching_name()),
        Some(reference.written().to_owned()),
        reference.matching_name_with_tag(),
    ];
    if is_plain && !names.iter().flatten().any(|name| holds(name)) {
        assert!(found.is_empty(), "{glob} on {reference}");
    }
    // A pattern means the same among others.
    let others = ["**", "a/b", "index.docker.io/library/*"]
        .map(|glob| ImageGlob::new(glob).expect("a glob"));
    let among: Vec<_> = std::iter::once(glob).chain(others).collect();
    let among = GlobSet::new(&among)
        .expect("four patterns fit")
        .matches(&reference);
    let first: Vec<_> = among.iter().filter(|found| found.index == 0).collect();
    assert_eq!(first, found.iter().collect::<Vec<_>>());
});

fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // reachable[i]: the pattern so far matches the first i bytes.
    let mut reachable = vec![false; text.len() + 1];
    reachable[0] = true;
    let mut rest = pattern;
    while let Some(first) = rest.first() {
        let (crosses, step) = match rest {
            [b'*', b'*', ..] => (Some(true), 2),
            [b'*', ..] => (Some(false), 1),
            _ => (None, 1),
        };
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            next[at] = match crosses {
                None => at > 0 && reachable[at - 1] && text[at - 1] == *first,
                Some(crosses) => {
                    reachable[at] || at > 0 && next[at - 1] && (crosses || text[at - 1] != b'/')
                }
            };
        }
        reachable = next;
        rest = &rest[step..];
    }
    reachable[text.len()]
}
