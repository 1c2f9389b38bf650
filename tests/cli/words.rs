//! What people read: help, versions, and the tree. Wording is reviewed like code.

use insta::assert_snapshot;
use rstest::rstest;
use serde_json::Value;

use crate::desk::{Desk, release};
use crate::support::command::{verify, vouchsafe};
use crate::support::policy_text::built_by_chains;

#[rstest]
#[case::root("root", &["--help"])]
#[case::serve("serve", &["serve", "--help"])]
#[case::verify("verify", &["verify", "--help"])]
#[case::verify_short("verify-short", &["verify", "-h"])]
#[case::verify_bundle("verify-bundle", &["verify-bundle", "--help"])]
#[case::lint("lint", &["lint", "--help"])]
// Not `case::test`: rstest would take that for the attribute of a test, and run none of these.
#[case::of_test("test", &["test", "--help"])]
#[case::migrate("migrate", &["migrate", "--help"])]
#[case::migrate_check("migrate-check", &["migrate", "check", "--help"])]
#[case::demo("demo", &["demo", "--help"])]
#[case::probe("probe", &["probe", "--help"])]
#[case::crds("crds", &["crds", "--help"])]
#[case::completion("completion", &["completion", "--help"])]
fn the_help_of_each_command_reads_well(#[case] name: &str, #[case] arguments: &[&str]) {
    let ended = vouchsafe(arguments).end();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_snapshot!(format!("help_{name}"), ended.stdout);
}

/// A command that is added must be in the snapshots above.
#[test]
fn no_command_is_without_a_snapshot_of_its_help() {
    let help = vouchsafe(["--help"]).end().stdout;
    let commands = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty());
    let names: Vec<&str> = commands
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(
        names,
        [
            "serve",
            "verify",
            "verify-bundle",
            "lint",
            "migrate",
            "test",
            "demo",
            "probe",
            "crds",
            "completion",
            "help"
        ]
    );
}

#[test]
fn the_version_is_that_of_the_package() {
    let expected = concat!("vouchsafe ", env!("CARGO_PKG_VERSION"), "\n");
    for flag in ["-V", "--version"] {
        assert_eq!(vouchsafe([flag]).end().stdout, expected);
    }
}

#[rstest]
#[case("bash")]
#[case("zsh")]
#[case("fish")]
fn completion_knows_the_commands(#[case] shell: &str) {
    let ended = vouchsafe(["completion", shell]).end();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    for word in ["verify", "serve", "show-input", "no-match-policy"] {
        assert!(ended.stdout.contains(word), "{word}");
    }
}

#[test]
fn bash_accepts_the_completion() {
    let script = vouchsafe(["completion", "bash"]).end().stdout;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("completion.bash");
    std::fs::write(&path, script).unwrap();
    // Where there is no bash nobody completes with it.
    if let Ok(output) = std::process::Command::new("bash")
        .arg("-n")
        .arg(&path)
        .output()
    {
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn the_custom_resource_definitions_are_yaml() {
    let ended = vouchsafe(["crds"]).end();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let documents: Vec<Value> = serde_saphyr::from_multiple(&ended.stdout).unwrap();
    let names: Vec<&str> = documents
        .iter()
        .map(|document| document["metadata"]["name"].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&"clusterimagepolicies.policy.sigstore.dev"),
        "{names:?}"
    );
    for document in &documents {
        assert_eq!(document["apiVersion"], "apiextensions.k8s.io/v1");
        assert_eq!(document["kind"], "CustomResourceDefinition");
        assert_ne!(
            document["spec"]["versions"][0]["schema"]["openAPIV3Schema"],
            Value::Null
        );
    }
}

// === trees ===

#[rstest]
#[case::admitted("admitted", "signed", 0)]
#[case::unsigned("unsigned", "unsigned", 1)]
#[case::stranger("stranger", "stranger", 1)]
#[tokio::test(flavor = "multi_thread")]
async fn the_tree_of_a_signature_reads_well(
    #[case] name: &str,
    #[case] case: &str,
    #[case] code: i32,
) {
    let desk = Desk::new().await;
    let ended = desk.verify(&[&desk.image(case)]);
    assert_eq!(ended.code, code);
    assert_snapshot!(format!("tree_{name}"), desk.redacted(&ended.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tree_of_provenance_of_the_wrong_builder_reads_well() {
    let desk = Desk::new().await;
    let policy = desk.file("built.yaml", built_by_chains("built-by-chains", &release()));
    let ended = verify(policy, [desk.image("wrong-builder")]).end();
    assert_eq!(ended.code, 1);
    assert_snapshot!("tree_wrong-builder", desk.redacted(&ended.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tree_of_what_could_not_be_judged_reads_well() {
    let desk = Desk::new().await;
    let (policy, image, host) = (
        desk.signed_by_release(),
        desk.pinned("signed"),
        desk.registry.host(),
    );
    let (registry, _folder) = desk.apart();
    registry.stop().await;
    let ended = verify(policy, [image]).end();
    assert_eq!(ended.code, 3);
    assert_snapshot!(
        "tree_could-not-judge",
        ended.stdout.replace(&host, "127.0.0.1:[port]")
    );
}
