//! The room for statements that are parsed before it is known who signed them.
//!
//! A statement of some MiB may take a hundred in memory, and strangers choose how many there are. Small ones pass; those that are large
//! once they are parsed take their part of a room that all requests share, and wait for it, each until its own deadline.

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::evidence::Candidate;
use crate::limits::Limits;

/// What passes without being counted, in bytes once it is parsed.
const SMALL_BYTES: usize = 1 << 20;

/// The room, in KiB.
pub(super) struct Parsing {
    room: Semaphore,
    kib: usize,
}

impl Parsing {
    /// Room within these limits.
    pub(super) fn new(limits: &Limits) -> Self {
        let kib = (limits.in_flight.statement_bytes >> 10).min(Semaphore::MAX_PERMITS);
        Self {
            room: Semaphore::new(kib),
            kib,
        }
    }

    /// Waits for room for this candidate; it is given back on drop. Small ones need none, and one that is larger than all the room takes
    /// all of it.
    pub(super) async fn room_for(&self, candidate: &Candidate) -> Option<SemaphorePermit<'_>> {
        let weight = candidate.weight();
        if weight <= SMALL_BYTES {
            return None;
        }
        let kib = u32::try_from((weight >> 10).min(self.kib)).unwrap_or(u32::MAX);
        self.room.acquire_many(kib).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::FutureExt as _;

    use super::*;
    use crate::evidence::{EvidenceLayer, Format, attestation};

    fn statement(objects: usize) -> Candidate {
        let predicate = vec!["{}"; objects].join(",");
        let payload = format!("{{\"predicate\":[{predicate}]}}");
        let layer = EvidenceLayer {
            format: Format::AttestationTag,
            digest: format!("sha256:{}", "0".repeat(64)).parse().unwrap(),
            size: 0,
            annotations: std::collections::HashMap::new(),
        };
        let envelope = serde_json::json!({
            "payloadType": "application/vnd.in-toto+json",
            "payload": base64::Engine::encode(&base64::engine::general_purpose::STANDARD, payload),
            "signatures": [{"sig": "AA=="}],
        });
        attestation::decode(&layer, &Bytes::from(envelope.to_string()))
    }

    #[tokio::test]
    async fn large_statements_wait_for_each_other_and_small_ones_for_nobody() {
        let mut limits = Limits::default();
        limits.in_flight.statement_bytes = 4 << 20;
        let parsing = Parsing::new(&limits);
        // About 3 MB each, parsed.
        let large = statement(4_000);
        assert!(large.weight() > 2 << 20, "{}", large.weight());
        let first = parsing.room_for(&large).await;
        assert!(first.is_some());
        assert!(parsing.room_for(&large).now_or_never().is_none());
        assert!(parsing.room_for(&statement(3)).await.is_none());
        drop(first);
        assert!(parsing.room_for(&large).await.is_some());
        // Larger than all of it.
        assert!(parsing.room_for(&statement(20_000)).await.is_some());
    }
}
