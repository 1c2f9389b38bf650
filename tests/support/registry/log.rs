//! What a registry was asked: every request, and how many of each class.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use http::{Method, Request, StatusCode, header};

use super::locked;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A manifest by tag or digest.
    Manifest,
    /// A blob.
    Blob,
    /// The referrers of a manifest.
    Referrers,
    /// A token from the token service.
    Token,
    /// `/v2/`.
    Ping,
    /// Anything else.
    Other,
}

/// How many requests came, by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// `HEAD` of a manifest.
    pub manifest_head: usize,
    /// `GET` of a manifest.
    pub manifest_get: usize,
    /// `GET` of a blob.
    pub blob_get: usize,
    /// Referrers.
    pub referrers: usize,
    /// Tokens, by any method.
    pub token: usize,
    /// `/v2/`.
    pub ping: usize,
    /// Everything else.
    pub other: usize,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its method.
    pub method: Method,
    /// Its path, with the query.
    pub path: String,
    /// Its `Authorization` header, word for word.
    pub authorization: Option<String>,
    /// Its `Accept` header.
    pub accept: Option<String>,
    /// The status it was answered with; `None` while it is not, and for good when the connection was closed.
    pub status: Option<u16>,
    class: Class,
}

/// The log of one registry.
#[derive(Debug, Default)]
pub(super) struct Log {
    requests: Mutex<(usize, Vec<Recorded>)>,
    streamed: std::sync::Arc<AtomicU64>,
}

/// Where a request stands in the log. After a reset it stands nowhere.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    generation: usize,
    index: usize,
}

// === impl Class ===

impl Class {
    pub(super) fn of(path: &str) -> Self {
        if path == "/token" {
            return Self::Token;
        }
        if path == "/v2/" || path == "/v2" {
            return Self::Ping;
        }
        let mut from_the_end = path.rsplit('/').skip(1);
        match from_the_end.next() {
            Some("manifests") => Self::Manifest,
            Some("blobs") => Self::Blob,
            Some("referrers") => Self::Referrers,
            _ => Self::Other,
        }
    }
}

// === impl Counts ===

impl Counts {
    /// All of them.
    pub fn total(&self) -> usize {
        self.manifest_head
            + self.manifest_get
            + self.blob_get
            + self.referrers
            + self.token
            + self.ping
            + self.other
    }

    fn add(&mut self, request: &Recorded) {
        let counter = match (request.class, request.method.as_str()) {
            (Class::Manifest, "HEAD") => &mut self.manifest_head,
            (Class::Manifest, "GET") => &mut self.manifest_get,
            (Class::Blob, "GET") => &mut self.blob_get,
            (Class::Referrers, "GET") => &mut self.referrers,
            (Class::Token, _) => &mut self.token,
            (Class::Ping, _) => &mut self.ping,
            _ => &mut self.other,
        };
        *counter += 1;
    }
}

// === impl Log ===

impl Log {
    pub(super) fn arrived(&self, request: &Request<Body>) -> (Entry, Class) {
        let class = Class::of(request.uri().path());
        let text = |name: header::HeaderName| {
            let value = request.headers().get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let mut log = locked(&self.requests);
        let (generation, requests) = &mut *log;
        requests.push(Recorded {
            method: request.method().clone(),
            path: request
                .uri()
                .path_and_query()
                .map(ToString::to_string)
                .unwrap_or_default(),
            authorization: text(header::AUTHORIZATION),
            accept: text(header::ACCEPT),
            status: None,
            class,
        });
        let entry = Entry {
            generation: *generation,
            index: requests.len() - 1,
        };
        (entry, class)
    }

    pub(super) fn answered(&self, entry: Entry, status: StatusCode) {
        let mut log = locked(&self.requests);
        let (generation, requests) = &mut *log;
        if *generation == entry.generation {
            requests[entry.index].status = Some(status.as_u16());
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for request in &locked(&self.requests).1 {
            counts.add(request);
        }
        counts
    }

    pub(super) fn requests(&self) -> Vec<Recorded> {
        locked(&self.requests).1.clone()
    }

    pub(super) fn reset(&self) {
        let mut log = locked(&self.requests);
        log.0 += 1;
        log.1.clear();
    }

    pub(super) fn bytes_streamed(&self) -> u64 {
        self.streamed.load(Ordering::Relaxed)
    }

    /// The counter that streaming bodies add to.
    pub(super) fn stream_counter(&self) -> std::sync::Arc<AtomicU64> {
        std::sync::Arc::clone(&self.streamed)
    }
}
