//! The stand-in for the kubelet itself, before anything is tried with it.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::trial;
use crate::cluster;
use crate::kubelet::OURS;

pub(super) fn trials() -> Vec<Trial> {
    let name = "stand-in: a deployment becomes pods as it asks for, and they end in their grace";
    vec![trial(name, runs_a_deployment)]
}

fn runs_a_deployment() {
    let cluster = cluster::bare();
    let before = cluster.kubelet().ended().len();
    // Helm makes it otherwise; it is there when this trial runs late.
    let _there = cluster.kubectl(&["create", "namespace", OURS]);
    let policies = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "files", "namespace": OURS},
        "data": {"policy.json": cluster.release_policy().to_string()},
    });
    cluster.must(cluster.apply(&policies));
    cluster.must(cluster.apply(&deployment()));
    let status = [
        "-n",
        OURS,
        "rollout",
        "status",
        "deployment/files",
        "--timeout=40s",
    ];
    cluster.ok(&status);
    let pods = cluster.get(&["-n", OURS, "pods", "-l", "app=files"]);
    let field = |pod: &Value, path: &str| pod.pointer(path).unwrap().as_str().unwrap().to_owned();
    let pods = pods["items"].as_array().unwrap();
    let addresses: Vec<String> = pods.iter().map(|pod| field(pod, "/status/podIP")).collect();
    assert_eq!(addresses.len(), 2);
    assert_ne!(addresses[0], addresses[1]);
    let slice = cluster.get(&[
        "-n",
        OURS,
        "endpointslices",
        "-l",
        "kubernetes.io/service-name=files",
    ]);
    let endpoints = slice["items"][0]["endpoints"].as_array().unwrap();
    assert_eq!(endpoints.len(), 2, "{slice:#}");
    for pod in pods {
        let name = field(pod, "/metadata/name");
        let log = cluster
            .folder()
            .join("pods")
            .join(&name)
            .join("vouchsafe.log");
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.contains("\"policies\":1"), "{log}");
    }

    cluster.ok(&[
        "-n",
        OURS,
        "delete",
        "deployment,service,configmap",
        "files",
    ]);
    cluster.until("both have ended", || {
        cluster.kubelet().ended().len() == before + 2
    });
    for ended in &cluster.kubelet().ended()[before..] {
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.pod.starts_with("files-"), "{ended:?}");
        let grace = Duration::from_secs(1)..Duration::from_secs(10);
        assert!(grace.contains(&ended.took), "{ended:?}");
    }
}

/// Two replicas that read their policies from a ConfigMap, behind a Service.
fn deployment() -> Value {
    let labels = json!({"app": "files"});
    let container = json!({
        "name": "vouchsafe",
        "image": "vouchsafe",
        "args": ["serve", "--policies=$(FOLDER)", "--stop-delay=1"],
        "env": [{"name": "FOLDER", "value": "/policies"}],
        "ports": [{"name": "admin", "containerPort": 9090}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "admin"}, "periodSeconds": 1},
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "admin"}},
        "securityContext": {"readOnlyRootFilesystem": true},
        "volumeMounts": [{"name": "policies", "mountPath": "/policies", "readOnly": true}],
    });
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "files", "namespace": OURS},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [container],
                    "volumes": [{"name": "policies", "configMap": {"name": "files"}}],
                },
            },
        },
    });
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "files", "namespace": OURS},
        "spec": {"selector": labels, "ports": [{"port": 443, "targetPort": 8443}]},
    });
    json!({"apiVersion": "v1", "kind": "List", "metadata": {"name": "files"}, "items": [deployment, service]})
}
