//! The policies that this project gives away: each folder of `policies/` proves its own cases (`vouchsafe-test.yaml`).
//!
//! A case names policies and one subject: `image`, evidence recorded from a real tool, which takes the whole way through a registry
//! and the command; or `statement`, which the Rego of the policy's attestation is given as it is. `vectors:PATH` is a file in the
//! folder of third-party vectors; without that folder such a case is skipped, and says so.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use support::command::vouchsafe;
use support::registry::RecordedImage;
use support::vectors::vectors;
use vouchsafe::adapters::files::load;
use vouchsafe::demo::registry::Registry;
use vouchsafe::policy::{AuthorityKind, CompiledPolicy, Referents, Wanted, compile};
use vouchsafe::predicate_policy::{Budget, Decision, Program};

/// The name of a file of cases.
const CASES: &str = "vouchsafe-test.yaml";

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    cases: Vec<Case>,
}

/// One case. Paths are relative to the folder of its file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    policies: Vec<PathBuf>,
    image: Option<PathBuf>,
    statement: Option<String>,
    verdict: Verdict,
    reason: Option<String>,
    message: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Admit,
    Deny,
}

/// What a case is about.
enum Subject<'a> {
    Image(&'a Path),
    Statement(&'a str),
}

/// What became of a case.
struct Found {
    verdict: Verdict,
    reason: String,
    messages: String,
}

// === impl Case ===

impl Case {
    fn subject(&self) -> Subject<'_> {
        match (&self.image, &self.statement) {
            (Some(image), None) => Subject::Image(image),
            (None, Some(statement)) => Subject::Statement(statement),
            _ => panic!("{}: a case has either an image or a statement", self.name),
        }
    }

    fn policies(&self, folder: &Path) -> Vec<PathBuf> {
        assert!(!self.policies.is_empty(), "{}: no policies", self.name);
        self.policies
            .iter()
            .map(|policy| folder.join(policy))
            .collect()
    }

    fn check(&self, found: &Found) {
        assert_eq!(
            found.verdict, self.verdict,
            "{}: {}",
            self.name, found.messages
        );
        if let Some(reason) = &self.reason {
            assert_eq!(&found.reason, reason, "{}: {}", self.name, found.messages);
        }
        if let Some(message) = &self.message {
            assert!(
                found.messages.contains(message),
                "{}: {message:?} is not in {}",
                self.name,
                found.messages
            );
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

/// Each folder with its cases, in the order of names.
fn folders() -> Vec<(PathBuf, Vec<Case>)> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    assert!(!folders.is_empty());
    folders
        .into_iter()
        .map(|folder| {
            let path = folder.join(CASES);
            let text = std::fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let file = read(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(!file.cases.is_empty(), "{}: no cases", path.display());
            (folder, file.cases)
        })
        .collect()
}

fn read(text: &str) -> Result<CaseFile, serde_saphyr::Error> {
    serde_saphyr::from_str(text)
}

/// Every file of policies below a folder.
fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(yaml_files(&path));
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml")
            && !path.ends_with(CASES)
        {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn compiled(file: &Path) -> Vec<CompiledPolicy> {
    let documents = load(&[file.to_owned()]).unwrap_or_else(|error| panic!("{error}"));
    assert!(
        !documents.policies.is_empty(),
        "{} has no policy",
        file.display()
    );
    documents
        .policies
        .iter()
        .map(|policy| compile(&policy.value, &Referents::default()))
        .collect()
}

// === cases ===

#[tokio::test(flavor = "multi_thread")]
async fn every_policy_proves_its_cases() {
    for (folder, cases) in folders() {
        for case in &cases {
            println!("{}: {}", folder.file_name().unwrap().display(), case.name);
            let found = match case.subject() {
                Subject::Image(image) => judged(&case.policies(&folder), &folder.join(image)).await,
                Subject::Statement(statement) => {
                    let Some(path) = statement_path(&folder, statement) else {
                        println!("  skipped: it needs the third-party vectors");
                        continue;
                    };
                    evaluated(&case.policies(&folder), &path)
                }
            };
            case.check(&found);
        }
    }
}

/// A recorded image, served and judged by the command.
async fn judged(policies: &[PathBuf], recorded: &Path) -> Found {
    let image = RecordedImage::load(recorded);
    let registry = Registry::bind(image.store, "127.0.0.1:0").await.unwrap();
    let reference = format!("{}/{}:v1", registry.host(), image.repository);
    let policies = policies
        .iter()
        .flat_map(|policy| ["--policies".to_owned(), policy.display().to_string()]);
    let arguments = ["verify", "-o", "json"]
        .map(str::to_owned)
        .into_iter()
        .chain(policies)
        .chain([reference]);
    let ended = vouchsafe(arguments).end();
    let report = ended.json();
    let verdict = match (ended.code, report["verdict"].as_str().unwrap()) {
        (0, "admit" | "warn") => Verdict::Admit,
        (1, "deny") => Verdict::Deny,
        other => panic!("{other:?}: {report}"),
    };
    let image = &report["images"][0];
    Found {
        verdict,
        reason: image["reason"].as_str().unwrap().to_owned(),
        messages: messages(image),
    }
}

/// What policies and authorities say about an image, one line each.
fn messages(image: &Value) -> String {
    let policies = image["policies"].as_array().unwrap();
    let speakers = policies.iter().flat_map(|policy| {
        let authorities = policy["authorities"].as_array().unwrap();
        std::iter::once(policy).chain(authorities)
    });
    let messages: Vec<&str> = speakers
        .filter_map(|speaker| speaker["message"].as_str())
        .collect();
    messages.join("\n")
}

/// `None` when it is a vector, and there are none.
fn statement_path(folder: &Path, statement: &str) -> Option<PathBuf> {
    match statement.strip_prefix("vectors:") {
        Some(vector) => Some(vectors()?.join(vector)),
        None => Some(folder.join(statement)),
    }
}

/// A statement, given to the Rego of the only attestation of the only policy.
fn evaluated(policies: &[PathBuf], statement: &Path) -> Found {
    let [policy] = policies else {
        panic!("a statement is given to one policy")
    };
    let program = only_program(&compiled(policy));
    let text = std::fs::read_to_string(statement)
        .unwrap_or_else(|error| panic!("{}: {error}", statement.display()));
    match program.evaluate(&text, &Budget::default()).unwrap() {
        Decision::Pass => Found {
            verdict: Verdict::Admit,
            reason: "satisfied".to_owned(),
            messages: String::new(),
        },
        Decision::Warn(messages) | Decision::Fail(messages) => Found {
            verdict: Verdict::Deny,
            reason: "policy-denied".to_owned(),
            messages: messages.join(" "),
        },
    }
}

fn only_program(policies: &[CompiledPolicy]) -> Arc<Program> {
    let [policy] = policies else {
        panic!("a statement is given to one policy")
    };
    let [authority] = policy.body.as_ref().unwrap().authorities.as_slice() else {
        panic!("one authority")
    };
    let AuthorityKind::Signed(signed) = &authority.kind else {
        panic!("a static authority sees no statement")
    };
    let Wanted::Attestations(rules) = &signed.wanted else {
        panic!("an authority that wants no attestation")
    };
    let [rule] = rules.as_slice() else {
        panic!("one attestation")
    };
    Arc::clone(rule.program.as_ref().unwrap())
}

// === files ===

#[test]
fn every_policy_loads_and_compiles() {
    let files = yaml_files(&root());
    assert!(files.len() >= 3, "only {files:?}");
    for file in files {
        for policy in compiled(&file) {
            assert!(policy.body.is_ok(), "{}: {:?}", file.display(), policy.body);
        }
    }
}

#[test]
fn all_policies_can_be_installed_together() {
    let documents = load(&[root()]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        documents.policies.len(),
        yaml_files(&root())
            .iter()
            .map(|file| compiled(file).len())
            .sum::<usize>()
    );
}

#[test]
fn no_policy_is_without_a_case_that_admits_and_one_that_denies() {
    for (folder, cases) in folders() {
        for file in yaml_files(&folder) {
            for verdict in [Verdict::Admit, Verdict::Deny] {
                let mut about = cases
                    .iter()
                    .filter(|case| case.policies(&folder).contains(&file));
                assert!(
                    about.any(|case| case.verdict == verdict),
                    "{}: no case with {verdict:?}",
                    file.display()
                );
            }
        }
    }
}

/// The key in a policy is the one its evidence was recorded with; recording anew makes another one.
#[test]
fn the_keys_in_policies_are_the_recorded_keys() {
    let mut compared = BTreeSet::new();
    for (folder, cases) in folders() {
        let admitted = cases.iter().filter(|case| case.verdict == Verdict::Admit);
        for (case, image) in admitted.filter_map(|case| Some((case, case.image.as_ref()?))) {
            let key = folder.join(image).join("../keys/release.pub");
            let recorded = std::fs::read_to_string(&key)
                .unwrap_or_else(|error| panic!("{}: {error}", key.display()));
            for file in case.policies(&folder) {
                for found in keys(&file) {
                    assert_eq!(
                        found.trim(),
                        recorded.trim(),
                        "{} has another key than {}",
                        file.display(),
                        key.display()
                    );
                    compared.insert(file.clone());
                }
            }
        }
    }
    assert_eq!(
        compared,
        yaml_files(&root()).into_iter().collect(),
        "policies whose key was compared, and all policies"
    );
}

fn keys(file: &Path) -> Vec<String> {
    let documents = load(&[file.to_owned()]).unwrap_or_else(|error| panic!("{error}"));
    let authorities = documents
        .policies
        .iter()
        .flat_map(|policy| &policy.value.spec.authorities);
    authorities
        .filter_map(|authority| authority.key.as_ref())
        .map(|key| key.data.clone())
        .collect()
}

#[test]
fn an_unknown_key_in_a_file_of_cases_is_an_error() {
    let case = "cases: [{name: n, policies: [p.yaml], image: i, verdict: admit, ";
    assert!(read(&format!("{case}reason: satisfied}}]")).is_ok());
    assert!(read(&format!("{case}reasn: satisfied}}]")).is_err());
    assert!(read("cases: []\ncase: []").is_err());
    assert!(read("cases: [{name: n, policies: [p.yaml], image: i, verdict: maybe}]").is_err());
}
