//! The bounds that an operator may care about, in one place, passed by value. What is a constant of one format stands beside its
//! parser.
//!
//! Whatever reaches us from outside is measured against a number in this file: bytes, counts, depth, time. A stage that meets a
//! bound says which one (`limit-exceeded`, `policy-budget`, `deadline`, `overloaded`), and the image it was judging is denied.
//! The numbers are chosen so that real producers stay far below them and a hostile registry or tenant cannot make the process
//! large or slow: endless signatures, huge attachments and allocation from a claimed size are old attacks
//! (CVE-2023-46737, CVE-2024-29902, CVE-2024-29903, CVE-2023-42813).

pub mod json;
pub mod pem;

use std::time::Duration;

/// One mebibyte.
const MIB: usize = 1 << 20;

/// The bounds of one process. `Default` gives the documented values.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes read from registries.
    pub registry: RegistryLimits,
    /// Bounds of one AdmissionReview.
    pub review: ReviewLimits,
    /// Bounds of the evidence about one image.
    pub evidence: EvidenceLimits,
    /// What all requests together may hold at one time.
    pub in_flight: InFlightLimits,
}

/// Bounds on what a registry may send and how long it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistryLimits {
    /// A manifest, in bytes.
    pub manifest_bytes: usize,
    /// One page of a list of referrers, in bytes.
    pub referrers_page_bytes: usize,
    /// The answer of a token service, in bytes.
    pub token_bytes: usize,
    /// The body of an error answer that is read for its error code, in bytes.
    pub error_bytes: usize,
    /// Requests in flight to one registry host.
    pub concurrent_requests: usize,
    /// Time to establish a connection (TCP and TLS).
    pub connect: Duration,
    /// Time for one request, body included. The deadline of the review cuts it shorter.
    pub request: Duration,
    /// Redirects followed for one request.
    pub redirects: usize,
    /// Attempts for one idempotent request, the first included.
    pub attempts: usize,
}

/// Bounds on one AdmissionReview.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReviewLimits {
    /// The body, in bytes. The API server's own objects end at 3 MiB, and an UPDATE carries two.
    pub body_bytes: usize,
    /// One review once it is parsed ([`json::weight`]), in bytes.
    pub parsed_bytes: usize,
    /// Image fields in one review.
    pub images: usize,
    /// Distinct registries of the images in one review: each may cost lookups and connections of its own.
    pub registries: usize,
    /// Pull secrets that one workload or service account names: each is a request to the API server.
    pub pull_secrets: usize,
    /// Nesting of the JSON document.
    pub json_depth: usize,
    /// Time to receive the whole body.
    pub body_time: Duration,
}

/// Bounds on the evidence of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EvidenceLimits {
    /// The signed payload of one simple-signing layer, in bytes.
    pub signature_payload_bytes: usize,
    /// One attestation, in bytes.
    pub attestation_bytes: usize,
    /// One statement once it is parsed ([`json::weight`]), in bytes. It is looked at before anybody is known to have signed it.
    pub statement_bytes: usize,
    /// Candidates that are fetched and verified for one authority. One more is `limit-exceeded`, never `unsigned`.
    pub candidates: usize,
    /// Pages of one list of referrers. One more is `limit-exceeded`.
    pub referrer_pages: usize,
    /// Entries of one list of referrers, of whatever kind. One more is `limit-exceeded`.
    pub referrers: usize,
    /// Nesting of a statement.
    pub json_depth: usize,
    /// Subjects of one statement.
    pub subjects: usize,
    /// Manifests and config files of one image together, in bytes, where a policy wants them.
    pub config_files_bytes: usize,
    /// Manifests of one image: platforms, and what else an index holds.
    pub platforms: usize,
}

/// What may be held at one time by all requests together. Waiting happens inside the deadline and ends as `overloaded`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InFlightLimits {
    /// Bodies of reviews, in bytes, as they arrive, and what they take once they are parsed. One address takes a part of what is left
    /// free: a third of all where it is the only one, half for reviews of less than 256 KiB that have begun.
    pub review_bytes: usize,
    /// Evidence being fetched, in bytes.
    pub evidence_bytes: usize,
    /// Statements being parsed to see who signed them, in bytes ([`json::weight`]), where one takes more than 1 MiB.
    pub statement_bytes: usize,
    /// Input of predicate policies being evaluated, in bytes.
    pub policy_input_bytes: usize,
    /// Connections held open by clients of the webhook; a sixteenth of them by one address.
    pub connections: usize,
    /// Evidence kept between requests, in bytes.
    pub cached_evidence_bytes: usize,
}

// === impl Default ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            registry: RegistryLimits {
                manifest_bytes: 4 * MIB,
                referrers_page_bytes: 4 * MIB,
                token_bytes: 64 << 10,
                error_bytes: 16 << 10,
                concurrent_requests: 32,
                connect: Duration::from_secs(3),
                request: Duration::from_secs(30),
                redirects: 5,
                attempts: 3,
            },
            review: ReviewLimits {
                body_bytes: 7 * MIB,
                parsed_bytes: 64 * MIB,
                images: 1_000,
                registries: 32,
                pull_secrets: 32,
                json_depth: 64,
                body_time: Duration::from_secs(5),
            },
            evidence: EvidenceLimits {
                signature_payload_bytes: MIB,
                attestation_bytes: 16 * MIB,
                statement_bytes: 128 * MIB,
                candidates: 128,
                referrer_pages: 16,
                referrers: 2_000,
                json_depth: 64,
                subjects: 4_096,
                config_files_bytes: 8 * MIB,
                platforms: 128,
            },
            in_flight: InFlightLimits {
                review_bytes: 128 * MIB,
                evidence_bytes: 64 * MIB,
                statement_bytes: 128 * MIB,
                policy_input_bytes: 64 * MIB,
                connections: 4_096,
                cached_evidence_bytes: 64 * MIB,
            },
        }
    }
}
