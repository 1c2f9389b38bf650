//! One Pod of ours, from its binding to its end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::sleep;

use super::container::{Board, Container, End};
use super::sandbox::{PROGRAM, Sandbox};
use super::volumes::Volumes;
use super::{Ended, Newest, Node, list, name_of, now, services, spec, text};
use crate::network::PodNetwork;

/// How often what volumes refer to is read again.
const FOLLOW: Duration = Duration::from_secs(1);
/// How long until something that is not there is looked for again.
const MISSING: Duration = Duration::from_millis(500);

/// A Pod that is run.
struct Life {
    node: Arc<Node>,
    pod: Value,
    folder: PathBuf,
    network: PodNetwork,
    began: String,
    stop: watch::Receiver<Option<Duration>>,
}

/// Lives a Pod: runs it, tells how it is, and removes it when it was deleted and has ended.
pub(super) async fn live(node: Arc<Node>, newest: watch::Receiver<Newest>) {
    let Some(pod) = newest.borrow().clone() else {
        return;
    };
    if pod["metadata"]["deletionTimestamp"].is_string() {
        // It was not run here, or not by this stand-in.
        return node.remove(&pod).await;
    }
    if matches!(text(&pod["status"]["phase"]), "Succeeded" | "Failed") {
        return await_deletion(&node, newest).await;
    }
    node.bind(&pod).await;
    let (tell, stop) = watch::channel(None);
    let deleted = await_grace(newest.clone(), tell);
    let life = async {
        let life = Life::begin(Arc::clone(&node), &pod, stop).await;
        life.run().await
    };
    let for_good = tokio::select! {
        for_good = life => for_good,
        () = deleted => unreachable!("never ends"),
    };
    if for_good {
        await_deletion(&node, newest).await;
    }
}

/// A Pod that has ended is kept until somebody deletes it.
async fn await_deletion(node: &Node, mut newest: watch::Receiver<Newest>) {
    let is_deleted = |newest: &Newest| {
        let pod = newest.as_ref();
        pod.is_none_or(|pod| pod["metadata"]["deletionTimestamp"].is_string())
    };
    let Ok(newest) = newest.wait_for(is_deleted).await.map(|pod| pod.clone()) else {
        return;
    };
    if let Some(pod) = newest {
        node.remove(&pod).await;
    }
}

/// Tells the grace once the Pod is deleted, and then waits for ever.
async fn await_grace(mut newest: watch::Receiver<Newest>, tell: watch::Sender<Option<Duration>>) {
    loop {
        let grace = match newest.borrow_and_update().as_deref() {
            None => Some(Duration::ZERO),
            Some(pod) if pod["metadata"]["deletionTimestamp"].is_string() => {
                let seconds = pod["metadata"]["deletionGracePeriodSeconds"].as_u64();
                Some(Duration::from_secs(seconds.unwrap_or(0)))
            }
            Some(_) => None,
        };
        if grace.is_some() {
            tell.send_replace(grace);
            return std::future::pending().await;
        }
        if newest.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

// === impl Life ===

impl Life {
    async fn begin(node: Arc<Node>, pod: &Value, stop: watch::Receiver<Option<Duration>>) -> Self {
        let (namespace, name) = name_of(pod);
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
        let mut pod = node.api.get(&path).await.unwrap_or_else(|_| pod.clone());
        let network = tokio::task::block_in_place(|| node.network.pod());
        pod["status"]["podIP"] = json!(network.address().to_string());
        let folder = node.folder.join("pods").join(name_of(&pod).1);
        std::fs::create_dir_all(&folder).unwrap();
        Self {
            node,
            pod,
            folder,
            network,
            began: now(),
            stop,
        }
    }

    /// Whether it ended by itself, and is to be kept.
    async fn run(&self) -> bool {
        let mut volumes = Volumes::of(&self.pod, &self.folder.join("volumes"));
        let pod = self.pod.clone();
        let board = Board::of(list(&pod["spec"]["containers"]));
        let ends = tokio::select! {
            ends = self.run_containers(&mut volumes, &board) => ends,
            () = self.tell(&board) => unreachable!("never ends"),
        };
        self.finish(&board, ends).await
    }

    async fn run_containers(&self, volumes: &mut Volumes, board: &Board) -> Vec<End> {
        if !self.lay_out(volumes).await {
            return Vec::new();
        }
        let hosts = services::hosts(&self.node.api).await;
        std::fs::write(self.folder.join("hosts"), hosts).unwrap();
        let before = list(&self.pod["spec"]["initContainers"]);
        let first_board = Board::of(before);
        for (index, specification) in before.iter().enumerate() {
            loop {
                let Some(container) = self
                    .container(index, specification, &first_board, volumes)
                    .await
                else {
                    return Vec::new();
                };
                let end = container.run_once().await;
                if end.after_signal.is_some() {
                    return vec![end];
                }
                if end.code == Some(0) {
                    break;
                }
                sleep(MISSING).await;
            }
        }
        let mut containers = Vec::new();
        for (index, specification) in list(&self.pod["spec"]["containers"]).iter().enumerate() {
            let Some(container) = self.container(index, specification, board, volumes).await else {
                return Vec::new();
            };
            containers.push(container);
        }
        let always = text(&self.pod["spec"]["restartPolicy"]) == "Always";
        let running = join_all(containers.iter().map(|container| async move {
            if always {
                container.run().await
            } else {
                container.run_once().await
            }
        }));
        tokio::select! {
            ends = running => ends,
            () = self.follow(volumes) => unreachable!("never ends"),
        }
    }

    /// Lays out volumes when all is there that they refer to; `false` when the Pod was deleted before.
    async fn lay_out(&self, volumes: &mut Volumes) -> bool {
        while let Err(missing) = volumes.lay_out(&self.node.api, &self.pod).await {
            if self.is_deleted_after(&missing).await {
                return false;
            }
        }
        true
    }

    async fn container<'a>(
        &self,
        index: usize,
        specification: &'a Value,
        board: &'a Board,
        volumes: &Volumes,
    ) -> Option<Container<'a>> {
        let environment = loop {
            match spec::environment(&self.node.api, &self.pod, specification).await {
                Ok(environment) => break environment,
                Err(missing) => {
                    if self.is_deleted_after(&missing).await {
                        return None;
                    }
                }
            }
        };
        let program = (self.node.program)(text(&specification["image"]));
        let places = (self.folder.as_path(), program.as_path());
        Some(Container {
            index,
            board,
            sandbox: Sandbox::of(&self.pod, specification, &self.network, volumes, places),
            line: spec::command_line(specification, PROGRAM, &environment),
            environment,
            specification,
            address: self.network.address(),
            stop: self.stop.clone(),
        })
    }

    /// Waits for what is missing; `true` when the Pod was deleted meanwhile.
    async fn is_deleted_after(&self, missing: &str) -> bool {
        std::fs::write(self.folder.join("missing.log"), missing).unwrap();
        let mut stop = self.stop.clone();
        let stopped = stop.wait_for(Option::is_some);
        tokio::time::timeout(MISSING, stopped).await.is_ok()
    }

    /// Follows what volumes refer to, for ever. What cannot be read stays as it was.
    async fn follow(&self, volumes: &mut Volumes) {
        loop {
            sleep(FOLLOW).await;
            let _as_before = volumes.lay_out(&self.node.api, &self.pod).await;
        }
    }

    /// Tells the API server how the Pod is whenever that changes, for ever.
    async fn tell(&self, board: &Board) {
        let mut ready_since = (false, now());
        loop {
            if board.all_ready() != ready_since.0 {
                ready_since = (board.all_ready(), now());
            }
            let status = self.status("Running", board, &ready_since);
            self.node.write_status(&self.pod, &status).await;
            board.changed.notified().await;
        }
    }

    fn status(&self, phase: &str, board: &Board, (ready, since): &(bool, String)) -> Value {
        let address = self.network.address().to_string();
        let yes =
            |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": self.began});
        let ready = |kind: &str| {
            let status = if *ready { "True" } else { "False" };
            json!({"type": kind, "status": status, "lastTransitionTime": since})
        };
        json!({
            "phase": phase,
            "hostIP": crate::network::HOST.to_string(),
            "podIP": address,
            "podIPs": [{"ip": address}],
            "startTime": self.began,
            "conditions": [
                yes("PodScheduled"), yes("Initialized"), ready("ContainersReady"), ready("Ready"),
            ],
            "containerStatuses": board.statuses(),
        })
    }

    /// What is left to be done when all has ended; `true` when the Pod is kept.
    async fn finish(&self, board: &Board, ends: Vec<End>) -> bool {
        let name = name_of(&self.pod).1;
        let told = |end: &End| {
            Some(Ended {
                pod: name.to_owned(),
                code: end.code,
                took: end.after_signal?,
            })
        };
        self.node
            .ended
            .lock()
            .unwrap()
            .extend(ends.iter().filter_map(told));
        if self.stop.borrow().is_some() {
            self.node.remove(&self.pod).await;
            return false;
        }
        let good = ends.iter().all(|end| end.code == Some(0));
        let phase = if good { "Succeeded" } else { "Failed" };
        let status = self.status(phase, board, &(false, now()));
        self.node.write_status(&self.pod, &status).await;
        true
    }
}
