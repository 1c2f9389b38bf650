//! What can go wrong with an answer.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use vouchsafe::demo::registry::BoxError;

use super::log::Log;
use super::response;
use super::rule::Effects;

/// How often a drip drips, in times per second.
const DRIPS_PER_SECOND: u64 = 10;
/// One piece of an endless body.
const ENDLESS_PIECE: &[u8] = &[b' '; 16 * 1024];

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nothing: it is answered as it should be.
    Pass,
    /// Answered with this instead. Header names and values must be valid.
    Status(u16, Vec<(&'static str, String)>, Bytes),
    /// Accepted and never answered.
    Hang,
    /// The connection is closed without an answer.
    CloseConnection,
    /// The real answer, its body this slow.
    Drip {
        /// Bytes per second, at least 10.
        bytes_per_sec: u64,
    },
    /// 200 and a body of spaces that does not end.
    EndlessBody {
        /// Its `Content-Type`.
        content_type: String,
    },
    /// The real answer with its `Content-Length`, but the connection is closed after `n` bytes of its body.
    Truncate {
        /// How many bytes are sent.
        n: usize,
    },
    /// The real answer, but with this body (and its length); the digest header stays.
    ReplaceBody(Bytes),
    /// The real answer with this header instead of the one it has, or in addition.
    ReplaceHeader(&'static str, String),
    /// The real answer without this header.
    RemoveHeader(&'static str),
    /// 307 to this address.
    Redirect(String),
    /// Answered as it should be, after this time.
    Delay(Duration),
    /// One after the other, one for each request, and again from the start.
    Alternate(Vec<Fault>),
    /// For the first `n` requests; then the rule is as if it were not there.
    OnlyFirst(usize, Box<Fault>),
    /// All of them for the same request, in this order: delays, then one answer, then changes to it.
    All(Vec<Fault>),
}

// === impl Fault ===

impl Fault {
    /// A bare status.
    pub fn status(code: u16) -> Self {
        Self::Status(code, Vec::new(), Bytes::new())
    }

    /// Only for the first `n` requests.
    pub fn only_first(n: usize, fault: Self) -> Self {
        Self::OnlyFirst(n, Box::new(fault))
    }

    /// The simple faults for request number `call` of its rule, counted from zero; `None` when the rule has nothing to do any more.
    pub(super) fn at(&self, call: usize) -> Option<Vec<Self>> {
        match self {
            Self::OnlyFirst(n, fault) if call < *n => fault.at(call),
            Self::OnlyFirst(..) => None,
            Self::Alternate(faults) if faults.is_empty() => None,
            Self::Alternate(faults) => faults[call % faults.len()].at(call / faults.len()),
            Self::All(faults) => Some(faults.iter().filter_map(|f| f.at(call)).flatten().collect()),
            simple => Some(vec![simple.clone()]),
        }
    }
}

// === impl Effects ===

impl Effects {
    /// Waits, breaks or answers before the registry is asked; `None` when the registry is to answer.
    pub(super) async fn before(&self, log: &Log) -> Result<Option<Response<Body>>, BoxError> {
        for fault in &self.0 {
            match fault {
                Fault::Delay(time) => tokio::time::sleep(*time).await,
                Fault::Hang => pending().await,
                Fault::CloseConnection => return Err("told to close the connection".into()),
                Fault::Status(code, headers, body) => {
                    return Ok(Some(status(*code, headers, body)));
                }
                Fault::Redirect(to) => {
                    return Ok(Some(status(
                        307,
                        &[("location", to.clone())],
                        &Bytes::new(),
                    )));
                }
                Fault::EndlessBody { content_type } => return Ok(Some(endless(content_type, log))),
                Fault::Pass
                | Fault::Drip { .. }
                | Fault::Truncate { .. }
                | Fault::ReplaceBody(_)
                | Fault::ReplaceHeader(..)
                | Fault::RemoveHeader(_) => {}
                Fault::Alternate(_) | Fault::OnlyFirst(..) | Fault::All(_) => {
                    unreachable!("`Fault::at` leaves simple faults")
                }
            }
        }
        Ok(None)
    }

    /// Changes the answer.
    pub(super) async fn after(&self, mut answer: Response<Body>, log: &Log) -> Response<Body> {
        for fault in &self.0 {
            answer = match fault {
                Fault::ReplaceHeader(name, value) => {
                    let value = HeaderValue::from_str(value).expect("a valid header value");
                    answer
                        .headers_mut()
                        .insert(HeaderName::from_static(name), value);
                    answer
                }
                Fault::RemoveHeader(name) => {
                    answer.headers_mut().remove(*name);
                    answer
                }
                Fault::ReplaceBody(body) => {
                    let (mut parts, _) = answer.into_parts();
                    parts.headers.remove(header::CONTENT_LENGTH);
                    Response::from_parts(parts, Body::from(body.clone()))
                }
                Fault::Truncate { n } => truncated(answer, *n).await,
                Fault::Drip { bytes_per_sec } => dripping(answer, *bytes_per_sec, log).await,
                _ => answer,
            };
        }
        answer
    }
}

fn status(code: u16, headers: &[(&'static str, String)], body: &Bytes) -> Response<Body> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(
            HeaderName::from_bytes(name.as_bytes()).expect("a valid header name"),
            HeaderValue::from_str(value).expect("a valid header value"),
        );
    }
    let code = StatusCode::from_u16(code).expect("a valid status");
    response(code, map, body.clone())
}

fn endless(content_type: &str, log: &Log) -> Response<Body> {
    let sent = log.stream_counter();
    let pieces = stream::repeat_with(move || Ok(counted(Bytes::from_static(ENDLESS_PIECE), &sent)));
    let content_type = HeaderValue::from_str(content_type).expect("a valid media type");
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type)]);
    let body = Body::from_stream(pieces.map(|piece: Result<Bytes, Infallible>| piece));
    response(StatusCode::OK, headers, body)
}

/// The answer, with the length it would have, and a body that breaks off.
async fn truncated(answer: Response<Body>, n: usize) -> Response<Body> {
    let (parts, whole) = whole(answer).await;
    let sent = whole.slice(..n.min(whole.len()));
    // The pause lets the bytes leave before the connection is closed.
    let broken = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err::<Bytes, BoxError>("told to truncate".into())
    };
    let pieces = stream::iter([Ok(sent)]).chain(stream::once(broken));
    Response::from_parts(parts, Body::from_stream(pieces))
}

async fn dripping(answer: Response<Body>, bytes_per_sec: u64, log: &Log) -> Response<Body> {
    let (parts, whole) = whole(answer).await;
    let size = usize::try_from(bytes_per_sec / DRIPS_PER_SECOND).unwrap_or(usize::MAX);
    let sent = log.stream_counter();
    let pieces = stream::unfold(whole, move |mut rest| {
        let sent = Arc::clone(&sent);
        async move {
            if rest.is_empty() {
                return None;
            }
            tokio::time::sleep(Duration::from_secs(1) / u32::try_from(DRIPS_PER_SECOND).ok()?)
                .await;
            let drop = rest.split_to(size.clamp(1, rest.len()));
            Some((Ok::<_, Infallible>(counted(drop, &sent)), rest))
        }
    });
    Response::from_parts(parts, Body::from_stream(pieces))
}

/// The whole body, and the headers with its length.
async fn whole(answer: Response<Body>) -> (http::response::Parts, Bytes) {
    let (mut parts, body) = answer.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX)
        .await
        .expect("the fixture's own bodies can be read");
    parts
        .headers
        .entry(header::CONTENT_LENGTH)
        .or_insert_with(|| HeaderValue::from(bytes.len()));
    (parts, bytes)
}

fn counted(piece: Bytes, sent: &AtomicU64) -> Bytes {
    sent.fetch_add(u64::try_from(piece.len()).unwrap_or(0), Ordering::Relaxed);
    piece
}
