//! Whatever makes Pods, and what changes them.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::{denied, trial};
use crate::cluster::{self, Cluster};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "deployment: an unsigned one is denied by kubectl's own words",
            denies_deployments,
        ),
        trial(
            "deployment: the event of its ReplicaSet says why no pod comes",
            tells_in_events,
        ),
        trial("deployment: kubectl set image is judged", judges_set_image),
        trial(
            "deployment: scaled up it is judged, scaled down it is not",
            judges_scaling_up,
        ),
        trial(
            "cronjob: judged when it is made, and when a job is made of it",
            judges_cron_jobs,
        ),
        trial(
            "debug: the image of kubectl debug is judged and pinned",
            pins_debug_containers,
        ),
    ]
}

fn denies_deployments() {
    let cluster = cluster::installed();
    let images = cluster.images();
    cluster.covered("deployments");
    let create = |name: &str, image: &str| {
        let image = format!("--image={image}");
        cluster.kubectl(&["-n", "deployments", "create", "deployment", name, &image])
    };
    let said = create("unsigned", &images.unsigned.by_tag);
    denied(
        &said,
        "failed policy: release: spec.template.spec.containers[0].image",
    );
    assert!(
        said.stderr
            .starts_with("error: failed to create deployment: admission webhook"),
        "{}",
        said.stderr
    );

    cluster.must(create("signed", &images.signed.by_tag));
    ready(cluster, "deployments", "signed", 1);
}

fn tells_in_events() {
    let cluster = cluster::installed();
    let namespace = "events";
    cluster.ok(&["create", "namespace", namespace]);
    deploy(cluster, namespace, &cluster.images().unsigned.by_digest, 1);
    cluster.cover(namespace);
    cluster.ok(&["-n", namespace, "delete", "pod", "--all"]);

    let mut message = None;
    cluster.until("the ReplicaSet's event is there", || {
        let selected = [
            "-n",
            namespace,
            "events",
            "--field-selector",
            "reason=FailedCreate",
        ];
        let events = cluster.get(&selected);
        let first = &events["items"][0];
        assert!(first.is_null() || first["involvedObject"]["kind"] == "ReplicaSet");
        message = first["message"].as_str().map(str::to_owned);
        message.is_some()
    });
    let message = message.unwrap();
    assert!(message.contains("admission webhook \"policy.sigstore.dev\" denied the request: validation failed: failed policy: release: spec.containers[0].image"), "{message}");
    assert!(message.contains("no signatures found"), "{message}");
    assert!(message.contains("next "), "{message}");
    let pods = cluster.ok(&["-n", namespace, "get", "pods", "-o", "name"]);
    assert_eq!(pods, "");
    cluster.ok(&["-n", namespace, "delete", "deployment", "app"]);
}

fn judges_set_image() {
    let cluster = cluster::installed();
    let (namespace, images) = ("images", cluster.images());
    cluster.covered(namespace);
    deploy(cluster, namespace, &images.signed.by_tag, 1);
    let set = |image: &str| {
        let image = format!("app={image}");
        cluster.kubectl(&["-n", namespace, "set", "image", "deployment/app", &image])
    };
    denied(&set(&images.unsigned.by_tag), "no signatures found");
    cluster.must(set(&images.bundled.by_tag));
    cluster.ok(&[
        "-n",
        namespace,
        "rollout",
        "status",
        "deployment/app",
        "--timeout=30s",
    ]);
    let pods = cluster.ok(&[
        "-n",
        namespace,
        "get",
        "pods",
        "-o",
        "jsonpath={.items[*].spec.containers[0].image}",
    ]);
    assert!(pods.contains(&images.bundled.by_tag), "{pods}");
    assert!(pods.contains("@sha256:"), "{pods}");
}

fn judges_scaling_up() {
    let cluster = cluster::installed();
    let images = cluster.images();
    cluster.covered("scales");
    deploy(cluster, "scales", &images.signed.by_tag, 3);
    let scale = |namespace: &str, replicas: &str| {
        let replicas = format!("--replicas={replicas}");
        cluster.ok(&["-n", namespace, "scale", "deployment/app", &replicas])
    };
    scale("scales", "5");
    ready(cluster, "scales", "app", 5);
    scale("scales", "1");
    pods(cluster, "scales", 1);

    // What ran before its namespace was covered goes on, and does not grow.
    cluster.ok(&["create", "namespace", "grows"]);
    deploy(cluster, "grows", &images.unsigned.by_tag, 3);
    cluster.cover("grows");
    let said = cluster.kubectl(&[
        "-n",
        "grows",
        "patch",
        "deployment",
        "app",
        "-p",
        r#"{"spec":{"replicas":5}}"#,
    ]);
    denied(&said, "no signatures found");
    scale("grows", "5");
    std::thread::sleep(std::time::Duration::from_secs(2));
    pods(cluster, "grows", 3);
    scale("grows", "1");
    pods(cluster, "grows", 1);
    scale("grows", "0");
}

fn judges_cron_jobs() {
    let cluster = cluster::installed();
    let (namespace, images) = ("cron", cluster.images());
    cluster.covered(namespace);
    let create = |name: &str, image: &str| {
        let image = format!("--image={image}");
        let schedule = "--schedule=0 0 1 1 *";
        cluster.kubectl(&["-n", namespace, "create", "cronjob", name, &image, schedule])
    };
    let said = create("unsigned", &images.unsigned.by_tag);
    let place = "spec.jobTemplate.spec.template.spec.containers[0].image";
    denied(&said, &format!("failed policy: release: {place}"));
    cluster.must(create("nightly", &images.signed.by_tag));
    cluster.ok(&[
        "-n",
        namespace,
        "create",
        "job",
        "now",
        "--from=cronjob/nightly",
    ]);
    pods(cluster, namespace, 1);
    let image = cluster.ok(&[
        "-n",
        namespace,
        "get",
        "pods",
        "-o",
        "jsonpath={.items[0].spec.containers[0].image}",
    ]);
    let digest = images.signed.by_digest.split_once('@').unwrap().1;
    assert_eq!(image, format!("{}@{digest}", images.signed.by_tag));
    let unsigned = format!("--image={}", images.unsigned.by_tag);
    let said = cluster.kubectl(&["-n", namespace, "create", "job", "other", &unsigned]);
    denied(&said, "spec.template.spec.containers[0].image");
}

fn pins_debug_containers() {
    let cluster = cluster::installed();
    let (namespace, images) = ("debug", cluster.images());
    cluster.covered(namespace);
    let image = format!("--image={}", images.signed.by_digest);
    cluster.ok(&["-n", namespace, "run", "app", &image]);
    let debug = |image: &str| {
        let image = format!("--image={image}");
        cluster.kubectl(&["-n", namespace, "debug", "app", &image, "--attach=false"])
    };
    denied(
        &debug(&images.unsigned.by_tag),
        "spec.ephemeralContainers[0].image",
    );
    cluster.must(debug(&images.signed.by_tag));
    let pod = cluster.get(&["-n", namespace, "pod", "app"]);
    let added = pod["spec"]["ephemeralContainers"].as_array().unwrap();
    let digest = images.signed.by_digest.split_once('@').unwrap().1;
    assert_eq!(added.len(), 1);
    assert_eq!(
        added[0]["image"],
        format!("{}@{digest}", images.signed.by_tag)
    );
}

/// A Deployment `app` of so many replicas, until all are there.
pub(super) fn deploy(cluster: &Cluster, namespace: &str, image: &str, replicas: u64) {
    cluster.must(cluster.apply(&deployment(namespace, image, replicas)));
    ready(cluster, namespace, "app", replicas);
}

pub(super) fn deployment(namespace: &str, image: &str, replicas: u64) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "app", "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "app"}},
            "template": {
                "metadata": {"labels": {"app": "app"}},
                "spec": {"containers": [{"name": "app", "image": image}]},
            },
        },
    })
}

fn ready(cluster: &Cluster, namespace: &str, name: &str, replicas: u64) {
    cluster.until(&format!("{name} has {replicas} replicas"), || {
        let status = &cluster.get(&["-n", namespace, "deployment", name])["status"];
        status["readyReplicas"] == replicas
    });
}

fn pods(cluster: &Cluster, namespace: &str, count: usize) {
    cluster.until(&format!("{count} Pods are in {namespace}"), || {
        let pods = cluster.ok(&["-n", namespace, "get", "pods", "-o", "name"]);
        pods.lines().count() == count
    });
}
