//! The answer to one request: its head, its bounded body, and how a broken one is told.
//!
//! Bodies are read in pieces against a bound; a length that a registry claims is never allocated (T-06).

use std::error::Error as _;
use std::future::Future;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use reqwest::Response;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::address::Class;
use super::fence::{Refusal, printable};
use super::lookup::RefusedAddress;
use crate::gather::registry::FetchError;

/// Time to read the body of an error answer. It only improves a message and keeps a connection.
const ERROR_BODY_TIME: Duration = Duration::from_millis(500);

/// The end of one request: its own bound, or the deadline of the review if that comes first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Until {
    at: Instant,
    is_deadline: bool,
}

/// The head of an answer, and its body still to be read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// What kind of address it came from.
    pub(super) peer: Class,
    /// The host it came from, if that is not where the request was first sent to.
    pub(super) redirected_to: Option<String>,
    pub(super) response: Response,
}

// === impl Until ===

impl Until {
    /// `limit` from now, or `deadline`.
    pub(super) fn new(limit: Duration, deadline: Instant) -> Self {
        let end = Instant::now().checked_add(limit).unwrap_or(deadline);
        Self {
            at: end.min(deadline),
            is_deadline: deadline <= end,
        }
    }

    /// The future, or the error that says which end came first.
    pub(super) async fn within<T>(
        self,
        registry: &str,
        future: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        let Ok(result) = timeout_at(self.at, future).await else {
            return Err(if self.is_deadline {
                FetchError::Deadline {
                    registry: registry.to_owned(),
                }
            } else {
                FetchError::Unreachable {
                    registry: registry.to_owned(),
                    detail: "no complete answer in the time for one request".to_owned(),
                }
            });
        };
        result
    }
}

// === impl Answer ===

impl Answer {
    /// The whole body, at most `limit` bytes.
    pub(super) async fn body(
        mut self,
        registry: &str,
        what: &str,
        limit: usize,
        until: Until,
    ) -> Result<Bytes, FetchError> {
        until
            .within(registry, self.read(registry, what, limit))
            .await
    }

    /// The OCI error code of the body, if it is a known one. Its other words are not repeated: a registry can echo what it was
    /// sent, and that may be a secret.
    pub(super) async fn error_code(
        self,
        registry: &str,
        limit: usize,
        until: Until,
    ) -> Option<&'static str> {
        let soon = Until::new(ERROR_BODY_TIME, until.at);
        let body = self.body(registry, "error", limit, soon).await.ok()?;
        known_error_code(&body)
    }

    async fn read(
        &mut self,
        registry: &str,
        what: &str,
        limit: usize,
    ) -> Result<Bytes, FetchError> {
        let mut body = BytesMut::new();
        while let Some(chunk) = self
            .response
            .chunk()
            .await
            .map_err(|error| failure(registry, error))?
        {
            if chunk.len() > limit.saturating_sub(body.len()) {
                return Err(FetchError::TooLarge {
                    what: what.to_owned(),
                    limit,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

fn known_error_code(body: &[u8]) -> Option<&'static str> {
    /// The codes of the distribution specification and the older ones of Docker.
    const CODES: [&str; 13] = [
        "DENIED",
        "UNAUTHORIZED",
        "NAME_UNKNOWN",
        "NAME_INVALID",
        "MANIFEST_UNKNOWN",
        "MANIFEST_INVALID",
        "MANIFEST_BLOB_UNKNOWN",
        "BLOB_UNKNOWN",
        "DIGEST_INVALID",
        "UNSUPPORTED",
        "TOOMANYREQUESTS",
        "TAG_INVALID",
        "UNKNOWN",
    ];
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<ErrorCode>,
    }
    #[derive(Deserialize)]
    struct ErrorCode {
        code: String,
    }
    let errors: Errors = serde_json::from_slice(body).ok()?;
    let first = errors.errors.into_iter().next()?;
    CODES.into_iter().find(|code| *code == first.code)
}

/// A place that we do not go to, as an error.
pub(super) fn refused(registry: &str, refusal: Refusal) -> FetchError {
    FetchError::Refused {
        registry: registry.to_owned(),
        target: refusal.target,
        detail: refusal.rule.to_owned(),
    }
}

/// What the transport says, without the URL: that of a redirect may carry a signature.
pub(super) fn failure(registry: &str, error: reqwest::Error) -> FetchError {
    let error = error.without_url();
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(address) = cause.downcast_ref::<RefusedAddress>() {
            let target = format!("{} ({})", printable(&address.host), address.address);
            return FetchError::Refused {
                registry: registry.to_owned(),
                target,
                detail: address.rule.to_owned(),
            };
        }
        causes.push(cause.to_string());
        next = cause.source();
    }
    // The last two say what happened: `tcp connect error: Connection refused (os error 111)`.
    let skipped = causes.len().saturating_sub(2);
    let detail = if causes.is_empty() {
        error.to_string()
    } else {
        causes.split_off(skipped).join(": ")
    };
    FetchError::Unreachable {
        registry: registry.to_owned(),
        detail: printable(&detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_error_codes_are_repeated() {
        assert_eq!(
            known_error_code(br#"{"errors":[{"code":"DENIED","message":"secret"}]}"#),
            Some("DENIED")
        );
        assert_eq!(
            known_error_code(br#"{"errors":[{"code":"hunter2"}]}"#),
            None
        );
        assert_eq!(known_error_code(b"<html>"), None);
    }
}
