//! Nobody is there to judge: what changes nothing that runs goes on, and nothing new runs.

use libtest_mimic::Trial;
use serde_json::json;

use super::workloads::deploy;
use super::{denied, trial};
use crate::cluster::{self, Cluster, RELEASE};
use crate::kubelet::OURS;

pub(super) fn trials() -> Vec<Trial> {
    vec![trial(
        "absence: at 0 replicas nothing new runs, and nothing else stands still",
        nobody_is_there,
    )]
}

fn nobody_is_there() {
    let cluster = cluster::installed();
    let (namespace, images) = ("absence", cluster.images());
    cluster.covered(namespace);
    deploy(cluster, namespace, &images.signed.by_digest, 2);
    let finalizers = r#"{"metadata":{"finalizers":["example.com/wait"]}}"#;
    let pods = cluster.ok(&["-n", namespace, "get", "pods", "-o", "name"]);
    let pod = pods.lines().next().unwrap();
    cluster.ok(&["-n", namespace, "patch", pod, "-p", finalizers]);
    cluster.ok(&["-n", namespace, "patch", "deployment/app", "-p", finalizers]);

    scale_us(cluster, 0);

    // Whoever is there already may be told things, scaled down, and let go.
    cluster.ok(&["-n", namespace, "label", pod, "team=shop"]);
    cluster.ok(&["-n", namespace, "annotate", "deployment/app", "note=hello"]);
    cluster.ok(&["-n", namespace, "scale", "deployment/app", "--replicas=1"]);
    cluster.ok(&[
        "-n",
        namespace,
        "patch",
        "deployment/app",
        "-p",
        r#"{"spec":{"replicas":1}}"#,
    ]);
    cluster.ok(&["-n", namespace, "delete", pod, "--wait=false"]);
    let none = r#"{"metadata":{"finalizers":null}}"#;
    cluster.ok(&["-n", namespace, "patch", pod, "-p", none]);
    cluster.until("the Pod is gone", || {
        !cluster
            .kubectl(&["-n", namespace, "get", pod])
            .status
            .success()
    });
    cluster.ok(&["-n", namespace, "delete", "deployment/app", "--wait=false"]);
    cluster.ok(&["-n", namespace, "patch", "deployment/app", "-p", none]);

    // Nothing new, signed or not.
    for image in [&images.signed, &images.unsigned] {
        let said = cluster.try_to_run(namespace, &image.by_digest);
        assert!(!said.status.success(), "{}", said.stdout);
        let expected = "failed calling webhook \"policy.sigstore.dev\"";
        assert!(said.stderr.contains(expected), "{}", said.stderr);
    }

    // Policies are stored unseen, and seen through as soon as somebody is there.
    let broken = json!({
        "apiVersion": "policy.sigstore.dev/v1beta1",
        "kind": "ClusterImagePolicy",
        "metadata": {"name": "unseen"},
        "spec": {
            "images": [{"glob": format!("{}/unseen/**", cluster.stage().host())}],
            "authorities": [{"key": {"data": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"}}],
        },
    });
    cluster.must(cluster.apply(&broken));
    scale_us(cluster, 2);
    cluster.ok(&[
        "wait",
        "cip/unseen",
        "--for=condition=Ready=false",
        "--timeout=30s",
    ]);
    let table = cluster.ok(&["get", "cip", "unseen"]);
    assert!(table.contains("False"), "{table}");
    let said = cluster.try_to_run(namespace, &images.unsigned.by_digest);
    denied(&said, "no signatures found");
    cluster.must(cluster.try_to_run(namespace, &images.signed.by_digest));
    cluster.ok(&["delete", "cip", "unseen"]);
}

/// Scales our own Deployment, and waits until all are there, or none.
pub(super) fn scale_us(cluster: &Cluster, replicas: u64) {
    let option = format!("--replicas={replicas}");
    let name = format!("deployment/{RELEASE}");
    cluster.ok(&["-n", OURS, "scale", &name, &option]);
    cluster.until(&format!("there are {replicas} of us"), || {
        let deployment = cluster.get(&["-n", OURS, &name]);
        let pods = our_pods(cluster);
        let ready = deployment["status"]["readyReplicas"].as_u64().unwrap_or(0);
        ready == replicas && u64::try_from(pods.len()).unwrap() == replicas
    });
}

/// The names of the Pods that judge, as kubectl takes them.
pub(super) fn our_pods(cluster: &Cluster) -> Vec<String> {
    let selector = "app.kubernetes.io/component=admission-webhook";
    let pods = cluster.ok(&["-n", OURS, "get", "pods", "-l", selector, "-o", "name"]);
    pods.lines().map(str::to_owned).collect()
}
