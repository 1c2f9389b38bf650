//! Texts of policies that are kept behind URLs (`policy.remote`), fetched off the request path.
//!
//! *In*: which texts policies refer to, each pinned by its SHA-256. *Out*: for each the text, or why there is none. What was fetched is
//! asked for again every hour. Where that fails the text stays in use for `max_stale`: it is still exactly what the policy pins. What
//! was never fetched is tried again soon, then ever more rarely.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use tokio::time::Instant;

use super::oci::WebClient;
use crate::policy::{Fetched, RemotePolicy};

/// The largest text, in bytes.
const BYTES: usize = 1 << 20;
/// For one text.
const TIME: Duration = Duration::from_secs(10);
/// Texts that are fetched at one time.
const CONCURRENT: usize = 8;
/// Between two fetches of a text that is there.
const REFRESH: Duration = Duration::from_hours(1);
/// How long a text is used that cannot be fetched again, unless told otherwise.
pub const MAX_STALE: Duration = Duration::from_hours(24);
/// After the first failure; doubled after each further one.
const RETRY: Duration = Duration::from_secs(5);
/// And not beyond this.
const LONGEST_RETRY: Duration = Duration::from_mins(10);

/// Texts behind URLs.
pub struct RemotePolicies {
    client: WebClient,
    max_stale: Duration,
    kept: Mutex<BTreeMap<RemotePolicy, Kept>>,
}

/// How many texts are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemoteCounts {
    /// Fetched, and the last fetch succeeded.
    pub fresh: usize,
    /// Fetched once, and in use although the last fetch failed.
    pub stale: usize,
    /// Not there: policies that refer to it deny what they match.
    pub missing: usize,
}

/// One text.
#[derive(Clone, Debug)]
struct Kept {
    good: Option<(Arc<str>, Instant)>,
    failure: Option<String>,
    failures: u32,
    due: Instant,
}

// === impl RemotePolicies ===

impl RemotePolicies {
    /// Nothing yet. A text is used for a day after its last successful fetch.
    pub fn new(client: WebClient) -> Self {
        Self {
            client,
            max_stale: MAX_STALE,
            kept: Mutex::default(),
        }
    }

    /// From now on a text is used this long after its last successful fetch.
    pub fn keep_for(&mut self, max_stale: Duration) {
        self.max_stale = max_stale;
    }

    /// Fetches those of the wanted texts that are due, and forgets all others.
    pub async fn refresh(&self, wanted: &BTreeSet<RemotePolicy>) {
        let now = Instant::now();
        let due: Vec<RemotePolicy> = {
            let mut kept = self.lock();
            kept.retain(|policy, _| wanted.contains(policy));
            let is_due =
                |policy: &&RemotePolicy| kept.get(policy).is_none_or(|kept| kept.due <= now);
            wanted.iter().filter(is_due).cloned().collect()
        };
        let fetches = due.into_iter().map(|policy| async {
            let answer = self.fetch(&policy).await;
            (policy, answer)
        });
        let mut answers = stream::iter(fetches).buffer_unordered(CONCURRENT);
        while let Some((policy, answer)) = answers.next().await {
            if let Err(why) = &answer {
                let url = policy.without_query();
                tracing::warn!(url, why, "a remote policy cannot be fetched");
            }
            let mut kept = self.lock();
            let before = kept.remove(&policy);
            kept.insert(policy, Kept::after(before, answer, Instant::now()));
        }
    }

    /// Every text that was asked for, or why it is not there.
    pub fn known(&self) -> BTreeMap<RemotePolicy, Fetched> {
        let now = Instant::now();
        let kept = self.lock();
        let known = kept.iter().map(|(policy, kept)| {
            let fetched = kept.in_use(now, self.max_stale);
            (
                policy.clone(),
                fetched.map_err(|why| format!("{}: {why}", policy.without_query())),
            )
        });
        known.collect()
    }

    /// Why the last fetch of a text failed that is used all the same; `None` where it did not, or where there is nothing to use.
    pub fn stale(&self, policy: &RemotePolicy) -> Option<String> {
        let kept = self.lock();
        let kept = kept.get(policy)?;
        let is_used = kept.in_use(Instant::now(), self.max_stale).is_ok();
        kept.failure.clone().filter(|_| is_used)
    }

    /// For metrics.
    pub fn counts(&self) -> RemoteCounts {
        let now = Instant::now();
        let mut counts = RemoteCounts::default();
        for kept in self.lock().values() {
            match (kept.in_use(now, self.max_stale), &kept.failure) {
                (Ok(_), None) => counts.fresh += 1,
                (Ok(_), Some(_)) => counts.stale += 1,
                (Err(_), _) => counts.missing += 1,
            }
        }
        counts
    }

    async fn fetch(&self, policy: &RemotePolicy) -> Result<Arc<str>, String> {
        let bytes = self.client.get(&policy.url, BYTES, TIME).await;
        let bytes =
            bytes.map_err(|why| format!("failed to fetch content from policy url: {why}"))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| "it is not text".to_owned())?;
        policy.check(text)?;
        Ok(Arc::from(text))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RemotePolicy, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Kept ===

impl Kept {
    fn after(before: Option<Self>, answer: Result<Arc<str>, String>, now: Instant) -> Self {
        match answer {
            Ok(text) => Self {
                good: Some((text, now)),
                failure: None,
                failures: 0,
                due: now + REFRESH,
            },
            Err(why) => {
                let failures = before.as_ref().map_or(0, |kept| kept.failures);
                let wait = RETRY
                    .saturating_mul(1 << failures.min(16))
                    .min(LONGEST_RETRY);
                Self {
                    good: before.and_then(|kept| kept.good),
                    failure: Some(why),
                    failures: failures.saturating_add(1),
                    due: now + wait,
                }
            }
        }
    }

    fn in_use(&self, now: Instant, max_stale: Duration) -> Result<Arc<str>, String> {
        let failure = || self.failure.clone().unwrap_or_default();
        match &self.good {
            Some((text, _)) if self.failure.is_none() => Ok(Arc::clone(text)),
            Some((text, at)) if now.duration_since(*at) <= max_stale => Ok(Arc::clone(text)),
            Some(_) => Err(format!(
                "{}; what was fetched before is older than {max_stale:?}",
                failure()
            )),
            None => Err(failure()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: Option<&str>) -> Result<Arc<str>, String> {
        text.map(Arc::from).ok_or_else(|| "down".to_owned())
    }

    #[test]
    fn a_text_outlives_failed_refreshes_for_a_while_and_not_for_ever() {
        let (start, max_stale) = (Instant::now(), Duration::from_hours(24));
        let good = Kept::after(None, answer(Some("text")), start);
        let kept = Kept::after(Some(good), answer(None), start + REFRESH);
        assert!(
            kept.in_use(start + Duration::from_hours(23), max_stale)
                .is_ok()
        );
        let error = kept.in_use(start + Duration::from_hours(25), max_stale);
        let error = error.unwrap_err();
        assert!(
            error.starts_with("down; what was fetched before is older"),
            "{error}"
        );
    }

    #[test]
    fn failures_are_tried_again_ever_more_rarely() {
        let now = Instant::now();
        let mut kept = Kept::after(None, answer(None), now);
        let mut waits = Vec::new();
        for _ in 0..12 {
            waits.push(kept.due.duration_since(now));
            kept = Kept::after(Some(kept), answer(None), now);
        }
        assert_eq!(waits.first(), Some(&RETRY));
        assert_eq!(waits.last(), Some(&LONGEST_RETRY));
        assert!(waits.is_sorted());
        assert_eq!(
            Kept::after(Some(kept), answer(Some("text")), now).failures,
            0
        );
    }
}
