//! Rego policies as other implementations judged them, and the engine's builtins as it registers them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use vouchsafe::predicate_policy::{Budget, CompileError, Decision, Program};

#[path = "rego/opa_suite.rs"]
mod opa_suite;
mod support;
#[path = "rego/worst_cases.rs"]
mod worst_cases;

/// The policies that policy-controller and cosign test theirs with. cosign asks for a rule of the caller's choice; here the package
/// and the rule are renamed to what policy-controller asks for.
#[test]
fn judges_the_policies_of_policy_controller_and_cosign_alike() {
    let Some(vectors) = support::vectors::vectors() else {
        return;
    };
    let index = std::fs::read_to_string(vectors.join("INDEX.json")).unwrap();
    let index: Value = serde_json::from_str(&index).unwrap();
    let mut judged = 0;
    for case in index["cases"].as_array().unwrap() {
        let is_ours = case["kind"] == "rego" && case["lang"] == "rego";
        if !is_ours {
            continue;
        }
        let read = |role: &str| {
            let path = vectors.join(case["files"][role].as_str().unwrap());
            std::fs::read_to_string(path).unwrap()
        };
        let mut policy = read("policy");
        if case["query"] == "data.signature.allow" {
            policy = policy
                .replace("package signature", "package sigstore")
                .replace("allow", "isCompliant");
        }
        let program = Program::compile(&policy).unwrap();
        let decision = program
            .evaluate(&read("input"), &Budget::default())
            .unwrap();
        let passes = decision == Decision::Pass;
        assert_eq!(
            passes,
            case["expected"] == "pass",
            "{}: {decision:?}",
            case["id"]
        );
        judged += 1;
    }
    assert_eq!(judged, 5, "cases of policy-controller and cosign");
}

/// A new version of the engine may bring a builtin that nobody has thought about: this test names it.
#[test]
fn every_builtin_of_the_engine_is_classified() {
    let registered = registered_builtins();
    assert!(registered.len() > 120, "{}", registered.len());
    for (name, arity) in registered {
        let arguments = vec!["input"; arity].join(", ");
        let policy = format!("package sigstore\nisCompliant {{ {name}({arguments}) }}");
        match Program::compile(&policy) {
            Ok(_) | Err(CompileError::ForbiddenBuiltin { .. }) => {}
            Err(other) => panic!("builtin `{name}` is not in the table: {other}"),
        }
    }
}

/// Name and number of arguments of each `m.insert("name", (function, arity))` in the engine's sources.
fn registered_builtins() -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let mut folders = vec![engine_sources().join("builtins")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // Registered with features that are off, under names of another language.
            if path.is_dir() && !path.ends_with("azure_policy") {
                folders.push(path);
            } else if path.is_file() {
                let source = std::fs::read_to_string(path).unwrap();
                let code = source
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//"));
                let source = code.collect::<Vec<_>>().join("\n");
                found.extend(source.split("m.insert(").skip(1).filter_map(registration));
            }
        }
    }
    found
}

fn registration(text: &str) -> Option<(String, usize)> {
    let (name, rest) = text.trim_start().strip_prefix('"')?.split_once('"')?;
    let (tuple, _) = rest.split_once(')')?;
    let arity = tuple.rsplit(',').next()?.trim().parse().ok()?;
    Some((name.to_owned(), arity))
}

fn engine_sources() -> PathBuf {
    let version = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // Packages of other platforms need not be at hand.
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--offline",
            "--locked",
            "--filter-platform",
            host.unwrap(),
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let engine = packages.iter().find(|package| package["name"] == "regorus");
    let manifest = engine.unwrap()["manifest_path"].as_str().unwrap();
    Path::new(manifest).with_file_name("src")
}
