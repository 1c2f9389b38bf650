//! What became of all cases: for people, and as JUnit's XML for machines.

use std::path::PathBuf;
use std::time::Duration;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use crate::app::cases::Ended;
use crate::cli::output::LINE_BYTES;
use crate::explain::printable_line;

/// What became of the cases of one file.
pub(super) struct FileReport {
    pub(super) path: PathBuf,
    /// Its cases in their order, or why it holds none.
    pub(super) cases: Result<Vec<CaseReport>, String>,
}

/// What became of one case.
pub(super) struct CaseReport {
    pub(super) name: String,
    pub(super) line: u64,
    pub(super) ended: Ended,
    pub(super) took: Duration,
}

/// How many cases ended how.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) passed: usize,
    pub(super) failed: usize,
    /// Cases that could not be run, and files that could not be read.
    pub(super) broken: usize,
}

// === impl Counts ===

impl Counts {
    pub(super) fn of(files: &[FileReport]) -> Self {
        let mut counts = Self::default();
        for file in files {
            match &file.cases {
                Err(_) => counts.broken += 1,
                Ok(cases) => cases.iter().for_each(|case| match case.ended {
                    Ended::Passed => counts.passed += 1,
                    Ended::Failed { .. } => counts.failed += 1,
                    Ended::Broken(_) => counts.broken += 1,
                }),
            }
        }
        counts
    }

    /// `14 cases: 12 passed, 1 failed, 1 could not be run`.
    pub(super) fn summary(self) -> String {
        let all = self.passed + self.failed + self.broken;
        let noun = if all == 1 { "case" } else { "cases" };
        let told: Vec<String> = [
            (self.passed, "passed"),
            (self.failed, "failed"),
            (self.broken, "could not be run"),
        ]
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        format!("{all} {noun}: {}\n", told.join(", "))
    }
}

// === for people ===

/// The file and one line for each of its cases; below a case that did not pass, why.
pub(super) fn text(file: &FileReport, color: bool) -> String {
    let cases = match &file.cases {
        Err(why) => {
            let why = printable_line(why, LINE_BYTES);
            format!("  {} {why}\n", word("ERROR", color))
        }
        Ok(cases) => {
            let texts: Vec<String> = cases.iter().map(|case| case_text(case, color)).collect();
            texts.concat()
        }
    };
    format!("{}\n{cases}", file.path.display())
}

fn case_text(case: &CaseReport, color: bool) -> String {
    let (status, place) = match case.ended {
        Ended::Passed => ("ok", String::new()),
        Ended::Failed { .. } => ("FAIL", format!(" (line {})", case.line)),
        Ended::Broken(_) => ("ERROR", format!(" (line {})", case.line)),
    };
    let status = word(status, color);
    let name = printable_line(&case.name, LINE_BYTES);
    format!("  {status} {name}{place}\n{}", why(&case.ended))
}

/// Why a case did not pass, indented.
fn why(ended: &Ended) -> String {
    let lines: Vec<String> = match ended {
        Ended::Passed => Vec::new(),
        Ended::Broken(why) => why
            .lines()
            .map(|line| printable_line(line, LINE_BYTES))
            .collect(),
        Ended::Failed {
            differences,
            complaints,
            explained,
        } => {
            let differences = differences.iter().map(|difference| {
                format!(
                    "{:<8} expected {}, found {}",
                    difference.what, difference.expected, difference.found
                )
            });
            let refused = complaints
                .iter()
                .map(|complaint| format!("evidence {}", printable_line(complaint, LINE_BYTES)));
            let next = (!complaints.is_empty()).then(|| {
                "         what is asked is not what was recorded: record it anew with vouchsafe verify --record"
                    .to_owned()
            });
            let explained = explained.lines().map(str::to_owned);
            differences
                .chain(refused)
                .chain(next)
                .chain(explained)
                .collect()
        }
    };
    let indented: Vec<String> = lines
        .iter()
        .map(|line| format!("        {line}\n"))
        .collect();
    indented.concat()
}

/// The status in its column.
fn word(status: &str, color: bool) -> String {
    let code = match status {
        "ok" => 32,
        "FAIL" => 31,
        _ => 35,
    };
    if color {
        format!("\u{1b}[{code}m{status:<5}\u{1b}[0m")
    } else {
        format!("{status:<5}")
    }
}

// === for machines ===

/// A suite for each file, a test for each case.
pub(super) fn junit(files: &[FileReport]) -> quick_junit::Report {
    let mut report = quick_junit::Report::new("vouchsafe test");
    report.add_test_suites(files.iter().map(suite));
    report
}

fn suite(file: &FileReport) -> TestSuite {
    let name = file.path.display().to_string();
    let mut suite = TestSuite::new(name.clone());
    match &file.cases {
        Ok(cases) => {
            suite.add_test_cases(cases.iter().map(|case| {
                let mut test = TestCase::new(case.name.clone(), status(&case.ended));
                test.set_classname(name.clone()).set_time(case.took);
                test
            }));
        }
        Err(why) => {
            let mut test = TestCase::new("the file can be read", error(why));
            test.set_classname(name);
            suite.add_test_case(test);
        }
    }
    suite
}

fn status(ended: &Ended) -> TestCaseStatus {
    match ended {
        Ended::Passed => TestCaseStatus::success(),
        Ended::Broken(why) => error(why),
        Ended::Failed { .. } => {
            let why = why(ended);
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let first = why.lines().next().unwrap_or_default().trim().to_owned();
            status.set_message(first).set_description(why);
            status
        }
    }
}

fn error(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_message(why);
    status
}
