//! The Secret: read, written only as it was read.

use std::collections::BTreeMap;

use futures::{Stream, StreamExt as _};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use kube::runtime::{WatchStreamExt as _, watcher};

use super::{Cluster, Failed, ServingError, asked, chain};
use crate::adapters::certs::shared::Contents;
use crate::adapters::cluster::FIELD_MANAGER;

/// The label by which a Secret says that it is ours to write.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// The Secret of one name in our namespace.
pub(super) struct SharedSecret {
    api: Api<Secret>,
    name: String,
}

/// Whether a write was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    /// It is as it was written.
    Done,
    /// It was not as it had been read.
    Refused,
}

// === impl SharedSecret ===

impl SharedSecret {
    pub(super) fn new(cluster: &Cluster, name: &str) -> Self {
        Self {
            api: Api::namespaced(cluster.client(), cluster.namespace()),
            name: name.to_owned(),
        }
    }

    /// One item whenever something may have happened to it.
    pub(super) fn changes(&self) -> impl Stream<Item = ()> + Send + use<> {
        let config = watcher::Config::default().fields(&format!("metadata.name={}", self.name));
        let events = watcher(self.api.clone(), config).default_backoff();
        events.map(drop)
    }

    /// The Secret as it is now; `None` where there is none.
    pub(super) async fn read(&self) -> Result<Option<Secret>, ServingError> {
        let what = || format!("read the Secret {}", self.name);
        let found = asked(what, self.api.get_opt(&self.name)).await;
        found.map_err(|failed| failed.error)
    }

    /// What it holds; `None` where there is nothing that can be used, and it may be written.
    pub(super) fn contents(
        &self,
        found: Option<&Secret>,
    ) -> Result<Option<Contents>, ServingError> {
        let Some(secret) = found else {
            return Ok(None);
        };
        let data = secret.data.iter().flatten();
        let values: BTreeMap<String, Vec<u8>> = data
            .map(|(key, value)| (key.clone(), value.0.clone()))
            .collect();
        match Contents::read(&values) {
            Ok(contents) => Ok(Some(contents)),
            Err(_) if values.is_empty() => Ok(None),
            Err(unusable) if is_ours(secret) => {
                tracing::warn!(
                    secret = self.name,
                    error = chain(&unusable),
                    "the Secret of the serving certificate cannot be used, and is written anew"
                );
                Ok(None)
            }
            Err(unusable) => Err(ServingError::Foreign {
                name: self.name.clone(),
                said: chain(&unusable),
            }),
        }
    }

    /// Writes it, if it is still as it was found.
    pub(super) async fn write(
        &self,
        found: Option<Secret>,
        contents: &Contents,
    ) -> Result<Write, ServingError> {
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let what = || format!("write the Secret {}", self.name);
        let written = match found {
            None => {
                let metadata = ObjectMeta {
                    name: Some(self.name.clone()),
                    ..ObjectMeta::default()
                };
                let created = with(
                    contents,
                    Secret {
                        metadata,
                        ..Secret::default()
                    },
                )?;
                asked(what, self.api.create(&params, &created)).await
            }
            Some(secret) => {
                let replaced = with(contents, secret)?;
                asked(what, self.api.replace(&self.name, &params, &replaced)).await
            }
        };
        match written {
            Ok(_) => Ok(Write::Done),
            // Conflict: another replica was first. Not found: it was deleted in between.
            Err(Failed {
                code: 409 | 404, ..
            }) => Ok(Write::Refused),
            Err(failed) => Err(failed.error),
        }
    }
}

fn is_ours(secret: &Secret) -> bool {
    let labels = secret.metadata.labels.as_ref();
    labels
        .and_then(|labels| labels.get(MANAGED_BY))
        .map(String::as_str)
        == Some(FIELD_MANAGER)
}

/// The Secret with these contents; what is not ours in it stays.
fn with(contents: &Contents, mut secret: Secret) -> Result<Secret, ServingError> {
    let labels = secret.metadata.labels.get_or_insert_default();
    labels
        .entry(MANAGED_BY.to_owned())
        .or_insert_with(|| FIELD_MANAGER.to_owned());
    let data = secret.data.get_or_insert_default();
    data.retain(|key, _| !Contents::is_ours(key));
    let values = contents.write()?.into_iter();
    data.extend(values.map(|(key, value)| (key, ByteString(value))));
    Ok(secret)
}
