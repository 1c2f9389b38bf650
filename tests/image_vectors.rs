//! Images that others signed, from public repositories: their signatures, attestations and bundles, served by a registry and judged by the
//! webhook. What was signed years ago, by keys and by identities, by the public Sigstore and by a private one.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

#[path = "image_vectors/fields.rs"]
mod fields;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::vectors::vectors;
use support::webhook::{Answered, Webhook};
use vouchsafe::demo::registry::{Registry, RunningRegistry, Store};

/// The index of all cases and where their files are.
struct Vectors {
    folder: PathBuf,
    cases: Vec<Value>,
}

impl Vectors {
    fn load() -> Option<Self> {
        let folder = vectors()?;
        let index: Value = json_file(&folder.join("INDEX.json"));
        let cases = index["cases"].as_array().unwrap().clone();
        Some(Self { folder, cases })
    }

    fn case(&self, id: &str) -> &Value {
        self.cases.iter().find(|case| case["id"] == id).unwrap()
    }

    /// The registry of a case.
    async fn serve(&self, case: &Value) -> RunningRegistry {
        let store = Store::new();
        let recorded = &case["registry"];
        let repository = recorded["repo"].as_str().unwrap();
        let bytes = |entry: &Value| {
            std::fs::read(self.folder.join(entry["file"].as_str().unwrap())).unwrap()
        };
        for manifest in recorded["manifests"].as_array().into_iter().flatten() {
            let tag = manifest["ref"]
                .as_str()
                .filter(|r| !r.starts_with("sha256:"));
            let media_type = manifest["mediaType"].as_str().unwrap();
            store.push_manifest(repository, tag, media_type, bytes(manifest));
        }
        for blob in recorded["blobs"].as_array().into_iter().flatten() {
            store.push_blob(repository, bytes(blob));
        }
        Registry::bind(store, "127.0.0.1:0").await.unwrap()
    }

    /// What the webhook says of the image of a case under a policy with this authority.
    async fn judge(&self, case: &Value, authority: &Value) -> Answered {
        let registry = self.serve(case).await;
        let policy = json!({
            "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "vector"},
            "spec": {"images": [{"glob": "**"}], "authorities": [authority]},
        });
        let root = case["trusted_root"]
            .as_str()
            .map(|root| self.folder.join(root));
        let webhook = Webhook::start_with(&policy.to_string(), |settings| {
            settings.judge.trust.trusted_root = root;
        })
        .await;
        let image = format!(
            "{}/{}@{}",
            registry.host(),
            case["registry"]["repo"].as_str().unwrap(),
            case["digest"].as_str().unwrap()
        );
        webhook.judge(&image).await
    }

    /// The authority that a case is about: a key, else the identity as it is written.
    fn authority(&self, case: &Value) -> Value {
        let asks_log = case["options"]["require_tlog"].as_bool();
        let mut authority = match case["key"].as_str() {
            Some(key) => {
                let pem = std::fs::read_to_string(self.folder.join(key)).unwrap();
                json!({"name": "vector", "key": {"data": pem}})
            }
            None => json!({"name": "vector", "keyless": {
                "identities": [{"issuer": case["issuer"], "subject": case["identity"]}],
            }}),
        };
        if asks_log == Some(true) {
            authority["ctlog"] = json!({"url": "https://rekor.sigstore.dev"});
        }
        let predicate = case["predicate_type"].as_str();
        let attested = case["kind"] == "cosign-att"
            || predicate.is_some_and(|found| !found.contains("cosign/sign"));
        if attested {
            let wanted = predicate.unwrap_or("https://slsa.dev/provenance/v0.2");
            authority["attestations"] = json!([{"name": "found", "predicateType": wanted}]);
        }
        authority
    }
}

fn json_file(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Thresholds of several keys are nothing that a ClusterImagePolicy can say.
fn is_one_authority(case: &Value) -> bool {
    case["registry"].is_object() && case["keys"].as_array().is_none_or(|keys| keys.len() < 2)
}

#[tokio::test]
async fn every_image_of_the_index_is_judged_as_is_known() {
    let Some(vectors) = Vectors::load() else {
        return;
    };
    let mut wrong = Vec::new();
    for case in vectors.cases.iter().filter(|case| is_one_authority(case)) {
        let (id, expected) = (case["id"].as_str().unwrap(), case["expected"] == "pass");
        let answered = vectors.judge(case, &vectors.authority(case)).await;
        println!("{id}: {}", answered.reason());
        if answered.allowed != expected {
            wrong.push(format!("{id}: {}\n{}", answered.reason(), answered.message));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A signature of GitHub Actions from October 2022, rebuilt byte for byte.
#[tokio::test]
async fn an_old_signature_of_a_workflow_is_admitted_by_the_webhook() {
    let Some(vectors) = Vectors::load() else {
        return;
    };
    let case = vectors.case("seed-004/s3c-demo-keyless");
    let answered = vectors.judge(case, &vectors.authority(case)).await;
    answered.admitted("satisfied");
    let signers = answered.annotations["signers"].as_str().unwrap();
    let identity = case["identity"].as_str().unwrap();
    assert!(signers.contains(identity), "{signers}");
}

/// The answer says who signed and who should have.
#[tokio::test]
async fn another_identity_is_named_beside_the_one_that_is_wanted() {
    let Some(vectors) = Vectors::load() else {
        return;
    };
    let case = vectors.case("seed-004/s3c-demo-keyless");
    let wanted =
        json!({"issuer": case["issuer"], "subjectRegExp": "^https://github[.]com/another/"});
    let authority = json!({"name": "ci", "keyless": {"identities": [wanted]}});
    let answered = vectors.judge(case, &authority).await;
    answered.denied("identity-mismatch");
    for told in [
        "none of the expected identities matched what was in the certificate",
        case["identity"].as_str().unwrap(),
        "https://token.actions.githubusercontent.com",
        "https://github[.]com/another/",
    ] {
        assert!(
            answered.message.contains(told),
            "{told}: {}",
            answered.message
        );
    }
}

/// T-33: a certificate's key is not the key that a policy names, and a key is no identity.
#[tokio::test]
async fn a_key_authority_and_an_identity_do_not_stand_in_for_each_other() {
    let Some(vectors) = Vectors::load() else {
        return;
    };
    let keyless = vectors.case("seed-004/s3c-demo-keyless");
    let keyed = vectors.case("connaisseur/alice-key-notlog");
    let key = vectors.authority(keyed);
    vectors
        .judge(keyless, &key)
        .await
        .denied("untrusted-signer");
    let anybody = json!({"name": "ci", "keyless": {"identities": [{"issuerRegExp": ".*", "subjectRegExp": ".*"}]}});
    vectors
        .judge(keyed, &anybody)
        .await
        .denied("untrusted-signer");
}

/// The root of another Sigstore vouches for nothing here.
#[tokio::test]
async fn a_root_that_does_not_know_the_log_denies() {
    let Some(vectors) = Vectors::load() else {
        return;
    };
    let case = vectors.case("conforma/testimage-sig__public-good-root");
    vectors
        .judge(case, &vectors.authority(case))
        .await
        .denied("not-logged");
}
