//! Registry credentials without an API server: pull secrets from files, and our own.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Secret;

use super::own::OwnCredentials;
use super::secret::{entries, source};
use crate::gather::{Credentials, FetchError, Keychain, KeychainEntry};
use crate::workload::PullScope;

/// Credentials from files.
pub struct FileCredentials {
    own: Arc<OwnCredentials>,
    /// The namespace of Secrets that name none.
    namespace: String,
    secrets: ArcSwap<Vec<Arc<Secret>>>,
}

impl FileCredentials {
    /// These credentials of our own, and no pull secrets yet.
    pub fn new(own: Arc<OwnCredentials>, namespace: String) -> Self {
        Self {
            own,
            namespace,
            secrets: ArcSwap::default(),
        }
    }

    /// Takes the Secrets that are in force from now on.
    pub fn replace(&self, secrets: Vec<Arc<Secret>>) {
        self.secrets.store(Arc::new(secrets));
    }

    /// The entries of these Secrets of a namespace, in this order. A secret that is not there or cannot be read is passed over, as the
    /// kubelet does; the registry then says what is missing.
    fn pull_secrets(&self, namespace: &str, names: &[String]) -> Vec<KeychainEntry> {
        let secrets = self.secrets.load();
        let named = |name: &String| {
            let is_it = |secret: &&Arc<Secret>| {
                let metadata = &secret.metadata;
                metadata.name.as_ref() == Some(name)
                    && metadata.namespace.as_ref().unwrap_or(&self.namespace) == namespace
            };
            let found = secrets.iter().find(is_it)?;
            Some(entries(&source(namespace, name), found))
        };
        names.iter().filter_map(named).flatten().collect()
    }
}

impl Credentials for FileCredentials {
    fn keychain<'a>(
        &'a self,
        scope: &'a PullScope,
        registries: &'a BTreeSet<String>,
    ) -> BoxFuture<'a, Result<Arc<Keychain>, FetchError>> {
        Box::pin(async move {
            let mut all = self.pull_secrets(&scope.namespace, &scope.pull_secrets);
            let registries: Vec<&str> = registries.iter().map(String::as_str).collect();
            all.extend(self.own.entries(&registries).await);
            Ok(Arc::new(Keychain::new(all)))
        })
    }

    fn secrets<'a>(
        &'a self,
        namespace: &'a str,
        names: &'a [String],
    ) -> BoxFuture<'a, Result<Arc<Keychain>, FetchError>> {
        let found = self.pull_secrets(namespace, names);
        Box::pin(async move { Ok(Arc::new(Keychain::new(found))) })
    }
}
