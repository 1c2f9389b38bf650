//! The webhook configurations that call us: of each webhook in them `clientConfig.caBundle`, and nothing else, is ours to write.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures::future::join_all;
use futures::stream::{Stream, StreamExt as _, select_all};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Cluster, Failed, ServingError, asked};
use crate::adapters::certs::Anchor;
use crate::adapters::certs::shared::{Contents, Sight};
use crate::adapters::cluster::FIELD_MANAGER;
use crate::adapters::metrics::Metrics;

/// The most of one `caBundle` that is read, in bytes.
const BUNDLE_BYTES: usize = 1 << 20;

/// The configurations of some names, validating and mutating ones.
pub(super) struct Configurations {
    all: Vec<Configuration>,
    /// Names of which neither was there at the last look.
    missing: BTreeSet<String>,
    /// Why some could not be read at the last look.
    failures: BTreeSet<String>,
}

struct Configuration {
    name: String,
    kind: &'static str,
    api: Api<DynamicObject>,
}

/// The configurations as they were seen, in the order of [`Configurations`].
pub(super) struct Seen(Vec<Found>);

struct Found {
    sight: Sight,
    /// The version that a write is bound to.
    resource_version: String,
    /// Of each webhook whether its bundle is one; what is not is written anew.
    readable: Vec<bool>,
}

/// What is read of a configuration.
#[derive(Deserialize)]
struct Webhooks {
    #[serde(default)]
    webhooks: Vec<Webhook>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Webhook {
    client_config: ClientConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientConfig {
    #[serde(default)]
    ca_bundle: String,
}

// === impl Configurations ===

impl Configurations {
    pub(super) fn new(cluster: &Cluster, names: &[String]) -> Self {
        let kinds = [
            (
                "ValidatingWebhookConfiguration",
                ApiResource::erase::<ValidatingWebhookConfiguration>(&()),
            ),
            (
                "MutatingWebhookConfiguration",
                ApiResource::erase::<MutatingWebhookConfiguration>(&()),
            ),
        ];
        let of = |name: &String| {
            let name = name.clone();
            kinds.clone().map(|(kind, resource)| Configuration {
                name: name.clone(),
                kind,
                api: Api::all_with(cluster.client(), &resource),
            })
        };
        Self {
            all: names.iter().flat_map(of).collect(),
            missing: BTreeSet::new(),
            failures: BTreeSet::new(),
        }
    }

    /// One item whenever something may have happened to one of them.
    pub(super) fn changes(&self) -> impl Stream<Item = ()> + Send + use<> {
        let each = self.all.iter().map(|one| {
            let config = watcher::Config::default().fields(&format!("metadata.name={}", one.name));
            let events = watcher(one.api.clone(), config).default_backoff();
            events.map(drop).boxed()
        });
        select_all(each.collect::<Vec<_>>())
    }

    /// All of them as they are now. What cannot be read is said, and is unknown.
    pub(super) async fn read(&mut self) -> Seen {
        let read = join_all(self.all.iter().map(Configuration::read)).await;
        let (mut seen, mut failures) = (Vec::new(), BTreeSet::new());
        for found in read {
            seen.push(found.unwrap_or_else(|error| {
                failures.insert(error.to_string());
                Found::without(Sight::Unknown)
            }));
        }
        for error in failures.difference(&self.failures) {
            tracing::warn!(
                error,
                "a webhook configuration is not known; no new authority takes over meanwhile"
            );
        }
        self.failures = failures;
        let seen = Seen(seen);
        self.warn_of_missing(&seen);
        seen
    }

    /// Writes the bundle of `contents` where something else is trusted. Whether all of them are settled: `false` where one was changed
    /// in between.
    ///
    /// # Errors
    /// The first failure, after all have been tried.
    pub(super) async fn publish(
        &self,
        seen: &mut Seen,
        contents: &Contents,
        metrics: &Metrics,
    ) -> Result<bool, ServingError> {
        let (wanted, bundle) = (
            contents.trusted(),
            BASE64_STANDARD.encode(contents.bundle()),
        );
        let (mut settled, mut failure) = (true, None);
        for (configuration, found) in self.all.iter().zip(&mut seen.0) {
            let stale = found.stale(&wanted);
            if stale.is_empty() {
                continue;
            }
            match configuration.write(found, &stale, &bundle).await {
                Ok(written) => {
                    tracing::info!(
                        kind = configuration.kind,
                        name = configuration.name,
                        webhooks = stale.len(),
                        "caBundle published"
                    );
                    metrics.authority_published(true);
                    *found = written;
                }
                // Changed, or gone, since it was read.
                Err(Failed {
                    code: 404 | 409 | 422,
                    error,
                }) => {
                    tracing::debug!(%error, "a webhook configuration was changed in between");
                    found.sight = Sight::Unknown;
                    settled = false;
                }
                Err(failed) => {
                    metrics.authority_published(false);
                    failure = failure.or(Some(failed.error));
                }
            }
        }
        failure.map_or(Ok(settled), Err)
    }

    /// Says once of each name that there is nothing to publish to.
    fn warn_of_missing(&mut self, seen: &Seen) {
        let mut there: BTreeMap<&str, bool> = BTreeMap::new();
        for (configuration, found) in self.all.iter().zip(&seen.0) {
            *there.entry(&configuration.name).or_default() |= found.sight != Sight::Missing;
        }
        let missing = there.into_iter().filter(|(_, there)| !there);
        let missing: BTreeSet<String> = missing.map(|(name, _)| name.to_owned()).collect();
        for name in missing.difference(&self.missing) {
            tracing::warn!(
                name,
                "there is no webhook configuration of this name; its caBundle is written as soon as there is one"
            );
        }
        self.missing = missing;
    }
}

// === impl Configuration ===

impl Configuration {
    async fn read(&self) -> Result<Found, ServingError> {
        let what = || format!("read the {} {}", self.kind, self.name);
        match asked(what, self.api.get_opt(&self.name)).await {
            Ok(Some(object)) => Ok(Found::new(&object)),
            Ok(None) => Ok(Found::without(Sight::Missing)),
            Err(failed) => Err(failed.error),
        }
    }

    /// Writes the bundle into these webhooks, if the configuration is still as it was found.
    async fn write(&self, found: &Found, stale: &[usize], bundle: &str) -> Result<Found, Failed> {
        let condition = json!({"op": "test", "path": "/metadata/resourceVersion", "value": found.resource_version});
        let bundles = stale.iter().map(|index| {
            let path = format!("/webhooks/{index}/clientConfig/caBundle");
            json!({"op": "add", "path": path, "value": bundle})
        });
        let operations: Vec<Value> = std::iter::once(condition).chain(bundles).collect();
        let what = || format!("write the caBundle of the {} {}", self.kind, self.name);
        let patch: json_patch::Patch =
            serde_json::from_value(Value::Array(operations)).map_err(|error| Failed {
                code: 0,
                error: ServingError::Api {
                    what: what(),
                    said: error.to_string(),
                },
            })?;
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::Json::<()>(patch);
        let written = asked(what, self.api.patch(&self.name, &params, &patch)).await?;
        Ok(Found::new(&written))
    }
}

// === impl Seen ===

impl Seen {
    /// What decides.
    pub(super) fn sights(&self) -> Vec<Sight> {
        self.0.iter().map(|found| found.sight.clone()).collect()
    }
}

// === impl Found ===

impl Found {
    fn new(object: &DynamicObject) -> Self {
        let metadata = &object.metadata;
        let resource_version = metadata.resource_version.clone().unwrap_or_default();
        // The generation counts changes of the webhooks, and no others.
        let generation = metadata.generation.map(|number| number.to_string());
        let version = generation.unwrap_or_else(|| resource_version.clone());
        let uid = metadata.uid.as_deref().unwrap_or_default();
        let Ok(Webhooks { webhooks }) = Webhooks::deserialize(&object.data) else {
            return Self::without(Sight::Unknown);
        };
        let bundles: Vec<Option<BTreeSet<Anchor>>> = webhooks
            .iter()
            .map(|webhook| anchors(&webhook.client_config.ca_bundle))
            .collect();
        Self {
            readable: bundles.iter().map(Option::is_some).collect(),
            sight: Sight::Found {
                version: format!("{uid} {version}"),
                bundles: bundles.into_iter().map(Option::unwrap_or_default).collect(),
            },
            resource_version,
        }
    }

    fn without(sight: Sight) -> Self {
        Self {
            sight,
            resource_version: String::new(),
            readable: Vec::new(),
        }
    }

    /// The indices of the webhooks that trust something else.
    fn stale(&self, wanted: &BTreeSet<Anchor>) -> Vec<usize> {
        let Sight::Found { bundles, .. } = &self.sight else {
            return Vec::new();
        };
        let webhooks = bundles.iter().zip(&self.readable).enumerate();
        webhooks
            .filter(|(_, (bundle, readable))| !**readable || *bundle != wanted)
            .map(|(index, _)| index)
            .collect()
    }
}

/// The certificates of a bundle in base64; `None` where it is none.
fn anchors(bundle: &str) -> Option<BTreeSet<Anchor>> {
    if bundle.len() > BUNDLE_BYTES {
        return None;
    }
    let pem = BASE64_STANDARD.decode(bundle).ok()?;
    CertificateDer::pem_slice_iter(&pem)
        .map(|certificate| Anchor::new(certificate.ok()?).ok())
        .collect()
}
