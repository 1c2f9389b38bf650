//! What an engine asks over the network, and when: registries, texts behind URLs, keys and trust that are fetched, and the credentials
//! for all of these.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Engine;
use crate::adapters::enforced::Objects;
use crate::adapters::oci::{
    Fingerprint, LoadedRegistries, OciRegistry, OciSettings, RegistryHosts, RequestObserver,
    WebClient, load_registries,
};
use crate::adapters::refresh::Count;
use crate::adapters::remote_policies::{RemoteCounts, RemotePolicies};
use crate::adapters::trust::FileError;
use crate::api;
use crate::app::referents::remote_texts;
use crate::app::sources::References;
use crate::config::JudgeArgs;
use crate::limits::Limits;
use crate::policy::remote_policies;

/// The time in which what the first policies refer to is fetched before they are put in force; of files, what any policies do.
pub(in crate::app) const FIRST_PREPARATION: Duration = Duration::from_secs(20);

/// Everything that an engine asks over the network.
pub(super) struct Network {
    pub(super) registry: OciRegistry,
    /// Of what the settings of registries were read first.
    registries: Option<Fingerprint>,
    pub(super) remote: RemotePolicies,
}

/// What `--registry-ca` holds.
pub(in crate::app) fn extra_ca(args: &JudgeArgs) -> anyhow::Result<Option<Vec<u8>>> {
    let read = args.registry_ca.as_ref().map(|file| {
        std::fs::read(file).with_context(|| {
            format!(
                "cannot read the certificates of --registry-ca {}",
                file.display()
            )
        })
    });
    read.transpose()
}

// === impl Engine ===

impl Engine {
    /// From now on what was fetched for a policy is used this long after it could last be fetched.
    #[must_use]
    pub fn keeping(mut self, max_stale: Duration) -> Self {
        if let Some(network) = &mut self.network {
            network.remote.keep_for(max_stale);
        }
        self.sources.keep_for(max_stale);
        self
    }

    /// Of what the settings of registries were read when the engine was made; `None` where there are none.
    pub fn registries(&self) -> Option<Fingerprint> {
        self.network.as_ref()?.registries
    }

    /// Asks registries as these settings say from now on.
    ///
    /// # Errors
    /// No client can be made of them; what was in force stays.
    pub fn replace_registries(&self, hosts: RegistryHosts) -> anyhow::Result<()> {
        let Some(network) = &self.network else {
            return Ok(());
        };
        network
            .registry
            .replace_hosts(hosts)
            .context("cannot set up the registry client")
    }

    /// What this policy refers to and could not be fetched again, each in words. It is used all the same.
    pub fn stale_for_policy(&self, policy: &api::ClusterImagePolicy) -> Vec<String> {
        let mut stale = self.sources.stale_keys(policy);
        if let Some(network) = &self.network {
            stale.extend(remote_policies(policy).filter_map(|text| {
                let why = network.remote.stale(&text)?;
                Some(format!(
                    "{} could not be fetched again: {why}",
                    text.without_query()
                ))
            }));
        }
        stale
    }

    /// The same of a trust root.
    pub fn stale_for_root(&self, root: &api::TrustRoot) -> Vec<String> {
        self.sources.stale_root(root).into_iter().collect()
    }

    /// How many texts behind URLs are in which state.
    pub fn remote_counts(&self) -> RemoteCounts {
        self.network
            .as_ref()
            .map(|network| network.remote.counts())
            .unwrap_or_default()
    }

    /// How things stand with keys and trust roots that are fetched.
    pub fn references(&self) -> References {
        self.sources.references(&self.in_force().objects)
    }

    /// How many tokens for registries of clouds there are.
    pub fn cloud_tokens(&self) -> Count {
        self.own.count()
    }

    /// Fetches tokens for registries of clouds again before they end, for ever.
    pub async fn keep_credentials_fresh(&self) {
        self.own.keep_fresh().await;
    }

    /// Fetches what these objects refer to and what is not there yet, so that they can be put in force whole. Ends in time, whether or
    /// not everything could be fetched; what is in force is not touched.
    pub async fn prepare(&self, objects: &Objects) {
        self.prepare_within(objects, FIRST_PREPARATION).await;
    }

    /// The same, with another time.
    pub async fn prepare_within(&self, objects: &Objects, time: Duration) {
        let Some(network) = &self.network else {
            return;
        };
        let in_force = self.in_force();
        let both = [&*in_force.objects, objects];
        self.sources.want(&both);
        let texts = remote_texts(&both);
        let fetching = async { tokio::join!(self.sources.fetch(), network.remote.refresh(&texts)) };
        if timeout(time, fetching).await.is_err() {
            tracing::warn!(
                "not everything that policies refer to was fetched in time; it is fetched in the background"
            );
        }
    }

    /// Fetches what is due of what policies refer to.
    pub async fn fetch(&self) {
        let Some(network) = &self.network else {
            return;
        };
        let texts = remote_texts(&[&self.in_force().objects]);
        tokio::join!(self.sources.fetch(), network.remote.refresh(&texts));
    }

    /// Until there may be something to fetch that was not asked for before.
    pub async fn wants_something(&self) {
        self.wanted.notified().await;
    }

    /// Keeps the default trust as its file has it, if it comes from one, until `stop`. `told` hears whether a file that changed could
    /// be read.
    pub async fn watch_trusted_root(
        &self,
        interval: Duration,
        stop: CancellationToken,
        told: impl Fn(bool) + Sync,
    ) {
        let file = {
            let mut file = self.trusted_root.lock();
            file.as_mut()
                .unwrap_or_else(|poisoned| poisoned.get_mut())
                .take()
        };
        let Some(file) = file else {
            return stop.cancelled().await;
        };
        let on_change = |trust: Result<_, FileError>| match trust {
            Ok(trust) => {
                told(true);
                tracing::info!("the trusted root was read again");
                self.sources.replace_default(trust);
                self.wanted.notify_one();
            }
            Err(error) => {
                told(false);
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "the last good trusted root stays in force");
            }
        };
        file.watch(interval, stop, on_change).await;
    }
}

// === impl Network ===

impl Network {
    pub(super) fn new(
        args: &JudgeArgs,
        limits: &Limits,
        observer: Arc<dyn RequestObserver>,
    ) -> anyhow::Result<Self> {
        let loaded = args
            .registries
            .as_deref()
            .map(load_registries)
            .transpose()?;
        let (hosts, registries) = match loaded {
            Some(LoadedRegistries { hosts, fingerprint }) => (hosts, Some(fingerprint)),
            None => (RegistryHosts::default(), None),
        };
        let oci = OciSettings {
            hosts,
            limits: limits.registry.clone(),
            insecure: args.insecure_hosts().context("--insecure-registry")?,
            extra_ca: extra_ca(args)?,
            observer,
            ..OciSettings::default()
        };
        let web = WebClient::new(&oci).context("cannot set up the client for remote policies")?;
        Ok(Self {
            registry: OciRegistry::new(&oci).context("cannot set up the registry client")?,
            registries,
            remote: RemotePolicies::new(web),
        })
    }
}
