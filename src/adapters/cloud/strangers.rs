//! How many registries are asked for a token that never gave us one.
//!
//! A registry of a cloud that exists, and that we may read, gives a token once and is known from then on. One that somebody invented
//! never does; of such, so many are asked in a minute and no more, whatever Pods name.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use tokio::time::Instant;

use super::hosts::CloudRegistry;

/// Strangers that are asked at once, when none was for a while.
const BURST: u32 = 32;
/// How often one more is.
const EVERY: Duration = Duration::from_secs(2);
/// Registries that are known at one time.
const KNOWN: u64 = 4_096;

/// Who is known, and how many others may be asked.
#[derive(Debug)]
pub(super) struct Strangers {
    known: Cache<CloudRegistry, ()>,
    left: Mutex<(u32, Instant)>,
}

// === impl Strangers ===

impl Strangers {
    /// Nobody is known.
    pub(super) fn new() -> Self {
        Self {
            known: Cache::new(KNOWN),
            left: Mutex::new((BURST, Instant::now())),
        }
    }

    /// This registry gave a token: it is no stranger any more.
    pub(super) fn learn(&self, registry: &CloudRegistry) {
        self.known.insert(registry.clone(), ());
    }

    /// Whether this registry may be asked now. A stranger that may is counted.
    pub(super) fn may_ask(&self, registry: &CloudRegistry, now: Instant) -> bool {
        if self.known.contains_key(registry) {
            return true;
        }
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, since) = &mut *left;
        while *count < BURST && now.saturating_duration_since(*since) >= EVERY {
            *count = count.saturating_add(1);
            *since += EVERY;
        }
        if *count == BURST {
            *since = now;
        }
        let may = *count > 0;
        *count = count.saturating_sub(1);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(number: usize) -> CloudRegistry {
        CloudRegistry::of(&format!("x{number}.azurecr.io")).unwrap()
    }

    #[test]
    fn t94_strangers_are_asked_by_the_minute_and_who_is_known_always() {
        let (strangers, start) = (Strangers::new(), Instant::now());
        let asked = |numbers: std::ops::Range<usize>, now| {
            let asked = numbers.filter(|number| strangers.may_ask(&registry(*number), now));
            asked.count()
        };
        assert_eq!(asked(0..1_000, start), 32);
        strangers.learn(&registry(0));
        assert!(strangers.may_ask(&registry(0), start));
        assert!(!strangers.may_ask(&registry(1), start));
        assert_eq!(asked(1_000..2_000, start + Duration::from_secs(61)), 30);
        assert_eq!(asked(2_000..3_000, start + Duration::from_hours(1)), 32);
    }
}
