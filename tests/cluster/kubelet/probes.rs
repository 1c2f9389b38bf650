//! Probes, as a container declares them.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::HeaderName;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{list, text};

/// One probe of a container.
pub(super) struct Probe {
    what: What,
    pub(super) initial_delay: Duration,
    pub(super) period: Duration,
    timeout: Duration,
    /// So many in a row until it counts.
    pub(super) successes: u64,
    /// So many in a row until it counts.
    pub(super) failures: u64,
}

enum What {
    Http {
        url: String,
        client: reqwest::Client,
    },
    Tcp(SocketAddr),
}

// === impl Probe ===

impl Probe {
    /// The probe in that field of the container, if it has one.
    pub(super) fn of(container: &Value, field: &str, address: Ipv4Addr) -> Option<Self> {
        let probe = &container[field];
        let seconds =
            |name: &str, default: u64| Duration::from_secs(probe[name].as_u64().unwrap_or(default));
        let what = if let Some(get) = probe["httpGet"].as_object() {
            let port = port(container, &probe["httpGet"]["port"]);
            let scheme = get.get("scheme").map_or("HTTP", text).to_lowercase();
            let path = get.get("path").map_or("/", text);
            let headers = list(&probe["httpGet"]["httpHeaders"]).iter();
            What::Http {
                url: format!("{scheme}://{address}:{port}{path}"),
                client: client(headers),
            }
        } else if probe["tcpSocket"].is_object() {
            let port = port(container, &probe["tcpSocket"]["port"]);
            What::Tcp(SocketAddr::from((address, port)))
        } else {
            assert!(probe.is_null(), "the stand-in has no such probe: {probe}");
            return None;
        };
        Some(Self {
            what,
            initial_delay: seconds("initialDelaySeconds", 0),
            period: seconds("periodSeconds", 10),
            timeout: seconds("timeoutSeconds", 1),
            successes: probe["successThreshold"].as_u64().unwrap_or(1),
            failures: probe["failureThreshold"].as_u64().unwrap_or(3),
        })
    }

    /// Asks once.
    pub(super) async fn succeeds(&self) -> bool {
        let asked = async {
            match &self.what {
                What::Tcp(address) => TcpStream::connect(address).await.is_ok(),
                What::Http { url, client } => {
                    let answer = client.get(url).send().await;
                    answer.is_ok_and(|answer| (200..400).contains(&answer.status().as_u16()))
                }
            }
        };
        timeout(self.timeout, asked).await.unwrap_or(false)
    }
}

/// A port by its number, or by its name among those of the container.
fn port(container: &Value, port: &Value) -> u16 {
    let number = port.as_u64().or_else(|| {
        let mut ports = list(&container["ports"]).iter();
        let named = ports.find(|known| known["name"] == *port);
        named.and_then(|known| known["containerPort"].as_u64())
    });
    let number = number.unwrap_or_else(|| panic!("no port {port} in {}", container["ports"]));
    u16::try_from(number).unwrap()
}

/// As the kubelet asks: whatever the certificate, a new connection each time.
fn client<'a>(headers: impl Iterator<Item = &'a Value>) -> reqwest::Client {
    let header = |header: &Value| {
        let name: HeaderName = text(&header["name"]).parse().unwrap();
        (name, text(&header["value"]).parse().unwrap())
    };
    reqwest::Client::builder()
        .user_agent("kube-probe/stand-in")
        .default_headers(headers.map(header).collect())
        .tls_danger_accept_invalid_certs(true)
        .pool_max_idle_per_host(0)
        .no_proxy()
        .build()
        .unwrap()
}
