//! The published cases of the sigstore-conformance suite, and every other bundle whose verdict is known, through `verify-bundle` as a
//! client of that suite is called (T-36).

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it ran"
)]

mod support;

use std::path::Path;

use serde_json::Value;

use support::command::vouchsafe;
use support::vectors::vectors;

/// One case of the index.
struct Case<'a> {
    id: &'a str,
    value: &'a Value,
}

impl Case<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.value[name].as_str()
    }

    /// The arguments of the client protocol, and cosign's flags for what a case does without.
    fn arguments(&self, folder: &Path) -> Vec<String> {
        let file = |path: &str| folder.join(path).to_str().unwrap().to_owned();
        let mut arguments = vec!["verify-bundle".to_owned(), "--bundle".to_owned()];
        arguments.push(file(self.value["files"]["bundle"].as_str().unwrap()));
        if let Some(key) = self.text("key") {
            arguments.extend(["--key".to_owned(), file(key)]);
        } else {
            let (identity, issuer) = (self.text("identity"), self.text("issuer"));
            arguments.extend([
                "--certificate-identity".to_owned(),
                identity.unwrap().to_owned(),
            ]);
            arguments.extend([
                "--certificate-oidc-issuer".to_owned(),
                issuer.unwrap().to_owned(),
            ]);
        }
        if let Some(root) = self.text("trusted_root") {
            arguments.extend(["--trusted-root".to_owned(), file(root)]);
        }
        let options = &self.value["options"];
        for (option, value, flag) in [
            ("require_tlog", false, "--insecure-ignore-tlog"),
            ("require_sct", false, "--insecure-ignore-sct"),
            ("require_signed_timestamp", true, "--use-signed-timestamps"),
        ] {
            if options[option].as_bool() == Some(value) {
                arguments.push(flag.to_owned());
            }
        }
        let artifact = self.value["files"]["artifact"].as_str().map(file);
        arguments.push(artifact.unwrap_or_else(|| self.text("digest").unwrap().to_owned()));
        arguments
    }
}

/// Runs every case of a kind whose id begins so; gives how many there were.
fn run(prefix: &str) -> usize {
    let Some(folder) = vectors() else { return 0 };
    let index: Value =
        serde_json::from_slice(&std::fs::read(folder.join("INDEX.json")).unwrap()).unwrap();
    let cases = index["cases"].as_array().unwrap().iter().map(|value| Case {
        id: value["id"].as_str().unwrap(),
        value,
    });
    // A case with a registry is about an image.
    let bundles = cases.filter(|case| {
        case.value["kind"] == "bundle"
            && case.value["registry"].is_null()
            && case.id.starts_with(prefix)
    });
    let (mut count, mut wrong) = (0, Vec::new());
    for case in bundles {
        let ended = vouchsafe(case.arguments(&folder)).end();
        let said = format!("{}{}", ended.stdout, ended.stderr);
        println!("{}: {} {}", case.id, ended.code, said.trim());
        count += 1;
        let expected = if case.value["expected"] == "pass" {
            [0, 0]
        } else {
            [1, 3]
        };
        if !expected.contains(&ended.code) {
            wrong.push(format!("{}: {} {said}", case.id, ended.code));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    count
}

#[test]
fn every_case_of_the_conformance_suite_ends_as_published() {
    let count = run("conformance/");
    let published = if vectors().is_some() { 70 } else { 0 };
    assert_eq!(count, published);
}

#[test]
fn every_other_bundle_ends_as_is_known() {
    let count = run("sigstore-js/");
    assert_eq!(count > 0, vectors().is_some(), "{count} cases");
}
