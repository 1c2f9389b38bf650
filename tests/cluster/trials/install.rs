//! The chart as it is installed by Helm: reached through its Service, and with no more rights than it needs.

use libtest_mimic::Trial;

use super::{denied, trial};
use crate::cluster::{self, RELEASE};
use crate::kubelet::OURS;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "install: the API server takes what every ci/*.yaml renders",
            renders_what_is_taken,
        ),
        trial(
            "install: two replicas are ready and published",
            is_published,
        ),
        trial(
            "install: kubectl prints who denied what and why",
            prints_denials,
        ),
        trial(
            "install: signatures by key and bundles are admitted",
            admits_evidence,
        ),
        trial(
            "install: a pod runs at the digest that was judged",
            pins_tags,
        ),
        trial(
            "install: other namespaces are not covered",
            leaves_others_alone,
        ),
        trial(
            "install: the service account may not list secrets",
            has_few_rights,
        ),
        trial("install: helm test passes", passes_helm_test),
    ]
}

/// Kinds of others, which are not in this cluster.
const ELSEWHERE: [&str; 3] = ["\"Certificate\"", "\"Issuer\"", "\"ServiceMonitor\""];

fn renders_what_is_taken() {
    let cluster = cluster::bare();
    let _there = cluster.kubectl(&["create", "namespace", OURS]);
    let mut seen = 0;
    for file in std::fs::read_dir(cluster::chart().join("ci")).unwrap() {
        let values = file.unwrap().path();
        let chart = cluster::chart();
        let rendered = cluster.helm(&[
            "template",
            RELEASE,
            chart.to_str().unwrap(),
            "--values",
            values.to_str().unwrap(),
        ]);
        let rendered = cluster.must(rendered).stdout;
        let manifest = cluster.folder().join("rendered.yaml");
        std::fs::write(&manifest, rendered).unwrap();
        let manifest = manifest.to_str().unwrap();
        let said = cluster.kubectl(&["apply", "--dry-run=server", "-n", OURS, "-f", manifest]);
        let refused: Vec<&str> = said
            .stderr
            .lines()
            .filter(|line| !line.starts_with("Warning: "))
            .filter(|line| !ELSEWHERE.iter().any(|kind| line.contains(kind)))
            .filter(|line| !line.contains("ensure CRDs are installed first"))
            .collect();
        assert!(
            refused.is_empty(),
            "{}: {}",
            values.display(),
            refused.join("\n")
        );
        assert!(said.stdout.contains("deployment.apps/"), "{}", said.stdout);
        seen += 1;
    }
    assert!(seen > 3, "only {seen} files");
}

fn is_published() {
    let cluster = cluster::installed();
    let deployment = cluster.get(&["-n", OURS, "deployment", RELEASE]);
    assert_eq!(deployment["status"]["readyReplicas"], 2, "{deployment:#}");
    for kind in [
        "validatingwebhookconfiguration",
        "mutatingwebhookconfiguration",
    ] {
        let configuration = cluster.get(&[kind, RELEASE]);
        let webhooks = configuration["webhooks"].as_array().unwrap();
        assert_eq!(webhooks.len(), 1, "{configuration:#}");
        assert_eq!(webhooks[0]["name"], "policy.sigstore.dev");
        let bundle = &webhooks[0]["clientConfig"]["caBundle"];
        assert!(bundle.is_string(), "no caBundle in {configuration:#}");
    }
}

fn prints_denials() {
    let cluster = cluster::installed();
    let images = cluster.images();
    let said = cluster.try_to_run("default", &images.unsigned.by_digest);
    let expected = "Error from server (Forbidden): admission webhook \"policy.sigstore.dev\" denied the request: validation failed: failed policy: release: spec.containers[0].image\n";
    assert!(said.stderr.starts_with(expected), "{}", said.stderr);
    denied(&said, "no signatures found");
    assert!(said.stderr.contains("\n  next "), "{}", said.stderr);

    let said = cluster.try_to_run("default", &images.stranger.by_digest);
    denied(&said, "no matching signatures");

    let elsewhere = "registry.example/other/image@sha256:0000000000000000000000000000000000000000000000000000000000000000";
    let said = cluster.try_to_run("default", elsewhere);
    denied(&said, "no matching policies");
}

fn admits_evidence() {
    let cluster = cluster::installed();
    let images = cluster.images();
    for image in [&images.signed, &images.bundled] {
        let said = cluster.must(cluster.try_to_run("default", &image.by_digest));
        assert_eq!(said.stdout, "pod/try created (server dry run)\n");
        assert_eq!(said.stderr, "");
    }
}

fn pins_tags() {
    let cluster = cluster::installed();
    let namespace = "pins";
    cluster.covered(namespace);
    let image = &cluster.images().signed;
    let option = format!("--image={}", image.by_tag);
    cluster.ok(&["-n", namespace, "run", "app", &option]);
    let written = cluster.get(&["-n", namespace, "pod", "app"]);
    let digest = image.by_digest.split_once('@').unwrap().1;
    let pinned = format!("{}@{digest}", image.by_tag);
    assert_eq!(written["spec"]["containers"][0]["image"], pinned);
    let said = cluster.try_to_run("default", &cluster.images().unsigned.by_tag);
    denied(&said, "no signatures found");
}

fn leaves_others_alone() {
    let cluster = cluster::installed();
    cluster.ok(&["create", "namespace", "uncovered"]);
    cluster.until("the service account is there", || {
        let image = &cluster.images().unsigned.by_tag;
        cluster.try_to_run("uncovered", image).status.success()
    });
}

fn has_few_rights() {
    let cluster = cluster::installed();
    let account = format!("--as=system:serviceaccount:{OURS}:{RELEASE}");
    let may = |arguments: &[&str]| {
        let asked = [&["auth", "can-i"][..], arguments, &[account.as_str()]].concat();
        let said = cluster.kubectl(&asked);
        assert_eq!(
            said.status.success(),
            said.stdout == "yes\n",
            "{}",
            said.stderr
        );
        said.status.success()
    };
    let own = format!("validatingwebhookconfigurations/{RELEASE}");
    for never in [
        &["list", "secrets", "-A"][..],
        &["watch", "secrets", "-A"],
        &["create", "pods", "-n", OURS],
        &["update", "customresourcedefinitions"],
        &["delete", "clusterimagepolicies"],
        &["update", "configmaps", "-n", OURS],
        &["update", "validatingwebhookconfigurations/other"],
        &["delete", own.as_str()],
        &["update", "secrets/other", "-n", OURS],
        &["escalate", "clusterroles"],
    ] {
        assert!(!may(never), "may {never:?}");
    }
    for needed in [
        &["get", "secrets", "-n", "default"][..],
        &["get", "serviceaccounts", "-n", "default"],
        &["watch", "clusterimagepolicies"],
        &["watch", "secrets", "-n", OURS],
        &["patch", "clusterimagepolicies", "--subresource=status"],
    ] {
        assert!(may(needed), "may not {needed:?}");
    }
}

fn passes_helm_test() {
    let cluster = cluster::installed();
    let said = cluster.must(cluster.helm(&["test", RELEASE, "--timeout", "60s"]));
    assert!(said.stdout.contains("STATUS: deployed"), "{}", said.stdout);
}
