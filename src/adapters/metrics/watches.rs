//! How things stand with what the API server tells: its watches, and the ConfigMap with settings.

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::Metrics;
use super::labels::{PolicyLabels, ResourceLabels, Word};
use crate::adapters::cluster::Watched;

/// The states of the ConfigMap with settings.
const CONTROLS: [&str; 4] = ["absent", "read", "invalid", "deleted"];

/// The metrics of watches.
#[derive(Debug, Default)]
pub(super) struct Watches {
    failures: Family<ResourceLabels, Counter>,
    heard: Family<ResourceLabels, Gauge>,
    controls: Family<PolicyLabels, Gauge>,
}

// === impl Watches ===

impl Watches {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "watch_failures",
            "Lists and watches of the API server that failed; what was known stays in force",
            self.failures.clone(),
        );
        registry.register_with_unit(
            "watch_last_heard",
            "When the API server was last heard about a resource, since 1970; it is heard every minute or two",
            Unit::Seconds,
            self.heard.clone(),
        );
        registry.register(
            "controller_config",
            "How the ConfigMap config-policy-controller was found: 1 for what holds now",
            self.controls.clone(),
        );
    }
}

// === impl Metrics ===

impl Metrics {
    /// A list or a watch of this resource failed.
    pub fn watch_failed(&self, resource: Watched) {
        self.watches.failures.get_or_create(&of(resource)).inc();
    }

    /// The API server was heard about this resource.
    pub fn watch_heard(&self, resource: Watched, now: Timestamp) {
        let heard = self.watches.heard.get_or_create(&of(resource));
        heard.set(now.as_second());
    }

    /// How the ConfigMap with settings was found: one of `absent`, `read`, `invalid`, `deleted`.
    pub fn controls(&self, found: &'static str) {
        for state in CONTROLS {
            let labels = PolicyLabels { state: Word(state) };
            let gauge = self.watches.controls.get_or_create(&labels);
            gauge.set(i64::from(state == found));
        }
    }
}

fn of(resource: Watched) -> ResourceLabels {
    ResourceLabels {
        resource: Word(resource.as_str()),
    }
}
