//! Tells in the status of policies and trust roots what became of them: the leader does, on change, and gently.
//!
//! ```text
//! Reports ─► what is to be said, beside what is said already      apply::conditions
//!     │ nothing to say: no request
//!     ▼ policy-controller alive: not yet
//! StatusWriter (finalizer, status) ─► Event, where readiness changed
//! ```
//!
//! Nothing here is on the way of a review, and no failure here changes what is enforced.

pub(super) mod reports;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::adapters::cluster::Cluster;
use crate::adapters::cluster::events::{Events, News};
use crate::adapters::cluster::leader::Leadership;
use crate::adapters::cluster::predecessor::Predecessor;
use crate::adapters::cluster::status::{Kind, StatusWriter, Target, WriteError, Written};
use crate::adapters::metrics::Metrics;
use crate::api::{Condition, Status};
use crate::apply::conditions::{Readiness, readiness, settle};

/// Where nothing is due: until something changes.
const IDLE: Duration = Duration::from_hours(1);
/// Resources that are written to before it is seen anew what is due.
const BATCH: usize = 50;

/// A resource as it was read, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Which one.
    pub target: Target,
    /// `metadata.generation`: of which spec the conditions are.
    pub generation: Option<i64>,
    /// `metadata.resourceVersion`
    pub version: String,
    /// `metadata.finalizers`
    pub finalizers: Vec<String>,
    /// Whether it is being deleted.
    pub is_deleted: bool,
    /// Its status.
    pub present: Status,
    /// What is to be said of it.
    pub conditions: Vec<Condition>,
}

/// How fast statuses are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pauses {
    /// From one resource to the next.
    pub between: Duration,
    /// From one write to a resource to the next to the same, at first. It doubles up to `longest` while that goes on: somebody else
    /// writes there too.
    pub again: Duration,
    /// See `again`. Also the longest pause after a failure.
    pub longest: Duration,
    /// From one look for policy-controller to the next while it is alive, and after a failure, at first.
    pub retry: Duration,
}

/// Writes statuses, as long as this replica leads.
pub struct StatusKeeper {
    writer: StatusWriter,
    events: Events,
    predecessor: Predecessor,
    leadership: Leadership,
    metrics: Arc<Metrics>,
    pauses: Pauses,
    known: BTreeMap<Target, Known>,
    failures: u32,
    /// The Lease of policy-controller that was told of last.
    beside: Option<String>,
}

/// What was written to a resource.
struct Known {
    /// The version of the resource as it was read then.
    read: String,
    /// Its status since.
    said: Status,
    /// Whether the finalizer is off.
    is_stripped: bool,
    pace: Pace,
}

/// When a resource may be written to again.
#[derive(Clone, Copy, Debug)]
struct Pace {
    last: Instant,
    pause: Duration,
}

/// What there is to do about a resource.
struct Due<'a> {
    report: &'a Report,
    has_finalizer: bool,
    status: Option<(Status, Option<Readiness>)>,
}

impl Default for Pauses {
    fn default() -> Self {
        Self {
            between: Duration::from_millis(50),
            again: Duration::from_secs(1),
            longest: Duration::from_mins(5),
            retry: Duration::from_secs(15),
        }
    }
}

// === impl StatusKeeper ===

impl StatusKeeper {
    /// Writes in the name of this replica, whenever `leadership` says that it leads.
    pub fn new(
        cluster: &Cluster,
        replica: &str,
        leadership: Leadership,
        metrics: Arc<Metrics>,
        pauses: Pauses,
    ) -> Self {
        Self {
            writer: StatusWriter::new(cluster),
            events: Events::new(cluster, replica),
            predecessor: Predecessor::new(cluster),
            leadership,
            metrics,
            pauses,
            known: BTreeMap::new(),
            failures: 0,
            beside: None,
        }
    }

    /// Says what the reports say, until `stop`.
    pub async fn run(
        mut self,
        mut reports: watch::Receiver<Arc<Vec<Report>>>,
        stop: CancellationToken,
    ) {
        let mut wait = Duration::ZERO;
        // The same one all the time, which knows what it has told.
        let mut changes = self.leadership.clone();
        loop {
            let something = async {
                tokio::select! {
                    // Whoever reports has ended: so do we, soon.
                    changed = reports.changed() => if changed.is_err() { std::future::pending::<()>().await },
                    () = changes.changed() => {}
                    () = sleep(wait) => {}
                }
            };
            if stop.run_until_cancelled(something).await.is_none() {
                return;
            }
            self.metrics.leads(self.leadership.is_leader());
            let now = Arc::clone(&reports.borrow_and_update());
            let mut leadership = self.leadership.clone();
            let passing = async {
                tokio::select! {
                    biased;
                    // What is under way is broken off.
                    () = leadership.lost() => None,
                    wait = self.pass(&now) => Some(wait),
                }
            };
            let Some(passed) = stop.run_until_cancelled(passing).await else {
                return;
            };
            wait = passed.unwrap_or_else(|| {
                // Whoever leads next writes, and nothing of what we know then is true for long.
                self.known.clear();
                IDLE
            });
        }
    }

    /// Writes what is due, up to a bound, and says when to look again.
    async fn pass(&mut self, reports: &[Report]) -> Duration {
        let now = Instant::now();
        self.forget(reports);
        let mut next = IDLE;
        let mut all_due = Vec::new();
        for due in reports.iter().filter_map(|report| self.due(report)) {
            match self.wait(due.report, now) {
                Duration::ZERO => all_due.push(due),
                wait => next = next.min(wait),
            }
        }
        if all_due.is_empty() {
            return next;
        }
        match self.predecessor.lease().await {
            Ok(None) => self.beside = None,
            Ok(Some(lease)) => {
                if self.beside.as_ref() != Some(&lease) {
                    tracing::info!(lease, "policy-controller is alive: statuses are left to it");
                    self.beside = Some(lease);
                }
                return self.pauses.retry;
            }
            Err(error) => return self.failed(&error),
        }
        let more = all_due.len() > BATCH;
        for due in all_due.into_iter().take(BATCH) {
            if let Err(error) = self.write(due).await {
                return self.failed(&error);
            }
            self.failures = 0;
            sleep(self.pauses.between).await;
        }
        if more {
            Duration::ZERO
        } else {
            next.min(self.pauses.again)
        }
    }

    /// What there is to do about a resource; `None` where there is nothing.
    fn due<'a>(&self, report: &'a Report) -> Option<Due<'a>> {
        let ours = report.target.kind.finalizer();
        let has_finalizer = report.finalizers.iter().any(|finalizer| finalizer == ours);
        let known = self.known.get(&report.target);
        let known = known.filter(|known| known.read == report.version);
        let present = known.map_or(&report.present, |known| &known.said);
        let next = settle(
            present,
            report.generation,
            report.conditions.clone(),
            Timestamp::now(),
        );
        let status = next.filter(|_| !report.is_deleted);
        let status = status.map(|next| {
            let news = readiness(present, &next);
            (next, news)
        });
        let has_finalizer = has_finalizer && known.is_none_or(|known| !known.is_stripped);
        (has_finalizer || status.is_some()).then_some(Due {
            report,
            has_finalizer,
            status,
        })
    }

    /// How long nothing may be written to this resource.
    fn wait(&self, report: &Report, now: Instant) -> Duration {
        let known = self.known.get(&report.target);
        known.map_or(Duration::ZERO, |known| known.pace.wait(now))
    }

    /// Does what is due, and tells of it.
    async fn write(&mut self, due: Due<'_>) -> Result<(), WriteError> {
        let Due {
            report,
            has_finalizer,
            status,
        } = due;
        let target = &report.target;
        let mut is_stripped = true;
        if has_finalizer {
            is_stripped = self.writer.strip(target, &report.finalizers).await? == Written::Done;
            tracing::info!(
                kind = target.kind.as_str(),
                name = target.name,
                is_stripped,
                "the finalizer of policy-controller"
            );
        }
        let (status, news) = status.unzip();
        let written = match &status {
            Some(status) => self.writer.say(target, status).await?,
            None => Written::Done,
        };
        self.metrics.status_written(match written {
            Written::Done => "written",
            Written::Gone => "gone",
            Written::Conflict => "conflict",
        });
        let said = match written {
            Written::Done => status.unwrap_or_else(|| report.present.clone()),
            // What is said is not known: it is seen when the resource is read again, or tried again.
            Written::Gone | Written::Conflict => report.present.clone(),
        };
        self.remember(report, said, is_stripped);
        if let (Written::Done, Some(news)) = (written, news.flatten()) {
            self.tell(target, news).await;
        }
        Ok(())
    }

    fn remember(&mut self, report: &Report, said: Status, is_stripped: bool) {
        let now = Instant::now();
        let before = self.known.get(&report.target).map(|known| known.pace);
        let known = Known {
            read: report.version.clone(),
            said,
            is_stripped,
            pace: Pace::after(before, now, &self.pauses),
        };
        self.known.insert(report.target.clone(), known);
    }

    /// An Event that cannot be made is not made: the status says the same.
    async fn tell(&self, target: &Target, readiness: Readiness) {
        let news = news(target, readiness);
        let told = self.events.tell(&news).await;
        self.metrics
            .event(if told.is_ok() { "made" } else { "failed" });
        if let Err(error) = told {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(kind = target.kind.as_str(), name = target.name, %error, cause, "cannot make an Event");
        }
    }

    fn failed(&mut self, error: &WriteError) -> Duration {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::warn!(%error, cause, "cannot write statuses; it is tried again");
        self.metrics.status_written("failed");
        let factor = 1_u32.checked_shl(self.failures.min(16)).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        self.pauses
            .retry
            .saturating_mul(factor)
            .min(self.pauses.longest)
    }

    /// Forgets what is not there any more.
    fn forget(&mut self, reports: &[Report]) {
        if self.known.len() > reports.len() {
            let there: BTreeSet<&Target> = reports.iter().map(|report| &report.target).collect();
            self.known.retain(|target, _| there.contains(target));
        }
    }
}

// === impl Pace ===

impl Pace {
    fn after(before: Option<Self>, now: Instant, pauses: &Pauses) -> Self {
        let pause = match before {
            Some(before)
                if now.saturating_duration_since(before.last) < before.pause.saturating_mul(3) =>
            {
                before.pause.saturating_mul(2).min(pauses.longest)
            }
            _ => pauses.again,
        };
        Self { last: now, pause }
    }

    fn wait(&self, now: Instant) -> Duration {
        self.pause
            .saturating_sub(now.saturating_duration_since(self.last))
    }
}

fn news(target: &Target, readiness: Readiness) -> News {
    let Readiness { ready, message, .. } = readiness;
    // The words in which denials and metrics speak of the same.
    let reason = match (ready, target.kind) {
        (true, _) => "Ready",
        (false, Kind::ClusterImagePolicy) => "PolicyInvalid",
        (false, Kind::TrustRoot) => "TrustRootUnavailable",
    };
    let note = match (ready, target.kind) {
        (true, Kind::ClusterImagePolicy) => "in force".to_owned(),
        (true, Kind::TrustRoot) => "can be used".to_owned(),
        (false, Kind::ClusterImagePolicy) => {
            format!("images that it matches are denied: {message}")
        }
        (false, Kind::TrustRoot) => message,
    };
    News {
        regarding: ObjectReference {
            api_version: Some(target.kind.api_version()),
            kind: Some(target.kind.as_str().to_owned()),
            name: Some(target.name.clone()),
            uid: Some(target.uid.clone()),
            ..ObjectReference::default()
        },
        warning: !ready,
        reason: reason.to_owned(),
        action: "Reconcile",
        note,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_written_over_again_and_again_writes_ever_more_rarely() {
        let pauses = Pauses::default();
        let mut now = Instant::now();
        let mut pace = Pace::after(None, now, &pauses);
        let mut waits = Vec::new();
        for _ in 0..12 {
            waits.push(pace.wait(now).as_secs());
            now += pace.wait(now);
            pace = Pace::after(Some(pace), now, &pauses);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        // And as soon as before, once it is quiet.
        now += Duration::from_mins(20);
        assert_eq!(
            Pace::after(Some(pace), now, &pauses).wait(now),
            pauses.again
        );
    }
}
