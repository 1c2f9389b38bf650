//! `vouchsafe lint` and what stands behind it: the policies that policy-controller accepts and refuses, in its words; Go's regular
//! expressions; and the command as a user meets it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a fixture that breaks fails the test by panicking"
)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use vouchsafe::adapters::files;
use vouchsafe::api;
use vouchsafe::apply::{
    DEFAULT_NAMESPACE, Finding, Surroundings, check_policy, check_trust_root, refusal,
};
use vouchsafe::policy::Referents;

/// A P-256 key that signs nothing.
const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n-----END PUBLIC KEY-----\n";

/// Recorded policies whose Rego policy-controller only finds wanting when an image comes.
const REFUSED: [&str; 4] = [
    "rego-recursion",
    "rego-undefined",
    "rego-unsafe-var",
    "rego-wrong-package",
];

/// What is found in a policy of which nothing else is known.
fn check(policy: &api::ClusterImagePolicy) -> Vec<Finding> {
    let nothing = Referents::default();
    check_policy(policy, DEFAULT_NAMESPACE, Surroundings::Partly(&nothing))
}

/// The fixtures of policy-controller's end-to-end test, with whether it accepts them.
fn fixtures(vectors: &Path) -> Vec<(PathBuf, bool)> {
    let index = fs::read(vectors.join("INDEX.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let cases = index["cases"].as_array().unwrap().iter();
    cases
        .filter(|case| case["kind"] == "cip")
        .map(|case| {
            let manifest = vectors.join(case["files"]["manifest"].as_str().unwrap());
            (manifest, case["expected"] == "pass")
        })
        .collect()
}

#[test]
fn every_fixture_is_accepted_or_refused_with_the_text_that_it_names() {
    let Some(vectors) = support::vectors::vectors() else {
        return;
    };
    let fixtures = fixtures(&vectors);
    assert!(fixtures.len() >= 47, "only {} fixtures", fixtures.len());
    for (manifest, accepted) in fixtures {
        let text = fs::read_to_string(&manifest).unwrap();
        let documents = files::load(std::slice::from_ref(&manifest)).unwrap();
        let findings = check(&documents.policies[0].value);
        let refusal = refusal(&findings);
        let shown = manifest.display();
        assert_eq!(refusal.is_none(), accepted, "{shown}: {refusal:?}");
        for line in text.lines() {
            if let Some(expected) = line.strip_prefix("# ERROR:") {
                let answer = refusal.as_deref().unwrap_or_default();
                assert!(answer.contains(expected.trim()), "{shown}: {answer}");
            }
        }
    }
}

#[test]
fn recorded_policies_are_accepted_unless_their_rego_does_not_compile() {
    let Some(vectors) = support::vectors::vectors() else {
        return;
    };
    let peer = vectors.join("peer");
    let mut refused: Vec<String> = Vec::new();
    for entry in fs::read_dir(peer.join("policies")).unwrap() {
        let path = entry.unwrap().path();
        let documents = files::load(std::slice::from_ref(&path)).unwrap();
        let policies = documents.policies.iter();
        let answers = policies.filter_map(|p| refusal(&check(&p.value)));
        if answers.count() > 0 {
            refused.push(path.file_stem().unwrap().to_string_lossy().into_owned());
        }
    }
    refused.sort();
    assert_eq!(refused, REFUSED);
    let documents = files::load(&[peer.join("trustroot.json")]).unwrap();
    assert_eq!(
        refusal(&check_trust_root(&documents.trust_roots[0].value)),
        None
    );
}

#[test]
fn regular_expressions_are_refused_as_go_refuses_them() {
    let Some(vectors) = support::vectors::vectors() else {
        return;
    };
    let recorded = fs::read_to_string(vectors.join("go/regexes.jsonl")).unwrap();
    for line in recorded.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let pattern = case["pattern"].as_str().unwrap();
        if pattern.is_empty() {
            continue;
        }
        let identities = json!([{"issuer": "i", "subjectRegExp": pattern}]);
        let policy = json!({
            "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "p"},
            "spec": {"images": [{"glob": "**"}], "authorities": [{"keyless": {"identities": identities}}]},
        });
        let policy = api::decode_cluster_image_policy(policy).unwrap();
        let answer = refusal(&check(&policy));
        match case["error"].as_str() {
            None => assert_eq!(answer, None, "{pattern}"),
            Some(error) => {
                let answer = answer.unwrap_or_default();
                assert!(
                    answer.ends_with(&format!("regex is invalid: {error}")),
                    "{pattern}: {answer}"
                );
            }
        }
    }
}

/// Runs `vouchsafe lint`; gives exit code, standard output and standard error.
fn lint(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_vouchsafe"))
        .arg("lint")
        .args(arguments)
        .env_remove("VOUCHSAFE_NAMESPACE")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// A folder with one policy over this glob and of this mode.
fn folder(glob: &str, mode: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let policy = json!({
        "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "release"},
        "spec": {"mode": mode, "images": [{"glob": glob}], "authorities": [{"key": {"data": KEY}}]},
    });
    let text = format!("---\n{policy}\n");
    fs::write(folder.path().join("policy.yaml"), text).unwrap();
    folder
}

#[test]
fn a_good_policy_is_accepted_in_silence() {
    let folder = folder("ghcr.io/**", "enforce");
    let (code, out, err) = lint(&["--strict", &folder.path().to_string_lossy()]);
    assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");
    assert!(err.starts_with("checked: 1, refused: 0"), "{err}");
}

#[test]
fn a_warning_counts_only_when_it_is_asked_to() {
    let folder = folder("ghcr.io/org/app", "warn");
    let path = folder.path().to_string_lossy();
    let (code, out, _) = lint(&[&path]);
    assert_eq!(code, Some(0), "{out}");
    let first = format!(
        "{path}/policy.yaml:2: ClusterImagePolicy release: warning: glob matches only references without tag and digest: spec.images[0].glob\n"
    );
    assert!(out.starts_with(&first), "{out}");
    assert_eq!(lint(&["--strict", &path]).0, Some(2));
}

#[test]
fn what_would_be_refused_is_said_on_one_line_and_as_json() {
    let folder = folder("ghcr.io/**", "loud");
    let path = folder.path().to_string_lossy();
    let (code, out, _) = lint(&[&path]);
    assert_eq!(code, Some(2));
    assert_eq!(
        out,
        format!(
            "{path}/policy.yaml:2: ClusterImagePolicy release: refused: validation failed: invalid value: loud: spec.mode\n    unsupported mode\n"
        )
    );
    let (code, out, _) = lint(&["-o", "json", &path]);
    assert_eq!(code, Some(2));
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["schema"], "vouchsafe.lint/v1");
    assert_eq!(
        report["resources"][0]["refusal"],
        "validation failed: invalid value: loud: spec.mode\nunsupported mode"
    );
    assert_eq!(
        report["resources"][0]["findings"][0]["fields"],
        json!(["spec.mode"])
    );
}

#[test]
fn what_cannot_be_read_is_refused_beside_what_can() {
    let folder = folder("ghcr.io/**", "loud");
    let path = folder.path().to_string_lossy();
    let misspelt = "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: other}\nspec:\n  imagez: []\n";
    fs::write(folder.path().join("other.yaml"), misspelt).unwrap();
    let (code, out, _) = lint(&[&path, "/does/not/exist"]);
    assert_eq!(code, Some(2));
    assert!(
        out.contains("other.yaml:5: refused: ClusterImagePolicy other: decoding request failed: cannot decode incoming new object: json: unknown field \"imagez\""),
        "{out}"
    );
    assert!(
        out.contains("/does/not/exist: refused: cannot be read"),
        "{out}"
    );
    assert!(out.contains("invalid value: loud: spec.mode"), "{out}");
}

#[test]
fn a_strangers_text_cannot_move_the_cursor() {
    let folder = folder("ghcr.io/**", "\u{1b}[2Kok\u{202e}");
    let (code, out, _) = lint(&[&folder.path().to_string_lossy()]);
    assert_eq!(code, Some(2));
    assert!(!out.contains(['\u{1b}', '\u{202e}']), "{out:?}");
}

#[test]
fn a_file_of_kinds_is_checked_alone_or_beside_policies() {
    let folder = folder("ghcr.io/**", "enforce");
    let path = folder.path().to_string_lossy();
    let kinds = |name: &str, text: &str| {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        file.to_string_lossy().into_owned()
    };
    let good = kinds("good.kinds", include_str!("../docs/kinds.yaml"));
    assert_eq!(lint(&["--kinds", &good]).0, Some(0));
    assert_eq!(lint(&["--kinds", &good, &path]).0, Some(0));
    let row = "kinds:\n- {group: a.io, kind: A, resource: as, images: [/status/image]}\n";
    let bad = kinds("bad.kinds", row);
    let (code, _, error) = lint(&["--kinds", &bad]);
    assert_eq!(code, Some(2));
    assert!(error.contains("kinds[0].images[0]: status"), "{error}");
}
