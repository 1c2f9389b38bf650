//! The engine in a cluster: it follows what the API server has.
//!
//! ```text
//! adapters/cluster: four watches ─► Objects, whole ─► Engine::prepare ─► Engine::replace (compiled on a thread of its own)
//!                                                                             │ what became of each
//! status, Events ◄─ StatusKeeper, on the replica that leads ◄─────────────────┘                         app/status
//! ```
//!
//! Until all four have been listed once, the process is not ready and every image is denied. After that nothing takes readiness back:
//! whatever happens to the API server, what is known stays in force.

mod changes;
mod writers;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::denials::Denials;
use super::engine::{Broken, Engine, FIRST_PREPARATION};
use super::webhook::told;
use crate::adapters::cluster::{Cluster, ObjectWatch, Pace, WatchObserver, Watched, watch_objects};
use crate::adapters::enforced::Objects;
use crate::adapters::metrics::Metrics;
use crate::server::{Pending, Readiness};

pub use writers::WriterSettings;

/// What a webhook in a cluster is told of it.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// The file that says how the API server is reached; without one, the service account of our Pod does.
    pub kubeconfig: Option<PathBuf>,
    /// How watches keep time.
    pub pace: Pace,
    /// What is written to the API server.
    pub writers: WriterSettings,
    /// Whether the pull secrets of workloads are read.
    pub pull_secrets: bool,
}

/// What the tasks of a cluster share.
pub(super) struct Tasks {
    pub(super) cluster: Cluster,
    pub(super) engine: Arc<Engine>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) stop: CancellationToken,
}

/// How long a change waits for what its policies refer to after the first time, when other changes wait behind it. What is not there
/// then is fetched in the background.
const LATER_PREPARATION: Duration = Duration::from_secs(3);

// === impl ClusterSettings ===

impl Default for ClusterSettings {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            pace: Pace::default(),
            writers: WriterSettings::default(),
            pull_secrets: true,
        }
    }
}

// === impl Tasks ===

impl Tasks {
    /// Starts them. Out comes what notes denials, where Events are made about them.
    pub(super) fn spawn(
        self,
        settings: &ClusterSettings,
        readiness: &Readiness,
        tasks: &mut JoinSet<&'static str>,
    ) -> Option<Denials> {
        let observer = Arc::new(Observer::new(Arc::clone(&self.metrics), readiness));
        let in_force = readiness.register("policies");
        let (watch, watching) = watch_objects(&self.cluster, settings.pace.clone(), observer);
        let stop = self.stop.clone();
        tasks.spawn(async move {
            stop.run_until_cancelled(Box::pin(watching)).await;
            "the watch on the API server"
        });
        let denials = self.spawn_writers(&settings.writers, tasks);
        tasks.spawn(async move {
            let stop = self.stop.clone();
            stop.run_until_cancelled(self.follow(watch, in_force)).await;
            "the follower of the API server"
        });
        denials
    }

    /// Puts in force what the watches have seen, for ever.
    async fn follow(self, mut watch: ObjectWatch, in_force: Pending) {
        let (mut in_force, mut known) = (Some(in_force), Vec::new());
        loop {
            let objects = watch.next().await;
            let patience = if in_force.is_some() {
                FIRST_PREPARATION
            } else {
                LATER_PREPARATION
            };
            let before = Arc::clone(&self.engine.in_force().objects);
            let changes = changes::between(&before, &objects);
            self.engine.prepare_within(&objects, patience).await;
            match self.replace(objects).await {
                Ok(broken) => {
                    if in_force.is_none() {
                        changes.tell();
                    }
                    if in_force.is_some() || !changes.is_empty() {
                        told(&self.metrics, &self.engine, &broken, &known);
                    }
                    known = broken;
                    if let Some(in_force) = in_force.take() {
                        in_force.ready();
                    }
                }
                Err(error) => {
                    tracing::error!(error = %format!("{error:#}"), "policies cannot be put in force; the last good set stays so");
                }
            }
        }
    }

    /// Compiles on a thread of its own: a thousand policies may take a while, and reviews do not wait for them.
    async fn replace(&self, objects: Objects) -> anyhow::Result<Vec<Broken>> {
        let engine = Arc::clone(&self.engine);
        let replaced = tokio::task::spawn_blocking(move || engine.replace(objects)).await;
        replaced?
    }
}

/// Tells metrics and readiness how watches go.
struct Observer {
    metrics: Arc<Metrics>,
    /// The resources that were not listed yet.
    pending: Mutex<BTreeMap<Watched, Pending>>,
}

// === impl Observer ===

impl Observer {
    fn new(metrics: Arc<Metrics>, readiness: &Readiness) -> Self {
        let pending = Watched::ALL.map(|resource| {
            let pending = readiness.register(resource.as_str());
            (resource, pending)
        });
        Self {
            metrics,
            pending: Mutex::new(BTreeMap::from(pending)),
        }
    }
}

impl WatchObserver for Observer {
    fn heard(&self, resource: Watched) {
        self.metrics.watch_heard(resource, Timestamp::now());
    }

    fn listed(&self, resource: Watched) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pending) = pending.remove(&resource) {
            pending.ready();
        }
    }

    fn failed(&self, resource: Watched) {
        self.metrics.watch_failed(resource);
    }
}
