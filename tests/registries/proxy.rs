//! A little HTTP proxy on loopback: it writes down what it is asked for, and leads names to services of a test.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::CertifiedKey;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// The name that its certificate is for.
pub(crate) const NAME: &str = "registry.test";

/// The proxy. At the end of a tunnel it speaks TLS itself, as whoever was asked for.
pub(crate) struct Proxy {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    /// The certificate of what is behind a tunnel, in PEM.
    pub(crate) certificate: String,
    task: AbortHandle,
}

impl Proxy {
    /// One that leads every name to the registry at this `HOST:PORT`, which speaks plain HTTP.
    pub(crate) async fn start(registry: &str) -> Self {
        Self::leading(&[(NAME, registry)]).await
    }

    /// One that leads each of these names to what is at its `HOST:PORT` and speaks plain HTTP, and every other name to the first.
    pub(crate) async fn leading(routes: &[(&str, &str)]) -> Self {
        let names: Vec<String> = routes.iter().map(|(name, _)| (*name).to_owned()).collect();
        let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let routes: Vec<(String, SocketAddr)> = routes
            .iter()
            .map(|(name, address)| ((*name).to_owned(), address.parse().unwrap()))
            .collect();
        let (log, routes) = (Arc::clone(&asked), Arc::new(routes));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (log, acceptor) = (Arc::clone(&log), acceptor.clone());
                let routes = Arc::clone(&routes);
                tokio::spawn(async move {
                    // Whoever goes away in the middle of it may.
                    let _served = serve(client, &routes, &acceptor, &log).await;
                });
            }
        });
        Self {
            port,
            asked,
            certificate: cert.pem(),
            task: task.abort_handle(),
        }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The first lines of what it was asked since the last time.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut client: TcpStream,
    routes: &[(String, SocketAddr)],
    acceptor: &TlsAcceptor,
    log: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let head = head(&mut client).await?;
    let (line, rest) = head.split_once("\r\n").unwrap();
    log.lock().unwrap().push(line.to_owned());
    let is_meant = |(name, _): &&(String, SocketAddr)| {
        line.strip_prefix("CONNECT ")
            .is_some_and(|target| target.starts_with(&format!("{name}:443 ")))
    };
    let (_, registry) = routes.iter().find(is_meant).unwrap_or(&routes[0]);
    let mut server = TcpStream::connect(registry).await?;
    if line.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        let mut inside = acceptor.accept(client).await?;
        copy_bidirectional(&mut inside, &mut server).await?;
        return Ok(());
    }
    // `GET http://HOST/PATH HTTP/1.1`: the registry gets the path, and one request a connection.
    let mut words = line.split(' ');
    let (method, url) = (words.next().unwrap(), words.next().unwrap());
    let path = url.splitn(4, '/').nth(3).unwrap_or_default();
    let forwarded = format!("{method} /{path} HTTP/1.1\r\nconnection: close\r\n{rest}");
    server.write_all(forwarded.as_bytes()).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// Everything up to the empty line.
async fn head(client: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
