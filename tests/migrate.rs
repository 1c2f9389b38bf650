//! `vouchsafe migrate check` as a user meets it: what it says about an installation, how it ends, and policy-controller's own
//! manifests.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

#[path = "migrate/cluster.rs"]
mod cluster;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use insta::assert_snapshot;
use serde_json::Value;
use vouchsafe::adapters::files;
use vouchsafe::migrate::{Severity, Target, check};

use support::command::{Ended, vouchsafe};

fn fixture() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/migrate/installation.yaml");
    path.to_string_lossy().into_owned()
}

fn migrate(arguments: &[&str]) -> Ended {
    vouchsafe(["migrate", "check"].iter().chain(arguments)).end()
}

#[test]
fn an_installation_is_told_of_worst_first_with_what_to_do() {
    let ended = migrate(&[&fixture()]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert_snapshot!(
        "installation",
        format!("{}---\n{}", ended.stdout, ended.stderr)
    );
}

#[test]
fn machines_are_told_the_same() {
    let ended = migrate(&["-o", "json", &fixture()]);
    assert_eq!(ended.code, 1);
    let report = ended.json();
    assert_eq!(report["schema"], "vouchsafe.migrate/v1");
    assert_eq!(report["looked_at"]["ClusterImagePolicy"], 3);
    assert_eq!(report["unread"].as_array().map(Vec::len), Some(0));
    let findings = report["findings"].as_array().unwrap();
    let cue = findings.iter().find(|finding| finding["code"] == "cue");
    let cue = cue.unwrap();
    assert_eq!(
        (&cue["severity"], &cue["kind"], &cue["name"]),
        (
            &Value::from("blocks"),
            &Value::from("ClusterImagePolicy"),
            &Value::from("built-by-us")
        )
    );
    let text = migrate(&[&fixture()]).stdout;
    for finding in findings {
        assert!(text.contains(finding["message"].as_str().unwrap()));
    }
}

#[test]
fn standard_input_is_read_where_a_dash_stands() {
    let text = fs::read_to_string(fixture()).unwrap();
    let ended = vouchsafe(["migrate", "check", "-"]).input(text).end();
    assert_eq!(
        (ended.code, ended.stdout),
        (1, migrate(&[&fixture()]).stdout)
    );
}

#[test]
fn another_release_and_namespace_are_named_in_what_to_do() {
    let ended = migrate(&["--release", "vs", "--namespace", "policies", &fixture()]);
    assert!(
        ended
            .stdout
            .contains("meta.helm.sh/release-name=vs meta.helm.sh/release-namespace=policies"),
        "{}",
        ended.stdout
    );
}

#[test]
fn nothing_in_the_way_ends_with_0_and_something_unreadable_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.yaml");
    let path = file.to_string_lossy().into_owned();
    let policy = "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: p}\nspec:\n  images: [{glob: 'ghcr.io/shop/**'}]\n  authorities: [{static: {action: fail}}]\n";
    fs::write(&file, policy).unwrap();
    let ended = migrate(&[&path]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""));
    assert!(
        ended
            .stderr
            .starts_with("looked at: 1 ClusterImagePolicies"),
        "{}",
        ended.stderr
    );
    fs::write(&file, "a: [\n").unwrap();
    let ended = migrate(&[&path]);
    assert_eq!(ended.code, 2);
    assert!(ended.stdout.contains("not valid YAML"), "{}", ended.stdout);
    assert_eq!(migrate(&["/does/not/exist"]).code, 2);
    fs::write(&file, "").unwrap();
    let ended = migrate(&[&path]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("there is no object"));
}

#[test]
fn without_files_and_without_a_cluster_it_says_what_to_do() {
    let ended = migrate(&[]);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
    assert!(
        ended
            .stderr
            .contains("cannot reach a cluster; name files to look at them instead"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_strangers_text_cannot_move_the_cursor() {
    let ended = vouchsafe(["migrate", "check", "-"])
        .input("{apiVersion: policy.sigstore.dev/v1beta1, kind: ClusterImagePolicy, metadata: {name: \"\\e[2K\\u202e\"}, spec: {images: [{glob: \"a:b\"}]}}")
        .end();
    assert_ne!(ended.stdout, "");
    assert!(!ended.stdout.contains(['\u{1b}', '\u{202e}']));
}

/// The manifests of policy-controller's own tests: what it accepts is read, and of each is told what differs.
#[test]
fn every_manifest_that_policy_controller_accepts_is_read() {
    let Some(vectors) = support::vectors::vectors() else {
        return;
    };
    let folder = vectors.join("policy-controller/cip/valid");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() > 10, "only {}", paths.len());
    let target = Target {
        namespace: "cosign-system".to_owned(),
        release: "vouchsafe".to_owned(),
    };
    let mut told = String::new();
    for path in paths {
        let (objects, problems) = files::read_objects(std::slice::from_ref(&path));
        assert!(problems.is_empty(), "{problems:?}");
        let (findings, _) = check(&objects, &target);
        let mut counts: BTreeMap<(Severity, &str), usize> = BTreeMap::new();
        for finding in &findings {
            assert_ne!(
                finding.code,
                "unreadable",
                "{}: {finding:?}",
                path.display()
            );
            *counts.entry((finding.severity, finding.code)).or_default() += 1;
        }
        writeln!(told, "{}", path.file_name().unwrap().to_string_lossy()).unwrap();
        for ((severity, code), count) in counts {
            writeln!(told, "  {severity:?} {code} {count}").unwrap();
        }
    }
    assert_snapshot!("accepted", told);
}
