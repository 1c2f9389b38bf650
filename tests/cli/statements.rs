//! `verify --show-input`: what the policies of an authority are given, byte for byte as it was signed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use vouchsafe::demo::registry::{Registry, Store};

use crate::desk::{Desk, release};
use crate::support::command::verify;
use crate::support::policy_text::{built_by_chains, recorded, recorded_key, signed_by};
use crate::support::registry::{Fault, Match, RecordedImage};

/// The signed payload of each attestation of an image, read from what the registry serves.
fn payloads(store: &Store, image: &RecordedImage) -> Vec<String> {
    let tag = image.digest.tag_with_suffix("", "att").unwrap();
    let manifest = store.manifest(&image.repository, &tag.to_string()).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest.bytes).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    layers
        .iter()
        .map(|layer| {
            let digest = layer["digest"].as_str().unwrap().parse().unwrap();
            let envelope = store.blob(&image.repository, &digest).unwrap();
            let envelope: Value = serde_json::from_slice(&envelope).unwrap();
            let payload = STANDARD
                .decode(envelope["payload"].as_str().unwrap())
                .unwrap();
            String::from_utf8(payload).unwrap()
        })
        .collect()
}

async fn shown(tool: &str, case: &str) -> (Vec<String>, Vec<String>) {
    let store = Store::new();
    let image = RecordedImage::load_into(&store, recorded().join(tool).join(case));
    let registry = Registry::bind(store.clone(), "127.0.0.1:0").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("p.yaml");
    std::fs::write(
        &policy,
        built_by_chains("built", &recorded_key(tool, "release")),
    )
    .unwrap();
    let reference = format!("{}/{}:v1", registry.host(), image.repository);
    let ended = verify(&policy, ["--show-input", "tekton-chains", &reference]).end();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    (
        ended.stdout.lines().map(str::to_owned).collect(),
        payloads(&store, &image),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_the_statement_of_tekton_chains_as_it_was_signed() {
    let (shown, signed) = shown("tekton-chains-0.22", "signed").await;
    assert_eq!(signed.len(), 1);
    assert_eq!(shown, signed);
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_the_statement_of_cosign_as_it_was_signed() {
    for tool in ["cosign-2.6", "cosign-3.1"] {
        let (shown, signed) = shown(tool, "signed").await;
        assert_eq!(signed.len(), 1);
        assert_eq!(shown, signed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_each_statement_of_the_wanted_type_and_no_other() {
    let (shown, signed) = shown("cosign-3.1", "two-attestations").await;
    assert_eq!(signed.len(), 3);
    let mut wanted: Vec<&String> = signed
        .iter()
        .filter(|payload| payload.contains("slsa.dev/provenance/v0.2"))
        .collect();
    let mut shown: Vec<&String> = shown.iter().collect();
    wanted.sort();
    shown.sort();
    assert_eq!((shown.len(), &shown), (2, &wanted));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_a_statement_that_is_not_verified() {
    let desk = Desk::new().await;
    let policy = desk.file("built.yaml", built_by_chains("built", &release()));
    for case in ["stranger", "unsigned", "sig-only"] {
        let ended = verify(
            &policy,
            ["--show-input", "tekton-chains", &desk.image(case)],
        )
        .end();
        assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{ended:?}");
        assert!(
            ended.stderr.contains("has no verified attestation"),
            "{}",
            ended.stderr
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_is_denied_is_shown_and_the_denial_told() {
    let desk = Desk::new().await;
    let policy = desk.file("built.yaml", built_by_chains("built", &release()));
    let ended = verify(
        &policy,
        [
            "--show-input",
            "tekton-chains",
            &desk.image("wrong-builder"),
        ],
    )
    .end();
    assert_eq!(ended.code, 1);
    assert_eq!(
        ended.json()["predicate"]["builder"]["id"],
        "https://builder.example/elsewhere"
    );
    assert!(ended.stderr.contains("policy-denied"), "{}", ended.stderr);
}

/// The name of a policy stands for the document that its own Rego is given.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_over_authority_matches_is_given_is_shown_too() {
    let desk = Desk::new().await;
    let rego = "  policy:\n    type: rego\n    data: |\n      package sigstore\n      isCompliant { input.authorityMatches.release }\n";
    let policy = desk.file("p.yaml", signed_by("counted", &release()) + rego);
    let ended = verify(&policy, ["--show-input", "counted", &desk.image("signed")]).end();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let input = ended.json();
    assert_eq!(
        input["authorityMatches"]["release"]["signatures"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    assert_eq!(input.get("incomplete"), None);

    // It was not asked where no authority is satisfied, and another name is none.
    let ended = verify(
        &policy,
        ["--show-input", "counted", &desk.image("unsigned")],
    )
    .end();
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
    assert!(
        ended.stderr.contains("policy counted was given nothing"),
        "{}",
        ended.stderr
    );
    let ended = verify(&policy, ["--show-input", "other", &desk.image("signed")]).end();
    assert_eq!(ended.code, 2);
    assert!(
        ended
            .stderr
            .contains("policies with Rego of their own: counted"),
        "{}",
        ended.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_is_not_there_is_answered_with_those_that_are() {
    let desk = Desk::new().await;
    let ended = desk.verify(&["--show-input", "nobody", &desk.image("signed")]);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
    assert!(
        ended.stderr.contains("\"nobody\"; there are: release"),
        "{}",
        ended.stderr
    );
}

/// The name of the authority is right; that the registry is in trouble says nothing about it.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_in_trouble_is_not_blamed_on_the_name_of_the_authority() {
    let desk = Desk::new().await;
    desk.registry.on(Match::any(), Fault::status(500));
    let policy = desk.file("built.yaml", built_by_chains("built", &release()));
    for image in [desk.image("signed"), desk.pinned("signed")] {
        let ended = verify(
            &policy,
            ["--timeout", "3", "--show-input", "tekton-chains", &image],
        )
        .end();
        assert_eq!((ended.code, ended.stdout.as_str()), (3, ""), "{ended:?}");
        assert!(ended.stderr.contains("could not judge"), "{}", ended.stderr);
        assert!(
            !ended.stderr.contains("has an authority"),
            "{}",
            ended.stderr
        );
    }
}
