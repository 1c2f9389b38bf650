//! One connection: handshake, requests, and its end.
//!
//! Whoever connects may be slow or silent on purpose: the handshake, the first request, each head and idleness have a time, heads
//! have a size, and streams a number.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderValue, Request, Response, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::peers::Peer;
use super::tls::Tls;

/// For the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// For the first request after it.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection without requests is kept, a head that is still coming included. Longer than the 90 s after which Go's
/// clients let go by themselves: a connection that we close while a call is on its way would fail that call.
const IDLE: Duration = Duration::from_mins(2);
/// How long an idle connection has to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);
/// HTTP/2 pings, which find clients that are gone.
const PING: Duration = Duration::from_secs(15);
/// All headers of a request, in bytes.
const HEAD_BYTES: u32 = 8 << 10;
/// The read buffer of HTTP/1.1, in bytes, which bounds its head.
const BUFFER_BYTES: usize = 64 << 10;
/// Headers of a request of HTTP/1.1.
const HEADERS: usize = 64;
/// Calls at one time on a connection of HTTP/2. Who has more opens another.
const STREAMS: u32 = 128;
/// What a client of HTTP/2 may send before it is read, in bytes.
const WINDOW_BYTES: u32 = 256 << 10;

/// What a connection needs; cloned for each.
#[derive(Clone)]
pub(super) struct Connection {
    /// The routes.
    pub(super) router: Router,
    /// TLS, or none.
    pub(super) tls: Option<Tls>,
    /// Set when the process is told to stop: responses of HTTP/1.1 end their connection.
    pub(super) stopping: CancellationToken,
    /// Set when nothing new is taken: finish what is in flight, and end.
    pub(super) drain: CancellationToken,
}

/// What happens on a connection.
#[derive(Clone, Copy, Debug, Default)]
struct Activity {
    /// Requests that are being answered.
    in_flight: usize,
}

/// A request that is being answered, until dropped.
struct Busy(watch::Sender<Activity>);

// === impl Connection ===

impl Connection {
    /// Serves it to its end.
    pub(super) async fn serve(self, stream: TcpStream, peer: Peer) {
        // Answers are small and awaited.
        let _ = stream.set_nodelay(true);
        let Some(tls) = self.tls.clone() else {
            return self.requests(stream, peer, auto_builder()).await;
        };
        match timeout(HANDSHAKE, tls.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                // The protocol is known, so that hyper need not wait, without a bound, for the bytes that would tell.
                let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let builder = if is_http2 {
                    auto_builder().http2_only()
                } else {
                    auto_builder().http1_only()
                };
                self.requests(stream, peer, builder).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    /// Answers requests until the client goes, idles, or we stop.
    async fn requests(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: Peer,
        builder: auto::Builder<TokioExecutor>,
    ) {
        let (activity, observed) = watch::channel(Activity::default());
        let unanswered = observed.clone();
        let Self {
            router,
            stopping,
            drain,
            ..
        } = self;
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            answer(
                router.clone(),
                Busy::begin(&activity),
                stopping.clone(),
                request,
            )
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = drain.cancelled() => None,
            () = idle(observed) => {
                connection.as_mut().graceful_shutdown();
                // Whether it says goodbye or not, it is over.
                timeout(GOODBYE, connection.as_mut()).await.ok()
            }
        };
        let ended = match ended {
            None if drain.is_cancelled() => {
                connection.as_mut().graceful_shutdown();
                // As long as calls are in flight, and then only as long as a goodbye takes.
                loop {
                    match timeout(GOODBYE, connection.as_mut()).await {
                        Ok(ended) => break Some(ended),
                        Err(_) if unanswered.borrow().in_flight == 0 => break None,
                        Err(_) => {}
                    }
                }
            }
            ended => ended,
        };
        if let Some(Err(error)) = ended {
            tracing::debug!(error, "a connection broke");
        }
    }
}

/// The bounds of HTTP, for both versions.
fn auto_builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(BUFFER_BYTES)
        .max_headers(HEADERS)
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_BYTES)
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    builder
}

/// Answers one request. While we stop, a client of HTTP/1.1 is told not to come back on this connection.
async fn answer(
    router: Router,
    busy: Busy,
    stopping: CancellationToken,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let version = request.version();
    let mut response = router.oneshot(request).await?;
    if stopping.is_cancelled() && version < Version::HTTP_2 {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    drop(busy);
    Ok(response)
}

/// Returns when the connection has been without requests for too long: little before the first, more afterwards.
async fn idle(mut activity: watch::Receiver<Activity>) {
    let mut patience = HEAD;
    loop {
        let busy = activity.borrow_and_update().in_flight > 0;
        if busy {
            // The sender lives as long as the connection.
            let _ = activity.changed().await;
        } else if timeout(patience, activity.changed()).await.is_err() {
            return;
        }
        patience = IDLE;
    }
}

// === impl Busy ===

impl Busy {
    fn begin(activity: &watch::Sender<Activity>) -> Self {
        activity.send_modify(|activity| activity.in_flight += 1);
        Self(activity.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0
            .send_modify(|activity| activity.in_flight = activity.in_flight.saturating_sub(1));
    }
}
