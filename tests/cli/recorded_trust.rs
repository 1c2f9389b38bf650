//! `verify --record` of images whose signers are identities: the root that was trusted and the time are part of the recording.

use serde_json::json;
use tempfile::TempDir;
use vouchsafe::demo::registry::{Store, image};

use crate::sigstore::{Act, Form, Identity, Sigstore, Subject, cosign};
use crate::support::command::{verify, vouchsafe};
use crate::support::registry::FaultyRegistry;

const ISSUER: &str = "https://accounts.example";
const WHO: &str = "release@shop.example";

/// What was recorded of one image, signed in June 2025 under a root of its own.
async fn recorded() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (store, sigstore) = (Store::new(), Sigstore::new());
    let digest = image(&store, "shop/cart", "v1", "cart");
    let manifest = store.manifest("shop/cart", &digest.to_string()).unwrap();
    let act = Act::by(Identity::email(WHO, ISSUER));
    let signed = sigstore.sign(Form::Signature, &Subject::of(&manifest.bytes), &act);
    cosign::attach(&store, "shop/cart", &digest, &signed);
    let registry = FaultyRegistry::start(store).await;
    let policy = json!({
        "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "p"},
        "spec": {"images": [{"glob": "**"}], "authorities": [{"name": "release", "keyless": {
            "identities": [{"issuer": ISSUER, "subject": WHO}],
        }}]},
    });
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let policy = file("policy.yaml", policy.to_string());
    let root = file("root.json", sigstore.trusted_root().json());
    let kept = folder.path().join("kept");
    let ended = verify(
        &policy,
        [
            "--record".as_ref(),
            kept.as_os_str(),
            "--trusted-root".as_ref(),
            root.as_os_str(),
            format!("{}/shop/cart:v1", registry.host()).as_ref(),
        ],
    )
    .end();
    assert_eq!(ended.code, 0, "{ended:?}");
    std::fs::remove_file(root).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_is_judged_again_under_the_root_that_was_trusted() {
    let folder = recorded().await;
    let kept = folder.path().join("kept");
    let test = || vouchsafe(["test".as_ref(), kept.as_os_str()]).end();
    let ended = test();
    assert_eq!(ended.code, 0, "{ended:?}");
    let root = kept.join("vouchsafe-evidence/trusted_root.json");
    assert!(root.is_file());
    // Without it, it is the root in the program that is asked.
    std::fs::remove_file(&root).unwrap();
    let ended = test();
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stdout.contains("expected admit"), "{}", ended.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_is_judged_at_its_own_time() {
    let folder = recorded().await;
    let cases = folder.path().join("kept/vouchsafe-test.yaml");
    let text = std::fs::read_to_string(&cases).unwrap();
    let at = text
        .lines()
        .find(|line| line.trim().starts_with("at:"))
        .unwrap();
    let judged_at = |time: &str| {
        let changed = text.replace(at, &format!("  at: {time}"));
        std::fs::write(&cases, changed).unwrap();
        vouchsafe(["test".as_ref(), cases.as_os_str()]).end()
    };
    // It was signed in June 2025: before that nothing is proven, and it is looked for in places that were not asked then.
    let ended = judged_at("2024-06-01T00:00:00Z");
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stdout.contains("expected admit"), "{}", ended.stdout);
    assert_eq!(judged_at("2025-07-01T00:00:00Z").code, 0);
}
