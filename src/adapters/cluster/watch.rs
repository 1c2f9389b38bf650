//! One watch: a list, then what changes, for ever.
//!
//! 1. List all objects, page by page. Only a whole list replaces what is known; one that breaks off changes nothing.
//! 2. Watch from the version of the list. Each event and each bookmark moves the version on, and says that the API server is heard.
//! 3. A watch that ends in time, or breaks, is taken up where it was. One that is silent for too long counts as broken: the API server
//!    sends bookmarks every minute or two. What cannot be taken up (`410 Gone`, or a few failures in a row) begins again with a list.
//!
//! Whatever goes wrong, what is known stays; only the API server's own word changes it (T-80). Between two attempts
//! passes a time that doubles, with jitter, so that the replicas of a large installation do not come back all at once.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use futures::StreamExt as _;
use kube::Client;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::Request;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::store::{Raw, Store};

/// The resources that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Watched {
    /// The `ClusterImagePolicy`s.
    Policies,
    /// The `TrustRoot`s.
    TrustRoots,
    /// The ConfigMaps of our namespace.
    ConfigMaps,
    /// The Secrets of our namespace.
    Secrets,
}

/// Is told how watches go.
pub trait WatchObserver: Send + Sync {
    /// The API server was heard: a list, an event, a bookmark.
    fn heard(&self, resource: Watched);
    /// A whole list was read.
    fn listed(&self, resource: Watched);
    /// A list or a watch failed.
    fn failed(&self, resource: Watched);
}

/// How watches keep time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Objects in one page of a list.
    pub page: u32,
    /// The time for one page, and for the head of a watch.
    pub answer: Duration,
    /// How long the API server is asked to hold a watch open.
    pub watch: Duration,
    /// How long a watch may be silent.
    pub silence: Duration,
    /// From the first failure to the next attempt. It doubles, with jitter.
    pub retry: Duration,
    /// The longest time from a failure to the next attempt.
    pub longest_retry: Duration,
    /// How long nothing must change until a change is handed on.
    pub settle: Duration,
    /// The longest time that a change waits for others.
    pub settle_at_most: Duration,
}

/// One watch.
pub(super) struct Watch<'a, V> {
    pub(super) client: Client,
    pub(super) resource: Watched,
    /// The path of the resource, with the namespace where it has one.
    pub(super) path: String,
    /// Which objects, by their fields; all where it is `None`.
    pub(super) fields: Option<String>,
    pub(super) pace: &'a Pace,
    pub(super) store: &'a Store<V>,
    pub(super) observer: &'a dyn WatchObserver,
}

/// Attempts to take up a watch where it was, before all is listed again.
const RESUMPTIONS: usize = 3;
/// The most pages of a list.
const PAGES: usize = 1_000;

/// Why a list or a watch failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the API server refused it: {} ({})", .0.message, .0.code)]
    Refused(Box<kube::core::Status>),
    #[error("the API server could not be asked")]
    Unreachable(#[source] kube::Error),
    #[error("the request cannot be written: {0}")]
    Request(#[from] kube::core::request::Error),
    #[error("no answer in {} s", .0.as_secs_f32())]
    Slow(Duration),
    #[error("nothing was heard for {} s", .0.as_secs_f32())]
    Silent(Duration),
    #[error("an answer that cannot be read: {0}")]
    Unreadable(serde_json::Error),
    #[error("an object without a name, or something without a version")]
    Nameless,
    #[error("the list has more than {PAGES} pages")]
    Endless,
    #[error("the watch was ended: {} ({})", .0.message, .0.code)]
    Told(Box<kube::core::Status>),
}

/// How a watch ended.
enum Ended {
    InTime,
    Failed(Failure),
}

/// A page of a list. What is in it is read object by object.
#[derive(Deserialize)]
struct Page {
    metadata: PageMeta,
    #[serde(default)]
    items: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct PageMeta {
    #[serde(rename = "resourceVersion")]
    version: String,
    #[serde(default, rename = "continue")]
    mark: Option<String>,
}

/// The times between attempts.
struct Attempts {
    waits: ExponentialBackoff,
    builder: ExponentialBuilder,
    failures: usize,
    longest: Duration,
    /// It was told that there is trouble.
    trouble: bool,
}

// === impl Watched ===

impl Watched {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Policies,
        Self::TrustRoots,
        Self::ConfigMaps,
        Self::Secrets,
    ];

    /// The resource, as the API has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Policies => "clusterimagepolicies",
            Self::TrustRoots => "trustroots",
            Self::ConfigMaps => "configmaps",
            Self::Secrets => "secrets",
        }
    }
}

// === impl Pace ===

impl Default for Pace {
    fn default() -> Self {
        Self {
            page: 250,
            answer: Duration::from_secs(30),
            watch: Duration::from_secs(290),
            silence: Duration::from_secs(200),
            retry: Duration::from_millis(500),
            longest_retry: Duration::from_secs(30),
            settle: Duration::from_millis(100),
            settle_at_most: Duration::from_secs(1),
        }
    }
}

// === impl Watch ===

impl<V: Clone> Watch<'_, V> {
    /// Keeps the store as the API server has the resource, for ever.
    pub(super) async fn run(self) {
        let mut attempts = Attempts::new(self.pace);
        loop {
            match self.list().await {
                Ok((version, objects)) => {
                    self.store.replace(objects);
                    self.observer.listed(self.resource);
                    self.observer.heard(self.resource);
                    self.follow(version, &mut attempts).await;
                }
                Err(failure) => self.failed("list", &failure, &mut attempts).await,
            }
        }
    }

    /// Watches from a version on, until all must be listed again.
    async fn follow(&self, mut version: String, attempts: &mut Attempts) {
        let mut resumptions = 0_usize;
        loop {
            let (began, since) = (version.clone(), Instant::now());
            let ended = self.watch(&mut version, attempts).await;
            if began != version {
                attempts.reset();
                resumptions = 0;
            }
            match ended {
                // One that is cut short again and again is not taken up without a pause.
                Ended::InTime if since.elapsed() < self.pace.retry => {
                    sleep(attempts.next()).await;
                }
                Ended::InTime => attempts.reset(),
                Ended::Failed(failure) => {
                    let is_lost = failure.is_lost();
                    self.failed("watch", &failure, attempts).await;
                    resumptions = resumptions.saturating_add(1);
                    if is_lost || resumptions > RESUMPTIONS {
                        return;
                    }
                }
            }
        }
    }

    /// All objects, and the version at which they were these.
    async fn list(&self) -> Result<(String, Vec<Raw>), Failure> {
        let mut objects = Vec::new();
        let mut params = ListParams {
            field_selector: self.fields.clone(),
            limit: Some(self.pace.page),
            ..ListParams::default()
        };
        for _ in 0..PAGES {
            let request = Request::new(&self.path).list(&params)?;
            // As text: the client would log what it cannot read, and Secrets do not belong into logs.
            let text = self.in_time(self.client.request_text(request)).await?;
            let page: Page = serde_json::from_str(&text).map_err(Failure::Unreadable)?;
            self.observer.heard(self.resource);
            for item in page.items.into_iter().flatten() {
                objects.push(Raw::new(item).ok_or(Failure::Nameless)?);
            }
            match page.metadata.mark.filter(|mark| !mark.is_empty()) {
                Some(mark) => params.continue_token = Some(mark),
                None if page.metadata.version.is_empty() => return Err(Failure::Nameless),
                None => return Ok((page.metadata.version, objects)),
            }
        }
        Err(Failure::Endless)
    }

    /// One watch. `version` moves with what is heard.
    async fn watch(&self, version: &mut String, attempts: &mut Attempts) -> Ended {
        match self.events(version, attempts).await {
            Ok(()) => Ended::InTime,
            Err(failure) => Ended::Failed(failure),
        }
    }

    async fn events(&self, version: &mut String, attempts: &mut Attempts) -> Result<(), Failure> {
        let params = WatchParams {
            field_selector: self.fields.clone(),
            timeout: u32::try_from(self.pace.watch.as_secs()).ok(),
            bookmarks: true,
            ..WatchParams::default()
        };
        let request = Request::new(&self.path).watch(&params, version)?;
        let events = self.in_time(self.client.request_events::<Value>(request));
        let mut events = events.await?.boxed();
        self.observer.heard(self.resource);
        if std::mem::take(&mut attempts.trouble) {
            let resource = self.resource.as_str();
            tracing::info!(resource, "the API server is followed again");
        }
        loop {
            let silence = self.pace.silence;
            let event = timeout(silence, events.next())
                .await
                .map_err(|_| Failure::Silent(silence))?;
            let Some(event) = event else {
                return Ok(());
            };
            match event? {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    let raw = Raw::new(object).ok_or(Failure::Nameless)?;
                    version.clone_from(&raw.version);
                    self.store.put(raw);
                }
                WatchEvent::Deleted(object) => {
                    let raw = Raw::new(object).ok_or(Failure::Nameless)?;
                    version.clone_from(&raw.version);
                    self.store.remove(&raw);
                }
                WatchEvent::Bookmark(bookmark) => {
                    let moved = bookmark.metadata.resource_version;
                    // From no version a watch would begin anew, and tell nothing of what is gone.
                    if moved.is_empty() {
                        return Err(Failure::Nameless);
                    }
                    *version = moved;
                }
                WatchEvent::Error(status) => return Err(Failure::Told(status)),
            }
            self.observer.heard(self.resource);
        }
    }

    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Failure> {
        let time = self.pace.answer;
        let answer = timeout(time, answer).await;
        Ok(answer.map_err(|_| Failure::Slow(time))??)
    }

    /// Tells a failure, and waits.
    async fn failed(&self, what: &str, failure: &Failure, attempts: &mut Attempts) {
        self.observer.failed(self.resource);
        let wait = attempts.next();
        let (resource, error) = (self.resource.as_str(), failure.in_words());
        if std::mem::replace(&mut attempts.trouble, true) {
            let failures = attempts.failures;
            tracing::debug!(resource, what, error, failures, "still not");
        } else {
            tracing::warn!(
                resource,
                what,
                error,
                "the API server could not be followed; what is known stays in force"
            );
        }
        sleep(wait).await;
    }
}

// === impl Failure ===

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Refused(status),
            error => Self::Unreachable(error),
        }
    }
}

impl Failure {
    /// Whether what happened since can no longer be told.
    fn is_lost(&self) -> bool {
        match self {
            Self::Told(status) | Self::Refused(status) => {
                status.code == 410 || status.reason == "Expired"
            }
            _ => false,
        }
    }

    /// The failure with its causes.
    fn in_words(&self) -> String {
        let mut words = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(next) = cause {
            let next_words = next.to_string();
            if !words.contains(&next_words) {
                words.push_str(": ");
                words.push_str(&next_words);
            }
            cause = next.source();
        }
        words.chars().take(512).collect()
    }
}

// === impl Attempts ===

impl Attempts {
    fn new(pace: &Pace) -> Self {
        let builder = ExponentialBuilder::default()
            .with_min_delay(pace.retry)
            .with_max_delay(pace.longest_retry)
            .without_max_times()
            .with_jitter();
        Self {
            waits: builder.build(),
            builder,
            failures: 0,
            longest: pace.longest_retry,
            trouble: false,
        }
    }

    fn reset(&mut self) {
        self.waits = self.builder.build();
        self.failures = 0;
    }

    /// The time until the next attempt.
    fn next(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.waits.next().unwrap_or(self.longest)
    }
}
