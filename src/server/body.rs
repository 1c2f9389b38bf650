//! Reading a body under bounds: type, encoding, size, time, and what all requests together may hold.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::refusal::Refusal;
use super::review::uid_of_prefix;
use crate::limits::Limits;

/// How much of a body is looked at for its uid when there is no room for the whole, in bytes.
const PREFIX_BYTES: usize = 4 << 10;
/// How long that may take: it happens after the deadline, inside the margin that is kept for the answer.
const PREFIX_TIME: Duration = Duration::from_millis(100);

/// What is read of a body that is refused, in bytes: a client of HTTP/2 that is still sending would not see why.
const UNREAD_BYTES: usize = 64 << 10;
/// And for how long.
const UNREAD_TIME: Duration = Duration::from_millis(500);

/// Reads bodies; one per process, since it counts what all of them hold.
#[derive(Clone, Debug)]
pub(super) struct BodyReader {
    room: Arc<Semaphore>,
    bytes: usize,
    time: Duration,
}

/// What became of a body.
#[derive(Debug)]
pub(super) enum Received {
    /// It was read.
    Whole {
        /// Its bytes.
        bytes: Bytes,
        /// The room it takes, given back on drop.
        room: OwnedSemaphorePermit,
    },
    /// There was no room for it until the deadline.
    NoRoom {
        /// The uid of the review, if it stands where the API server writes it.
        uid: Option<String>,
    },
}

// === impl BodyReader ===

impl BodyReader {
    /// A reader with these bounds.
    pub(super) fn new(limits: &Limits) -> Self {
        // Room for less than one body would refuse all.
        let room = limits
            .in_flight
            .review_bytes
            .clamp(limits.review.body_bytes, Semaphore::MAX_PERMITS);
        Self {
            room: Arc::new(Semaphore::new(room)),
            bytes: limits.review.body_bytes,
            time: limits.review.body_time,
        }
    }

    /// Reads a body to its end.
    ///
    /// Room is taken before the first byte: as much as `content-length` claims, or the most a body may be where it is silent.
    pub(super) async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
        deadline: Instant,
    ) -> Result<Received, Refusal> {
        if let Err(refusal) = check_type(headers).and_then(|()| check_encoding(headers)) {
            let _ = timeout(UNREAD_TIME, Limited::new(body, UNREAD_BYTES).collect()).await;
            return Err(refusal);
        }
        let claimed = claimed_length(headers);
        if claimed.is_some_and(|claimed| claimed > self.bytes) {
            return Err(Refusal::TooLarge { limit: self.bytes });
        }
        let Some(mut room) = self
            .take_room(claimed.unwrap_or(self.bytes), deadline)
            .await
        else {
            return Ok(Received::NoRoom {
                uid: uid_of(body).await,
            });
        };
        let limit = self
            .time
            .min(deadline.saturating_duration_since(Instant::now()));
        let bytes = match timeout(limit, Limited::new(body, self.bytes).collect()).await {
            Ok(Ok(collected)) => collected.to_bytes(),
            Ok(Err(error)) => return Err(self.broken(error)),
            Err(_) => return Err(Refusal::SlowBody { limit }),
        };
        // A body of unknown length took the most there is; what it did not need goes back.
        if let Some(unused) = room.num_permits().checked_sub(bytes.len()) {
            drop(room.split(unused));
        }
        Ok(Received::Whole { bytes, room })
    }

    /// Waits for room until the deadline.
    async fn take_room(&self, bytes: usize, deadline: Instant) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).ok()?;
        timeout_at(deadline, Arc::clone(&self.room).acquire_many_owned(bytes))
            .await
            .ok()?
            .ok()
    }

    /// Why the body ended early.
    fn broken(&self, error: Box<dyn std::error::Error + Send + Sync>) -> Refusal {
        if error.is::<LengthLimitError>() {
            Refusal::TooLarge { limit: self.bytes }
        } else {
            Refusal::BrokenBody {
                source: axum::Error::new(error),
            }
        }
    }
}

/// `application/json`, with or without parameters.
fn check_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let found = headers
        .get(header::CONTENT_TYPE)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let found = found.unwrap_or_default();
    let media = found.split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(Refusal::ContentType { found })
    }
}

/// No encoding, or `identity`, which is none.
fn check_encoding(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .find(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        Some(value) => Err(Refusal::ContentEncoding {
            found: String::from_utf8_lossy(value.as_bytes()).into_owned(),
        }),
        None => Ok(()),
    }
}

/// What `content-length` claims. What hyper let through is a number.
fn claimed_length(headers: &HeaderMap) -> Option<usize> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// The uid in the beginning of a body, so that even the denial for want of room can be matched to its request.
async fn uid_of(mut body: Body) -> Option<String> {
    let mut prefix = Vec::new();
    let reading = async {
        while prefix.len() < PREFIX_BYTES {
            let Some(Ok(frame)) = body.frame().await else {
                break;
            };
            let Some(data) = frame.data_ref() else { break };
            let wanted = PREFIX_BYTES.saturating_sub(prefix.len());
            prefix.extend(data.iter().take(wanted));
        }
    };
    // What arrived in time is enough, or it is not.
    let _ = timeout(PREFIX_TIME, reading).await;
    uid_of_prefix(&prefix)
}
