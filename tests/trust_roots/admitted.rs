//! An image that a private Sigstore signed, judged by the webhook under a TrustRoot of each shape.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vouchsafe::demo::registry::{Registry, RunningRegistry, Store};

use super::mirror::Served;
use crate::support::tuf::archive;
use crate::support::vectors::vectors;
use crate::support::webhook::{Answered, Webhook};

/// The image, where it is served, and what its Sigstore published.
struct Stage {
    case: Value,
    registry: RunningRegistry,
    folder: PathBuf,
}

impl Stage {
    async fn new() -> Option<Self> {
        let vectors = vectors()?;
        let index: Value =
            serde_json::from_slice(&std::fs::read(vectors.join("INDEX.json")).unwrap()).unwrap();
        let cases = index["cases"].as_array().unwrap();
        let case = cases
            .iter()
            .find(|case| case["id"] == "conforma/testimage-sig");
        let case = case.unwrap().clone();
        let store = Store::new();
        let recorded = &case["registry"];
        let repository = recorded["repo"].as_str().unwrap();
        let bytes =
            |entry: &Value| std::fs::read(vectors.join(entry["file"].as_str().unwrap())).unwrap();
        for manifest in recorded["manifests"].as_array().unwrap() {
            let tag = manifest["ref"]
                .as_str()
                .filter(|tag| !tag.starts_with("sha256:"));
            let media_type = manifest["mediaType"].as_str().unwrap();
            store.push_manifest(repository, tag, media_type, bytes(manifest));
        }
        for blob in recorded["blobs"].as_array().unwrap() {
            store.push_blob(repository, bytes(blob));
        }
        let registry = Registry::bind(store, "127.0.0.1:0").await.unwrap();
        let folder = vectors.join("conforma/tuf-mirror");
        Some(Self {
            case,
            registry,
            folder,
        })
    }

    /// The files of its TUF repository, by their paths.
    fn published(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for (folder, below) in [("metadata", ""), ("targets", "targets/")] {
            for entry in std::fs::read_dir(self.folder.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap();
                files.insert(format!("{below}{name}"), std::fs::read(&path).unwrap());
            }
        }
        files
    }

    /// A target by the end of its name, in base64.
    fn target(&self, name: &str) -> String {
        let files = self.published();
        let found = files.iter().find(|(path, _)| path.ends_with(name));
        STANDARD.encode(found.unwrap().1)
    }

    fn root(&self) -> String {
        STANDARD.encode(std::fs::read(self.folder.join("initial_root.json")).unwrap())
    }

    /// What the webhook says of the image, where the TrustRoot of the policy is this.
    async fn judge(&self, trust_root: &Value) -> Answered {
        let identity = json!({"issuer": self.case["issuer"], "subject": self.case["identity"]});
        let authority =
            json!({"name": "ci", "keyless": {"identities": [identity], "trustRootRef": "private"}});
        let policy = json!({
            "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "private"},
            "spec": {"images": [{"glob": "**"}], "authorities": [authority]},
        });
        let root = json!({
            "apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot", "metadata": {"name": "private"}, "spec": trust_root,
        });
        let webhook = Webhook::start(&format!("{policy}\n---\n{root}\n")).await;
        let (repository, digest) = (&self.case["registry"]["repo"], &self.case["digest"]);
        let image = format!(
            "{}/{}@{}",
            self.registry.host(),
            repository.as_str().unwrap(),
            digest.as_str().unwrap()
        );
        webhook.judge(&image).await
    }
}

#[tokio::test]
async fn the_image_is_admitted_by_what_a_mirror_publishes() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let served = Served::of(stage.published()).await;
    let remote = json!({"remote": {"mirror": served.url, "root": stage.root()}});
    stage.judge(&remote).await.admitted("satisfied");
    served.is_down();
    stage.judge(&remote).await.denied("trust-root-unavailable");
}

#[tokio::test]
async fn the_image_is_admitted_by_a_repository_in_the_resource() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let files = stage.published().into_iter();
    let files = files.map(|(path, content)| (format!("repository/{path}"), content));
    let mirror_fs = STANDARD.encode(archive(files));
    let repository = json!({"repository": {"root": stage.root(), "mirrorFS": mirror_fs}});
    stage.judge(&repository).await.admitted("satisfied");
}

#[tokio::test]
async fn the_image_is_admitted_by_the_keys_of_its_sigstore_and_by_no_others() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let log = |key: &str| json!({"baseURL": "https://log.example", "hashAlgorithm": "sha-256", "publicKey": stage.target(key)});
    let mut keys = json!({"sigstoreKeys": {
        "certificateAuthorities": [{
            "subject": {"organization": "o", "commonName": "c"}, "uri": "https://ca.example",
            "certChain": stage.target("fulcio_v1.crt.pem"),
        }],
        "ctLogs": [log("ctfe.pub")], "tLogs": [log("rekor.pub")],
    }});
    stage.judge(&keys).await.admitted("satisfied");
    let other = rcgen::KeyPair::generate().unwrap().public_key_pem();
    keys["sigstoreKeys"]["tLogs"][0]["publicKey"] = json!(STANDARD.encode(other));
    let answered = stage.judge(&keys).await;
    assert!(!answered.allowed, "{answered:?}");
}

#[tokio::test]
async fn a_trust_root_that_cannot_be_used_is_named_and_denies() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let broken =
        json!({"repository": {"root": stage.root(), "mirrorFS": STANDARD.encode([0x1f, 0x8b])}});
    let answered = stage.judge(&broken).await;
    answered.denied("trust-root-unavailable");
    assert!(
        answered
            .message
            .contains("trustRootRef private cannot be used"),
        "{}",
        answered.message
    );
}
