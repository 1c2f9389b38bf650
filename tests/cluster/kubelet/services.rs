//! Services of our namespace, as Pods reach them: a name in `/etc/hosts` in place of DNS, and an address that leads to one of the ready
//! endpoints in place of kube-proxy.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{Node, OURS, list, text};
use crate::api::Api;
use crate::network::BRIDGE;

/// How often is looked for Services.
const GLANCE: Duration = Duration::from_secs(1);

/// Leads connections to Services on to their endpoints, for ever.
pub(super) async fn lead(node: Arc<Node>) {
    let mut ports: HashMap<(Ipv4Addr, u16), JoinHandle<()>> = HashMap::new();
    loop {
        if let Ok(services) = services(&node.api).await {
            let known: Vec<Port> = services.iter().flat_map(Port::all_of).collect();
            ports.retain(|at, task| {
                let stays = known.iter().any(|port| port.at() == *at);
                if !stays {
                    task.abort();
                }
                stays
            });
            for port in known {
                let api = node.api.clone();
                let at = port.at();
                ports
                    .entry(at)
                    .or_insert_with(|| tokio::spawn(port.listen(api)));
            }
        }
        tokio::time::sleep(GLANCE).await;
    }
}

/// What stands in `/etc/hosts` of a Pod.
pub(super) async fn hosts(api: &Api) -> String {
    let line = |service: &Value| {
        let (address, name) = (&service["spec"]["clusterIP"], &service["metadata"]["name"]);
        let (address, name) = (text(address), text(name));
        format!("{address} {name}.{OURS}.svc {name}.{OURS} {name}\n")
    };
    let services = services(api).await.unwrap_or_default();
    let lines: Vec<String> = services.iter().map(line).collect();
    "127.0.0.1 localhost\n".to_owned() + &lines.concat()
}

async fn services(api: &Api) -> kube::Result<Vec<Value>> {
    let found = api
        .get(&format!("/api/v1/namespaces/{OURS}/services"))
        .await?;
    Ok(list(&found["items"]).to_vec())
}

/// One port of a Service.
struct Port {
    service: String,
    address: Ipv4Addr,
    number: u16,
    name: Value,
}

// === impl Port ===

impl Port {
    /// Those of a Service; none where it has no address.
    fn all_of(service: &Value) -> Vec<Self> {
        let Ok(address) = text(&service["spec"]["clusterIP"]).parse() else {
            return Vec::new();
        };
        let port = |port: &Value| Self {
            service: text(&service["metadata"]["name"]).to_owned(),
            address,
            number: u16::try_from(port["port"].as_u64().unwrap()).unwrap(),
            name: port["name"].clone(),
        };
        list(&service["spec"]["ports"]).iter().map(port).collect()
    }

    fn at(&self) -> (Ipv4Addr, u16) {
        (self.address, self.number)
    }

    async fn listen(self, api: Api) {
        let address = format!("{}/32", self.address);
        // There already, for another port of the same Service.
        let _there = Command::new("ip")
            .args(["addr", "add", &address, "dev", BRIDGE])
            .output();
        let listener = TcpListener::bind(self.at()).await.unwrap();
        let (port, next) = (Arc::new(self), Arc::new(AtomicUsize::new(0)));
        while let Ok((mut caller, _)) = listener.accept().await {
            let (api, port, next) = (api.clone(), Arc::clone(&port), Arc::clone(&next));
            tokio::spawn(async move {
                let endpoints = port.endpoints(&api).await;
                let turn = next.fetch_add(1, Ordering::Relaxed);
                // Without an endpoint the connection is closed.
                if let Some(endpoint) = endpoints.get(turn % endpoints.len().max(1))
                    && let Ok(mut endpoint) = TcpStream::connect(endpoint).await
                {
                    let _ended = tokio::io::copy_bidirectional(&mut caller, &mut endpoint).await;
                }
            });
        }
    }

    /// The endpoints that are ready.
    async fn endpoints(&self, api: &Api) -> Vec<SocketAddr> {
        let path = format!(
            "/apis/discovery.k8s.io/v1/namespaces/{OURS}/endpointslices?labelSelector=kubernetes.io/service-name={}",
            self.service
        );
        let slices = api.get(&path).await.unwrap_or_default();
        let mut endpoints = Vec::new();
        for slice in list(&slices["items"]) {
            // A port without a name is written as an empty one.
            let mut ports = list(&slice["ports"]).iter();
            let named = ports.find(|port| text(&port["name"]) == text(&self.name));
            let Some(number) = named.and_then(|port| port["port"].as_u64()) else {
                continue;
            };
            for endpoint in list(&slice["endpoints"]) {
                if endpoint["conditions"]["ready"] == true {
                    let address: Ipv4Addr = text(&endpoint["addresses"][0]).parse().unwrap();
                    let number = u16::try_from(number).unwrap();
                    endpoints.push(SocketAddr::from((address, number)));
                }
            }
        }
        endpoints
    }
}
