//! Regular expressions against the recorded answers of Go's `regexp`: T-19.

mod support;

use serde_json::Value;
use vouchsafe::go_regexp::GoRegexp;

#[test]
fn answers_as_go_does_on_every_recorded_row() {
    let Some(folder) = support::vectors::vectors() else {
        return;
    };
    let path = folder.join("go/regexes.jsonl");
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut refused, mut compared) = (0, 0);
    for row in text.lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        let pattern = row["pattern"].as_str().unwrap();
        let Some(matches) = row["matches"].as_object() else {
            assert!(GoRegexp::new(pattern).is_err(), "{pattern} is accepted");
            refused += 1;
            continue;
        };
        let regexp = GoRegexp::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        for (text, expected) in matches {
            assert_eq!(
                regexp.is_match(text),
                expected.as_bool().unwrap(),
                "{pattern} on {text:?}"
            );
            compared += 1;
        }
    }
    assert!(refused > 10 && compared > 1_000, "{refused}, {compared}");
}
