//! A registry with signed images, the key that the policies name, and a folder.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vouchsafe::demo::registry::{Store, image};
use vouchsafe::demo::signer::{SignatureOptions, SigningKey, attach_signature};
use vouchsafe::image::Digest;

use crate::support::command::{Ended, verify};
use crate::support::policies::{Policy, yaml};
use crate::support::registry::FaultyRegistry;

/// The stage.
pub(crate) struct Stage {
    pub(crate) registry: FaultyRegistry,
    pub(crate) release: SigningKey,
    folder: TempDir,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self {
            registry: FaultyRegistry::start(Store::new()).await,
            release: SigningKey::generate().unwrap(),
            folder: TempDir::new().unwrap(),
        }
    }

    /// An image `NAME:v1` that nobody signed here.
    pub(crate) fn image(&self, name: &str) -> Digest {
        image(self.registry.store(), name, "v1", name)
    }

    /// An image `NAME:v1` that the release key signed.
    pub(crate) fn signed(&self, name: &str) -> Digest {
        let digest = self.image(name);
        self.sign_in(&self.registry, name, &digest);
        digest
    }

    /// A signature by the release key, kept in this repository of this registry.
    pub(crate) fn sign_in(&self, registry: &FaultyRegistry, name: &str, digest: &Digest) {
        let options = SignatureOptions::default();
        attach_signature(registry.store(), name, digest, &self.release, &options).unwrap();
    }

    /// A file in the folder.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Signed by the release key.
    pub(crate) fn policy(&self) -> Policy {
        Policy::new("release").key("release", &self.release)
    }

    /// `verify` of one image under that policy, with this environment. It runs beside the servers of this process.
    pub(crate) fn verify(&self, image: &str, rest: &[&str], environment: &[(&str, &str)]) -> Ended {
        let policies = self.file("policies.yaml", &yaml(&[self.policy()]));
        let run = verify(policies, rest.iter().copied().chain([image]));
        let run = environment
            .iter()
            .fold(run, |run, (name, value)| run.env(name, value));
        tokio::task::block_in_place(|| run.end())
    }
}
