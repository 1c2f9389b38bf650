//! What every test here needs: a registry with recorded images, and a folder for policies.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vouchsafe::demo::registry::Store;

use crate::support::command::{Ended, verify};
use crate::support::policy_text::{recorded, recorded_key, signed_by};
use crate::support::registry::{FaultyRegistry, RecordedImage};

/// The tool whose recorded images are served.
const TOOL: &str = "cosign-3.1";
const CASES: [&str; 8] = [
    "annotated",
    "att-only",
    "sig-only",
    "signed",
    "stranger",
    "two-attestations",
    "unsigned",
    "wrong-builder",
];

/// A registry with every recorded image of cosign, and a folder.
pub(crate) struct Desk {
    pub(crate) registry: FaultyRegistry,
    folder: TempDir,
}

impl Desk {
    pub(crate) async fn new() -> Self {
        let store = Store::new();
        for case in CASES {
            RecordedImage::load_into(&store, recorded().join(TOOL).join(case));
        }
        let registry = FaultyRegistry::start(store).await;
        Self {
            registry,
            folder: TempDir::new().unwrap(),
        }
    }

    /// The image of a case, by tag.
    pub(crate) fn image(&self, case: &str) -> String {
        format!("{}/t/{case}:v1", self.registry.host())
    }

    /// The image of a case, by digest.
    pub(crate) fn pinned(&self, case: &str) -> String {
        let repository = format!("t/{case}");
        let digest = self.registry.store().tag_digest(&repository, "v1").unwrap();
        format!("{}/{repository}@{digest}", self.registry.host())
    }

    /// Writes a file into the folder.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<str>) -> PathBuf {
        let path = self.folder().join(name);
        std::fs::write(&path, text.as_ref()).unwrap();
        path
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A policy that wants the signature of the release key.
    pub(crate) fn signed_by_release(&self) -> PathBuf {
        self.file("signed.yaml", signed_by("signed-by-release", &release()))
    }

    /// `verify` with that policy.
    pub(crate) fn verify(&self, rest: &[&str]) -> Ended {
        verify(self.signed_by_release(), rest).end()
    }

    /// The registry, to be stopped, and the folder, to be kept.
    pub(crate) fn apart(self) -> (FaultyRegistry, TempDir) {
        (self.registry, self.folder)
    }

    /// A text in which the address of the registry does not vary.
    pub(crate) fn redacted(&self, text: &str) -> String {
        text.replace(&self.registry.host(), "127.0.0.1:[port]")
    }
}

pub(crate) fn release() -> String {
    recorded_key(TOOL, "release")
}

pub(crate) fn stranger() -> String {
    recorded_key(TOOL, "stranger")
}
