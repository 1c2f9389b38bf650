//! What this replica writes to the API server.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Metrics;
use super::labels::{LoadLabels, Word};

/// Leadership, statuses and Events.
#[derive(Debug, Default)]
pub(super) struct Writes {
    leader: Gauge,
    statuses: Family<LoadLabels, Counter>,
    events: Family<LoadLabels, Counter>,
}

// === impl Writes ===

impl Writes {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "leader",
            "Whether this replica leads: it writes statuses and their Events",
            self.leader.clone(),
        );
        registry.register(
            "status_writes",
            "Writes to the status of policies and trust roots, by how they ended",
            self.statuses.clone(),
        );
        registry.register(
            "events",
            "Events about policies, trust roots and denials, by what became of them",
            self.events.clone(),
        );
    }
}

// === impl Metrics ===

impl Metrics {
    /// Whether this replica leads, and writes.
    pub fn leads(&self, leads: bool) {
        self.writes.leader.set(leads.into());
    }

    /// How a write to the status of a policy or trust root ended. `outcome` is a word of ours.
    pub fn status_written(&self, outcome: &'static str) {
        let outcome = Word(outcome);
        let counter = self.writes.statuses.get_or_create(&LoadLabels { outcome });
        counter.inc();
    }

    /// What became of an Event. `outcome` is a word of ours.
    pub fn event(&self, outcome: &'static str) {
        let outcome = Word(outcome);
        let counter = self.writes.events.get_or_create(&LoadLabels { outcome });
        counter.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_names_and_labels_that_dashboards_use() {
        let metrics = Metrics::new();
        metrics.leads(true);
        metrics.status_written("conflict");
        metrics.event("made");
        let text = metrics.encode();
        for line in [
            "vouchsafe_leader 1",
            r#"vouchsafe_status_writes_total{outcome="conflict"} 1"#,
            r#"vouchsafe_events_total{outcome="made"} 1"#,
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is not in\n{text}"
            );
        }
    }
}
