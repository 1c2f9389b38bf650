//! A stand-in for the kubelet: what the real one does with a Pod's specification, without a container engine.
//!
//! Pods of *our* namespace are run: each gets a network of its own, a read-only root with its volumes, exactly its arguments and
//! environment, its probes, and its grace at the end. There are no images: their names only say which program is run. All other Pods are
//! only said to run: they are what is judged, not what judges.
//!
//! | file | what |
//! |---|---|
//! | `spec` | what a container's specification says: environment, arguments, probes |
//! | `volumes` | Secrets, ConfigMaps, tokens and empty folders as files, followed while the Pod runs |
//! | `sandbox` | the root, the user and the network in which a program runs |
//! | `probes` | readiness, liveness and start |
//! | `container` | one program: started, probed, started again, stopped |
//! | `services` | Services as Pods reach them: names and addresses |
//! | `pod` | one Pod from its binding to its end |
//! | `bystander` | all other Pods |

mod bystander;
mod container;
mod pod;
mod probes;
mod sandbox;
mod services;
mod spec;
mod volumes;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch_objects};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::api::Api;
use crate::network::Network;

/// The namespace whose Pods are run.
pub(crate) const OURS: &str = "cosign-system";
/// The nodes, one in each zone.
const NODES: [&str; 2] = ["node-a", "node-b"];

/// The stand-in, until it is dropped.
pub(crate) struct Kubelet {
    ended: Arc<Mutex<Vec<Ended>>>,
}

/// How a program of ours ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) pod: String,
    /// Its exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// From the signal to stop to the end.
    pub(crate) took: Duration,
}

/// What all Pods need.
struct Node {
    api: Api,
    /// For the files of Pods.
    folder: PathBuf,
    /// Which program is run for an image of that name.
    program: fn(&str) -> PathBuf,
    network: Network,
    ended: Arc<Mutex<Vec<Ended>>>,
}

/// The newest state of a Pod; `None` when it is gone from the API server.
type Newest = Option<Arc<Value>>;

// === impl Kubelet ===

impl Kubelet {
    /// Starts it: nodes, and Pods from now on.
    pub(crate) async fn start(
        api: Api,
        folder: PathBuf,
        program: fn(&str) -> PathBuf,
        network: Network,
    ) -> Self {
        for (index, name) in NODES.iter().enumerate() {
            let zone = format!("zone-{index}");
            api.post("/api/v1/nodes", &node(name, &zone)).await.unwrap();
        }
        let ended = Arc::default();
        let node = Node {
            api,
            folder,
            program,
            network,
            ended: Arc::clone(&ended),
        };
        let node = Arc::new(node);
        tokio::spawn(services::lead(Arc::clone(&node)));
        tokio::spawn(follow(node));
        Self { ended }
    }

    /// The programs of ours that were told to stop and have ended, in that order.
    pub(crate) fn ended(&self) -> Vec<Ended> {
        self.ended.lock().unwrap().clone()
    }
}

/// Follows all Pods, for ever: also over an API server that goes and comes back.
async fn follow(node: Arc<Node>) {
    let api: kube::Api<Pod> = kube::Api::all(node.api.client());
    let mut events = watch_objects(api, watcher::Config::default())
        .default_backoff()
        .boxed();
    let mut lives: HashMap<String, watch::Sender<Newest>> = HashMap::new();
    // Those of ours that a list showed, until the list is complete.
    let mut listed: Option<Vec<String>> = None;
    while let Some(event) = events.next().await {
        // What is wrong with the connection is no concern of Pods that run.
        let Ok(event) = event else { continue };
        match event {
            Event::Init => listed = Some(Vec::new()),
            Event::InitApply(pod) | Event::Apply(pod) => {
                let pod = Arc::new(serde_json::to_value(&pod).unwrap());
                let uid = text(&pod["metadata"]["uid"]).to_owned();
                if let Some(listed) = &mut listed {
                    listed.push(uid.clone());
                }
                tell(&node, &mut lives, uid, pod);
            }
            Event::Delete(pod) => {
                if let Some(life) = pod.metadata.uid.and_then(|uid| lives.remove(&uid)) {
                    life.send_replace(None);
                }
            }
            Event::InitDone => {
                let there = listed.take().unwrap_or_default();
                lives.retain(|uid, life| {
                    let stays = there.contains(uid);
                    if !stays {
                        life.send_replace(None);
                    }
                    stays
                });
            }
        }
    }
}

/// Brings the news of a Pod to whoever lives it.
fn tell(
    node: &Arc<Node>,
    lives: &mut HashMap<String, watch::Sender<Newest>>,
    uid: String,
    pod: Arc<Value>,
) {
    if text(&pod["metadata"]["namespace"]) != OURS {
        tokio::spawn(bystander::look(Arc::clone(node), pod));
        return;
    }
    if let Some(life) = lives.get(&uid) {
        life.send_replace(Some(pod));
        return;
    }
    let (sender, receiver) = watch::channel(Some(pod));
    lives.insert(uid, sender);
    tokio::spawn(pod::live(Arc::clone(node), receiver));
}

// === impl Node ===

impl Node {
    /// Binds a Pod to one of the nodes, as a scheduler does.
    async fn bind(&self, pod: &Value) {
        let (namespace, name) = name_of(pod);
        let sum: usize = name.bytes().map(usize::from).sum();
        let binding = json!({
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace},
            "target": {"apiVersion": "v1", "kind": "Node", "name": NODES[sum % NODES.len()]},
        });
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/binding");
        // Bound by an earlier look, or gone: the next news tells.
        let _conflict = self.api.post(&path, &binding).await;
    }

    /// Writes the state of a Pod. One that is gone needs none.
    async fn write_status(&self, pod: &Value, status: &Value) {
        let (namespace, name) = name_of(pod);
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/status");
        let uid = &pod["metadata"]["uid"];
        let body = json!({"metadata": {"uid": uid}, "status": status});
        for _ in 0..50 {
            match self.api.patch(&path, &body).await {
                Ok(_) => return,
                // Gone, or another one of that name.
                Err(kube::Error::Api(error)) if matches!(error.code, 404 | 409 | 422) => return,
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// Removes a Pod that has ended, for good.
    async fn remove(&self, pod: &Value) {
        let (namespace, name) = name_of(pod);
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
        let options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "gracePeriodSeconds": 0,
            "preconditions": {"uid": pod["metadata"]["uid"]},
        });
        for _ in 0..50 {
            match self.api.delete(&path, &options).await {
                Ok(_) => return,
                Err(kube::Error::Api(error)) if matches!(error.code, 404 | 409) => return,
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }
}

fn node(name: &str, zone: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "topology.kubernetes.io/zone": zone,
        }},
        "status": {
            "capacity": {"cpu": "8", "memory": "16Gi", "pods": "500"},
            "allocatable": {"cpu": "8", "memory": "16Gi", "pods": "500"},
            "conditions": [{"type": "Ready", "status": "True", "reason": "StandIn"}],
        },
    })
}

/// Namespace and name.
fn name_of(pod: &Value) -> (&str, &str) {
    let metadata = &pod["metadata"];
    (text(&metadata["namespace"]), text(&metadata["name"]))
}

/// A text, or nothing.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A list, or nothing.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Now, as Kubernetes writes it.
fn now() -> String {
    let now = jiff::Timestamp::now();
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
