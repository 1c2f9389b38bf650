//! The policy for what a GitHub workflow built, as it ships: over images that this workflow, or somebody who is nearly it, attested.

use rstest::rstest;
use serde_json::{Value, json};
use vouchsafe::verdict::{Judgement, Reason};

use crate::sigstore::{Act, Form, Identity, Lie, Logged, Subject, Trusted, Version};
use crate::stage::{OURS, PROVENANCE, Stage};
use crate::workflows::{attested, authority};

const POLICY: &str = "github-actions";
/// What the action puts beside an image.
const BUNDLE: Form = Form::Statement(Version::V03);
const REPOSITORY: &str = "example/cart";
const TAG: &str = "refs/tags/v1.4.0";
/// The workflow that the policy trusts, at a tag.
const RELEASE: [&str; 3] = [REPOSITORY, "release.yml", TAG];

/// Provenance as GitHub writes it for a workflow that builds by itself.
fn provenance(workflow: [&str; 3]) -> Value {
    called(workflow, workflow)
}

/// The same for one that calls another to build.
fn called(caller: [&str; 3], builder: [&str; 3]) -> Value {
    let [repository, file, reference] = caller;
    let home = format!("https://github.com/{repository}");
    let [of, build, at] = builder;
    json!({
        "buildDefinition": {
            "buildType": "https://actions.github.io/buildtypes/workflow/v1",
            "externalParameters": {"workflow": {"ref": reference, "repository": home, "path": format!(".github/workflows/{file}")}},
            "internalParameters": {"github": {"event_name": "push", "runner_environment": "github-hosted"}},
            "resolvedDependencies": [{"uri": format!("git+{home}@{reference}"), "digest": {"gitCommit": "7b3a83800f5e4d1c9b2a6e7d8c9f0a1b2c3d4e5f"}}],
        },
        "runDetails": {"builder": {"id": format!("https://github.com/{of}/.github/workflows/{build}@{at}")}},
    })
}

#[tokio::test]
async fn what_the_release_workflow_built_from_a_tag_is_admitted() {
    let verdict = attested(&authority(POLICY), BUNDLE, RELEASE, provenance(RELEASE)).await;
    assert_eq!(verdict, (Judgement::Admit, Reason::Satisfied));
}

#[rstest]
#[case::a_fork(["somebody/cart", "release.yml", TAG])]
#[case::a_name_like_ours(["example/cart-evil", "release.yml", TAG])]
#[case::another_workflow([REPOSITORY, "test.yml", TAG])]
#[case::a_branch([REPOSITORY, "release.yml", "refs/heads/main"])]
#[case::another_tag([REPOSITORY, "release.yml", "refs/tags/nightly"])]
#[tokio::test]
async fn nobody_else_can_attest_it(#[case] workflow: [&str; 3]) {
    let verdict = attested(&authority(POLICY), BUNDLE, workflow, provenance(RELEASE)).await;
    assert_eq!(verdict, (Judgement::Deny, Reason::IdentityMismatch));
}

#[rstest]
#[case::a_fork(provenance(["somebody/cart", "release.yml", TAG]))]
#[case::a_branch(provenance([REPOSITORY, "release.yml", "refs/heads/main"]))]
#[case::another_workflow(provenance([REPOSITORY, "test.yml", TAG]))]
#[case::another_builder(called(RELEASE, ["somebody/workflows", "build.yml", "refs/tags/v2"]))]
#[case::the_builder_of_another(called(["somebody/cart", "release.yml", TAG], RELEASE))]
#[case::nothing(json!({}))]
#[tokio::test]
async fn what_it_attests_must_be_a_release_of_ours(#[case] provenance: Value) {
    let verdict = attested(&authority(POLICY), BUNDLE, RELEASE, provenance).await;
    assert_eq!(verdict, (Judgement::Deny, Reason::PolicyDenied));
}

/// As the page beside the policy says: a Sigstore with timestamps, without a log and without a certificate log.
#[tokio::test]
async fn what_a_private_repository_attests_needs_a_root_and_timestamps() {
    let stage = Stage::new().await;
    let act = Act::by(Identity::workflow(RELEASE[0], RELEASE[1], RELEASE[2]))
        .lying(Lie::NoSct)
        .logged(Logged::Nowhere)
        .stamped();
    let image = stage.image();
    let subject = Subject::of(&image.bytes).predicate(PROVENANCE, provenance(RELEASE));
    let signed = stage.sigstore.sign(BUNDLE, &subject, &act);
    stage.keep(&image, &signed);
    let root = stage.root().without(Trusted::CtLogs).without(Trusted::Logs);

    let mut private = authority(POLICY);
    let members = private.as_object_mut().unwrap();
    members.remove("ctlog");
    members.insert("rfc3161timestamp".to_owned(), json!({"trustRootRef": OURS}));
    private["keyless"]["trustRootRef"] = json!(OURS);
    private["keyless"]["insecureIgnoreSCT"] = json!(true);

    let verdict = stage.judged(&image, &private, &root).await;
    assert_eq!(verdict.judgement, Judgement::Admit, "{verdict:#?}");
    let public = stage.judged(&image, &authority(POLICY), &root).await;
    assert_ne!(public.judgement, Judgement::Admit, "{public:#?}");
}
