//! A registry as a closure, and short words for asking it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http_body_util::BodyExt as _;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use vouchsafe::adapters::oci::{
    Lookup, OciRegistry, OciSettings, RequestClass, RequestObserver, RequestOutcome,
};
use vouchsafe::gather::keychain::{Credential, Keychain, KeychainEntry};
use vouchsafe::gather::registry::{
    Access, BlobReference, FetchError, FetchedManifest, ManifestReference, Registry as _,
};
use vouchsafe::image::{Digest, Repository, Tag};

/// A media type of manifests.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What a server saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: String,
    host: String,
}

impl Seen {
    /// The port that it was sent to.
    pub(crate) fn host_port(&self) -> &str {
        self.host.rsplit_once(':').unwrap().1
    }
}

/// A server on loopback.
pub(crate) struct Stub {
    pub(crate) port: u16,
    log: Arc<Mutex<Vec<Seen>>>,
    task: AbortHandle,
}

impl Stub {
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Self::serve(listener, port, answer)
    }

    pub(crate) fn serve<L>(
        listener: L,
        port: u16,
        answer: impl Fn(&Seen) -> Response + Send + Sync + 'static,
    ) -> Self
    where
        L: axum::serve::Listener<Addr = SocketAddr>,
    {
        let log = Arc::new(Mutex::new(Vec::new()));
        let (answer, written) = (Arc::new(answer), Arc::clone(&log));
        let router = Router::new().fallback(move |request: Request| {
            let (answer, written) = (Arc::clone(&answer), Arc::clone(&written));
            async move {
                let seen = see(request).await;
                written.lock().unwrap().push(seen.clone());
                answer(&seen)
            }
        });
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            port,
            log,
            task: task.abort_handle(),
        }
    }

    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn repository(&self) -> Repository {
        Repository::parse(&format!("{}/shop/cart", self.host())).unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.log.lock().unwrap().clone()
    }

    /// What it saw since the last time.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn see(request: Request) -> Seen {
    let (head, body) = request.into_parts();
    let text = |name| {
        head.headers
            .get(name)
            .map(|value: &http::HeaderValue| value.to_str().unwrap().to_owned())
    };
    Seen {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        authorization: text("authorization"),
        host: text("host").unwrap_or_default(),
        body: String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap(),
    }
}

pub(crate) fn reply(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let builder = headers.iter().fold(
        Response::builder().status(status),
        |builder, (name, value)| builder.header(*name, *value),
    );
    builder.body(body.into()).unwrap()
}

/// A manifest as an honest registry sends it.
pub(crate) fn manifest(body: &str) -> Response {
    reply(200, &[("content-type", MANIFEST)], body.to_owned())
}

/// Bytes one after another, `pause` apart, for ever.
pub(crate) fn endless(chunk: &'static [u8], pause: Duration) -> Body {
    let chunks = futures::stream::unfold((), move |()| async move {
        tokio::time::sleep(pause).await;
        Some((Ok::<_, std::io::Error>(Bytes::from_static(chunk)), ()))
    });
    Body::from_stream(chunks)
}

pub(crate) fn client() -> OciRegistry {
    OciRegistry::new(&OciSettings::default()).unwrap()
}

/// Access with these credentials for ten seconds.
pub(crate) fn access(entries: Vec<KeychainEntry>) -> Access {
    Access {
        keychain: Arc::new(Keychain::new(entries)),
        deadline: Instant::now() + Duration::from_secs(10),
        dry_run: false,
    }
}

pub(crate) fn anonymous() -> Access {
    access(Vec::new())
}

pub(crate) fn anonymous_for(time: Duration) -> Access {
    Access {
        deadline: Instant::now() + time,
        ..anonymous()
    }
}

/// An entry for every path of `host`.
pub(crate) fn entry(host: &str, username: &str) -> KeychainEntry {
    KeychainEntry {
        pattern: host.to_owned(),
        credential: Credential::Basic {
            username: username.to_owned(),
            password: "hunter2".to_owned(),
        },
        source: format!("secret shop/{username}"),
    }
}

pub(crate) fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

pub(crate) async fn head(
    client: &OciRegistry,
    repository: &Repository,
    access: &Access,
) -> Result<Option<Digest>, FetchError> {
    client.tag_digest(repository, &tag("1.4"), access).await
}

pub(crate) async fn get(
    client: &OciRegistry,
    repository: &Repository,
    access: &Access,
) -> Result<Option<FetchedManifest>, FetchError> {
    let reference = ManifestReference::Tag(tag("1.4"));
    client.manifest(repository, &reference, access).await
}

pub(crate) async fn get_digest(
    client: &OciRegistry,
    repository: &Repository,
    digest: &Digest,
    access: &Access,
) -> Result<Option<FetchedManifest>, FetchError> {
    let reference = ManifestReference::Digest(digest.clone());
    client.manifest(repository, &reference, access).await
}

/// The blob with the digest of `bytes`, said to be `size` bytes, at most 1 KiB.
pub(crate) async fn blob(
    client: &OciRegistry,
    repository: &Repository,
    bytes: &[u8],
    size: u64,
    access: &Access,
) -> Result<Option<Bytes>, FetchError> {
    let blob = BlobReference {
        digest: Digest::sha256_of(bytes),
        size,
    };
    client.blob(repository, &blob, 1024, access).await
}

/// Names from a table.
#[derive(Clone, Default)]
pub(crate) struct Names(pub(crate) HashMap<&'static str, IpAddr>);

impl Lookup for Names {
    fn addresses(&self, host: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let found = self.0.get(host.as_str()).copied();
        async move {
            found
                .map(|address| vec![address])
                .ok_or_else(|| std::io::Error::other("no such name"))
        }
        .boxed()
    }
}

/// Counts by class and outcome.
#[derive(Default)]
pub(crate) struct Counts(Mutex<HashMap<(RequestClass, RequestOutcome), usize>>);

impl Counts {
    pub(crate) fn take(&self) -> HashMap<(RequestClass, RequestOutcome), usize> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl RequestObserver for Counts {
    fn exchanged(&self, class: RequestClass, outcome: RequestOutcome, _took: Duration) {
        *self.0.lock().unwrap().entry((class, outcome)).or_default() += 1;
    }
}
