//! Image references against the recorded answers of `distribution/reference` (what the container runtime would pull) and of
//! go-containerregistry (the names that globs are written for): T-61.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use serde_json::Value;
use vouchsafe::image::{ImageReference, InvalidReference, Repository};

fn rows() -> Option<Vec<Value>> {
    let path = support::vectors::vectors()?.join("go/references.jsonl");
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

fn is_refused(answer: &Value) -> bool {
    answer["error"] == true
}

/// What `distribution` would pull from and as what: a host that its grammar does not know is the first component of its path.
fn pulled_from(answer: &Value) -> String {
    let (domain, path) = (
        answer["domain"].as_str().unwrap(),
        answer["path"].as_str().unwrap(),
    );
    if domain.is_empty() {
        path.to_owned()
    } else {
        format!("{domain}/{path}")
    }
}

#[test]
fn t61_reads_and_refuses_what_distribution_reads_and_refuses() {
    let Some(rows) = rows() else { return };
    assert!(rows.len() > 1_000, "only {} rows", rows.len());
    for row in rows {
        let input = row["input"].as_str().unwrap();
        let expected = &row["distribution"];
        match input.parse::<ImageReference>() {
            Err(error) if !is_refused(expected) => panic!("{input:?} is refused: {error}"),
            Err(_) => {}
            Ok(reference) => {
                assert!(!is_refused(expected), "{input:?} is read as {reference}");
                assert_eq!(
                    reference.to_string(),
                    expected["string"].as_str().unwrap(),
                    "{input:?}"
                );
                assert_eq!(
                    reference.repository().to_string(),
                    pulled_from(expected),
                    "{input:?}"
                );
                assert_eq!(
                    reference.digest().map(ToString::to_string).as_deref(),
                    expected["digest"].as_str(),
                    "{input:?}"
                );
                if let Some(tag) = expected["tag"].as_str() {
                    assert_eq!(
                        reference.tag().map(ToString::to_string).as_deref(),
                        Some(tag),
                        "{input:?}"
                    );
                }
                assert_eq!(reference.written(), input);
            }
        }
    }
}

#[test]
fn matching_name_is_that_of_go_containerregistry_where_both_read_the_same_repository() {
    let Some(rows) = rows() else { return };
    let mut compared = 0;
    for row in rows {
        let (distribution, ggcr) = (&row["distribution"], &row["ggcr"]);
        if is_refused(distribution) || is_refused(ggcr) {
            continue;
        }
        let reference: ImageReference = row["input"].as_str().unwrap().parse().unwrap();
        let (registry, repository) = (
            ggcr["registry"].as_str().unwrap(),
            ggcr["repository"].as_str().unwrap(),
        );
        if reference.repository().matching_name() != format!("{registry}/{repository}") {
            assert_eq!(
                reference.repository().registry(),
                "localhost",
                "{}",
                row["input"]
            );
            continue;
        }
        compared += 1;
        assert_eq!(
            reference.matching_name(),
            ggcr["name"].as_str().unwrap(),
            "{}",
            row["input"]
        );
    }
    assert!(compared > 200, "only {compared} compared");
}

#[test]
fn repository_is_read_from_the_references_that_have_neither_tag_nor_digest() {
    let Some(rows) = rows() else { return };
    for row in rows {
        let input = row["input"].as_str().unwrap();
        let Ok(reference) = input.parse::<ImageReference>() else {
            assert!(Repository::parse(input).is_err(), "{input:?}");
            continue;
        };
        let is_plain = reference.tag().is_none() && reference.digest().is_none();
        match Repository::parse(input) {
            Ok(repository) => assert!(
                is_plain && repository == *reference.repository(),
                "{input:?}"
            ),
            Err(error) => assert!(
                !is_plain && matches!(error, InvalidReference::NotARepository { .. }),
                "{input:?}: {error}"
            ),
        }
    }
}
