//! Metrics of the serving certificate.

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::Metrics;
use super::labels::{LoadLabels, StepLabels, Word};

/// The metrics of the certificate.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    not_after: Gauge,
    loads: Family<LoadLabels, Counter>,
    steps: Family<StepLabels, Counter>,
    publications: Family<LoadLabels, Counter>,
}

impl Certificates {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "cert_not_after",
            "When the serving certificate expires, since 1970",
            Unit::Seconds,
            self.not_after.clone(),
        );
        registry.register(
            "cert_loads",
            "Serving certificates that were renewed or refused",
            self.loads.clone(),
        );
        registry.register(
            "cert_steps",
            "Steps of this replica on the Secret that holds the serving certificate",
            self.steps.clone(),
        );
        registry.register(
            "ca_publications",
            "Webhook configurations whose caBundle was written, or could not be",
            self.publications.clone(),
        );
    }
}

impl Metrics {
    /// When the certificate that is served expires.
    pub fn certificate_not_after(&self, not_after: Timestamp) {
        self.certificates.not_after.set(not_after.as_second());
    }

    /// A new certificate is served, or was refused and the old one is kept.
    pub fn certificate_loaded(&self, served: bool) {
        let outcome = Word(if served { "served" } else { "refused" });
        let loads = &self.certificates.loads;
        loads.get_or_create(&LoadLabels { outcome }).inc();
    }

    /// The Secret that holds the serving certificate was changed. `step` is a word of ours.
    pub fn certificate_step(&self, step: &'static str) {
        let step = Word(step);
        let steps = &self.certificates.steps;
        steps.get_or_create(&StepLabels { step }).inc();
    }

    /// The authority of the serving certificate was written into a webhook configuration, or that failed.
    pub fn authority_published(&self, written: bool) {
        let outcome = Word(if written { "written" } else { "failed" });
        let publications = &self.certificates.publications;
        publications.get_or_create(&LoadLabels { outcome }).inc();
    }
}
