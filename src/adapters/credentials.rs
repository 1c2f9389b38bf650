//! Registry credentials without an API server: pull secrets from files, and the docker config of whoever runs us.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Secret;

use super::oci::{DockerConfig, entries_from_dockercfg, entries_from_dockerconfigjson};
use crate::gather::{Credentials, FetchError, Keychain, KeychainEntry};
use crate::workload::PullScope;

/// Credentials from files.
pub struct FileCredentials {
    docker: DockerConfig,
    /// The namespace of Secrets that name none.
    namespace: String,
    secrets: ArcSwap<Vec<Arc<Secret>>>,
}

impl FileCredentials {
    /// These credentials of our own, and no pull secrets yet.
    pub fn new(docker: DockerConfig, namespace: String) -> Self {
        Self {
            docker,
            namespace,
            secrets: ArcSwap::default(),
        }
    }

    /// Takes the Secrets that are in force from now on.
    pub fn replace(&self, secrets: Vec<Arc<Secret>>) {
        self.secrets.store(Arc::new(secrets));
    }

    /// The entries of a Pod's pull secrets, in the order in which it names them. A secret that is not there or cannot be read
    /// is passed over, as the kubelet does; the registry then says what is missing.
    fn pull_secrets(&self, scope: &PullScope) -> Vec<KeychainEntry> {
        let secrets = self.secrets.load();
        let named = |name: &String| {
            let is_it = |secret: &&Arc<Secret>| {
                secret.metadata.name.as_ref() == Some(name)
                    && secret
                        .metadata
                        .namespace
                        .as_ref()
                        .unwrap_or(&self.namespace)
                        == &scope.namespace
            };
            secrets
                .iter()
                .find(is_it)
                .map(|secret| (format!("secret {}/{name}", scope.namespace), secret.clone()))
        };
        let found: Vec<(String, Arc<Secret>)> =
            scope.pull_secrets.iter().filter_map(named).collect();
        found
            .iter()
            .flat_map(|(source, secret)| entries(source, secret))
            .collect()
    }
}

impl Credentials for FileCredentials {
    fn keychain<'a>(
        &'a self,
        scope: &'a PullScope,
        registries: &'a BTreeSet<String>,
    ) -> BoxFuture<'a, Result<Arc<Keychain>, FetchError>> {
        Box::pin(async move {
            let mut all = self.pull_secrets(scope);
            let registries: Vec<&str> = registries.iter().map(String::as_str).collect();
            all.extend(
                self.docker
                    .keychain(&registries)
                    .await
                    .entries()
                    .iter()
                    .cloned(),
            );
            Ok(Arc::new(Keychain::new(all)))
        })
    }
}

fn entries(source: &str, secret: &Secret) -> Vec<KeychainEntry> {
    let data = |key: &str| secret.data.as_ref().and_then(|data| data.get(key));
    let read = match (data(".dockerconfigjson"), data(".dockercfg")) {
        (Some(json), _) => entries_from_dockerconfigjson(&json.0, source),
        (None, Some(json)) => entries_from_dockercfg(&json.0, source),
        (None, None) => Ok(Vec::new()),
    };
    read.unwrap_or_else(|error| {
        tracing::warn!(source, %error, "a pull secret cannot be read");
        Vec::new()
    })
}
