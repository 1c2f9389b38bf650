//! Reading a body under bounds: type, encoding, size, time, and what all requests together may hold ([`super::room`]).

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, Limited};
use tokio::time::{Instant, timeout, timeout_at};

use super::peers::Peer;
use super::refusal::Refusal;
use super::review::uid_of_prefix;
use super::room::{Held, Room};
use crate::limits::{Limits, json};

/// How much of a body is looked at for its uid when there is no room for the whole, in bytes.
const PREFIX_BYTES: usize = 4 << 10;
/// How long that may take after the deadline, inside the margin that is kept for the answer.
const PREFIX_TIME: Duration = Duration::from_millis(100);

/// What is read of a body that is refused for its type or encoding, in bytes: a client of HTTP/2 that is still sending would not see why.
const UNREAD_BYTES: usize = 64 << 10;
/// And for how long.
const UNREAD_TIME: Duration = Duration::from_millis(500);

/// Reads bodies; one per process, since it counts what all of them hold.
#[derive(Clone, Debug)]
pub(super) struct BodyReader {
    room: Room,
    bytes: usize,
    parsed: usize,
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
        room: Held,
    },
    /// There was no room for it ([`super::room`]).
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
        let room = limits.in_flight.review_bytes.max(limits.review.body_bytes);
        Self {
            room: Room::new(room),
            bytes: limits.review.body_bytes,
            parsed: limits.review.parsed_bytes,
            time: limits.review.body_time,
        }
    }

    /// Reads a body to its end.
    ///
    /// It takes room as it arrives, and for what it will take once it is parsed, by the rules of [`super::room`]: what `content-length`
    /// claims takes none, and is only refused where it is too much. The time for a body is the time that we wait for the client; waiting for room is not held against it,
    /// and ends with the deadline.
    pub(super) async fn read(
        &self,
        head: Parts,
        mut body: Body,
        deadline: Instant,
    ) -> Result<Received, Refusal> {
        let headers = &head.headers;
        if let Err(refusal) = check_type(headers).and_then(|()| check_encoding(headers)) {
            let _ = timeout(UNREAD_TIME, Limited::new(body, UNREAD_BYTES).collect()).await;
            return Err(refusal);
        }
        let too_large = Refusal::TooLarge { limit: self.bytes };
        if claimed_length(headers).is_some_and(|claimed| claimed > self.bytes) {
            return Err(too_large);
        }
        let peer = head.extensions.get().copied().unwrap_or(Peer::UNKNOWN);
        // What waits keeps no headers: they are small on the wire and large in memory.
        drop(head);
        let mut room = self.room.for_body_of(peer);
        let mut bytes = BytesMut::new();
        let limit = self
            .time
            .min(deadline.saturating_duration_since(Instant::now()));
        let mut patience = self.time;
        loop {
            let asked = Instant::now();
            let until = deadline.min(asked + patience);
            if until <= asked {
                return Err(Refusal::SlowBody { limit });
            }
            let frame = match timeout_at(until, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(source))) => return Err(Refusal::BrokenBody { source }),
                Ok(None) => break,
                Err(_) => return Err(Refusal::SlowBody { limit }),
            };
            patience = patience.saturating_sub(asked.elapsed());
            // Trailers say nothing to us.
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if bytes.len().saturating_add(data.len()) > self.bytes {
                return Err(too_large);
            }
            if !room.grow(data.len(), deadline).await {
                // Whoever waits for room gets it now, not when the rest was looked at.
                drop(room);
                bytes.truncate(PREFIX_BYTES);
                extend_prefix(&mut bytes, &data);
                return Ok(Received::NoRoom {
                    uid: uid_of(bytes, body, deadline).await,
                });
            }
            bytes.extend_from_slice(&data);
        }
        // What is small on the wire may be large once it is parsed.
        let parsed = json::weight(&bytes);
        if parsed > self.parsed {
            return Err(Refusal::TooHeavy { limit: self.parsed });
        }
        if !room.grow(parsed, deadline).await {
            let uid = uid_of_prefix(bytes.get(..PREFIX_BYTES).unwrap_or(&bytes));
            return Ok(Received::NoRoom { uid });
        }
        Ok(Received::Whole {
            bytes: bytes.freeze(),
            room,
        })
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

/// The uid in the beginning of a body, so that even the denial for want of room can be matched to its request. The rest is read too,
/// and not kept, for as long as there is time: a client that is still sending would not see the answer.
async fn uid_of(mut prefix: BytesMut, mut body: Body, deadline: Instant) -> Option<String> {
    let now = Instant::now();
    let until = (now + UNREAD_TIME).min(deadline.max(now) + PREFIX_TIME);
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            if let Some(data) = frame.data_ref() {
                extend_prefix(&mut prefix, data);
            }
        }
    };
    // What arrived in time is enough, or it is not.
    let _ = timeout_at(until, reading).await;
    uid_of_prefix(&prefix)
}

/// Adds to the beginning of a body what still belongs to it.
fn extend_prefix(prefix: &mut BytesMut, data: &[u8]) {
    let wanted = PREFIX_BYTES.saturating_sub(prefix.len());
    prefix.extend(data.iter().take(wanted));
}
