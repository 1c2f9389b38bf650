//! The report for machines and its published schema.

use std::path::Path;
use std::{env, fs};

use serde_json::Value;
use vouchsafe::explain::{Tags, VerifyReport, report, report_schema, warnings};
use vouchsafe::verdict::{Judgement, Mode, Outcome, Reason};

use super::verdicts::*;

#[expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the schema fails"
)]
fn published() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verify.schema.json");
    if env::var_os("VOUCHSAFE_UPDATE_SCHEMA").is_some() {
        let text = serde_json::to_string_pretty(&report_schema()).unwrap();
        fs::write(&path, format!("{text}\n")).unwrap();
    }
    serde_json::from_slice(&fs::read(&path).unwrap()).unwrap()
}

#[test]
fn the_published_schema_is_the_one_of_the_code() {
    assert_eq!(
        published(),
        report_schema(),
        "run the test with VOUCHSAFE_UPDATE_SCHEMA=1 and read the difference"
    );
}

#[test]
fn every_report_is_valid_by_the_published_schema() {
    let validator = jsonschema::validator_for(&published()).unwrap();
    let denied = Reason::ALL.into_iter().filter_map(denied_for);
    for verdict in denied.chain([review(some_images()), review(Vec::new())]) {
        let report =
            serde_json::to_value(report(&verdict, warnings(&verdict, Tags::MayMove))).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&report)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{errors:?}\n{report:#}");
        let read: VerifyReport = serde_json::from_value(report.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), report);
    }
}

#[test]
fn the_schema_refuses_what_is_no_report() {
    let validator = jsonschema::validator_for(&published()).unwrap();
    let verdict = review(some_images());
    let good = serde_json::to_value(report(&verdict, Vec::new())).unwrap();
    for (pointer, bad) in [
        ("/schema", "vouchsafe.verify/v2"),
        ("/verdict", "maybe"),
        ("/images/0/reason", "because"),
    ] {
        let mut report = good.clone();
        *report.pointer_mut(pointer).unwrap() = Value::from(bad);
        assert!(!validator.is_valid(&report), "{pointer}");
    }
}

#[test]
fn words_in_json_are_the_words_everywhere() {
    for reason in Reason::ALL {
        assert_eq!(
            serde_json::from_value::<Reason>(Value::from(reason.as_str())).unwrap(),
            reason
        );
    }
    for judgement in [
        Judgement::Admit,
        Judgement::Warn,
        Judgement::Unknown,
        Judgement::Deny,
    ] {
        assert_eq!(serde_json::to_value(judgement).unwrap(), judgement.as_str());
    }
    for outcome in [Outcome::Satisfied, Outcome::Violated, Outcome::Unknown] {
        assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.as_str());
    }
    for mode in [Mode::Enforce, Mode::Warn] {
        assert_eq!(serde_json::to_value(mode).unwrap(), mode.as_str());
    }
}
