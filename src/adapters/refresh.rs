//! Values from elsewhere that are fetched again and again, off the path of requests: keys of key management services, trust roots.
//!
//! *In*: which values are wanted ([`Held::want`]), and how each fetch went ([`Held::record`]). *Out*: which are due ([`Held::due`]), and
//! what each one is now ([`Held::get`]): the last good one for as long as it may be used, or in words why there is none. A fetch that
//! fails changes nothing until then, and is tried again sooner than one that went well.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How often values are fetched, and how long one is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// From one good fetch to the next.
    pub every: Duration,
    /// From a failed fetch to the next, at first. It doubles up to `every`.
    pub retry: Duration,
    /// How long a value is used after the fetch that gave it.
    pub max_stale: Duration,
}

/// The values that are held.
#[derive(Debug)]
pub struct Held<V> {
    rhythm: Rhythm,
    entries: Mutex<BTreeMap<String, Entry<V>>>,
}

/// What is fetched: how many there are, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Values whose last fetch went well.
    pub fresh: usize,
    /// Values that are used although their last fetch failed.
    pub stale: usize,
    /// References without a value that may be used.
    pub missing: usize,
}

#[derive(Debug)]
struct Entry<V> {
    good: Option<(V, Instant)>,
    failure: Option<String>,
    failures: u32,
    due: Instant,
}

// === impl Held ===

impl<V: Clone + PartialEq> Held<V> {
    /// Nothing yet.
    pub fn new(rhythm: Rhythm) -> Self {
        Self {
            rhythm,
            entries: Mutex::default(),
        }
    }

    /// From now on exactly these are wanted. What is new is due at once; what is not wanted any more is forgotten.
    pub fn want(&self, names: &BTreeSet<String>, now: Instant) {
        let mut entries = self.entries();
        entries.retain(|name, _| names.contains(name));
        for name in names {
            entries.entry(name.clone()).or_insert(Entry {
                good: None,
                failure: None,
                failures: 0,
                due: now,
            });
        }
    }

    /// Gives a value that is good from before, such as one that was kept on a disk, fetched that long ago.
    pub fn restore(&self, name: &str, value: V, age: Duration, now: Instant) {
        let Some(fetched) = now.checked_sub(age) else {
            return;
        };
        if let Some(entry) = self.entries().get_mut(name)
            && entry.good.is_none()
        {
            entry.good = Some((value, fetched));
        }
    }

    /// What is to be fetched now.
    pub fn due(&self, now: Instant) -> Vec<String> {
        let entries = self.entries();
        let due = entries.iter().filter(|(_, entry)| entry.due <= now);
        due.map(|(name, _)| name.clone()).collect()
    }

    /// How a fetch went. The answer is whether that changes what [`Held::get`] gives; a fetch of what is not wanted any more does not.
    pub fn record(&self, name: &str, fetched: Result<V, String>, now: Instant) -> bool {
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(name) else {
            return false;
        };
        let before = entry.value(name, &self.rhythm, now);
        match fetched {
            Ok(value) => {
                *entry = Entry {
                    good: Some((value, now)),
                    failure: None,
                    failures: 0,
                    due: later(now, self.rhythm.every),
                };
            }
            Err(failure) => {
                entry.failure = Some(failure);
                let factor = 1_u32
                    .checked_shl(entry.failures.min(16))
                    .unwrap_or(u32::MAX);
                let wait = self.rhythm.retry.saturating_mul(factor);
                entry.failures = entry.failures.saturating_add(1);
                entry.due = later(now, wait.min(self.rhythm.every));
            }
        }
        entry.value(name, &self.rhythm, now) != before
    }

    /// The value, or in words why there is none.
    pub fn get(&self, name: &str, now: Instant) -> Result<V, String> {
        self.entries().get(name).map_or_else(
            || Err(format!("{name} was not fetched yet")),
            |entry| entry.value(name, &self.rhythm, now),
        )
    }

    /// Why the last fetch of a value failed that is used all the same; `None` where it did not, or where there is nothing to use.
    pub fn stale(&self, name: &str, now: Instant) -> Option<String> {
        let entries = self.entries();
        let entry = entries.get(name)?;
        entry.usable(&self.rhythm, now)?;
        entry.failure.clone()
    }

    /// How many there are.
    pub fn count(&self, now: Instant) -> Count {
        let mut count = Count::default();
        for entry in self.entries().values() {
            if entry.usable(&self.rhythm, now).is_none() {
                count.missing += 1;
            } else if entry.failure.is_some() {
                count.stale += 1;
            } else {
                count.fresh += 1;
            }
        }
        count
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry<V>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Entry ===

impl<V: Clone> Entry<V> {
    /// The value, while it may be used.
    fn usable(&self, rhythm: &Rhythm, now: Instant) -> Option<&V> {
        let (value, fetched) = self.good.as_ref()?;
        (now.saturating_duration_since(*fetched) < rhythm.max_stale).then_some(value)
    }

    fn value(&self, name: &str, rhythm: &Rhythm, now: Instant) -> Result<V, String> {
        if let Some(value) = self.usable(rhythm, now) {
            return Ok(value.clone());
        }
        let failure = self.failure.as_deref().unwrap_or("it was not fetched yet");
        Err(match self.good {
            Some(_) => format!(
                "{name} could not be fetched again for {} h: {failure}",
                rhythm.max_stale.as_secs() / 3_600
            ),
            None => format!("{name} could not be fetched: {failure}"),
        })
    }
}

fn later(from: Instant, by: Duration) -> Instant {
    // Far enough not to matter, where the clock ends.
    from.checked_add(by).unwrap_or(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RHYTHM: Rhythm = Rhythm {
        every: Duration::from_hours(1),
        retry: Duration::from_secs(10),
        max_stale: Duration::from_hours(24),
    };

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    fn held(name: &str, now: Instant) -> Held<u8> {
        let held = Held::new(RHYTHM);
        held.want(&[name.to_owned()].into(), now);
        held
    }

    #[test]
    fn what_is_new_is_due_at_once_and_what_is_not_wanted_is_forgotten() {
        let start = Instant::now();
        let held = held("a", start);
        assert_eq!(held.due(start), ["a"]);
        assert!(held.record("a", Ok(1), start));
        assert!(held.due(start).is_empty());
        assert_eq!(held.due(after(start, 3_600)), ["a"]);
        held.want(&BTreeSet::new(), start);
        assert!(held.get("a", start).is_err());
        assert!(!held.record("a", Ok(2), start));
    }

    #[test]
    fn a_failed_fetch_keeps_the_last_good_value_until_it_is_too_old() {
        let start = Instant::now();
        let held = held("a", start);
        held.record("a", Ok(1), start);
        let day = 24 * 3_600;
        assert_eq!(held.stale("a", after(start, 1)), None);
        assert!(!held.record("a", Err("down".to_owned()), after(start, 3_600)));
        assert_eq!(held.get("a", after(start, day - 1)), Ok(1));
        assert_eq!(
            held.stale("a", after(start, day - 1)),
            Some("down".to_owned())
        );
        assert_eq!(held.stale("a", after(start, day)), None);
        assert_eq!(
            held.count(after(start, day - 1)),
            Count {
                stale: 1,
                ..Count::default()
            }
        );
        assert_eq!(
            held.get("a", after(start, day)),
            Err("a could not be fetched again for 24 h: down".to_owned())
        );
        assert_eq!(
            held.count(after(start, day)),
            Count {
                missing: 1,
                ..Count::default()
            }
        );
        assert!(held.record("a", Ok(1), after(start, day + 1)));
        assert_eq!(held.get("a", after(start, day + 1)), Ok(1));
    }

    #[test]
    fn failures_are_tried_again_sooner_and_less_and_less_often() {
        let mut now = Instant::now();
        let held = held("a", now);
        for wait in [10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600, 3_600] {
            held.record("a", Err("down".to_owned()), now);
            assert!(held.due(after(now, wait - 1)).is_empty(), "{wait}");
            now = after(now, wait);
            assert_eq!(held.due(now), ["a"], "{wait}");
        }
    }

    #[test]
    fn what_was_kept_from_before_is_as_old_as_it_is() {
        let start = Instant::now() + Duration::from_secs(100_000);
        let held = held("a", start);
        held.restore("a", 1, Duration::from_hours(23), start);
        assert_eq!(held.get("a", start), Ok(1));
        assert!(held.get("a", after(start, 3_600)).is_err());
        assert_eq!(held.due(start), ["a"]);
    }
}
