//! Globs against the recorded answers of policy-controller's glob package: T-21, T-55.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use serde_json::Value;
use vouchsafe::image::{GlobSet, ImageGlob, ImageReference};

fn rows() -> Option<Vec<Value>> {
    let path = support::vectors::vectors()?.join("go/globs.jsonl");
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

fn glob(row: &Value) -> &str {
    row["glob"].as_str().unwrap()
}

#[test]
fn refuses_the_patterns_that_policy_controller_refuses_in_its_words() {
    let Some(rows) = rows() else { return };
    for row in rows {
        match (ImageGlob::new(glob(&row)), row["error"].as_str()) {
            (Ok(_), None) => {}
            (Err(error), Some(expected)) => assert_eq!(error.to_string(), expected),
            (ours, theirs) => panic!("{}: {ours:?}, recorded {theirs:?}", row["glob"]),
        }
    }
}

/// The two differences are the documented ones: `localhost/a` is a registry to the container runtime, and a tag beside a digest
/// may add a match that says so.
#[test]
fn matches_what_policy_controller_matches() {
    let Some(rows) = rows() else { return };
    let mut compared = 0;
    for row in rows.iter().filter(|row| row["error"].is_null()) {
        let set = GlobSet::new(&[ImageGlob::new(glob(row)).unwrap()]).unwrap();
        for (image, expected) in row["matches"].as_object().unwrap() {
            let reference: ImageReference = image.parse().unwrap();
            let found = set.matches(&reference);
            let is_localhost = reference.repository().registry() == "localhost";
            match (found.first(), expected.as_bool().unwrap()) {
                (Some(_), true) | (None, false) => compared += 1,
                (Some(by_tag), false) => {
                    assert!(by_tag.only_by_tag, "{} matches {image}", row["glob"]);
                }
                (None, true) => assert!(is_localhost, "{} does not match {image}", row["glob"]),
            }
        }
    }
    assert!(compared > 600, "only {compared} compared");
}

#[test]
fn one_set_of_all_patterns_answers_as_each_pattern_alone() {
    let Some(rows) = rows() else { return };
    let globs: Vec<ImageGlob> = rows
        .iter()
        .filter_map(|row| ImageGlob::new(glob(row)).ok())
        .collect();
    let all = GlobSet::new(&globs).unwrap();
    let alone: Vec<GlobSet> = globs
        .iter()
        .map(|glob| GlobSet::new(std::slice::from_ref(glob)).unwrap())
        .collect();
    for image in rows
        .iter()
        .filter_map(|row| row["matches"].as_object())
        .flat_map(serde_json::Map::keys)
    {
        let reference: ImageReference = image.parse().unwrap();
        let together: Vec<(usize, bool)> = all
            .matches(&reference)
            .iter()
            .map(|found| (found.index, found.only_by_tag))
            .collect();
        let separately: Vec<(usize, bool)> = alone
            .iter()
            .enumerate()
            .flat_map(|(index, set)| {
                set.matches(&reference)
                    .into_iter()
                    .map(move |found| (index, found.only_by_tag))
            })
            .collect();
        assert_eq!(together, separately, "{image}");
    }
}
