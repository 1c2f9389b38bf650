//! A registry that misbehaves on request: the demo's registry behind rules, a token service and a log.
//!
//! ```text
//! request ─► log ─► authorization (401, challenge) ─► rules, newest first ─► token service | demo registry ─► rules ─► answer
//! ```
//!
//! A request without sufficient authorization meets no rule; a request to the token service does.

mod auth;
mod fault;
mod log;
mod recorded;
mod rule;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use tower::ServiceExt as _;
use vouchsafe::demo::registry::{BoxError, Server, Store, router};
use vouchsafe::image::{ImageReference, Repository};

pub use auth::{TokenAuth, User};
pub use fault::Fault;
pub use log::{Class, Counts, Recorded};
pub use recorded::RecordedImage;
pub use rule::Match;

use auth::{Auth, TokenService};
use log::Log;
use rule::{Effects, Rules};

/// A registry on a loopback port; stops when it is dropped.
pub struct FaultyRegistry {
    server: Server,
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    registry: Router,
    rules: Mutex<Rules>,
    auth: Mutex<TokenService>,
    log: Log,
}

// === impl FaultyRegistry ===

impl FaultyRegistry {
    /// Serves `store` on a free port of 127.0.0.1, without faults and without authorization.
    pub async fn start(store: Store) -> Self {
        let shared = Arc::new(Shared {
            registry: router(store.clone()),
            store,
            rules: Mutex::default(),
            auth: Mutex::default(),
            log: Log::default(),
        });
        let answering = Arc::clone(&shared);
        let service = tower::service_fn(move |request: Request<Incoming>| {
            let shared = Arc::clone(&answering);
            async move { shared.answer(request).await }
        });
        let server = Server::bind(service, "127.0.0.1:0")
            .await
            .expect("a loopback port is free");
        locked(&shared.auth).host = server.addr().to_string();
        Self { server, shared }
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.server.addr().to_string()
    }

    /// `http://127.0.0.1:PORT` and `path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host())
    }

    /// The repository `path` in this registry.
    pub fn repository(&self, path: &str) -> Repository {
        Repository::parse(&format!("{}/{path}", self.host())).expect("the path is a repository")
    }

    /// The reference `name` (`t/app:v1`) in this registry.
    pub fn reference(&self, name: &str) -> ImageReference {
        format!("{}/{name}", self.host())
            .parse()
            .expect("the name is a reference")
    }

    /// What it serves.
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// From now on requests that `matching` describes meet `fault`. The newest rule that has something to do wins.
    pub fn on(&self, matching: Match, fault: Fault) -> &Self {
        locked(&self.shared.rules).add(matching, fault);
        self
    }

    /// Forgets all rules.
    pub fn clear_faults(&self) {
        *locked(&self.shared.rules) = Rules::default();
    }

    /// From now on only tokens of its own token service (`/token`) give access.
    pub fn require_token(&self, auth: TokenAuth) {
        locked(&self.shared.auth).mode = Auth::Bearer(auth);
    }

    /// From now on only this user and password give access, by Basic authentication.
    pub fn require_basic(&self, user: &str, password: &str) {
        locked(&self.shared.auth).mode = Auth::Basic {
            user: user.to_owned(),
            password: password.to_owned(),
        };
    }

    /// From now on no authorization is needed.
    pub fn require_nothing(&self) {
        locked(&self.shared.auth).mode = Auth::None;
    }

    /// Tokens issued until now give no access any more.
    pub fn revoke_tokens(&self) {
        locked(&self.shared.auth).revoke();
    }

    /// How many tokens were issued.
    pub fn tokens_issued(&self) -> usize {
        locked(&self.shared.auth).issued()
    }

    /// How many requests of which class came since the start or the last [`Self::reset_counts`].
    pub fn counts(&self) -> Counts {
        self.shared.log.counts()
    }

    /// Every request since the start or the last [`Self::reset_counts`], in the order of their arrival.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.log.requests()
    }

    /// Forgets the requests.
    pub fn reset_counts(&self) {
        self.shared.log.reset();
    }

    /// Bytes handed to the network by [`Fault::EndlessBody`] and [`Fault::Drip`] so far: what a client could have read at most.
    pub fn bytes_streamed(&self) -> u64 {
        self.shared.log.bytes_streamed()
    }

    /// Closes the port and every connection.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

// === impl Shared ===

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, BoxError> {
        let request = request.map(Body::new);
        let (entry, class) = self.log.arrived(&request);
        let refused = locked(&self.auth).refusal(class, request.uri().path(), request.headers());
        let response = match refused {
            Some(refusal) => refusal,
            None => self.admitted(class, request).await?,
        };
        self.log.answered(entry, response.status());
        Ok(response)
    }

    /// What comes after authorization: rules, then the real answer, then rules that change it.
    async fn admitted(
        &self,
        class: Class,
        request: Request<Body>,
    ) -> Result<Response<Body>, BoxError> {
        let effects = locked(&self.rules).effects(class, &request);
        let before = effects.before(&self.log).await?;
        let response = match before {
            Some(response) => response,
            None if class == Class::Token => self.token(request).await,
            None => self.registry.clone().oneshot(request).await?,
        };
        Ok(effects.after(response, &self.log).await)
    }

    async fn token(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let form = axum::body::to_bytes(body, 1 << 16)
            .await
            .unwrap_or_default();
        let form = String::from_utf8_lossy(&form);
        locked(&self.auth).token(&parts, &form)
    }
}

/// A client for looking at the fixture itself: no proxy, follows no redirect, gives up after ten seconds.
pub fn client() -> reqwest::Client {
    // Another test of this binary may have installed it already.
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(10))
        .build()
        .expect("a client without TLS settings can be built")
}

/// The content of `mutex`, also after a test panicked while it held it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A response of a status, headers and a body.
fn response(status: StatusCode, headers: HeaderMap, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
