//! What Prometheus may ask.
//!
//! Every label is a word of a closed set of ours. Names of images, policies and namespaces, messages and paths are chosen by
//! others, and each new one would be a new series for ever (T-42, CVE-2026-49835).

mod certificates;
mod labels;
mod watches;
mod writes;

use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::adapters::oci::{RequestClass, RequestOutcome};
use crate::adapters::refresh::Count;
use crate::adapters::remote_policies::RemoteCounts;
use crate::verdict::{Judgement, Reason};
use crate::workload::Operation;

use certificates::Certificates;
use labels::{
    AdmissionLabels, CallLabels, ImageLabels, LoadLabels, MutationLabels, PinLabels, PolicyLabels,
    ReferenceLabels, RegistryLabels, ReloadLabels, Word,
};
use watches::Watches;
use writes::Writes;

/// Upper ends of the histogram of admissions, in seconds: from what memory answers to the longest timeout of a webhook.
const SECONDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    admission_requests: Family<AdmissionLabels, Counter>,
    admission_duration: Histogram,
    admission_in_flight: Gauge,
    mutation_requests: Family<MutationLabels, Counter>,
    mutation_duration: Histogram,
    image_pins: Family<PinLabels, Counter>,
    refused_calls: Family<CallLabels, Counter>,
    image_verdicts: Family<ImageLabels, Counter>,
    registry_requests: Family<RegistryLabels, Counter>,
    panics: Counter,
    policies: Family<PolicyLabels, Gauge>,
    remote_policies: Family<PolicyLabels, Gauge>,
    policy_reviews: Family<LoadLabels, Counter>,
    references: Family<ReferenceLabels, Gauge>,
    trust_not_after: Gauge,
    certificates: Certificates,
    watches: Watches,
    writes: Writes,
    enforcing: Gauge,
    would_deny: Family<ImageLabels, Counter>,
    reload_failing: Family<ReloadLabels, Gauge>,
}

/// What is read again when its files change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reloaded {
    /// Policies, and what lies beside them.
    Policies,
    /// The settings of registries.
    Registries,
    /// The file of what is trusted by default.
    TrustedRoot,
    /// The authorities of clients.
    ClientAuthorities,
}

// === impl Metrics ===

impl Metrics {
    /// All metrics, at zero.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("vouchsafe"),
            admission_requests: Family::default(),
            admission_duration: Histogram::new(SECONDS),
            admission_in_flight: Gauge::default(),
            mutation_requests: Family::default(),
            mutation_duration: Histogram::new(SECONDS),
            image_pins: Family::default(),
            refused_calls: Family::default(),
            image_verdicts: Family::default(),
            registry_requests: Family::default(),
            panics: Counter::default(),
            policies: Family::default(),
            remote_policies: Family::default(),
            policy_reviews: Family::default(),
            references: Family::default(),
            trust_not_after: Gauge::default(),
            certificates: Certificates::default(),
            watches: Watches::default(),
            writes: Writes::default(),
            enforcing: Gauge::default(),
            would_deny: Family::default(),
            reload_failing: Family::default(),
        };
        metrics.register();
        metrics
    }

    /// Counters get `_total` and units their suffix when they are written.
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "admission_requests",
            "Reviews that were answered",
            self.admission_requests.clone(),
        );
        registry.register_with_unit(
            "admission_duration",
            "From the head of a review to its answer",
            Unit::Seconds,
            self.admission_duration.clone(),
        );
        registry.register(
            "admission_in_flight",
            "Calls that are being answered",
            self.admission_in_flight.clone(),
        );
        registry.register(
            "mutation_requests",
            "Reviews that were answered with a patch, or with none",
            self.mutation_requests.clone(),
        );
        registry.register_with_unit(
            "mutation_duration",
            "From the head of a review to its patch",
            Unit::Seconds,
            self.mutation_duration.clone(),
        );
        registry.register(
            "image_pins",
            "Image fields pinned to what their tag names, or kept at their digest; images left as tags, by reason",
            self.image_pins.clone(),
        );
        registry.register(
            "admission_refused",
            "Calls that were no readable review, by HTTP status",
            self.refused_calls.clone(),
        );
        registry.register(
            "image_verdicts",
            "Images that were judged",
            self.image_verdicts.clone(),
        );
        registry.register(
            "registry_requests",
            "Requests to registries and their token services",
            self.registry_requests.clone(),
        );
        registry.register(
            "panics",
            "Judgements that panicked; each was answered as a denial",
            self.panics.clone(),
        );
        registry.register("policies", "Policies in force", self.policies.clone());
        registry.register(
            "remote_policies",
            "Texts behind URLs that policies refer to; a missing one breaks its policies, a stale one is in use",
            self.remote_policies.clone(),
        );
        registry.register(
            "policy_reviews",
            "ClusterImagePolicies and TrustRoots that were checked when they were applied",
            self.policy_reviews.clone(),
        );
        registry.register(
            "references",
            "Keys and trust roots that are fetched for policies, and tokens for registries of clouds, by how the last fetch went",
            self.references.clone(),
        );
        registry.register_with_unit(
            "trust_not_after",
            "When the first trust root from a TUF repository expires, since 1970; 0 where none does",
            Unit::Seconds,
            self.trust_not_after.clone(),
        );
        self.certificates.register(registry);
        self.watches.register(registry);
        self.writes.register(registry);
        self.register_state();
    }

    /// What is not about single calls.
    fn register_state(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "enforcing",
            "1 where denials are carried out, 0 in shadow",
            self.enforcing.clone(),
        );
        registry.register(
            "would_deny",
            "Reviews that were admitted in shadow and would have been denied, by reason",
            self.would_deny.clone(),
        );
        registry.register(
            "reload_failing",
            "1 while files that changed cannot be used and what was read before stays in force",
            self.reload_failing.clone(),
        );
    }

    /// A review was answered. `operation` is `None` where the review was not read.
    pub fn admission(
        &self,
        operation: Option<Operation>,
        verdict: Judgement,
        reason: Reason,
        took: Duration,
    ) {
        let operation = labels::operation(operation);
        let labels = AdmissionLabels {
            operation,
            verdict: Word(verdict.as_str()),
            reason: Word(reason.as_str()),
        };
        self.admission_requests.get_or_create(&labels).inc();
        self.admission_duration.observe(took.as_secs_f64());
    }

    /// A review was answered with a patch of so many fields, or with none. `operation` is `None` where the review was not read.
    pub fn mutation(
        &self,
        operation: Option<Operation>,
        pinned: usize,
        kept: usize,
        left: impl Iterator<Item = Reason>,
        took: Duration,
    ) {
        let operation = labels::operation(operation);
        self.mutation_requests
            .get_or_create(&MutationLabels { operation })
            .inc();
        self.mutation_duration.observe(took.as_secs_f64());
        let count = |outcome, number: usize| {
            let number = u64::try_from(number).unwrap_or(u64::MAX);
            let outcome = Word(outcome);
            self.image_pins
                .get_or_create(&PinLabels { outcome })
                .inc_by(number);
        };
        count("pinned", pinned);
        count("kept", kept);
        for reason in left {
            count(reason.as_str(), 1);
        }
    }

    /// A call was refused with this HTTP status.
    pub fn refused(&self, status: http::StatusCode) {
        self.refused_calls
            .get_or_create(&CallLabels {
                status: labels::status(status),
            })
            .inc();
    }

    /// A call began.
    pub fn admission_began(&self) {
        self.admission_in_flight.inc();
    }

    /// A call that began has ended.
    pub fn admission_ended(&self) {
        self.admission_in_flight.dec();
    }

    /// An image was judged.
    pub fn image_verdict(&self, reason: Reason) {
        self.image_verdicts
            .get_or_create(&ImageLabels {
                reason: Word(reason.as_str()),
            })
            .inc();
    }

    /// A registry, or the token service of one, was asked.
    pub fn registry_request(&self, class: RequestClass, outcome: RequestOutcome) {
        let labels = RegistryLabels {
            class: labels::request(class),
            outcome: labels::outcome(outcome),
        };
        self.registry_requests.get_or_create(&labels).inc();
    }

    /// A judgement panicked.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// How many policies are in force, and how many of them cannot be evaluated and deny what they match.
    pub fn policies(&self, loaded: usize, broken: usize) {
        let set = |state, count: usize| {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.policies
                .get_or_create(&PolicyLabels { state: Word(state) })
                .set(count);
        };
        set("loaded", loaded);
        set("broken", broken);
    }

    /// How many texts behind URLs are in which state.
    pub fn remote_policies(&self, counts: RemoteCounts) {
        let states = [
            ("fresh", counts.fresh),
            ("stale", counts.stale),
            ("missing", counts.missing),
        ];
        for (state, count) in states {
            self.remote_policies
                .get_or_create(&PolicyLabels { state: Word(state) })
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// A resource of ours was checked when it was applied.
    pub fn policy_reviewed(&self, accepted: bool) {
        let outcome = Word(if accepted { "accepted" } else { "refused" });
        self.policy_reviews
            .get_or_create(&LoadLabels { outcome })
            .inc();
    }

    /// How many values of this kind are fetched, and how that goes. `kind` is a word of ours.
    pub fn references(&self, kind: &'static str, count: Count) {
        let set = |state, count: usize| {
            let labels = ReferenceLabels {
                kind: Word(kind),
                state: Word(state),
            };
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.references.get_or_create(&labels).set(count);
        };
        set("fresh", count.fresh);
        set("stale", count.stale);
        set("missing", count.missing);
    }

    /// When the first trust root from a TUF repository expires.
    pub fn trust_expires(&self, expires: Option<Timestamp>) {
        self.trust_not_after
            .set(expires.map_or(0, Timestamp::as_second));
    }

    /// Whether denials are carried out.
    pub fn enforcing(&self, enforced: bool) {
        self.enforcing.set(i64::from(enforced));
    }

    /// A review was admitted because denials are not carried out.
    pub fn would_deny(&self, reason: Reason) {
        self.would_deny
            .get_or_create(&ImageLabels {
                reason: Word(reason.as_str()),
            })
            .inc();
    }

    /// Files that changed were read again, or cannot be.
    pub fn reload_failing(&self, of: Reloaded, failing: bool) {
        let of = Word(match of {
            Reloaded::Policies => "policies",
            Reloaded::Registries => "registries",
            Reloaded::TrustedRoot => "trusted-root",
            Reloaded::ClientAuthorities => "client-ca",
        });
        self.reload_failing
            .get_or_create(&ReloadLabels { of })
            .set(i64::from(failing));
    }

    /// All metrics as `OpenMetrics` text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string fails only if a metric refuses to be written, and then the rest is still true.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::cluster::Watched;

    #[test]
    fn writes_the_names_and_labels_that_dashboards_use() {
        let metrics = Metrics::new();
        metrics.admission(
            Some(Operation::Create),
            Judgement::Deny,
            Reason::Unsigned,
            Duration::from_millis(3),
        );
        metrics.admission(
            None,
            Judgement::Unknown,
            Reason::Overloaded,
            Duration::from_millis(3),
        );
        metrics.mutation(
            Some(Operation::Update),
            2,
            1,
            [Reason::RegistryThrottled].into_iter(),
            Duration::from_millis(3),
        );
        metrics.admission_began();
        metrics.refused(http::StatusCode::PAYLOAD_TOO_LARGE);
        metrics.image_verdict(Reason::Satisfied);
        metrics.registry_request(RequestClass::ManifestGet, RequestOutcome::NotFound);
        metrics.panicked();
        metrics.policies(3, 1);
        metrics.remote_policies(RemoteCounts {
            fresh: 2,
            stale: 1,
            missing: 0,
        });
        metrics.policy_reviewed(false);
        let count = Count {
            fresh: 2,
            stale: 1,
            missing: 0,
        };
        metrics.references("key", count);
        metrics.trust_expires(Some(Timestamp::from_second(3_000_000_000).unwrap()));
        metrics.certificate_not_after(Timestamp::from_second(4_000_000_000).unwrap());
        metrics.certificate_loaded(false);
        metrics.enforcing(true);
        metrics.would_deny(Reason::Unsigned);
        metrics.reload_failing(Reloaded::Policies, true);
        metrics.reload_failing(Reloaded::Registries, false);
        metrics.certificate_step("switched");
        metrics.authority_published(true);
        metrics.watch_failed(Watched::Secrets);
        metrics.watch_heard(
            Watched::TrustRoots,
            Timestamp::from_second(5_000_000_000).unwrap(),
        );
        metrics.controls("invalid");
        let text = metrics.encode();
        for line in [
            r#"vouchsafe_admission_requests_total{operation="create",verdict="deny",reason="unsigned"} 1"#,
            r#"vouchsafe_admission_requests_total{operation="none",verdict="unknown",reason="overloaded"} 1"#,
            "vouchsafe_admission_duration_seconds_count 2",
            "vouchsafe_admission_in_flight 1",
            r#"vouchsafe_mutation_requests_total{operation="update"} 1"#,
            "vouchsafe_mutation_duration_seconds_count 1",
            r#"vouchsafe_image_pins_total{outcome="pinned"} 2"#,
            r#"vouchsafe_image_pins_total{outcome="kept"} 1"#,
            r#"vouchsafe_image_pins_total{outcome="registry-throttled"} 1"#,
            r#"vouchsafe_admission_refused_total{status="413"} 1"#,
            r#"vouchsafe_image_verdicts_total{reason="satisfied"} 1"#,
            r#"vouchsafe_registry_requests_total{class="manifest",outcome="not-found"} 1"#,
            "vouchsafe_panics_total 1",
            r#"vouchsafe_policies{state="loaded"} 3"#,
            r#"vouchsafe_policies{state="broken"} 1"#,
            r#"vouchsafe_remote_policies{state="stale"} 1"#,
            r#"vouchsafe_policy_reviews_total{outcome="refused"} 1"#,
            r#"vouchsafe_references{kind="key",state="fresh"} 2"#,
            r#"vouchsafe_references{kind="key",state="stale"} 1"#,
            "vouchsafe_trust_not_after_seconds 3000000000",
            "vouchsafe_enforcing 1",
            r#"vouchsafe_would_deny_total{reason="unsigned"} 1"#,
            r#"vouchsafe_reload_failing{of="policies"} 1"#,
            r#"vouchsafe_reload_failing{of="registries"} 0"#,
            "vouchsafe_cert_not_after_seconds 4000000000",
            r#"vouchsafe_cert_loads_total{outcome="refused"} 1"#,
            r#"vouchsafe_watch_failures_total{resource="secrets"} 1"#,
            r#"vouchsafe_watch_last_heard_seconds{resource="trustroots"} 5000000000"#,
            r#"vouchsafe_controller_config{state="invalid"} 1"#,
            r#"vouchsafe_controller_config{state="read"} 0"#,
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is not in\n{text}"
            );
        }
    }
}
