//! The policies that this project gives away: each folder of `policies/` proves its own cases, by `vouchsafe test`.
//!
//! Their evidence is recorded from `tests/data/recorded`. When that was made anew, make the evidence anew, too, and put the new key
//! into the policies: `VOUCHSAFE_RECORD=1 cargo test --test policies`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rstest::rstest;
use support::command::vouchsafe;
use support::policy_text::recorded;
use support::registry::RecordedImage;
use support::vectors::vectors;
use vouchsafe::adapters::files::{CASES_FILE, EVIDENCE_FOLDER, load};
use vouchsafe::cases::{Case, read};
use vouchsafe::demo::registry::{Registry, Store};
use vouchsafe::policy::{CompiledPolicy, Referents, compile};
use vouchsafe::verdict::Judgement;

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
            let path = folder.join(CASES_FILE);
            let text = std::fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let cases = read(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (folder, cases)
        })
        .collect()
}

/// Every file of policies below a folder.
fn policy_files(folder: &Path) -> Vec<PathBuf> {
    let documents = load(&[folder.to_owned()]).unwrap_or_else(|error| panic!("{error}"));
    let mut files: Vec<PathBuf> = documents
        .policies
        .iter()
        .map(|policy| policy.origin.file.clone())
        .collect();
    files.dedup();
    files
}

fn compiled(file: &Path) -> Vec<CompiledPolicy> {
    let documents = load(&[file.to_owned()]).unwrap_or_else(|error| panic!("{error}"));
    documents
        .policies
        .iter()
        .map(|policy| compile(&policy.value, &Referents::default()))
        .collect()
}

// === cases ===

#[test]
fn every_policy_proves_its_cases() {
    let ended = vouchsafe(["test".as_ref(), root().as_os_str()]).end();
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (0, ""),
        "{}",
        ended.stdout
    );
    let cases: usize = folders().iter().map(|(_, cases)| cases.len()).sum();
    let summary = format!("{cases} cases: {cases} passed\n");
    assert!(ended.stdout.ends_with(&summary), "{}", ended.stdout);
}

/// Statements of Tekton Chains and of others, which are not part of this repository.
#[test]
fn statements_from_the_field_are_told_apart() {
    const CASES: &str = "cases:
  - {name: built by Tekton Chains, policies: [POLICIES/builder.yaml], statement: VECTORS/seeds/001-1.json, verdict: admit}
  - {name: built by another, policies: [POLICIES/builder.yaml], statement: VECTORS/seeds/003-2.json, verdict: deny, message: 'built by https://alauda.io/builders/tekton/v1, not by https://tekton.dev/chains/v2'}
  - {name: from our source, policies: [POLICIES/source.yaml], statement: VECTORS/seeds/001-1.json, verdict: admit}
  - {name: from no source, policies: [POLICIES/source.yaml], statement: VECTORS/seeds/003-2.json, verdict: deny, message: the provenance names no source repository}
";
    let Some(vectors) = vectors() else { return };
    let policies = root().join("tekton-chains-provenance");
    let text = CASES
        .replace("POLICIES", &policies.display().to_string())
        .replace("VECTORS", &vectors.display().to_string());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(CASES_FILE), text).unwrap();
    let ended = vouchsafe(["test".as_ref(), folder.path().as_os_str()]).end();
    assert_eq!(ended.code, 0, "{}", ended.stdout);
}

#[test]
fn no_policy_is_without_an_image_that_it_admits_and_one_that_it_denies() {
    for (folder, cases) in folders() {
        if ON_PUBLIC_RECORD.iter().any(|name| folder.ends_with(name)) {
            continue;
        }
        for file in policy_files(&folder) {
            for verdict in [Judgement::Admit, Judgement::Deny] {
                let about = |case: &&Case| {
                    let mut named = case.policies.iter().map(|path| folder.join(path));
                    case.policies.is_empty() || named.any(|path| path == file)
                };
                let is_image =
                    |case: &&Case| matches!(case.subject, vouchsafe::cases::Subject::Image(_));
                let mut images = cases.iter().filter(about).filter(is_image);
                assert!(
                    images.any(|case| case.expected.verdict == verdict),
                    "{}: no image with {verdict:?}",
                    file.display()
                );
            }
        }
    }
}

// === evidence ===

/// Evidence for them is on the record of the public Sigstore, once there is a release: of Vouchsafe, and of whoever copies the policy.
/// `tests/keyless/own_release.rs` and `tests/keyless/github_actions.rs` judge images under them.
const ON_PUBLIC_RECORD: [&str; 2] = ["github-actions", "vouchsafe-release"];

/// What evidence of a folder is recorded from: the folders of `tests/data/recorded`.
const EVIDENCE: &[(&str, &[&str])] = &[
    (
        "key-signed-image",
        &[
            "cosign-3.1/signed",
            "cosign-3.1/annotated",
            "cosign-3.1/unsigned",
            "cosign-3.1/stranger",
            "cosign-3.1/att-only",
        ],
    ),
    (
        "tekton-chains-provenance",
        &[
            "tekton-chains-0.22/signed",
            "cosign-3.1/stranger",
            "cosign-3.1/unsigned",
        ],
    ),
];

#[test]
fn every_folder_has_evidence() {
    let names: Vec<String> = folders()
        .iter()
        .map(|(folder, _)| folder.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let recorded = EVIDENCE.iter().map(|(name, _)| *name);
    let mut known: Vec<&str> = recorded.chain(ON_PUBLIC_RECORD).collect();
    known.sort_unstable();
    assert_eq!(names, known);
}

#[rstest]
#[case::key(0)]
#[case::tekton_chains(1)]
#[tokio::test(flavor = "multi_thread")]
async fn the_evidence_is_what_was_recorded_from_real_tools(#[case] row: usize) {
    let (name, sources) = EVIDENCE[row];
    let store = Store::new();
    let images: Vec<String> = sources
        .iter()
        .map(|source| RecordedImage::load_into(&store, recorded().join(source)).repository)
        .collect();
    let registry = Registry::bind(store, "127.0.0.1:0").await.unwrap();
    let host = format!("{}/t/", registry.host());
    let folder = tempfile::tempdir().unwrap();
    let (made, policies) = (folder.path().join("made"), root().join(name));
    let arguments = ["verify", "--record"].map(str::to_owned);
    let paths = [&made, &policies].map(|path| path.display().to_string());
    let [made_path, policies_path] = paths;
    let ended = vouchsafe(
        arguments
            .into_iter()
            .chain([made_path, "--policies".to_owned(), policies_path])
            .chain(
                images
                    .iter()
                    .map(|image| format!("{}/{image}:v1", registry.host())),
            ),
    )
    .end();
    assert_eq!(ended.code, 1, "{ended:?}");
    let fresh = published(&made.join(EVIDENCE_FOLDER), &host);
    let shipped = policies.join(EVIDENCE_FOLDER);
    if std::env::var_os("VOUCHSAFE_RECORD").is_some() {
        replace(&shipped, &fresh);
    }
    let listed: Vec<PathBuf> = files(&shipped).into_keys().collect();
    assert_eq!(listed, fresh.keys().cloned().collect::<Vec<_>>());
    assert!(
        files(&shipped) == fresh,
        "{} is another recording",
        shipped.display()
    );
}

/// A recording under a name that means something to a reader, without the trace of the cases it was made with.
fn published(folder: &Path, host: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = files(folder);
    for name in ["index.json", "recording.json"] {
        let text = String::from_utf8(files[Path::new(name)].clone()).unwrap();
        let text = text.replace(host, "registry.example.com/shop/");
        let lines = text
            .lines()
            .filter(|line| !line.starts_with("  \"cases\":"));
        let text = lines.collect::<Vec<_>>().join("\n") + "\n";
        files.insert(name.into(), text.into_bytes());
    }
    files
}

/// Every file below a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn replace(folder: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) {
    let _ = std::fs::remove_dir_all(folder);
    for (name, bytes) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

// === files ===

#[test]
fn every_policy_loads_and_compiles() {
    let files = policy_files(&root());
    assert!(files.len() >= 3, "only {files:?}");
    for file in files {
        for policy in compiled(&file) {
            assert!(policy.body.is_ok(), "{}: {:?}", file.display(), policy.body);
        }
    }
}

#[test]
fn our_own_linter_has_nothing_to_say_about_them() {
    let ended = vouchsafe(["lint".as_ref(), "--strict".as_ref(), root().as_os_str()]).end();
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (0, ""),
        "{}",
        ended.stderr
    );
}
