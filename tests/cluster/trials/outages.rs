//! What we stand on goes away and comes back: the API server, our rights, our certificate, what was published.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::Value;

use super::changes::{bundles, loaded, make_certificate_anew};
use super::{denied, trial};
use crate::cluster::{self, Cluster, RELEASE};
use crate::kubelet::OURS;

/// How soon what was reset must be as it was, with what kubectl takes to see it.
const REPAIRED: Duration = Duration::from_secs(3);

/// What the API server takes for a caBundle, with nothing in it.
const NOTHING: &str = "Cg==";

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "outages: a caBundle that somebody resets is back at once",
            repairs_bundles,
        ),
        trial(
            "outages: without the Secret of the certificate no call fails",
            loses_its_secret,
        ),
        trial(
            "outages: without rights what was known stays in force",
            loses_its_rights,
        ),
        trial(
            "outages: kill -9 of the API server, and back",
            loses_the_api_server,
        ),
    ]
}

fn repairs_bundles() {
    let cluster = cluster::installed();
    let patch = format!(
        r#"[{{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": "{NOTHING}"}}]"#
    );
    for (index, kind) in [
        "validatingwebhookconfiguration",
        "mutatingwebhookconfiguration",
    ]
    .into_iter()
    .enumerate()
    {
        cluster.ok(&["patch", kind, RELEASE, "--type=json", "-p", &patch]);
        let since = Instant::now();
        cluster.until("it is written again", || bundles(cluster)[index] != NOTHING);
        assert!(since.elapsed() < REPAIRED, "{kind}: {:?}", since.elapsed());
    }
    let image = &cluster.images().signed.by_digest;
    cluster.until("the API server trusts it", || {
        cluster.try_to_run("default", image).status.success()
    });
}

fn loses_its_secret() {
    let cluster = cluster::installed();
    let load = loaded(cluster, "secrets");
    make_certificate_anew(cluster);
    load.end(cluster, 1_000, "the Secret deleted");
}

fn loses_its_rights() {
    let cluster = cluster::installed();
    let images = cluster.images();
    let before = readiness(cluster);
    let mut binding = cluster.get(&["clusterrolebinding", RELEASE]);
    let kept = ["name", "labels", "annotations"];
    let metadata = binding["metadata"].as_object_mut().unwrap();
    metadata.retain(|key, _| kept.contains(&key.as_str()));
    cluster.ok(&["delete", "clusterrolebinding", RELEASE]);
    // A watch that is open goes on until the API server ends it.
    cluster.plane().kill_api_server();
    cluster.plane().start_api_server();
    let stranger = std::fs::read_to_string(cluster.stage().path("stranger.pub")).unwrap();
    cluster.must(cluster.apply(&cluster.policy("unread", "t/signed*", &stranger)));
    std::thread::sleep(Duration::from_secs(5));
    let [signed, unsigned] = [&images.signed, &images.unsigned]
        .map(|image| cluster.try_to_run("default", &image.by_digest));
    let meanwhile = readiness(cluster);
    // Before anything is asserted, for the trials that come.
    cluster.must(cluster.create(&binding));

    // What cannot be read does not count, and nobody makes believe it does.
    cluster.must(signed);
    // Pull secrets cannot be read either, so nothing is said about what they might have shown.
    denied(&unsigned, "failed policy: release");
    assert_eq!(meanwhile, before);
    cluster.until("the policy that was not read counts", || {
        let said = cluster.try_to_run("default", &images.signed.by_digest);
        said.stderr.contains("failed policy: unread")
    });
    cluster.ok(&["delete", "cip", "unread"]);
    cluster.until("it is gone again", || {
        cluster
            .try_to_run("default", &images.signed.by_digest)
            .status
            .success()
    });
    cluster.until("it knows again what is not signed", || {
        let said = cluster.try_to_run("default", &images.unsigned.by_digest);
        said.stderr.contains("no signatures found")
    });
}

fn loses_the_api_server() {
    let cluster = cluster::installed();
    let images = cluster.images();
    let before = readiness(cluster);
    cluster.plane().kill_api_server();
    std::thread::sleep(Duration::from_secs(10));
    cluster.plane().start_api_server();
    denied(
        &cluster.try_to_run("default", &images.unsigned.by_digest),
        "no signatures found",
    );
    cluster.must(cluster.try_to_run("default", &images.signed.by_digest));
    assert_eq!(readiness(cluster), before);

    // It reads on: also what is new.
    let stranger = std::fs::read_to_string(cluster.stage().path("stranger.pub")).unwrap();
    cluster.must(cluster.apply(&cluster.policy("afterwards", "t/signed*", &stranger)));
    cluster.until("a new policy counts", || {
        let said = cluster.try_to_run("default", &images.signed.by_digest);
        said.stderr.contains("failed policy: afterwards")
    });
    cluster.ok(&["delete", "cip", "afterwards"]);
    cluster.until("it is gone again", || {
        cluster
            .try_to_run("default", &images.signed.by_digest)
            .status
            .success()
    });
}

/// Our Pods, since when each is ready, and how often its program was started again.
fn readiness(cluster: &Cluster) -> Vec<Value> {
    let selector = "app.kubernetes.io/component=admission-webhook";
    let pods = cluster.get(&["-n", OURS, "pods", "-l", selector]);
    let pods = pods["items"].as_array().unwrap().iter();
    let state = |pod: &Value| {
        let conditions = pod["status"]["conditions"].as_array().unwrap().iter();
        let ready: Vec<&Value> = conditions
            .filter(|condition| condition["type"] == "Ready")
            .collect();
        let restarts = &pod["status"]["containerStatuses"][0]["restartCount"];
        serde_json::json!([pod["metadata"]["name"], ready, restarts])
    };
    pods.map(state).collect()
}
