//! What is written where: JSON by its schema, one order, no colour off a terminal.

use std::process::Command;

use serde_json::Value;

use crate::desk::{Desk, release, stranger};
use crate::support::command::{bare, verify, vouchsafe};
use crate::support::policy_text::{built_by_chains, signed_by, warns_unless_signed_by};
use crate::support::registry::{Fault, Match};

/// Every path that the contract promises, as `jq` would be asked for it; each must lead somewhere.
const PATHS: &[&str] = &[
    "/schema",
    "/verdict",
    "/images",
    "/warnings/0",
    "/images/0/field",
    "/images/0/image",
    "/images/0/reference",
    "/images/0/digest",
    "/images/0/verdict",
    "/images/0/reason",
    "/images/0/policies/0/name",
    "/images/0/policies/0/mode",
    "/images/0/policies/0/outcome",
    "/images/0/policies/0/reason",
    "/images/0/policies/0/message",
    "/images/0/policies/0/authorities/0/name",
    "/images/0/policies/0/authorities/0/outcome",
    "/images/0/policies/0/authorities/0/reason",
    "/images/0/policies/0/authorities/0/message",
    "/images/0/policies/0/authorities/0/signers/0/issuer",
    "/images/0/policies/0/authorities/0/signers/0/subject",
    "/images/0/policies/0/authorities/0/signers/0/keySha256",
    "/images/0/policies/0/authorities/0/evidence/0/format",
    "/images/0/policies/0/authorities/0/evidence/0/digest",
    "/images/0/policies/0/authorities/0/evidence/0/predicateType",
    "/images/0/policies/0/authorities/0/evidence/0/time",
    "/images/0/policies/0/authorities/0/rego/result",
    "/images/0/policies/0/authorities/0/rego/messages",
];

/// How a colour begins.
const COLOUR: &str = "\u{1b}[3";

fn published() -> jsonschema::Validator {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/verify.schema.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn json_has_every_path_of_the_contract() {
    let desk = Desk::new().await;
    let policy = desk.file("built.yaml", built_by_chains("built", &release()));
    let report = verify(policy, ["-o", "json", &desk.image("signed")])
        .end()
        .json();
    for path in PATHS {
        assert!(
            report.pointer(path).is_some(),
            "{path} is not in {report:#}"
        );
    }
    assert_eq!(report["schema"], "vouchsafe.verify/v1");
    assert_eq!(
        report["images"][0]["policies"][0]["authorities"][0]["rego"]["result"],
        true
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_valid_by_the_published_schema_whatever_was_decided() {
    let desk = Desk::new().await;
    desk.registry
        .on(Match::any().path("t/sig-only"), Fault::status(500));
    let text = [
        signed_by("a", &release()),
        built_by_chains("b", &release()),
        warns_unless_signed_by("c", &stranger()),
    ]
    .concat();
    let policies = desk.file("all.yaml", text);
    let schema = published();
    let mut images = [
        "signed",
        "unsigned",
        "stranger",
        "wrong-builder",
        "att-only",
        "sig-only",
    ]
    .map(|case| desk.image(case))
    .to_vec();
    images.push("NOT A REFERENCE".to_owned());
    let mut verdicts = Vec::new();
    for image in &images {
        let ended = verify(&policies, ["--timeout", "3", "-o", "json", image]).end();
        let report = ended.json();
        let errors: Vec<String> = schema
            .iter_errors(&report)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{errors:?} in {report:#}");
        verdicts.push((report["verdict"].as_str().unwrap().to_owned(), ended.code));
    }
    let deny = ("deny", 1);
    let expected = [("warn", 0), deny, deny, deny, deny, ("unknown", 3), deny];
    assert_eq!(
        verdicts,
        expected.map(|(verdict, code)| (verdict.to_owned(), code))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_is_that_of_images_as_given_and_policies_by_name() {
    let desk = Desk::new().await;
    // Neither the names of files nor the order in a file is that of the names of policies.
    desk.file(
        "1.yaml",
        [
            signed_by("zebra", &release()),
            signed_by("mole", &release()),
        ]
        .concat(),
    );
    desk.file("2.yaml", signed_by("ant", &stranger()));
    let images = ["unsigned", "annotated", "signed", "annotated"].map(|case| desk.image(case));
    let run = |output: &str| {
        verify(
            desk.folder(),
            ["-o", output]
                .iter()
                .map(ToString::to_string)
                .chain(images.clone()),
        )
        .end()
    };
    let report = run("json").json();
    let text = |value: &Value, key: &str| value[key].as_str().unwrap().to_owned();
    let judged: Vec<String> = report["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| text(image, "image"))
        .collect();
    // An image that is given twice is judged and told once.
    assert_eq!(judged, images[..3]);
    for image in report["images"].as_array().unwrap() {
        let names: Vec<String> = image["policies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|policy| text(policy, "name"))
            .collect();
        assert_eq!(names, ["ant", "mole", "zebra"]);
    }
    for output in ["json", "text"] {
        let first = run(output);
        assert!((0..5).all(|_| run(output) == first));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_colour_off_a_terminal() {
    let desk = Desk::new().await;
    for image in [
        desk.image("signed"),
        desk.image("unsigned"),
        "NOT A REFERENCE".to_owned(),
    ] {
        let ended = verify(desk.signed_by_release(), [&image])
            .env("TERM", "xterm-256color")
            .end();
        assert!(
            !ended.stdout.contains('\u{1b}') && !ended.stderr.contains('\u{1b}'),
            "{ended:?}"
        );
    }
    assert!(
        !vouchsafe(["verify", "--nonsense"])
            .end()
            .stderr
            .contains('\u{1b}')
    );
}

/// What is written to a terminal; `None` where there is no util-linux `script` to make one.
fn on_a_terminal(desk: &Desk, no_color: Option<&str>) -> Option<String> {
    let version = Command::new("script").arg("--version").output().ok()?;
    if !String::from_utf8_lossy(&version.stdout).contains("util-linux") {
        return None;
    }
    let home = tempfile::tempdir().unwrap();
    let binary = bare(home.path()).get_program().to_owned();
    let command = format!(
        "'{}' verify --policies '{}' {}",
        binary.display(),
        desk.signed_by_release().display(),
        desk.image("signed")
    );
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
    script
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("SHELL", "/bin/sh")
        .env("TERM", "xterm-256color")
        .env("HOME", home.path());
    if let Some(value) = no_color {
        script.env("NO_COLOR", value);
    }
    let output = script.stdin(std::process::Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_has_colour_unless_no_color_is_set() {
    let desk = Desk::new().await;
    let Some(plain) = on_a_terminal(&desk, Some("1")) else {
        println!("skipped: there is no `script` of util-linux to make a terminal");
        return;
    };
    assert!(
        plain.contains("ADMITTED") && !plain.contains(COLOUR),
        "{plain:?}"
    );
    for unset in [None, Some("")] {
        let coloured = on_a_terminal(&desk, unset).unwrap();
        assert!(
            coloured.contains("ADMITTED") && coloured.contains(COLOUR),
            "{coloured:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_is_no_error() {
    let desk = Desk::new().await;
    let home = tempfile::tempdir().unwrap();
    let mut command = bare(home.path());
    command
        .args(["crds"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
    assert!(desk.registry.requests().is_empty());
}
