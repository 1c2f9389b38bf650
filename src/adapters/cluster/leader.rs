//! Which replica writes: one leader at a time, by a Lease of our own namespace.
//!
//! *In*: the name of the Lease and our own. *Out*: [`Leadership`], which every task that writes asks before it does, and which tells it
//! to stop. Reviews are answered by every replica, leader or not.
//!
//! The Lease is taken and renewed by `kube_lease_manager`. That crate goes on believing that it leads while it cannot reach the API
//! server, so leadership is told here only as far as the Lease itself was seen to say so: it is read again every few seconds, and
//! what was seen ends when the Lease does, whether or not anybody answers. After any failure everything begins anew, the Lease included.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{Api, Client};
use kube_lease_manager::{LeaseCreateMode, LeaseManager, LeaseManagerError, LeaseParams};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::Cluster;

/// How long a Lease is good without being renewed, unless told otherwise: the time in which a leader that died is replaced.
pub const LEASE: Duration = Duration::from_secs(15);
/// The longest name of a field manager, in bytes.
const FIELD_MANAGER_BYTES: usize = 128;

/// A replica that would lead.
pub struct Candidate {
    client: Client,
    namespace: String,
    lease: String,
    replica: String,
    times: Times,
    told: watch::Sender<bool>,
}

/// Whether this replica leads.
#[derive(Clone, Debug)]
pub struct Leadership(watch::Receiver<bool>);

/// The times of an election, all from that of the Lease.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// How long the Lease is good, in seconds.
    lease: u64,
    /// So long before its end it is renewed, in seconds.
    before: u64,
    /// From one look at the Lease to the next.
    look: Duration,
    /// For one request.
    request: Duration,
    /// From a failure to the next try.
    retry: Duration,
    /// For everything that a replica does to take the Lease.
    patience: Duration,
}

/// Why a replica does not lead any more, or cannot try.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("the API server did not answer in time")]
    Late,
    #[error("the Lease cannot be taken")]
    Manager(#[source] LeaseManagerError),
    #[error("the Lease is held by {holder:?}")]
    Held { holder: String },
    #[error("the Lease ended before it could be renewed")]
    Ended,
    #[error("the Lease was deleted")]
    Deleted,
}

// === impl Leadership ===

impl Leadership {
    /// Whether it leads now.
    pub fn is_leader(&self) -> bool {
        // Where nobody can tell any more, nobody renews the Lease either.
        self.0.has_changed().is_ok() && *self.0.borrow()
    }

    /// Until it leads, or does not any more. Never, once nobody can tell.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Until it does not lead. At once where it does not.
    pub async fn lost(&mut self) {
        let _ = self.0.wait_for(|leads| !leads).await;
    }
}

/// As somebody else decides.
impl From<watch::Receiver<bool>> for Leadership {
    fn from(leads: watch::Receiver<bool>) -> Self {
        Self(leads)
    }
}

// === impl Candidate ===

impl Candidate {
    /// A replica of this name, for the Lease of this name in our namespace, which is good for `duration` (whole seconds, 3 at least)
    /// without being renewed. Nothing is asked before [`Candidate::run`].
    ///
    /// No two replicas may have the same name.
    pub fn new(
        cluster: &Cluster,
        lease: &str,
        replica: &str,
        duration: Duration,
    ) -> (Self, Leadership) {
        let (told, leadership) = watch::channel(false);
        let candidate = Self {
            client: cluster.client(),
            namespace: cluster.namespace().to_owned(),
            lease: lease.to_owned(),
            replica: replica.to_owned(),
            times: Times::of(duration),
            told,
        };
        (candidate, Leadership(leadership))
    }

    /// Leads whenever it can, until `stop`; then leaves the Lease to others.
    pub async fn run(self, stop: CancellationToken) {
        let mut said = String::new();
        while !stop.is_cancelled() {
            let ended = self.term(&stop).await;
            self.tell(false);
            if let Err(lost) = ended {
                let why = match std::error::Error::source(&lost) {
                    Some(cause) => format!("{lost}: {cause}"),
                    None => lost.to_string(),
                };
                // The same again and again is said once.
                if why != said {
                    tracing::warn!(lease = self.lease, why, "leadership is tried for again");
                    said = why;
                }
                stop.run_until_cancelled(sleep(self.times.retry)).await;
            }
        }
    }

    /// From a fresh look at the Lease until something goes wrong, or `stop`.
    async fn term(&self, stop: &CancellationToken) -> Result<(), Lost> {
        let Some(manager) = stop.run_until_cancelled(self.manager()).await else {
            return Ok(());
        };
        let manager = manager?;
        let Some(ended) = stop.run_until_cancelled(self.lead(&manager)).await else {
            // Nothing more is written from here on, and then somebody else may.
            self.tell(false);
            let released = timeout(self.times.request, manager.release()).await;
            return released.map_err(|_| Lost::Late)?.map_err(Lost::Manager);
        };
        ended
    }

    async fn manager(&self) -> Result<LeaseManager, Lost> {
        let Times {
            lease,
            before,
            request,
            ..
        } = self.times;
        let mut manager = format!("vouchsafe-{}", self.replica);
        while manager.len() > FIELD_MANAGER_BYTES {
            manager.pop();
        }
        let params =
            LeaseParams::new(self.replica.as_str(), lease, before).with_field_manager(manager);
        let (name, namespace) = (self.lease.as_str(), self.namespace.as_str());
        let made = LeaseManager::new(
            self.client.clone(),
            name,
            namespace,
            params,
            LeaseCreateMode::AutoCreate,
        );
        timeout(request, made)
            .await
            .map_err(|_| Lost::Late)?
            .map_err(Lost::Manager)
    }

    /// Follows until the Lease is ours, and leads until it is not. Ends only when something goes wrong.
    async fn lead(&self, manager: &LeaseManager) -> Result<(), Lost> {
        loop {
            let mut leads = false;
            while !leads {
                // Whoever waits for others asks once a Lease. What takes much longer is a request that nobody answers.
                if let Ok(changed) = timeout(self.times.patience, manager.changed()).await {
                    leads = changed.map_err(Lost::Manager)?;
                }
            }
            // Between one look and the next the Lease is renewed.
            tokio::select! {
                changed = manager.changed() => { changed.map_err(Lost::Manager)?; }
                lost = self.watch_over() => return Err(lost),
            }
            self.tell(false);
        }
    }

    /// Leads from when the Lease is seen to be ours until it is seen not to be, or was not seen to be for so long that it may not be.
    async fn watch_over(&self) -> Lost {
        let mut leads = false;
        let mut end = Instant::now() + Duration::from_secs(self.times.lease);
        loop {
            let looking = timeout_at(end, self.look()).await;
            match looking {
                Err(_) => return Lost::Ended,
                Ok(Ok(Some(seen))) => {
                    end = seen;
                    leads = true;
                    self.tell(true);
                }
                Ok(Ok(None)) => {}
                // It was ours before, and is renewed now.
                Ok(Err(Lost::Ended)) if !leads => {}
                Ok(Err(lost)) => return lost,
            }
            if timeout_at(end, sleep(self.times.look)).await.is_err() {
                return Lost::Ended;
            }
        }
    }

    fn tell(&self, leads: bool) {
        if self.told.send_replace(leads) != leads {
            tracing::info!(lease = self.lease, leads, "leadership changed");
        }
    }

    /// When the Lease ends if nobody renews it; `None` where it could not be read.
    async fn look(&self) -> Result<Option<Instant>, Lost> {
        let leases = Api::<Lease>::namespaced(self.client.clone(), &self.namespace);
        let asked = Instant::now();
        match timeout(self.times.request, leases.get(&self.lease)).await {
            Ok(Ok(lease)) => {
                let left = self
                    .times
                    .left(lease.spec.as_ref(), &self.replica, Timestamp::now())?;
                Ok(Some(asked + left))
            }
            // It is nobody's now: any replica may make it again.
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => Err(Lost::Deleted),
            Ok(Err(error)) => {
                tracing::debug!(lease = self.lease, %error, "the Lease cannot be read");
                Ok(None)
            }
            Err(_) => Ok(None),
        }
    }
}

// === impl Times ===

impl Times {
    fn of(duration: Duration) -> Self {
        let lease = duration.as_secs().max(3);
        let duration = Duration::from_secs(lease);
        Self {
            lease,
            before: lease * 2 / 3,
            look: duration / 5,
            request: duration / 5,
            retry: duration / 5,
            patience: duration * 2,
        }
    }

    /// For how long what this Lease says makes `replica` the leader. Never longer than a Lease of ours, whatever stands there.
    fn left(
        &self,
        lease: Option<&LeaseSpec>,
        replica: &str,
        now: Timestamp,
    ) -> Result<Duration, Lost> {
        let spec = lease.ok_or(Lost::Ended)?;
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if holder != replica {
            let holder = holder.to_owned();
            return Err(Lost::Held { holder });
        }
        let whole = Duration::from_secs(self.lease);
        let renewed = spec.renew_time.as_ref().ok_or(Lost::Ended)?;
        let age = now.duration_since(renewed.0);
        let age = if age.is_negative() {
            Duration::ZERO
        } else {
            age.unsigned_abs()
        };
        whole
            .checked_sub(age)
            .filter(|left| !left.is_zero())
            .ok_or(Lost::Ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

    fn lease(holder: Option<&str>, renewed: Option<i64>) -> LeaseSpec {
        LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            renew_time: renewed
                .map(|second| MicroTime(Timestamp::from_second(second).expect("a time"))),
            lease_duration_seconds: Some(15),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn a_replica_leads_as_long_as_the_lease_that_names_it_is_good() {
        let times = Times::of(LEASE);
        let left = |spec: Option<LeaseSpec>| {
            let left = times.left(
                spec.as_ref(),
                "a",
                Timestamp::from_second(100).expect("a time"),
            );
            left.map(|left| left.as_secs())
                .map_err(|lost| lost.to_string())
        };
        assert_eq!(left(Some(lease(Some("a"), Some(100)))), Ok(15));
        assert_eq!(left(Some(lease(Some("a"), Some(86)))), Ok(1));
        // A clock that went back gives no more than a whole Lease.
        assert_eq!(left(Some(lease(Some("a"), Some(500)))), Ok(15));
        let ended = Err("the Lease ended before it could be renewed".to_owned());
        for spec in [
            None,
            Some(lease(Some("a"), Some(85))),
            Some(lease(Some("a"), None)),
        ] {
            assert_eq!(left(spec), ended);
        }
        for holder in [None, Some(""), Some("b"), Some("aa")] {
            let lost = left(Some(lease(holder, Some(100))));
            assert!(lost.is_err_and(|lost| lost.starts_with("the Lease is held by")));
        }
    }

    #[test]
    fn a_lease_is_renewed_well_before_it_ends_and_looked_at_in_between() {
        for seconds in [0, 1, 3, 15, 60] {
            let times = Times::of(Duration::from_secs(seconds));
            assert!(times.lease >= 3 && times.before >= 1 && times.before < times.lease);
            assert!(times.look + times.request < Duration::from_secs(times.lease) / 2);
        }
    }

    #[tokio::test]
    async fn who_has_nobody_to_tell_it_does_not_lead() {
        let (told, leadership) = watch::channel(true);
        let mut leadership = Leadership(leadership);
        assert!(leadership.is_leader());
        drop(told);
        assert!(!leadership.is_leader());
        leadership.lost().await;
    }
}
