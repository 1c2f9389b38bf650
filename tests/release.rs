//! What a release is made of: the image, the workflow, the chart and the policy for it name the same things.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::Path;

use serde_json::Value;

/// Where releases are made; whoever makes their own changes it in all these files.
const REPOSITORY: &str = "vouchsafe/vouchsafe";

fn read(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What runs on every change, and what makes a release.
const WORKFLOWS: [&str; 2] = ["ci", "release"];

fn workflow(name: &str) -> Value {
    serde_saphyr::from_str(&read(&format!(".github/workflows/{name}.yaml"))).unwrap()
}

/// The steps of every job.
fn steps(name: &str) -> Vec<Value> {
    let workflow = workflow(name);
    let jobs = workflow["jobs"].as_object().unwrap().values();
    jobs.flat_map(|job| job["steps"].as_array().unwrap().clone())
        .collect()
}

#[test]
fn the_image_is_built_with_the_compiler_of_the_project() {
    let toolchain = read("rust-toolchain.toml");
    let channel = toolchain
        .lines()
        .find_map(|line| line.strip_prefix("channel = "))
        .unwrap()
        .trim_matches('"');
    let base = format!("FROM rust:{channel}-alpine AS build");
    assert!(
        read("Dockerfile").lines().any(|line| line == base),
        "{base}"
    );
}

#[test]
fn the_image_holds_no_system_and_nobody_who_is_root() {
    let dockerfile = read("Dockerfile");
    let last = dockerfile.rsplit("\nFROM ").next().unwrap();
    let lines: Vec<&str> = last.lines().collect();
    assert_eq!(lines[0], "scratch");
    assert!(lines.contains(&"USER 65532:65532"));
    assert!(!last.contains("\nRUN "));
}

/// A build from a checkout must not depend on what lies about in it.
#[test]
fn the_build_sees_what_cargo_needs_and_nothing_else() {
    let ignore = read(".dockerignore");
    let mut rules = ignore.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(rules.next(), Some("*"));
    let seen: Vec<&str> = rules.map(|rule| rule.strip_prefix('!').unwrap()).collect();
    for needed in [
        "Cargo.toml",
        "Cargo.lock",
        "src",
        "rust-toolchain.toml",
        "LICENSE",
    ] {
        assert!(seen.contains(&needed), "{needed}");
    }
    let targets = read("Cargo.toml");
    let paths = targets
        .lines()
        .filter_map(|line| line.strip_prefix("path = "));
    for path in paths {
        let path = path.trim_matches('"');
        assert!(seen.iter().any(|seen| path.starts_with(seen)), "{path}");
    }
    assert!(seen.contains(&"benches"));
}

#[test]
fn image_policy_and_chart_are_those_of_one_repository() {
    let image = format!("ghcr.io/{REPOSITORY}");
    let values: Value = serde_saphyr::from_str(&read("charts/vouchsafe/values.yaml")).unwrap();
    assert_eq!(values["image"]["repository"], image.as_str());
    let policy: Value =
        serde_saphyr::from_str(&read("policies/vouchsafe-release/policy.yaml")).unwrap();
    for glob in policy["spec"]["images"].as_array().unwrap() {
        assert!(glob["glob"].as_str().unwrap().starts_with(&image), "{glob}");
    }
    let authority = &policy["spec"]["authorities"][0];
    let identity = &authority["keyless"]["identities"][0];
    assert_eq!(
        identity["issuer"],
        "https://token.actions.githubusercontent.com"
    );
    let subject = identity["subjectRegExp"].as_str().unwrap();
    let workflow =
        format!(r"^https://github\.com/{REPOSITORY}/\.github/workflows/release\.yaml@refs/tags/v");
    assert!(
        subject.starts_with(&workflow) && subject.ends_with('$'),
        "{subject}"
    );
    let rego = authority["attestations"][0]["policy"]["data"]
        .as_str()
        .unwrap();
    assert!(rego.contains(&format!(
        "repository := \"https://github.com/{REPOSITORY}\""
    )));
}

#[test]
fn a_workflow_takes_no_right_that_a_job_did_not_ask_for() {
    for workflow in WORKFLOWS.map(workflow) {
        assert_eq!(workflow["permissions"], serde_json::json!({}));
        for (name, job) in workflow["jobs"].as_object().unwrap() {
            let rights = job["permissions"].as_object().unwrap();
            let signs = rights.contains_key("id-token");
            assert_eq!(signs, name == "release", "{name}");
            assert_eq!(rights["contents"], "read", "{name}");
        }
    }
}

/// A change may be a stranger's: it is built and run, so it gets nothing that it could take away or write with.
#[test]
fn every_change_is_checked_by_the_script_that_developers_run_and_sees_no_secret() {
    let workflow = workflow("ci");
    let on = workflow["on"].as_object().unwrap();
    let events: Vec<&str> = on.keys().map(String::as_str).collect();
    assert_eq!(events, ["pull_request", "push"]);
    for (name, job) in workflow["jobs"].as_object().unwrap() {
        let rights = serde_json::json!({"contents": "read"});
        assert_eq!(job["permissions"], rights, "{name}");
    }
    let runs = steps("ci");
    let runs: Vec<&str> = runs
        .iter()
        .filter_map(|step| step["run"].as_str())
        .collect();
    // Beside what it needs of Debian there is nothing that this workflow does by itself.
    let [needs, all] = runs[..] else {
        panic!("{runs:?}");
    };
    assert!(needs.starts_with("apt-get update\n"), "{needs}");
    assert_eq!(all, ".ci/run");
    let text = read(".github/workflows/ci.yaml");
    assert!(!text.contains("secrets.") && !text.contains("github.token"));
}

#[test]
fn actions_are_pinned_by_their_commit_and_get_no_credentials_to_keep() {
    let mut used = 0;
    for step in WORKFLOWS.iter().flat_map(|name| steps(name)) {
        let Some(action) = step["uses"].as_str() else {
            continue;
        };
        used += 1;
        let (_, commit) = action.split_once('@').unwrap();
        let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(is_commit, "{action}");
        assert_eq!(step["with"]["persist-credentials"], false, "{action}");
    }
    assert!(used > 0);
}

#[test]
fn a_release_is_signed_attested_and_judged_by_the_policy_that_ships() {
    let runs: Vec<String> = steps("release")
        .iter()
        .filter_map(|step| step["run"].as_str().map(str::to_owned))
        .collect();
    let all = runs.join("\n");
    for needed in [
        ".ci/run",
        "cosign sign --yes --recursive \"$IMAGE@$DIGEST\"",
        "cosign attest --yes --type slsaprovenance1",
        "cosign attest --yes --type spdxjson",
        "helm push",
        "verify --policies /policies/policy.yaml \"$IMAGE@$DIGEST\"",
    ] {
        assert!(all.contains(needed), "{needed}");
    }
    // What is signed is a digest, never a tag.
    let signs = |line: &&str| line.contains("cosign sign") || line.contains("cosign attest");
    for line in all.lines().filter(signs) {
        assert!(line.contains('@'), "{line}");
    }
}
