//! An API server in memory: what a cluster's would answer over plain HTTP, and faults on request.
//!
//! ```text
//! request ─► log ─► rules, newest first ─► get | list | watch | create | update | patch | delete ─► answer
//! ```
//!
//! It knows no schemas: whatever is put into it is stored, broken objects too. Objects have versions, generations and finalizers;
//! watches begin at a version, and answer `410 Gone` where that version is forgotten. There are no rights: rules refuse.

mod answer;
mod apply;
mod fault;
mod object;
mod patch;
mod path;
mod store;
mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

pub use fault::{Asked, Fault};

use apply::Owners;
use fault::Rules;
use store::Store;

/// An API server on a loopback port; stops when it is dropped.
pub struct ApiServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<AbortHandle>,
    folder: TempDir,
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) store: Mutex<Store>,
    pub(crate) owners: Mutex<Owners>,
    rules: Mutex<Rules>,
    asked: Mutex<Vec<Asked>>,
    connections: Mutex<Vec<AbortHandle>>,
    /// From one bookmark of a watch to the next.
    pub(crate) bookmarks: Mutex<Duration>,
    /// How many lines of history there are; watches wait for more.
    pub(crate) grown: tokio::sync::watch::Sender<usize>,
}

// === impl ApiServer ===

impl ApiServer {
    /// An empty one, on a free port of 127.0.0.1.
    pub async fn start() -> Self {
        let mut server = Self::closed().await;
        server.open().await;
        server
    }

    /// One whose port is closed until [`Self::open`].
    pub async fn closed() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a loopback port is free");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            store: Mutex::default(),
            owners: Mutex::default(),
            rules: Mutex::default(),
            asked: Mutex::default(),
            connections: Mutex::default(),
            bookmarks: Mutex::new(Duration::from_mins(1)),
            grown: tokio::sync::watch::channel(0).0,
        });
        Self {
            address,
            shared,
            accepting: None,
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    /// Opens the port, with everything that was stored before.
    pub async fn open(&mut self) {
        let listener = TcpListener::bind(self.address)
            .await
            .expect("the port is still free");
        let shared = Arc::clone(&self.shared);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = Arc::clone(&shared);
                let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                    let shared = Arc::clone(&serving);
                    async move { answer::answer(&shared, request.map(Body::new)).await }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                let task = tokio::spawn(async move {
                    // A connection that breaks is what is tested.
                    let _ended = connection.await;
                });
                locked(&shared.connections).push(task.abort_handle());
            }
        });
        self.accepting = Some(accepting.abort_handle());
    }

    /// Closes the port and breaks every connection. What is stored stays.
    pub async fn close(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
        self.disconnect();
        // Until the listener is gone.
        while tokio::net::TcpStream::connect(self.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Breaks every connection.
    pub fn disconnect(&self) {
        for connection in locked(&self.shared.connections).drain(..) {
            connection.abort();
        }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A file with which clients find it. It stays as long as this server.
    pub fn kubeconfig(&self) -> PathBuf {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url()}}],
            "users": [{"name": "test", "user": {}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        });
        let path = self.folder.path().join("kubeconfig");
        // Clients that start at once may be reading it.
        let next = tempfile::NamedTempFile::new_in(self.folder.path()).expect("a file");
        std::fs::write(next.path(), config.to_string()).expect("the folder can be written");
        next.persist(&path).expect("the folder can be written");
        path
    }

    // --- what is stored ---

    /// Creates the object, or replaces all of it, status included. Returns it as it is stored.
    pub fn put(&self, object: Value) -> Value {
        let stored = locked(&self.shared.store).put(object);
        self.tell();
        stored
    }

    /// Deletes the object of this path (`/api/v1/namespaces/NS/secrets/NAME`), whatever its finalizers.
    pub fn delete(&self, path: &str) {
        let key = path::key(path);
        locked(&self.shared.store).remove(&key);
        locked(&self.shared.owners).forget(&key);
        self.tell();
    }

    /// The object of this path, as it is stored.
    pub fn get(&self, path: &str) -> Option<Value> {
        locked(&self.shared.store).get(&path::key(path)).cloned()
    }

    /// Every object of a resource (`secrets`), in the order of namespaces and names.
    pub fn all(&self, plural: &str) -> Vec<Value> {
        locked(&self.shared.store).all(plural)
    }

    /// The version that the last change made.
    pub fn revision(&self) -> u64 {
        locked(&self.shared.store).revision()
    }

    // --- what goes wrong ---

    /// From now on requests for which `rule` has a fault meet it. The newest rule that has one wins.
    pub fn on(&self, rule: impl FnMut(&Asked) -> Option<Fault> + Send + 'static) -> &Self {
        locked(&self.shared.rules).add(Box::new(rule));
        self
    }

    /// Forgets all rules.
    pub fn clear_faults(&self) {
        *locked(&self.shared.rules) = Rules::default();
    }

    /// Forgets every version but the present one: a watch that begins earlier is told `410 Gone`.
    pub fn compact(&self) {
        locked(&self.shared.store).compact();
    }

    /// Tells the watches of a resource this line, whatever it says.
    pub fn inject(&self, plural: &str, line: &str) {
        locked(&self.shared.store).inject(plural, line);
        self.tell();
    }

    /// From now on a new watch gets a bookmark this often.
    pub fn bookmark_every(&self, interval: Duration) {
        *locked(&self.shared.bookmarks) = interval;
    }

    // --- what was asked ---

    /// Every request so far, in the order of their arrival.
    pub fn asked(&self) -> Vec<Asked> {
        locked(&self.shared.asked).clone()
    }

    /// Forgets the requests.
    pub fn forget_asked(&self) {
        locked(&self.shared.asked).clear();
    }

    fn tell(&self) {
        self.shared.tell();
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
        self.disconnect();
    }
}

// === impl Shared ===

impl Shared {
    /// Wakes the watches.
    pub(crate) fn tell(&self) {
        let length = locked(&self.store).history().len();
        self.grown.send_replace(length);
    }

    /// Notes a request, and gives the fault that it meets.
    pub(crate) fn arrived(&self, asked: Asked) -> Option<Fault> {
        let fault = locked(&self.rules).fault(&asked);
        locked(&self.asked).push(asked);
        fault
    }
}

/// The content of `mutex`, also after a test panicked while it held it.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
