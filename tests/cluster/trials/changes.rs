//! Whatever happens to us while the cluster works, again and again: none of ten thousand calls fails.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::Value;

use super::absence::our_pods;
use super::trial;
use crate::cluster::{self, Cluster, RELEASE};
use crate::kubelet::OURS;
use crate::load::Load;

/// So many calls at least, while it goes on happening.
const CALLS: usize = 10_000;
/// The same for what happens once.
const ONCE: usize = 2_500;
/// How long rotations of the certificate are watched, at least.
const ROTATIONS: Duration = Duration::from_secs(45);

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("changes: a rolling restart fails no call", restarts),
        trial("changes: helm upgrade and rollback fail no call", upgrades),
        trial(
            "changes: certificates that rotate every few seconds fail no call",
            rotates,
        ),
        trial(
            "changes: a replica that is deleted is passed over",
            loses_a_replica,
        ),
    ]
}

fn restarts() {
    let cluster = cluster::installed();
    let load = loaded(cluster, "restarts");
    let before = cluster.kubelet().ended().len();
    let name = format!("deployment/{RELEASE}");
    let mut restarts = 0;
    while load.calls() < CALLS {
        cluster.ok(&["-n", OURS, "rollout", "restart", &name]);
        rolled_out(cluster);
        restarts += 1;
        cluster.until("the old ones have ended", || {
            cluster.kubelet().ended().len() >= before + 2 * restarts
        });
    }
    load.end(cluster, CALLS, &format!("{restarts} restarts"));
    for ended in &cluster.kubelet().ended()[before..] {
        // It goes on for --stop-delay, and has 35 seconds more of grace.
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.took < Duration::from_secs(30), "{ended:?}");
    }
}

fn upgrades() {
    let cluster = cluster::installed();
    let load = loaded(cluster, "upgrades");
    let mut upgrades = 0;
    while load.calls() < CALLS {
        upgrade_and_back(cluster);
        upgrades += 1;
    }
    load.end(
        cluster,
        CALLS,
        &format!("{upgrades} upgrades and rollbacks"),
    );
}

fn upgrade_and_back(cluster: &Cluster) {
    let footer = "denialFooter=ask in #platform";
    cluster.must(cluster.helm_chart("upgrade", &["--set", footer]));
    let said = cluster.try_to_run("default", &cluster.images().unsigned.by_digest);
    assert!(said.stderr.contains("ask in #platform"), "{}", said.stderr);
    let bundles = bundles(cluster);
    cluster.must(cluster.helm(&["rollback", RELEASE, "--wait", "--timeout", "100s"]));
    rolled_out(cluster);
    let said = cluster.try_to_run("default", &cluster.images().unsigned.by_digest);
    assert!(!said.stderr.contains("#platform"), "{}", said.stderr);
    assert_eq!(
        self::bundles(cluster),
        bundles,
        "Helm leaves caBundle alone"
    );
}

fn loses_a_replica() {
    let cluster = cluster::installed();
    let pod = &our_pods(cluster)[0];
    let load = loaded(cluster, "deletes");
    cluster.ok(&["-n", OURS, "delete", pod, "--wait=false"]);
    rolled_out(cluster);
    load.end(cluster, ONCE, "a replica deleted");
}

/// A load that has begun in a namespace of its own.
pub(super) fn loaded(cluster: &Cluster, namespace: &str) -> Load {
    cluster.covered(namespace);
    let load = Load::begin(cluster, namespace);
    cluster.until("the load is on", || load.calls() > 100);
    load
}

pub(super) fn rolled_out(cluster: &Cluster) {
    let name = format!("deployment/{RELEASE}");
    cluster.ok(&["-n", OURS, "rollout", "status", &name, "--timeout=90s"]);
}

/// The configurations of our webhooks: kind and name.
pub(super) fn configurations() -> [(&'static str, String); 3] {
    let (images, policies) = (RELEASE.to_owned(), format!("{RELEASE}-policies"));
    [
        ("validatingwebhookconfiguration", images.clone()),
        ("mutatingwebhookconfiguration", images),
        ("validatingwebhookconfiguration", policies),
    ]
}

/// What the API server trusts in each of our webhooks.
pub(super) fn bundles(cluster: &Cluster) -> Vec<Value> {
    let bundle = |(kind, name): (&str, String)| {
        cluster.get(&[kind, &name])["webhooks"][0]["clientConfig"]["caBundle"].clone()
    };
    configurations().map(bundle).to_vec()
}

fn rotates() {
    let cluster = cluster::installed();
    let lifetimes =
        "extraArgs={--tls-lifetime=15,--tls-authority-lifetime=30,--tls-grace=3,--tls-overlap=6}";
    cluster.must(cluster.helm_chart("upgrade", &["--set", lifetimes]));
    let load = loaded(cluster, "rotates");
    // What is there lives as long as it was made for.
    make_certificate_anew(cluster);
    let mut seen: Vec<Vec<Value>> = Vec::new();
    let until = Instant::now() + ROTATIONS;
    while Instant::now() < until || load.calls() < CALLS {
        let now = bundles(cluster);
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    cluster.must(cluster.helm_chart("upgrade", &["--set", "extraArgs=null"]));
    make_certificate_anew(cluster);
    load.end(
        cluster,
        CALLS,
        &format!("{} changes of caBundle", seen.len() - 1),
    );
    // A certificate every ten seconds, an authority every twenty: one comes, and then another goes.
    assert!(seen.len() > 3, "caBundle changed {} times", seen.len());
}

/// Loses the Secret of the certificate, and waits until there is one again: another, or what replicas remember of it.
pub(super) fn make_certificate_anew(cluster: &Cluster) {
    let secret = format!("{RELEASE}-tls");
    cluster.ok(&["-n", OURS, "delete", "secret", &secret]);
    cluster.until("the certificate is there again", || {
        let secret = ["-n", OURS, "get", "secret", &secret];
        cluster.kubectl(&secret).status.success()
    });
}
