//! The stand-in for the kubelet itself: a Deployment of the program with files, without the chart.

use libtest_mimic::Trial;
use serde_json::json;

use super::trial;
use crate::cluster;
use crate::kubelet::OURS;

pub(super) fn trials() -> Vec<Trial> {
    vec![trial("stand-in", runs_a_deployment)]
}

fn runs_a_deployment() {
    let cluster = cluster::bare();
    cluster.ok(&["create", "namespace", OURS]);
    let policy = cluster.release_policy().to_string();
    let policies = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "policies", "namespace": OURS}, "data": {"p.json": policy}});
    cluster.must(cluster.apply(&policies));
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "files", "namespace": OURS},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "files"}}, "template": {
            "metadata": {"labels": {"app": "files"}},
            "spec": {
                "containers": [{
                    "name": "vouchsafe", "image": "vouchsafe",
                    "args": ["serve", "--policies=/policies", "--stop-delay=1"],
                    "env": [{"name": "A", "value": "b"}],
                    "ports": [{"name": "admin", "containerPort": 9090}],
                    "readinessProbe": {"httpGet": {"path": "/readyz", "port": "admin"}, "periodSeconds": 1},
                    "livenessProbe": {"httpGet": {"path": "/healthz", "port": "admin"}},
                    "securityContext": {"readOnlyRootFilesystem": true},
                    "volumeMounts": [{"name": "policies", "mountPath": "/policies", "readOnly": true}],
                }],
                "volumes": [{"name": "policies", "configMap": {"name": "policies"}}],
            },
        }},
    });
    cluster.must(cluster.apply(&deployment));
    cluster.must(cluster.kubectl(&[
        "-n",
        OURS,
        "rollout",
        "status",
        "deployment/files",
        "--timeout=40s",
    ]));
    println!("{}", cluster.ok(&["-n", OURS, "get", "pods", "-o", "wide"]));
    cluster.ok(&["-n", OURS, "delete", "deployment", "files"]);
    cluster.until("both have ended", || cluster.kubelet().ended().len() == 2);
    println!("{:?}", cluster.kubelet().ended());
    println!("{}", cluster.state());
}
