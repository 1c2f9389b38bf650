//! The credentials of whoever runs us.

use crate::adapters::cloud::CloudCredentials;
use crate::adapters::oci::DockerConfig;
use crate::adapters::refresh::Count;
use crate::gather::KeychainEntry;

/// Our own credentials: the docker config first, then what the clouds know us as. `Default` is nobody.
#[derive(Debug, Default)]
pub struct OwnCredentials {
    docker: DockerConfig,
    cloud: Option<CloudCredentials>,
}

impl OwnCredentials {
    /// This docker config, and these tokens of clouds.
    pub fn new(docker: DockerConfig, cloud: Option<CloudCredentials>) -> Self {
        Self { docker, cloud }
    }

    /// The entries for these registries (hosts as references have them), in the order in which they are tried.
    pub async fn entries(&self, registries: &[&str]) -> Vec<KeychainEntry> {
        let from_clouds = async {
            match &self.cloud {
                Some(cloud) => cloud.entries(registries).await,
                None => Vec::new(),
            }
        };
        let (docker, from_clouds) = tokio::join!(self.docker.keychain(registries), from_clouds);
        let mut all = docker.entries().to_vec();
        all.extend(from_clouds);
        all
    }

    /// Fetches tokens of clouds again before they end, for ever.
    pub async fn keep_fresh(&self) {
        match &self.cloud {
            Some(cloud) => cloud.keep_fresh().await,
            None => std::future::pending().await,
        }
    }

    /// How many tokens of clouds there are.
    pub fn count(&self) -> Count {
        self.cloud
            .as_ref()
            .map(CloudCredentials::count)
            .unwrap_or_default()
    }
}
