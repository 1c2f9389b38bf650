//! Listening, accepting and stopping.
//!
//! [`Bound`] is a socket that listens and does not answer yet; [`Bound::serve`] answers until it is told to stop. Stopping has three
//! parts, because API servers keep using connections to a process that is going away:
//!
//! 1. for [`ServeSettings::stop_delay`] new connections are still taken, and every HTTP/1.1 response says `Connection: close`
//! 2. the socket is closed; HTTP/2 clients are told to go away; what is in flight is finished
//! 3. after [`ServeSettings::drain`] what is still open is cut off

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::Connection;
use super::peers::{Peer, Places};
use super::tls::Tls;

/// How long nothing is accepted after a failure, so that running out of file descriptors does not become a busy loop.
const AFTER_ERROR: Duration = Duration::from_millis(50);
/// How often it is said that connections are turned away.
const WARN_INTERVAL: Duration = Duration::from_secs(10);

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// The address that was asked for.
    pub address: SocketAddr,
    /// What the system says.
    #[source]
    pub source: io::Error,
}

/// How connections are held and let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServeSettings {
    /// Connections held at one time. More wait in the backlog of the system. One address gets a part of what is left free, a sixteenth
    /// where it is the only one; more of it are closed at once.
    pub connections: usize,
    /// How long connections are still taken after the stop, until endpoints have been withdrawn everywhere.
    pub stop_delay: Duration,
    /// How long calls in flight may take after that.
    pub drain: Duration,
}

/// When it was last said that connections are turned away.
#[derive(Default)]
struct Warned(Option<Instant>);

/// A socket that listens, with all that it needs to answer.
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
}

// === impl Bound ===

impl Bound {
    /// Listens for TLS. Port 0 takes a free one. Where the system has no IPv6, `[::]` means `0.0.0.0`.
    pub async fn tls(address: SocketAddr, tls: Tls) -> Result<Self, BindError> {
        Self::bind(address, Some(tls)).await
    }

    /// Listens without TLS.
    pub async fn plain(address: SocketAddr) -> Result<Self, BindError> {
        Self::bind(address, None).await
    }

    async fn bind(address: SocketAddr, tls: Option<Tls>) -> Result<Self, BindError> {
        let fail = |source| BindError { address, source };
        let listener = match TcpListener::bind(address).await {
            Err(error)
                if address.is_ipv6()
                    && address.ip().is_unspecified()
                    && is_about_the_family(&error) =>
            {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
            }
            other => other,
        };
        let listener = listener.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        Ok(Self {
            listener,
            address,
            tls,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop`, and then until what is in flight is finished.
    pub async fn serve(self, router: Router, settings: ServeSettings, stop: CancellationToken) {
        let Self { listener, tls, .. } = self;
        let (drain, cut) = (CancellationToken::new(), CancellationToken::new());
        // Also when this future is dropped: no connection outlives its server.
        let _cut_on_drop = cut.clone().drop_guard();
        let tasks = TaskTracker::new();
        let connection = Connection {
            router,
            tls,
            stopping: stop.clone(),
            drain: drain.clone(),
        };
        let accepting = accept_all(&listener, &connection, settings.connections, &tasks, &cut);
        let stopped = async {
            stop.cancelled().await;
            let seconds = settings.stop_delay.as_secs();
            tracing::info!(
                seconds,
                "stopping; calls are still taken for so long (--stop-delay)"
            );
            sleep(settings.stop_delay).await;
        };
        tokio::select! {
            never = accepting => match never {},
            () = stopped => {}
        }
        drop(listener);
        drain.cancel();
        tasks.close();
        if timeout(settings.drain, tasks.wait()).await.is_err() {
            tracing::warn!(
                connections = tasks.len(),
                "cut off what did not finish in time"
            );
        }
    }
}

// === impl Warned ===

impl Warned {
    /// Says whose connection was closed, now and then: whoever connects too often must not fill the log.
    fn warn(&mut self, address: SocketAddr) {
        if self.0.is_none_or(|last| last.elapsed() > WARN_INTERVAL) {
            self.0 = Some(Instant::now());
            let address = address.ip().to_canonical();
            tracing::warn!(%address, "closed a connection: this address holds too many of them");
        }
    }
}

/// Takes connections for ever, each on a task of its own, while there is room for one more.
async fn accept_all(
    listener: &TcpListener,
    connection: &Connection,
    most: usize,
    tasks: &TaskTracker,
    cut: &CancellationToken,
) -> std::convert::Infallible {
    let room = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
    let places = Places::new(most);
    let mut turned_away = Warned::default();
    loop {
        let permit = Arc::clone(&room).acquire_owned().await;
        let (stream, address) = accept(listener).await;
        let peer = Peer::new(address.ip());
        let Some(place) = places.take(peer) else {
            turned_away.warn(address);
            continue;
        };
        let (connection, cut) = (connection.clone(), cut.clone());
        tasks.spawn(async move {
            cut.run_until_cancelled(connection.serve(stream, peer))
                .await;
            drop((place, permit));
        });
    }
}

/// The next connection. Failures are of the moment: one that was reset, or no file descriptor left.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(AFTER_ERROR).await;
            }
        }
    }
}

/// Not that the port is taken or forbidden: those would be taken or forbidden for IPv4 too.
fn is_about_the_family(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
    )
}
