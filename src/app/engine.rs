//! The engine: a judge with registries and credentials behind it, and the policies in force.
//!
//! | file | what |
//! |---|---|
//! | `network` | what is asked over the network, and when |
//! | `replace` | policies are compiled and put in force |

mod network;
mod replace;

use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use self::network::Network;
use self::replace::Compiling;
use super::controls::{ControlSource, Controls};
use super::credentials::{PullSecrets, own};
use super::in_force::InForce;
use super::kinds;
use super::sources::Sources;
use crate::adapters::credentials::{FileCredentials, OwnCredentials};
use crate::adapters::oci::RequestObserver;
use crate::adapters::recording::{Recorder, Replay};
use crate::adapters::trust::TrustedRootFile;
use crate::apply::DEFAULT_NAMESPACE;
use crate::config::{JudgeArgs, TrustArgs};
use crate::decide::{Judge, Snapshot, TagMode};
use crate::gather::{Credentials, Gatherer, Registry};
use crate::limits::Limits;
use crate::policy::{CompiledPolicy, PolicySet, Referents, unready};
use crate::trust::TrustMaterial;
use crate::verdict::NoMatchPolicy;
use crate::workload::Kinds;

pub use replace::Broken;

pub(super) use network::{FIRST_PREPARATION, extra_ca};

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

    /// An engine as [`Self::new`] makes it, and what keeps every answer of a registry. Where it looks first depends on nothing that came before.
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
            compiling: Mutex::new(Compiling::new(controls)),
            wanted: Notify::new(),
        })
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
