//! A webhook that runs, and its clients.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use vouchsafe::adapters::certs::{self, ServingCertificate};
use vouchsafe::adapters::metrics::Metrics;
use vouchsafe::limits::Limits;
use vouchsafe::server::{Bound, ServeSettings, Tls, TlsVersion};

use crate::stand_ins::{review, watched_router};

/// A webhook that runs until it is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) done: JoinHandle<()>,
    pub(crate) authority: String,
}

pub(crate) const SETTINGS: ServeSettings = ServeSettings {
    connections: 1_024,
    stop_delay: Duration::ZERO,
    drain: Duration::from_secs(5),
};

pub(crate) const HTTP1: &[u8] = b"http/1.1";

impl Running {
    pub(crate) async fn start(settings: ServeSettings, oldest: TlsVersion) -> Self {
        let (serving, renewal) = certs::generate(&[], None, Arc::new(Metrics::new()))
            .await
            .unwrap();
        Self::with(serving, renewal.authority_pem(), settings, oldest).await
    }

    pub(crate) async fn with(
        serving: Arc<ServingCertificate>,
        authority: &str,
        settings: ServeSettings,
        oldest: TlsVersion,
    ) -> Self {
        let tls = Tls::new(serving, oldest).unwrap();
        Self::over(tls, authority, settings).await
    }

    /// With this TLS, whose certificate is of this authority.
    pub(crate) async fn over(tls: Tls, authority: &str, settings: ServeSettings) -> Self {
        let bound = Bound::tls("127.0.0.1:0".parse().unwrap(), tls)
            .await
            .unwrap();
        let (address, stop) = (bound.address(), CancellationToken::new());
        let (router, _) = watched_router(&Limits::default());
        let done = tokio::spawn(bound.serve(router, settings, stop.clone()));
        Self {
            address,
            stop,
            done,
            authority: authority.to_owned(),
        }
    }

    /// A client that trusts the authority and nothing else.
    pub(crate) fn client_config(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.authority.as_bytes()).unwrap())
            .unwrap();
        ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    pub(crate) fn client(&self) -> Client {
        self.client_of(rustls::DEFAULT_VERSIONS)
    }

    pub(crate) fn client_of(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Client {
        self.builder_of(versions).build().unwrap()
    }

    /// A client at another address of this machine.
    pub(crate) fn client_from(&self, address: [u8; 4]) -> Client {
        let builder = self.builder_of(rustls::DEFAULT_VERSIONS);
        builder
            .local_address(IpAddr::from(address))
            .build()
            .unwrap()
    }

    fn builder_of(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> reqwest::ClientBuilder {
        let mut config = self.client_config(versions);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Client::builder()
            .tls_backend_preconfigured(config)
            .no_proxy()
    }

    pub(crate) fn url(&self) -> String {
        format!(
            "https://localhost:{}/validate?timeout=10s",
            self.address.port()
        )
    }

    /// A connection for bytes by hand, of this protocol.
    pub(crate) async fn raw(&self, protocol: &[u8]) -> tokio_rustls::client::TlsStream<TcpStream> {
        let mut config = self.client_config(rustls::DEFAULT_VERSIONS);
        config.alpn_protocols = vec![protocol.to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        let stream = TcpStream::connect(self.address).await.unwrap();
        connector
            .connect(ServerName::try_from("localhost").unwrap(), stream)
            .await
            .unwrap()
    }
}

pub(crate) async fn ask(client: &Client, url: &str, name: &str) -> reqwest::Result<Value> {
    client
        .post(url)
        .json(&review(name))
        .send()
        .await?
        .error_for_status()?
        .json()
        .await
}

/// HTTP/1.1 by hand.
pub(crate) fn request(name: &str) -> Vec<u8> {
    let body = review(name).to_string();
    format!(
        "POST /validate?timeout=10s HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
