//! What the outside may count: one call per HTTP exchange, with closed sets of labels (T-42).

use std::time::Duration;

/// What was asked for. There is no class for a ping of `/v2/`: that request is never made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestClass {
    /// `HEAD` of a manifest: which digest a tag names.
    ManifestHead,
    /// `GET` of a manifest or an index.
    ManifestGet,
    /// `GET` of a blob, each redirect being an exchange of its own.
    BlobGet,
    /// `GET` of a page of referrers.
    Referrers,
    /// A token service.
    Token,
}

/// How it went, by the head of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestOutcome {
    /// 2xx.
    Ok,
    /// A redirect.
    Redirected,
    /// 401 or 403. The first contact with a registry is expected to be one.
    Unauthorized,
    /// 404.
    NotFound,
    /// 429.
    Throttled,
    /// 5xx.
    ServerError,
    /// Any other status.
    Unexpected,
    /// No answer: no connection, a broken one, or an address that is refused.
    Failed,
}

/// Somebody who counts requests. Called on the path of every request: it must not block.
pub trait RequestObserver: Send + Sync {
    /// One exchange ended; `took` is the time until the head of the answer was there.
    fn exchanged(&self, class: RequestClass, outcome: RequestOutcome, took: Duration);
}

/// Counts nothing.
impl RequestObserver for () {
    fn exchanged(&self, _class: RequestClass, _outcome: RequestOutcome, _took: Duration) {}
}

// === impl RequestOutcome ===

impl From<http::StatusCode> for RequestOutcome {
    fn from(status: http::StatusCode) -> Self {
        match status.as_u16() {
            200..=299 => Self::Ok,
            300..=399 => Self::Redirected,
            401 | 403 => Self::Unauthorized,
            404 => Self::NotFound,
            429 => Self::Throttled,
            500..=599 => Self::ServerError,
            _ => Self::Unexpected,
        }
    }
}
