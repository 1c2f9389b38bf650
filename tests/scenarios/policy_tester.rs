//! The examples of `policy-tester` (`policy-tester-examples.yml`), by `vouchsafe verify`: no cluster, and an image by tag.

use std::io::Write as _;

use rstest::rstest;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::sigstore::{Act, Identity};
use crate::stage::{Stage, account, by_key, identity, new_key, with};
use crate::support::command::{Ended, verify};
use crate::support::policies::{Policy, yaml};

const SPDX: &str = "https://spdx.dev/Document";
const GITHUB: &str = "https://token.actions.githubusercontent.com";
const WORKFLOW: &str = "https://github.com/sigstore/policy-controller/.github/workflows/policy-tester-examples.yml@refs/heads/main";

/// `vouchsafe verify` with this policy and these arguments.
async fn tested(stage: &Stage, policy: &Policy, arguments: &[&str]) -> Ended {
    let mut file = NamedTempFile::with_suffix(".yaml").unwrap();
    file.write_all(yaml(std::slice::from_ref(policy)).as_bytes())
        .unwrap();
    let root = stage.trusted_root();
    let rest = ["--trusted-root", &root].into_iter();
    let run = verify(file.path(), rest.chain(arguments.iter().copied()));
    tokio::task::spawn_blocking(move || run.end())
        .await
        .unwrap()
}

/// `authority`, which wants an SBOM of the type that `cosign attest --type spdxjson` writes.
fn sbom(authority: Value, language: &str) -> Value {
    let data = match language {
        "cue" => format!("predicateType: \"{SPDX}\"\n"),
        _ => format!("package sigstore\nisCompliant {{ input.predicateType == \"{SPDX}\" }}\n"),
    };
    let wanted = json!([{
        "name": "must-have-spdxjson", "predicateType": "spdxjson",
        "policy": {"type": language, "data": data},
    }]);
    with(authority, "attestations", wanted)
}

fn document() -> Value {
    json!({
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": "alpine", "documentNamespace": "https://spdx.example/alpine",
        "creationInfo": {"created": "2025-06-01T12:00:00Z", "creators": ["Tool: syft"]},
        "packages": [],
    })
}

#[rstest]
#[case::in_rego("rego", 0)]
// Whatever it would say, it is not asked: a policy that cannot be used ends the command.
#[case::in_cue("cue", 2)]
#[tokio::test(flavor = "multi_thread")]
async fn custom_key_attestation_sbom_spdxjson(#[case] language: &str, #[case] code: i32) {
    let stage = Stage::new().await;
    let (alpine, key) = (stage.image("alpine"), new_key());
    stage.attest_type(&alpine, SPDX, document(), &Act::with_key(&key));
    let policy =
        Policy::new("custom-key-attestation-sbom-spdxjson").authority(sbom(by_key(&key), language));
    let ended = tested(&stage, &policy, &[&alpine.tagged()]).await;
    assert_eq!(ended.code, code, "{ended:?}");
    if language == "rego" {
        let unattested = stage.image("busybox");
        let ended = tested(&stage, &policy, &[&unattested.tagged()]).await;
        assert_eq!(ended.code, 1, "{ended:?}");
    }
}

#[rstest]
#[case::a_job_is_denied("batch/v1", "Job", 1)]
#[case::a_pod_is_admitted("v1", "Pod", 0)]
#[tokio::test(flavor = "multi_thread")]
async fn allow_only_pods(#[case] api_version: &str, #[case] kind: &str, #[case] code: i32) {
    let stage = Stage::new().await;
    let server = stage.image("timestamp-server");
    let policy = Policy::new("allow-only-pods")
        .glob("**/timestamp-server**")
        .fixed("pass")
        .spec(
            "policy",
            json!({
                "type": "rego", "includeTypeMeta": true,
                "data": "package sigstore\nisCompliant { input.typemeta.kind == \"Pod\" }\n",
            }),
        );
    let pod = json!({"containers": [{"name": "c", "image": server.pinned()}]});
    let spec = match kind {
        "Pod" => pod,
        _ => json!({"template": {"spec": pod}}),
    };
    let object = json!({
        "apiVersion": api_version, "kind": kind, "metadata": {"name": "demo"}, "spec": spec,
    });
    let mut file = NamedTempFile::with_suffix(".json").unwrap();
    file.write_all(object.to_string().as_bytes()).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let ended = tested(&stage, &policy, &["-f", &path]).await;
    assert_eq!(ended.code, code, "{ended:?}");
}

/// The two examples that need the public Sigstore, with one of our own: a workflow signs and attests, and is named exactly.
#[rstest]
#[case::signed_by_github_actions(false)]
#[case::keyless_attestation_sbom_spdxjson(true)]
#[tokio::test(flavor = "multi_thread")]
async fn by_a_workflow(#[case] wants_sbom: bool) {
    let stage = Stage::new().await;
    let image = stage.image("alpine");
    let act = Act::by(Identity::uri(WORKFLOW, GITHUB));
    stage.sign(&image, &act);
    stage.attest_type(&image, SPDX, document(), &act);
    let named = |identity: Value| {
        let authority = json!({
            "keyless": {"url": "https://fulcio.sigstore.dev", "identities": [identity]},
            "ctlog": {"url": "https://rekor.sigstore.dev"},
        });
        let authority = if wants_sbom {
            sbom(authority, "rego")
        } else {
            authority
        };
        Policy::new("by-github-actions").authority(authority)
    };
    let policy = named(json!({"issuer": GITHUB, "subject": WORKFLOW}));
    let ended = tested(&stage, &policy, &[&image.tagged()]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let ended = tested(&stage, &named(identity("default")), &[&image.tagged()]).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    // Nor may somebody else whom the log knows.
    let other = stage.image("other");
    stage.sign(&other, &account());
    let ended = tested(&stage, &policy, &[&other.tagged()]).await;
    assert_eq!(ended.code, 1, "{ended:?}");
}
