//! Pods that are judged and not run: bound, said to run, and removed when they are deleted.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Node, list, now, text};

/// Does what is to be done next.
pub(super) async fn look(node: Arc<Node>, pod: Arc<Value>) {
    if pod["metadata"]["deletionTimestamp"].is_string() {
        node.remove(&pod).await;
    } else if text(&pod["spec"]["nodeName"]).is_empty() {
        node.bind(&pod).await;
    } else if text(&pod["status"]["phase"]) != "Running" || has_news(&pod) {
        node.write_status(&pod, &running(&pod)).await;
    }
}

/// Whether containers were added that are not said to run.
fn has_news(pod: &Value) -> bool {
    let told = list(&pod["status"]["ephemeralContainerStatuses"]).len();
    list(&pod["spec"]["ephemeralContainers"]).len() > told
}

fn running(pod: &Value) -> Value {
    let now = now();
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": now});
    let statuses = |field: &str| -> Vec<Value> {
        let state = |container: &Value| {
            json!({
                "name": container["name"],
                "image": container["image"],
                "imageID": container["image"],
                "ready": true,
                "started": true,
                "restartCount": 0,
                "state": {"running": {"startedAt": now}},
            })
        };
        list(&pod["spec"][field]).iter().map(state).collect()
    };
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(condition);
    json!({
        "phase": "Running",
        "startTime": now,
        "conditions": conditions,
        "containerStatuses": statuses("containers"),
        "ephemeralContainerStatuses": statuses("ephemeralContainers"),
    })
}
