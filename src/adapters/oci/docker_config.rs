//! The docker config of whoever runs us: `config.json` of docker and podman, with its credential helpers.
//!
//! What the JSON means is read by [`docker`]; credential helpers run only for this file, never for a Secret, and only for the
//! registries that are asked for (`helper`).

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::helper::Helpers;
use crate::gather::keychain::docker::{self, Config, InvalidConfig};
use crate::gather::keychain::{Keychain, KeychainEntry};

/// The credentials of the person or process that runs us.
#[derive(Clone, Debug, Default)]
pub struct DockerConfig {
    entries: Vec<KeychainEntry>,
    helpers: Helpers,
}

/// A docker config that cannot be used. Nothing of its content is repeated.
#[derive(Debug, thiserror::Error)]
pub enum DockerConfigError {
    /// The file cannot be opened or read.
    #[error("docker config {} cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What it holds is none.
    #[error(transparent)]
    Invalid(#[from] InvalidConfig),
}

// === impl DockerConfig ===

impl DockerConfig {
    /// Reads `path`, or else the first of the usual places that exists: `$DOCKER_CONFIG/config.json`, `~/.docker/config.json`,
    /// `$REGISTRY_AUTH_FILE`, `$XDG_RUNTIME_DIR/containers/auth.json`. None of them existing is an empty config.
    pub fn load(path: Option<&Path>) -> Result<Self, DockerConfigError> {
        let Some(path) = path.map(Path::to_owned).or_else(usual_place) else {
            return Ok(Self::default());
        };
        let file = |source| DockerConfigError::File {
            path: path.clone(),
            source,
        };
        let limit = u64::try_from(docker::MAX_BYTES).unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        std::fs::File::open(&path)
            .map_err(file)?
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(file)?;
        Self::parse(&bytes, "docker config")
    }

    fn parse(bytes: &[u8], source: &str) -> Result<Self, DockerConfigError> {
        let config = Config::parse(bytes, source)?;
        Ok(Self {
            entries: config.entries,
            helpers: Helpers::new(config.helpers, config.store),
        })
    }

    /// The keychain for these registries (as they stand in references: `docker.io`, `registry.example.com:5000`). What the
    /// credential helpers answer comes before what the file holds; a helper that fails has no credentials.
    pub async fn keychain(&self, registries: &[&str]) -> Keychain {
        let mut all = self.helpers.entries(registries).await;
        all.extend(self.entries.iter().cloned());
        Keychain::new(all)
    }
}

fn usual_place() -> Option<PathBuf> {
    let place = |variable: &str, rest: &str| {
        std::env::var_os(variable).map(|base| PathBuf::from(base).join(rest))
    };
    [
        place("DOCKER_CONFIG", "config.json").or_else(|| place("HOME", ".docker/config.json")),
        std::env::var_os("REGISTRY_AUTH_FILE").map(PathBuf::from),
        place("XDG_RUNTIME_DIR", "containers/auth.json"),
    ]
    .into_iter()
    .flatten()
    .find(|path| path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_helper_that_is_not_there_leaves_the_file_entries() {
        let json =
            br#"{"auths":{"a.example.com":{"auth":"dTpw"}},"credsStore":"does-not-exist-here"}"#;
        let config = DockerConfig::parse(json, "docker config").unwrap();
        let keychain = config.keychain(&["a.example.com", "docker.io"]).await;
        assert_eq!(keychain.entries().len(), 1);
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        let error = DockerConfig::load(Some(Path::new("/nonexistent/config.json"))).unwrap_err();
        assert!(matches!(error, DockerConfigError::File { .. }));
    }
}
