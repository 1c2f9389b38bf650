//! Values that somebody else gives for a while, fetched when they are first asked for and again ahead of their end.
//!
//! *In*: a [`Source`] that fetches one value by its key. *Out*: [`Ahead::get`], which waits only for what is not there yet, or is too old
//! to be used without a look. While a value is good it is given at once, and near its end it is fetched again in the background. A fetch
//! that fails changes nothing until the last moment that the value may be used. However many wait for one key, it is fetched once; a
//! fetch goes on where whoever waited for it has gone.
//!
//! Beside it stands [`super::refresh`], for values that are known beforehand: here, requests decide which keys there are, so their
//! number is bounded and what was not asked for lately is forgotten.

use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use moka::sync::Cache;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep};

use super::refresh::Count;

/// Keys that are kept at one time.
const KEYS: u64 = 4_096;
/// Fetches at one time.
const CONCURRENT: usize = 32;
/// How long a failure stands where its source says nothing else.
const FAILED: Duration = Duration::from_secs(1);
/// How often is looked for what nears its end.
const LOOK: Duration = Duration::from_secs(5);
/// What is said of a fetch that ended without an answer, which is a bug of its source.
const NO_ANSWER: &str = "it ended without an answer";

/// Where values come from.
pub trait Source: Send + Sync + 'static {
    /// What names a value.
    type Key: Clone + Eq + Hash + Send + Sync + 'static;
    /// The value. It is cloned for everybody who asks.
    type Value: Clone + Send + Sync + 'static;

    /// Fetches a value, within bounds of its own; an error says in words why there is none, fit for whoever asks.
    fn fetch<'a>(
        &'a self,
        key: &'a Self::Key,
    ) -> BoxFuture<'a, Result<Fetched<Self::Value>, String>>;

    /// How long a failure stands for what is not there: within it, nobody tries again.
    fn pause(&self, _: &Self::Key) -> Duration {
        FAILED
    }
}

/// A value and how long it may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched<V> {
    /// The value.
    pub value: V,
    /// Its times, counted from when it was fetched.
    pub times: Times,
}

/// How long a value may be used, counted from when it was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Until then it is given without another thought.
    pub fresh: Duration,
    /// Until then it is given at once, and fetched again in the background.
    pub good: Duration,
    /// Until then it is given where it cannot be fetched again.
    pub last: Duration,
}

/// Values by key.
pub struct Ahead<S: Source> {
    source: Arc<S>,
    slots: Cache<S::Key, Arc<Slot<S::Value>>>,
    places: Arc<Semaphore>,
}

/// What is known of one key.
struct Slot<V> {
    state: Mutex<State<V>>,
    ended: Notify,
}

struct State<V> {
    known: Option<(Fetched<V>, Instant)>,
    failure: Option<(String, Instant)>,
    is_fetching: bool,
}

/// What is done for somebody who asks.
enum Look<V> {
    /// It is given, and fetched again if that is due.
    Given { value: V, is_due: bool },
    /// It is waited for.
    Awaited { is_due: bool },
    /// There is none.
    Failed(String),
}

/// Ends a fetch, also one that panicked.
struct Fetching<V> {
    slot: Arc<Slot<V>>,
    outcome: Option<Result<Fetched<V>, String>>,
}

// === impl Ahead ===

impl<S: Source> Ahead<S> {
    /// Values of this source, each forgotten when nobody asked for it for `idle`.
    pub fn new(source: S, idle: Duration) -> Self {
        Self {
            source: Arc::new(source),
            slots: Cache::builder()
                .max_capacity(KEYS)
                .time_to_idle(idle)
                .build(),
            places: Arc::new(Semaphore::new(CONCURRENT)),
        }
    }

    /// The value of a key, or in words why there is none.
    pub async fn get(&self, key: &S::Key) -> Result<S::Value, String> {
        let (slot, pause) = (self.slot(key), self.source.pause(key));
        loop {
            // Before the look, so that no end is missed between it and the wait.
            let ended = slot.ended.notified();
            match slot.look(Instant::now(), pause) {
                Look::Given { value, is_due } => {
                    if is_due {
                        self.start(key, &slot);
                    }
                    return Ok(value);
                }
                Look::Awaited { is_due } => {
                    if is_due {
                        self.start(key, &slot);
                    }
                    ended.await;
                }
                Look::Failed(failure) => return Err(failure),
            }
        }
    }

    /// Fetches again what nears its end, for ever, so that nobody has to wait for it.
    pub async fn keep_fresh(&self) {
        loop {
            let now = Instant::now();
            for (key, slot) in &self.slots {
                if slot.takes_turn(now, self.source.pause(&key)) {
                    self.start(&key, &slot);
                }
            }
            sleep(LOOK).await;
        }
    }

    /// How many there are.
    pub fn count(&self) -> Count {
        let (mut count, now) = (Count::default(), Instant::now());
        for (_, slot) in &self.slots {
            let state = slot.lock();
            if state.usable(now).is_none() {
                count.missing += 1;
            } else if state.failure.is_some() {
                count.stale += 1;
            } else {
                count.fresh += 1;
            }
        }
        count
    }

    /// As if so much more time had passed since everything that happened.
    #[cfg(test)]
    pub(in crate::adapters) fn age(&self, by: Duration) {
        for (_, slot) in &self.slots {
            let mut state = slot.lock();
            if let Some((_, at)) = &mut state.known {
                *at = at.checked_sub(by).unwrap();
            }
            if let Some((_, at)) = &mut state.failure {
                *at = at.checked_sub(by).unwrap();
            }
        }
    }

    fn slot(&self, key: &S::Key) -> Arc<Slot<S::Value>> {
        self.slots.get_with(key.clone(), || {
            Arc::new(Slot {
                state: Mutex::default(),
                ended: Notify::new(),
            })
        })
    }

    /// Fetches a value, whoever waits for it.
    fn start(&self, key: &S::Key, slot: &Arc<Slot<S::Value>>) {
        let fetching = Fetching {
            slot: Arc::clone(slot),
            outcome: None,
        };
        let (source, key) = (Arc::clone(&self.source), key.clone());
        let places = Arc::clone(&self.places);
        tokio::spawn(async move {
            let _place = places.acquire().await.ok();
            let outcome = source.fetch(&key).await;
            fetching.end(outcome);
        });
    }
}

impl<S: Source> fmt::Debug for Ahead<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ahead").finish_non_exhaustive()
    }
}

// === impl Slot ===

impl<V: Clone> Slot<V> {
    /// Whoever is told that a fetch is due starts it.
    fn look(&self, now: Instant, pause: Duration) -> Look<V> {
        let mut state = self.lock();
        let failed_lately = state.failed_lately(now, pause);
        let may_start = !state.is_fetching && !failed_lately;
        let look = match (state.usable(now), &state.failure) {
            (Some((known, age)), failure) if age < known.times.good || failure.is_some() => {
                Look::Given {
                    value: known.value.clone(),
                    is_due: may_start && age >= known.times.fresh,
                }
            }
            (None, Some((failure, _))) if failed_lately => Look::Failed(failure.clone()),
            _ => Look::Awaited { is_due: may_start },
        };
        if let Look::Given { is_due: true, .. } | Look::Awaited { is_due: true } = look {
            state.is_fetching = true;
        }
        look
    }

    /// Whether a value is there that nears its end, and is to be fetched now.
    fn takes_turn(&self, now: Instant, pause: Duration) -> bool {
        let mut state = self.lock();
        let is_old = state
            .usable(now)
            .is_some_and(|(known, age)| age >= known.times.fresh);
        let is_due = is_old && !state.is_fetching && !state.failed_lately(now, pause);
        state.is_fetching |= is_due;
        is_due
    }

    fn lock(&self) -> MutexGuard<'_, State<V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl<V> State<V> {
    /// The value and its age, while it may be used at all.
    fn usable(&self, now: Instant) -> Option<(&Fetched<V>, Duration)> {
        let (known, fetched) = self.known.as_ref()?;
        let age = now.saturating_duration_since(*fetched);
        (age < known.times.last).then_some((known, age))
    }

    fn failed_lately(&self, now: Instant, pause: Duration) -> bool {
        self.failure
            .as_ref()
            .is_some_and(|(_, at)| now.saturating_duration_since(*at) < pause)
    }
}

impl<V> Default for State<V> {
    fn default() -> Self {
        Self {
            known: None,
            failure: None,
            is_fetching: false,
        }
    }
}

// === impl Fetching ===

impl<V> Fetching<V> {
    fn end(mut self, outcome: Result<Fetched<V>, String>) {
        self.outcome = Some(outcome);
    }
}

impl<V> Drop for Fetching<V> {
    fn drop(&mut self) {
        let mut state = self
            .slot
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        state.is_fetching = false;
        let now = Instant::now();
        match self.outcome.take() {
            Some(Ok(fetched)) => {
                state.known = Some((fetched, now));
                state.failure = None;
            }
            Some(Err(failure)) => state.failure = Some((failure, now)),
            None => state.failure = Some((NO_ANSWER.to_owned(), now)),
        }
        drop(state);
        self.slot.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const TIMES: Times = Times {
        fresh: Duration::from_secs(45),
        good: Duration::from_mins(1),
        last: Duration::from_mins(10),
    };

    /// Counts its fetches; each takes a tenth of a second, and fails while it is told to.
    #[derive(Default)]
    struct Counting {
        fetches: AtomicUsize,
        fails: std::sync::atomic::AtomicBool,
        panics: std::sync::atomic::AtomicBool,
    }

    impl Source for Arc<Counting> {
        type Key = &'static str;
        type Value = usize;

        fn fetch<'a>(
            &'a self,
            _: &'a &'static str,
        ) -> BoxFuture<'a, Result<Fetched<usize>, String>> {
            Box::pin(async {
                let value = self.fetches.fetch_add(1, Ordering::SeqCst) + 1;
                sleep(Duration::from_millis(100)).await;
                assert!(!self.panics.load(Ordering::SeqCst), "as it was told to");
                if self.fails.load(Ordering::SeqCst) {
                    return Err("down".to_owned());
                }
                Ok(Fetched {
                    value,
                    times: TIMES,
                })
            })
        }
    }

    fn ahead() -> (Arc<Counting>, Ahead<Arc<Counting>>) {
        let source = Arc::new(Counting::default());
        let ahead = Ahead::new(Arc::clone(&source), Duration::from_hours(1));
        (source, ahead)
    }

    /// Time passes, and whatever is under way then ends.
    async fn pass(ahead: &Ahead<Arc<Counting>>, seconds: u64) {
        ahead.age(Duration::from_secs(seconds));
        sleep(Duration::from_millis(300)).await;
    }

    #[tokio::test]
    async fn many_who_wait_for_one_key_cause_one_fetch() {
        let (source, ahead) = ahead();
        let (first, second, third) =
            tokio::join!(ahead.get(&"a"), ahead.get(&"a"), ahead.get(&"a"));
        assert_eq!((first, second, third), (Ok(1), Ok(1), Ok(1)));
        assert_eq!(source.fetches.load(Ordering::SeqCst), 1);
        assert_eq!(ahead.get(&"b").await, Ok(2));
    }

    #[tokio::test]
    async fn a_value_that_nears_its_end_is_given_and_fetched_in_the_background() {
        let (source, ahead) = ahead();
        assert_eq!(ahead.get(&"a").await, Ok(1));
        pass(&ahead, 50).await;
        assert_eq!(ahead.get(&"a").await, Ok(1));
        pass(&ahead, 0).await;
        assert_eq!(ahead.get(&"a").await, Ok(2));
        assert_eq!(source.fetches.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_value_past_its_time_is_waited_for_and_the_last_good_one_given_where_that_fails() {
        let (source, ahead) = ahead();
        assert_eq!(ahead.get(&"a").await, Ok(1));
        pass(&ahead, 61).await;
        assert_eq!(ahead.get(&"a").await, Ok(2));
        source.fails.store(true, Ordering::SeqCst);
        pass(&ahead, 61).await;
        assert_eq!(ahead.get(&"a").await, Ok(2));
        assert_eq!(
            ahead.count(),
            Count {
                stale: 1,
                ..Count::default()
            }
        );
        pass(&ahead, 600).await;
        assert_eq!(ahead.get(&"a").await, Err("down".to_owned()));
        source.fails.store(false, Ordering::SeqCst);
        pass(&ahead, 1).await;
        assert!(ahead.get(&"a").await.is_ok());
    }

    #[tokio::test]
    async fn a_failure_stands_for_a_second_and_no_longer() {
        let (source, ahead) = ahead();
        source.fails.store(true, Ordering::SeqCst);
        for _ in 0..5 {
            assert_eq!(ahead.get(&"a").await, Err("down".to_owned()));
        }
        assert_eq!(source.fetches.load(Ordering::SeqCst), 1);
        source.fails.store(false, Ordering::SeqCst);
        pass(&ahead, 1).await;
        assert_eq!(ahead.get(&"a").await, Ok(2));
    }

    #[tokio::test]
    async fn a_fetch_goes_on_where_whoever_waited_for_it_has_gone() {
        let (source, ahead) = ahead();
        let gone = tokio::time::timeout(Duration::from_millis(10), ahead.get(&"a")).await;
        assert!(gone.is_err());
        pass(&ahead, 0).await;
        assert_eq!(ahead.get(&"a").await, Ok(1));
        assert_eq!(source.fetches.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_source_that_panics_is_a_failure_and_hangs_nobody() {
        let (source, ahead) = ahead();
        source.panics.store(true, Ordering::SeqCst);
        assert_eq!(ahead.get(&"a").await, Err(NO_ANSWER.to_owned()));
    }

    #[tokio::test]
    async fn what_is_kept_fresh_is_fetched_though_nobody_asks() {
        let (source, ahead) = ahead();
        assert_eq!(ahead.get(&"a").await, Ok(1));
        ahead.age(Duration::from_secs(50));
        let kept = tokio::time::timeout(Duration::from_millis(300), ahead.keep_fresh()).await;
        assert!(kept.is_err());
        assert_eq!(source.fetches.load(Ordering::SeqCst), 2);
        assert_eq!(ahead.get(&"a").await, Ok(2));
    }
}
