//! Whether sigstore/policy-controller runs beside us, and writes the statuses that we would write.
//!
//! It takes a Lease of our namespace for each of its controllers, named `policy-controller.…` (older versions: `policy-webhook.…` or
//! `webhook.…`), and renews it every few seconds for as long as it is alive. With its leader election turned off it cannot be seen.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::{Api, Client};
use tokio::time::timeout;

use super::Cluster;
use super::status::WriteError;

/// How its Leases begin, and what those of its controllers contain.
const BEGIN: [&str; 3] = ["policy-controller.", "policy-webhook.", "webhook."];
const CONTAIN: &str = ".sigstore.policy-controller.";
/// For the request.
const REQUEST: Duration = Duration::from_secs(10);
/// The most Leases that are looked at.
const LEASES: u32 = 500;

/// Looks for policy-controller.
#[derive(Clone)]
pub struct Predecessor {
    leases: Api<Lease>,
}

impl Predecessor {
    /// Looks in our namespace.
    pub fn new(cluster: &Cluster) -> Self {
        let client: Client = cluster.client();
        Self {
            leases: Api::namespaced(client, cluster.namespace()),
        }
    }

    /// The name of a Lease that it holds now, if there is one.
    pub async fn lease(&self) -> Result<Option<String>, WriteError> {
        let params = ListParams::default().limit(LEASES);
        let listing = timeout(REQUEST, self.leases.list(&params)).await;
        let leases = listing.map_err(|_| WriteError::Late)??;
        let now = Timestamp::now();
        let mut held = leases.items.iter().filter(|lease| is_held(lease, now));
        Ok(held.find_map(|lease| lease.metadata.name.clone()))
    }
}

/// Whether it is a Lease of policy-controller that was renewed in time.
fn is_held(lease: &Lease, now: Timestamp) -> bool {
    let name = lease.metadata.name.as_deref().unwrap_or_default();
    let is_its = BEGIN.iter().any(|begin| name.starts_with(begin)) || name.contains(CONTAIN);
    let Some(spec) = &lease.spec else {
        return false;
    };
    let holder = spec.holder_identity.as_deref().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.unwrap_or_default();
    let renewed = spec.renew_time.as_ref().map(|time| time.0.as_second());
    let is_good =
        renewed.is_some_and(|renewed| renewed.saturating_add(seconds.into()) > now.as_second());
    is_its && !holder.is_empty() && is_good
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::coordination::v1::LeaseSpec;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

    fn lease(name: &str, holder: &str, renewed: Option<i64>) -> Lease {
        let renewed = renewed.map(|second| Timestamp::from_second(second).expect("a time"));
        Lease {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                lease_duration_seconds: Some(15),
                renew_time: renewed.map(MicroTime),
                ..LeaseSpec::default()
            }),
        }
    }

    #[test]
    fn policy_controller_is_alive_while_a_lease_of_its_own_is_renewed() {
        const RECONCILER: &str = "policy-controller.github.com.sigstore.policy-controller.pkg.reconciler.clusterimagepolicy.reconciler.00-of-01";
        const RENAMED: &str = "mine.github.com.sigstore.policy-controller.pkg.reconciler.trustroot.reconciler.00-of-01";
        let now = Timestamp::from_second(100).expect("a time");
        for (name, holder, renewed, expected) in [
            (RECONCILER, "pod_1", Some(90), true),
            (RENAMED, "pod_1", Some(90), true),
            (
                "policy-webhook.policysigstoredev.00-of-01",
                "pod_1",
                Some(100),
                true,
            ),
            (
                "webhook.webhookcertificates.00-of-01",
                "pod_1",
                Some(500),
                true,
            ),
            (RECONCILER, "pod_1", Some(85), false),
            (RECONCILER, "", Some(99), false),
            (RECONCILER, "pod_1", None, false),
            ("vouchsafe", "pod_1", Some(99), false),
            ("policy-controllers", "pod_1", Some(99), false),
        ] {
            assert_eq!(
                is_held(&lease(name, holder, renewed), now),
                expected,
                "{name} {holder} {renewed:?}"
            );
        }
    }
}
