//! The engine: a judge with registries and credentials behind it, and the policies in force.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::compiler::Compiler;
use super::controls::{self, ControlSource, Controls};
use super::credentials::{PullSecrets, own};
use super::in_force::InForce;
use super::kinds;
use super::objects::{is_in, referents, remote_texts};
use super::sources::{References, Sources};
use crate::adapters::credentials::{FileCredentials, OwnCredentials};
use crate::adapters::objects::Objects;
use crate::adapters::oci::{
    Fingerprint, LoadedRegistries, OciRegistry, OciSettings, RegistryHosts, RequestObserver,
    WebClient, load_registries,
};
use crate::adapters::recording::{Recorder, Replay};
use crate::adapters::refresh::Count;
use crate::adapters::remote_policies::{RemoteCounts, RemotePolicies};
use crate::adapters::trust::{FileError, TrustedRootFile};
use crate::api;
use crate::apply::DEFAULT_NAMESPACE;
use crate::config::{JudgeArgs, TrustArgs};
use crate::decide::{Judge, Snapshot, TagMode};
use crate::gather::{Credentials, Gatherer, Registry};
use crate::limits::Limits;
use crate::policy::{CompiledPolicy, PolicySet, Referents, remote_policies, unready};
use crate::trust::TrustMaterial;
use crate::verdict::NoMatchPolicy;
use crate::workload::Kinds;

/// Judges by the policies that are in force.
pub struct Engine {
    judge: Judge,
    /// The credentials of whoever runs us.
    own: Arc<OwnCredentials>,
    pull_secrets: PullSecrets,
    snapshot: ArcSwap<Snapshot>,
    settings: Settings,
    /// What is asked over the network; `None` where a recording answers.
    network: Option<Network>,
    sources: Sources,
    /// The file of the default trust, until it is watched.
    trusted_root: Mutex<Option<TrustedRootFile>>,
    /// What is in force, as it was read.
    in_force: watch::Sender<Arc<InForce>>,
    /// Held while something is put in force, so that two changes do not overtake each other.
    compiling: Mutex<Compiling>,
    /// Told when there may be something to fetch.
    wanted: Notify,
}

/// The time in which what new policies refer to is fetched before they are put in force.
const PREPARATION: Duration = Duration::from_secs(20);

/// Everything that an engine asks over the network.
struct Network {
    registry: OciRegistry,
    /// Of what the settings of registries were read first.
    registries: Option<Fingerprint>,
    remote: RemotePolicies,
}

/// What is known from the last compilation.
struct Compiling {
    compiler: Compiler,
    controls: ControlSource,
}

/// What is in force beside policies and trust, from start to end.
#[derive(Clone)]
struct Settings {
    /// The namespace of what policies refer to.
    namespace: String,
    /// What `--no-match-policy` says.
    no_match: NoMatchPolicy,
    tags: TagMode,
    kinds: Arc<Kinds>,
}

/// A policy that does not compile, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Its name.
    pub name: String,
    /// What is wrong with it, one line or more each.
    pub problems: Vec<String>,
}

/// The name, and below it each problem.
impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy {} cannot be used:", self.name)?;
        for problem in &self.problems {
            write!(f, "\n  {}", problem.replace('\n', "\n    "))?;
        }
        Ok(())
    }
}

impl Engine {
    /// An engine without policies: everything is denied, or answered as `--no-match-policy` says.
    pub fn new(
        args: &JudgeArgs,
        limits: &Limits,
        observer: Arc<dyn RequestObserver>,
    ) -> anyhow::Result<Self> {
        let network = Network::new(args, limits, observer)?;
        let gatherer = Gatherer::new(Arc::new(network.registry.clone()), limits);
        let (settings, own) = (Settings::new(args)?, own(args)?);
        let trust = Sources::new(&args.trust, extra_ca(args)?.as_deref())?;
        Self::over_files(gatherer, own, settings, Some(network), trust, limits)
    }

    /// The same in a cluster: `credentials` makes what reads the pull secrets of workloads of our own credentials, which come after them.
    pub fn in_cluster(
        args: &JudgeArgs,
        limits: &Limits,
        observer: Arc<dyn RequestObserver>,
        credentials: impl FnOnce(Arc<OwnCredentials>) -> Arc<dyn Credentials>,
    ) -> anyhow::Result<Self> {
        let network = Network::new(args, limits, observer)?;
        let gatherer = Gatherer::new(Arc::new(network.registry.clone()), limits);
        let (settings, own) = (Settings::new(args)?, own(args)?);
        let trust = Sources::new(&args.trust, extra_ca(args)?.as_deref())?;
        let judge = Judge::new(gatherer, credentials(Arc::clone(&own)), limits);
        let from = (own, PullSecrets::OfCluster);
        Self::over(judge, from, settings, Some(network), trust)
    }

    /// The same, and what keeps every answer of a registry. Where it looks first depends on nothing that came before.
    pub fn recording(args: &JudgeArgs, limits: &Limits) -> anyhow::Result<(Self, Arc<Recorder>)> {
        let network = Network::new(args, limits, Arc::new(()))?;
        let recorder = Arc::new(Recorder::new(Arc::new(network.registry.clone())));
        let asked: Arc<dyn Registry> = Arc::<Recorder>::clone(&recorder);
        let gatherer = Gatherer::new(asked, limits).in_fixed_order();
        let (settings, own) = (Settings::new(args)?, own(args)?);
        let trust = Sources::new(&args.trust, extra_ca(args)?.as_deref())?;
        let engine = Self::over_files(gatherer, own, settings, Some(network), trust, limits)?;
        Ok((engine, recorder))
    }

    /// An engine without policies that asks nobody: what was recorded is all there is, and the time is that of the recording.
    pub fn replaying(
        replay: Arc<Replay>,
        no_match: NoMatchPolicy,
        at: Option<Timestamp>,
        limits: &Limits,
    ) -> anyhow::Result<Self> {
        let trust = TrustArgs {
            trusted_root: replay.trusted_root(),
            ..TrustArgs::default()
        };
        let gatherer = Gatherer::new(replay, limits).in_fixed_order();
        let settings = Settings {
            namespace: DEFAULT_NAMESPACE.to_owned(),
            no_match,
            tags: TagMode::Resolve,
            kinds: Arc::new(Kinds::built_in()),
        };
        let trust = Sources::new(&trust, None)?;
        let mut engine = Self::over_files(gatherer, Arc::default(), settings, None, trust, limits)?;
        if let Some(time) = at {
            engine.judge = engine.judge.at(time);
        }
        Ok(engine)
    }

    /// The default trusted root, where it is another than the one in this program: what a recording needs beside answers.
    pub fn other_root(&self) -> Option<String> {
        self.sources.other_root()
    }

    fn over_files(
        gatherer: Gatherer,
        own: Arc<OwnCredentials>,
        settings: Settings,
        network: Option<Network>,
        trust: (Sources, Option<TrustedRootFile>),
        limits: &Limits,
    ) -> anyhow::Result<Self> {
        let files = FileCredentials::new(Arc::clone(&own), settings.namespace.clone());
        let files = Arc::new(files);
        let judge = Judge::new(gatherer, Arc::<FileCredentials>::clone(&files), limits);
        let from = (own, PullSecrets::OfFiles(files));
        Self::over(judge, from, settings, network, trust)
    }

    fn over(
        judge: Judge,
        (own, pull_secrets): (Arc<OwnCredentials>, PullSecrets),
        settings: Settings,
        network: Option<Network>,
        (sources, trusted_root): (Sources, Option<TrustedRootFile>),
    ) -> anyhow::Result<Self> {
        let nothing = PolicySet::new(Vec::<CompiledPolicy>::new());
        let nothing = Arc::new(nothing.context("cannot build an empty set of policies")?);
        let controls = ControlSource::new(settings.no_match);
        let snapshot = settings.snapshot(nothing, sources.default_trust(), controls.now());
        Ok(Self {
            judge,
            own,
            pull_secrets,
            snapshot: ArcSwap::from_pointee(snapshot),
            settings,
            network,
            sources,
            trusted_root: Mutex::new(trusted_root),
            in_force: watch::Sender::default(),
            compiling: Mutex::new(Compiling {
                compiler: Compiler::default(),
                controls,
            }),
            wanted: Notify::new(),
        })
    }

    /// From now on what was fetched for a policy is used this long after it could last be fetched.
    #[must_use]
    pub fn keeping(mut self, max_stale: Duration) -> Self {
        if let Some(network) = &mut self.network {
            network.remote.keep_for(max_stale);
        }
        self.sources.keep_for(max_stale);
        self
    }

    /// Until the first policies are put in force, every image is denied: that nothing was read is not that there is nothing.
    #[must_use]
    pub fn awaiting_policies(self) -> Self {
        let waiting = PolicySet::new(vec![unready()]);
        if let Ok(waiting) = waiting {
            let before = self.snapshot();
            self.snapshot.store(Arc::new(Snapshot {
                policies: Arc::new(waiting),
                ..Snapshot::clone(&before)
            }));
        }
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

    /// The judge.
    pub fn judge(&self) -> &Judge {
        &self.judge
    }

    /// What is in force now. Taken once per request.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// What the policies in force were compiled against.
    pub fn referents(&self) -> Arc<Referents> {
        Arc::clone(&self.in_force().referents)
    }

    /// What is in force, and what became of each object.
    pub fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.in_force.borrow())
    }

    /// The same, and every change of it.
    pub fn follow_in_force(&self) -> watch::Receiver<Arc<InForce>> {
        self.in_force.subscribe()
    }

    /// The namespace whose ConfigMaps and Secrets policies refer to.
    pub fn namespace(&self) -> &str {
        &self.settings.namespace
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
        self.prepare_within(objects, PREPARATION).await;
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

    /// Compiles what was read and puts it in force, broken policies included: they deny what they match.
    ///
    /// # Errors
    /// The policies together are too large for one automaton; what was in force stays.
    pub fn replace(&self, objects: Objects) -> anyhow::Result<Vec<Broken>> {
        let mut compiling = self.lock();
        let broken = self.compile(&mut compiling, Arc::new(objects));
        // Of what is in force then, which may be what was before.
        self.sources.want(&[&self.in_force().objects]);
        self.wanted.notify_one();
        broken
    }

    /// Fetches what is due of what policies refer to, and compiles them again where that changed something; `None` where it did not.
    ///
    /// # Errors
    /// As [`Engine::replace`].
    pub async fn refresh(&self) -> anyhow::Result<Option<Vec<Broken>>> {
        self.fetch().await;
        self.compile_again()
    }

    /// Fetches what is due of what policies refer to.
    pub async fn fetch(&self) {
        let Some(network) = &self.network else {
            return;
        };
        let texts = remote_texts(&[&self.in_force().objects]);
        tokio::join!(self.sources.fetch(), network.remote.refresh(&texts));
    }

    /// Compiles what is in force again, where what it refers to has changed; `None` where it has not. May take long: not for a thread
    /// that others wait for.
    ///
    /// # Errors
    /// As [`Engine::replace`].
    pub fn compile_again(&self) -> anyhow::Result<Option<Vec<Broken>>> {
        let mut compiling = self.lock();
        let in_force = self.in_force();
        // Before anything is in force there is nothing to compile, and nothing that it would be right to put in force.
        if in_force.policies.is_none() || self.known(&in_force.objects) == *in_force.referents {
            return Ok(None);
        }
        let objects = Arc::clone(&in_force.objects);
        self.compile(&mut compiling, objects).map(Some)
    }

    /// Until there may be something to fetch that was not asked for before.
    pub async fn wants_something(&self) {
        self.wanted.notified().await;
    }

    fn compile(
        &self,
        compiling: &mut Compiling,
        objects: Arc<Objects>,
    ) -> anyhow::Result<Vec<Broken>> {
        let referents = self.known(&objects);
        let set = compiling.compiler.compile(&objects, &referents);
        let set = set.context("too many globs in all policies together")?;
        let broken = set.policies().iter().filter_map(|policy| broken(policy));
        let broken = broken.collect();
        let control = |map: &&Arc<ConfigMap>| {
            map.metadata.name.as_deref() == Some(controls::CONFIG_MAP)
                && is_in(&map.metadata, &self.settings.namespace)
        };
        let map = objects.config_maps.iter().find(control);
        let controls = compiling.controls.take(map.map(|map| &**map));
        // Credentials are not part of what is judged with: a request that is under way may see the new ones.
        self.pull_secrets.replace(&objects.secrets);
        let trust = referents.default_trust.clone();
        let snapshot = self.settings.snapshot(Arc::clone(&set), trust, controls);
        self.snapshot.store(Arc::new(snapshot));
        self.in_force.send_replace(Arc::new(InForce {
            objects,
            referents: Arc::new(referents),
            policies: Some(set),
            controls,
            controls_state: compiling.controls.state(),
        }));
        Ok(broken)
    }

    /// What there is to refer to, now.
    fn known(&self, objects: &Objects) -> Referents {
        Referents {
            remote_policies: self
                .network
                .as_ref()
                .map(|network| network.remote.known())
                .unwrap_or_default(),
            kms_keys: self.sources.keys(objects),
            trust_roots: self.sources.trust_roots(objects),
            default_trust: self.sources.default_trust(),
            pull_secrets: self.pull_secrets.of_sources(),
            ..referents(objects, &self.settings.namespace)
        }
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

    fn lock(&self) -> MutexGuard<'_, Compiling> {
        self.compiling
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `--registry-ca` holds.
pub(super) fn extra_ca(args: &JudgeArgs) -> anyhow::Result<Option<Vec<u8>>> {
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

// === impl Network ===

impl Network {
    fn new(
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

// === impl Settings ===

impl Settings {
    fn new(args: &JudgeArgs) -> anyhow::Result<Self> {
        Ok(Self {
            namespace: args.namespace.clone(),
            no_match: args.no_match_policy.into(),
            tags: args.tags.into(),
            kinds: Arc::new(kinds::read(args.kinds.as_deref())?),
        })
    }

    /// `trust` is what is trusted by default; without any, nobody but the keys of policies is.
    fn snapshot(
        &self,
        policies: Arc<PolicySet>,
        trust: Option<Arc<TrustMaterial>>,
        controls: Controls,
    ) -> Snapshot {
        Snapshot {
            policies,
            trust: trust.unwrap_or_else(|| Arc::new(TrustMaterial::keys_only())),
            no_match: controls.no_match,
            tags: self.tags,
            kinds: Arc::clone(&self.kinds),
        }
    }
}

fn broken(policy: &CompiledPolicy) -> Option<Broken> {
    let problems = policy.body.as_ref().err()?;
    Some(Broken {
        name: policy.name.to_string(),
        problems: problems.iter().map(ToString::to_string).collect(),
    })
}
