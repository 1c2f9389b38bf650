//! API servers as the webhook meets them: each trusts the `caBundle` that it has read, which is a little behind, and connects anew for
//! every call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsConnector;

use crate::cluster::{VALIDATING, bundles};
use crate::support::api_server::ApiServer;

/// The name by which the API server calls.
const NAME: &str = "vouchsafe.cosign-system.svc";

/// Calls in a row, from several API servers to several replicas, until [`Callers::stop`].
pub(crate) struct Callers {
    enough: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
    tasks: JoinSet<Vec<String>>,
}

/// One call over a new connection by a client that trusts this bundle.
pub(crate) async fn call(address: SocketAddr, bundle: &str) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let called = async {
        let stream = TcpStream::connect(address).await?;
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from(NAME).unwrap();
        let mut stream = connector.connect(name, stream).await?;
        let request = format!("GET / HTTP/1.1\r\nhost: {NAME}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<String, std::io::Error>(answer)
    };
    match called.await {
        Ok(answer) if answer.starts_with("HTTP/1.1 200") => Ok(()),
        Ok(answer) => Err(format!("answered {answer:?}")),
        Err(error) => Err(error.to_string()),
    }
}

// === impl Callers ===

impl Callers {
    /// Begins to call. There is one API server for each of `behind`, which trusts what was published so long ago.
    pub(crate) fn start(
        api: &Arc<ApiServer>,
        replicas: &[SocketAddr],
        behind: &[Duration],
    ) -> Self {
        let (enough, calls) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let mut tasks = JoinSet::new();
        for behind in behind {
            let (cache, watched) = tokio::sync::watch::channel(bundles(api, VALIDATING).concat());
            let (api, done, behind) = (Arc::clone(api), Arc::clone(&enough), *behind);
            tasks.spawn(async move {
                let mut history: Vec<(Instant, String)> = Vec::new();
                while !done.load(Ordering::SeqCst) {
                    let (now, bundle) = (Instant::now(), bundles(&api, VALIDATING).concat());
                    if history.last().is_none_or(|(_, last)| *last != bundle) {
                        history.push((now, bundle));
                    }
                    let known = history.iter().rev().find(|(at, _)| *at + behind <= now);
                    if let Some((_, bundle)) = known {
                        cache.send_if_modified(|cached| {
                            let changed = cached != bundle;
                            cached.clone_from(bundle);
                            changed
                        });
                    }
                    sleep(Duration::from_millis(5)).await;
                }
                Vec::new()
            });
            for address in replicas.iter().copied() {
                let (watched, done, calls) =
                    (watched.clone(), Arc::clone(&enough), Arc::clone(&calls));
                tasks.spawn(async move {
                    let mut failed = Vec::new();
                    while !done.load(Ordering::SeqCst) {
                        let bundle = watched.borrow().clone();
                        if let Err(error) = call(address, &bundle).await {
                            failed.push(format!("{behind:?} behind: {error}"));
                        }
                        calls.fetch_add(1, Ordering::SeqCst);
                    }
                    failed
                });
            }
        }
        Self {
            enough,
            calls,
            tasks,
        }
    }

    /// How many calls there were so far.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// Stops, and holds that no call failed.
    pub(crate) async fn stop(self) {
        self.enough.store(true, Ordering::SeqCst);
        let calls = self.calls();
        let failed = self.tasks.join_all().await.concat();
        assert!(
            failed.is_empty(),
            "{} of {calls} calls failed, such as: {}",
            failed.len(),
            failed[0]
        );
    }
}
