//! `vouchsafe test`: exit codes, what is printed, and files of cases that are wrong.

use std::path::{Path, PathBuf};

use insta::assert_snapshot;
use quick_junit::{Report, TestCaseStatus};
use rstest::rstest;
use tempfile::TempDir;

use crate::desk::{release, stranger};
use crate::support::command::{Ended, vouchsafe};
use crate::support::policy_text::{attested, built_by_chains};

/// Provenance of a builder.
fn statement(builder: &str) -> String {
    format!(
        r#"{{"_type": "https://in-toto.io/Statement/v0.1", "subject": [{{"name": "a", "digest": {{"sha256": "00"}}}}], "predicateType": "https://slsa.dev/provenance/v0.2", "predicate": {{"builder": {{"id": "{builder}"}}}}}}"#
    )
}

/// A folder with a policy about a builder and two statements.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(TempDir::new().unwrap());
        folder.file("policy.yaml", built_by_chains("built", &release()));
        folder.file("good.statement", statement("https://tekton.dev/chains/v2"));
        folder.file("bad.statement", statement("https://builder.example"));
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str, text: impl AsRef<str>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text.as_ref()).unwrap();
        path
    }

    /// `test` over this file of cases.
    fn test(&self, cases: &str) -> Ended {
        self.file("vouchsafe-test.yaml", cases);
        self.run(&[])
    }

    fn run(&self, flags: &[&str]) -> Ended {
        let mut arguments = vec!["test"];
        arguments.extend(flags);
        arguments.push(self.path().to_str().unwrap());
        vouchsafe(arguments).end()
    }

    fn redacted(&self, text: &str) -> String {
        text.replace(self.path().to_str().unwrap(), "[folder]")
    }
}

const GOOD: &str = "  - {name: ours is admitted, statement: good.statement, verdict: admit}\n";
const BAD: &str = "  - {name: theirs is denied, statement: bad.statement, verdict: deny, reason: policy-denied, message: built by https://builder.example}\n";
const WRONG: &str =
    "  - {name: theirs is admitted, statement: bad.statement, verdict: admit, message: welcome}\n";
const NO_FILE: &str = "  - {name: nothing there, statement: lost.statement, verdict: admit}\n";

#[rstest]
#[case::all_pass(&[GOOD, BAD], 0)]
#[case::one_fails(&[GOOD, WRONG, BAD], 1)]
#[case::one_cannot_be_run(&[GOOD, WRONG, NO_FILE], 2)]
fn the_exit_code_is_that_of_the_worst_case(#[case] cases: &[&str], #[case] code: i32) {
    let folder = Folder::new();
    let ended = folder.test(&format!("cases:\n{}", cases.concat()));
    assert_eq!(ended.code, code, "{ended:?}");
    assert_eq!(ended.stderr, "");
    assert!(ended.stdout.contains(&format!("{} cases: ", cases.len())));
}

#[test]
fn what_is_printed_reads_well() {
    let folder = Folder::new();
    folder.file(
        "deeper/vouchsafe-test.yaml",
        "cases:\n  - {name: n, imagge: a, verdict: deny}\n",
    );
    folder.file("vouchsafe-evidence/vouchsafe-test.yaml", "not looked at");
    folder.file(".git/vouchsafe-test.yaml", "not looked at");
    let image = "  - name: an image without evidence\n    image: registry.example.com/shop/cart:1.4\n    verdict: deny\n    reason: unsigned\n";
    let ended = folder.test(&format!("cases:\n{GOOD}{WRONG}{NO_FILE}{image}"));
    assert_eq!((ended.code, ended.stderr.as_str()), (2, ""));
    assert_snapshot!("test_text", folder.redacted(&ended.stdout));
}

#[test]
fn a_filter_leaves_the_other_cases_out() {
    let folder = Folder::new();
    folder.file("vouchsafe-test.yaml", format!("cases:\n{GOOD}{WRONG}"));
    folder.file(
        "other/vouchsafe-test.yaml",
        format!("cases:\n{}", WRONG.replace("bad", "../bad")),
    );
    let ended = folder.run(&["--filter", "ours"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.contains("1 case: 1 passed"), "{ended:?}");
    assert!(!ended.stdout.contains("other"), "{ended:?}");
    let by_path = folder.run(&["--filter", "other/"]);
    assert!(by_path.stdout.contains("1 case: "), "{by_path:?}");
    let nothing = folder.run(&["--filter", "nobody"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (2, ""));
    assert!(nothing.stderr.contains("\"nobody\""), "{nothing:?}");
}

#[test]
fn where_there_is_no_case_that_is_said() {
    let folder = Folder::new();
    let ended = folder.run(&[]);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
    assert!(ended.stderr.contains("no case found in"), "{ended:?}");
    assert!(ended.stderr.contains("vouchsafe test --help"), "{ended:?}");
    let ended = vouchsafe(["test", "/nowhere/at/all"]).end();
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("/nowhere/at/all"), "{ended:?}");
}

#[rstest]
#[case::unknown_field(
    "cases:\n  - name: n\n    image: a\n    verdict: deny\n    reasn: unsigned\n",
    "line 5, column 5"
)]
#[case::unknown_verdict("cases:\n  - {name: n, image: a, verdict: maybe}\n", "line 2")]
#[case::nothing_to_judge(
    "cases:\n  - {name: n, verdict: deny}\n",
    "needs image, statement or input"
)]
#[case::no_yaml("cases: [", "line 1")]
#[case::no_cases("cases: []\n", "holds no case")]
#[case::two_documents("cases: []\n---\ncases: []\n", "")]
fn a_file_of_cases_that_is_wrong_is_refused_with_its_place(
    #[case] text: &str,
    #[case] phrase: &str,
) {
    let ended = Folder::new().test(text);
    assert_eq!((ended.code, ended.stderr.as_str()), (2, ""), "{ended:?}");
    assert!(ended.stdout.contains("ERROR"), "{ended:?}");
    assert!(ended.stdout.contains(phrase), "{ended:?}");
}

#[rstest]
#[case::no_policy(
    "policies: [vouchsafe-test.yaml], statement: good.statement",
    "vouchsafe-test.yaml"
)]
#[case::lost_policy("policies: [lost.yaml], statement: good.statement", "lost.yaml")]
#[case::no_such_attestation(
    "attestation: sbom, statement: good.statement",
    "no attestation of these policies"
)]
#[case::another_type(
    "statement: other.statement",
    "is of the type \"https://example.com/x\""
)]
#[case::no_statement("statement: policy.yaml", "cannot be used")]
#[case::no_policy_over_authorities("input: good.statement", "spec.policy")]
#[case::lost_evidence("image: a, evidence: nowhere", "is no recording of evidence")]
#[case::an_odd_kind("image: a, object: {kind: Service}", "runs no images")]
#[case::a_policy_that_does_not_compile(
    "policies: [broken.yaml], statement: good.statement",
    "policy broken cannot be used"
)]
fn a_case_that_cannot_be_run_says_why(#[case] fields: &str, #[case] phrase: &str) {
    let folder = Folder::new();
    let other = statement("a").replace("https://slsa.dev/provenance/v0.2", "https://example.com/x");
    folder.file("other.statement", other);
    let broken = built_by_chains("broken", &release()).replace("isCompliant", "isCompliant(");
    folder.file("elsewhere/unused", "");
    folder.file("broken.yaml", broken);
    let policies = if fields.contains("policies") {
        ""
    } else {
        "policies: [policy.yaml], "
    };
    let ended = folder.test(&format!(
        "cases:\n  - {{name: n, {policies}{fields}, verdict: deny}}\n"
    ));
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stdout.contains("ERROR n"), "{ended:?}");
    assert!(ended.stdout.contains(phrase), "{ended:?}");
}

#[test]
fn statements_are_given_to_every_attestation_of_their_type() {
    let folder = Folder::new();
    let other = attested(
        "second",
        &stranger(),
        "package sigstore\nisCompliant { input.predicate.builder.id == \"https://builder.example\" }\n",
    );
    folder.file("second.yaml", other);
    let ended = folder.test(
        "cases:
  - {name: one refuses, statement: good.statement, verdict: deny}
  - {name: the other refuses, statement: bad.statement, verdict: deny, message: 'policy built, authority'}
  - {name: any of its type is enough, statements: [bad.statement, good.statement], verdict: admit}
",
    );
    assert_eq!(ended.code, 0, "{}", ended.stdout);
}

#[test]
fn input_is_given_to_the_policy_over_what_authorities_found() {
    let folder = Folder::new();
    let policy = "apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: two-signers}
spec:
  images: [{glob: '**'}]
  authorities: [{name: any, static: {action: pass}}]
  policy:
    type: rego
    data: |
      package sigstore
      isCompliant { count(input.authorityMatches) >= 2 }
";
    folder.file("two.yaml", policy);
    folder.file("two.input", r#"{"authorityMatches": {"a": {}, "b": {}}}"#);
    folder.file("one.input", r#"{"authorityMatches": {"a": {}}}"#);
    let ended = folder.test(
        "cases:
  - {name: two are enough, policies: [two.yaml], input: two.input, verdict: admit}
  - {name: one is not, policies: [two.yaml], input: one.input, verdict: deny, reason: policy-denied}
",
    );
    assert_eq!(ended.code, 0, "{}", ended.stdout);
}

#[test]
fn the_junit_report_is_well_formed_and_complete() {
    let folder = Folder::new();
    folder.file("deeper/vouchsafe-test.yaml", "cases: [");
    let odd = "  - {name: \"odd <&> \\\"name\\\"\", statement: bad.statement, verdict: admit}\n";
    folder.file(
        "vouchsafe-test.yaml",
        format!("cases:\n{GOOD}{odd}{NO_FILE}"),
    );
    let junit = folder.path().join("report.xml");
    let ended = folder.run(&["--junit", junit.to_str().unwrap()]);
    assert_eq!(ended.code, 2, "{ended:?}");
    let xml = std::fs::read_to_string(junit).unwrap();
    let report = Report::deserialize_from_str(&xml).unwrap();
    assert_eq!((report.tests, report.failures, report.errors), (4, 1, 2));
    let suite = &report.test_suites[1];
    assert!(suite.name.as_str().ends_with("vouchsafe-test.yaml"));
    let names: Vec<&str> = suite
        .test_cases
        .iter()
        .map(|case| case.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["ours is admitted", "odd <&> \"name\"", "nothing there"]
    );
    let TestCaseStatus::NonSuccess {
        message,
        description,
        ..
    } = &suite.test_cases[1].status
    else {
        panic!("{xml}")
    };
    assert!(
        message
            .as_ref()
            .unwrap()
            .as_str()
            .contains("expected admit, found deny"),
        "{xml}"
    );
    assert!(
        description
            .as_ref()
            .unwrap()
            .as_str()
            .contains("built by https://builder.example")
    );
}

#[test]
fn a_report_that_cannot_be_written_is_an_error() {
    let folder = Folder::new();
    folder.file("vouchsafe-test.yaml", format!("cases:\n{GOOD}"));
    let ended = folder.run(&["--junit", "/nowhere/at/all.xml"]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("/nowhere/at/all.xml"), "{ended:?}");
}

#[test]
fn without_a_path_it_is_the_folder_we_are_in() {
    let folder = Folder::new();
    folder.file("vouchsafe-test.yaml", format!("cases:\n{GOOD}"));
    let output = crate::support::command::bare(folder.path())
        .arg("test")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        stdout.starts_with("vouchsafe-test.yaml\n  ok    ours is admitted\n"),
        "{stdout}"
    );
}

/// What is shown to readers can be copied.
#[test]
fn the_cases_in_the_documentation_are_cases() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/test.md")).unwrap();
    let lines = text.lines().skip_while(|line| *line != "    cases:");
    let block: Vec<&str> = lines.map_while(|line| line.strip_prefix("    ")).collect();
    let cases = vouchsafe::cases::read(&block.join("\n")).unwrap();
    assert_eq!(cases.len(), 4);
}
