//! What this replica writes to the API server: statuses and their Events while it leads, and Events about what it denies.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Tasks;
use crate::adapters::cluster::leader::{Candidate, LEASE};
use crate::app::denials::{Denials, denials};
use crate::app::status::{Pauses, StatusKeeper, reports};

/// Who this replica is among the others, and what it writes.
#[derive(Clone, Debug)]
pub struct WriterSettings {
    /// The Lease of the leader.
    pub lease: String,
    /// The name of this replica. No two may have the same.
    pub replica: String,
    /// Whether Events about denials are made.
    pub denial_events: bool,
    /// How fast statuses are written.
    pub pauses: Pauses,
}

impl Default for WriterSettings {
    fn default() -> Self {
        Self {
            lease: "vouchsafe".to_owned(),
            replica: random_name(),
            denial_events: false,
            pauses: Pauses::default(),
        }
    }
}

/// A name that no other replica has.
fn random_name() -> String {
    let mut bytes = [0; 8];
    // Where there is no randomness there is no TLS either, and nothing is served.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    format!("vouchsafe-{}", hex::encode(bytes))
}

// === impl Tasks ===

impl Tasks {
    /// Starts what writes. Out comes what notes denials, where Events are made about them.
    pub(super) fn spawn_writers(
        &self,
        settings: &WriterSettings,
        tasks: &mut JoinSet<&'static str>,
    ) -> Option<Denials> {
        let WriterSettings {
            lease,
            replica,
            denial_events,
            pauses,
        } = settings;
        let (candidate, leadership) = Candidate::new(&self.cluster, lease, replica, LEASE);
        let stop = self.stop.clone();
        tasks.spawn(async move {
            candidate.run(stop).await;
            "the election of a leader"
        });
        let (told, reports) = watch::channel(Arc::default());
        let (stop, following) = (
            self.stop.clone(),
            reports::follow(Arc::clone(&self.engine), told),
        );
        tasks.spawn(async move {
            stop.run_until_cancelled(following).await;
            "the reports of what became of policies"
        });
        let metrics = Arc::clone(&self.metrics);
        let keeper = StatusKeeper::new(&self.cluster, replica, leadership, metrics, *pauses);
        let stop = self.stop.clone();
        tasks.spawn(async move {
            keeper.run(reports, stop).await;
            "the keeper of statuses"
        });
        denial_events.then(|| {
            let (denials, teller) = denials(&self.cluster, replica, Arc::clone(&self.metrics));
            let stop = self.stop.clone();
            tasks.spawn(async move {
                stop.run_until_cancelled(teller.run()).await;
                "the Events about denials"
            });
            denials
        })
    }
}
