//! The policy for Vouchsafe's own image, as it ships: over images that this workflow, or somebody who is nearly it, built and attested.

use rstest::rstest;
use serde_json::{Value, json};
use vouchsafe::verdict::{Judgement, Reason};

use crate::sigstore::{Act, Form, Identity, Version};
use crate::stage::Stage;
use crate::workflows::{attested, authority};

const POLICY: &str = "vouchsafe-release";
const REPOSITORY: &str = "vouchsafe/vouchsafe";
const TAG: &str = "refs/tags/v0.1.0";

/// Provenance as the release workflow writes it.
fn provenance(repository: &str, reference: &str) -> Value {
    let repository = format!("https://github.com/{repository}");
    json!({
        "buildDefinition": {
            "buildType": "https://actions.github.io/buildtypes/workflow/v1",
            "externalParameters": {"workflow": {"ref": reference, "repository": repository, "path": ".github/workflows/release.yaml"}},
            "resolvedDependencies": [{"uri": format!("git+{repository}@{reference}"), "digest": {"gitCommit": "7b3a83800f5e4d1c9b2a6e7d8c9f0a1b2c3d4e5f"}}],
        },
        "runDetails": {"builder": {"id": format!("{repository}/.github/workflows/release.yaml@{reference}")}},
    })
}

async fn judged(workflow: [&str; 3], provenance: Value) -> (Judgement, Reason) {
    attested(&authority(POLICY), Form::Attestation, workflow, provenance).await
}

#[tokio::test]
async fn what_the_release_workflow_built_from_a_tag_is_admitted() {
    let workflow = [REPOSITORY, "release.yaml", TAG];
    let verdict = judged(workflow, provenance(REPOSITORY, TAG)).await;
    assert_eq!(verdict, (Judgement::Admit, Reason::Satisfied));
}

#[rstest]
#[case::a_fork(["somebody/vouchsafe", "release.yaml", TAG])]
#[case::a_name_like_ours(["vouchsafe/vouchsafe-evil", "release.yaml", TAG])]
#[case::another_workflow([REPOSITORY, "test.yaml", TAG])]
#[case::a_branch([REPOSITORY, "release.yaml", "refs/heads/main"])]
#[case::a_branch_like_a_tag([REPOSITORY, "release.yaml", "refs/heads/refs/tags/v0.1.0"])]
#[case::another_tag([REPOSITORY, "release.yaml", "refs/tags/nightly"])]
#[tokio::test]
async fn nobody_else_can_attest_it(#[case] workflow: [&str; 3]) {
    let verdict = judged(workflow, provenance(REPOSITORY, TAG)).await;
    assert_eq!(verdict, (Judgement::Deny, Reason::IdentityMismatch));
}

#[rstest]
#[case::a_fork(provenance("somebody/vouchsafe", TAG))]
#[case::a_branch(provenance(REPOSITORY, "refs/heads/main"))]
#[case::nothing(json!({}))]
#[tokio::test]
async fn what_it_attests_must_be_a_release_of_ours(#[case] provenance: Value) {
    let verdict = judged([REPOSITORY, "release.yaml", TAG], provenance).await;
    assert_eq!(verdict, (Judgement::Deny, Reason::PolicyDenied));
}

#[tokio::test]
async fn a_signature_alone_is_no_provenance() {
    let stage = Stage::new().await;
    let act = Act::by(Identity::workflow(REPOSITORY, "release.yaml", TAG));
    let image = stage.signed(Form::Statement(Version::V03), &act);
    let root = stage.root();
    let verdict = stage
        .judged_under(&image, &authority(POLICY), None, Some(&root))
        .await;
    assert_eq!(verdict.judgement, Judgement::Deny);
    assert_eq!(verdict.reason, Reason::NoAttestation);
}
