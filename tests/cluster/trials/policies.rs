//! Policies as objects of the cluster: applied, refused, explained, told about, and there by the thousand.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt as _;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::{denied, trial};
use crate::cluster::{self, Cluster, POLICY};
use crate::kubelet::OURS;

/// How many policies are many.
const MANY: usize = 1_000;
/// How long many policies may take until the last of them counts.
const IN_FORCE: Duration = Duration::from_secs(30);

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("policies: a bad one is refused with why", refuses_bad_ones),
        trial(
            "policies: kubectl explain says what they are made of",
            explains,
        ),
        trial(
            "policies: kubectl get cip says whether they are ready",
            tells_readiness,
        ),
        trial(
            "policies: the Secret of a key may come later, change and go",
            follows_secrets,
        ),
        trial(
            "policies: config-policy-controller counts as soon as it is written",
            follows_settings,
        ),
        trial("policies: a thousand of them", many),
    ]
}

fn refuses_bad_ones() {
    let cluster = cluster::installed();
    let bad = cluster.policy(
        "bad",
        "bad/**",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    );
    let said = cluster.apply(&bad);
    assert!(!said.status.success(), "{}", said.stdout);
    let who = "admission webhook \"validating.clusterimagepolicy.sigstore.dev\" denied the request: validation failed: ";
    assert!(said.stderr.contains(who), "{}", said.stderr);
    assert!(
        said.stderr.contains("spec.authorities[0].key.data"),
        "{}",
        said.stderr
    );

    // What the schema says is said by the API server itself.
    let mut shapeless = cluster.policy("shapeless", "bad/**", "x");
    shapeless["spec"]["mode"] = json!("perhaps");
    let said = cluster.apply(&shapeless);
    assert!(said.stderr.contains("spec.mode"), "{}", said.stderr);
    let left = cluster.ok(&["get", "cip", "-o", "name"]);
    assert_eq!(
        left.trim(),
        format!("clusterimagepolicy.policy.sigstore.dev/{POLICY}")
    );
}

fn explains() {
    let cluster = cluster::installed();
    let said = cluster.ok(&["explain", "cip.spec"]);
    for field in ["images", "authorities", "mode", "match", "policy"] {
        let line = format!("\n  {field}\t");
        assert!(said.contains(&line), "no {field} in {said}");
    }
    assert!(
        !said.contains("<no description>") && !said.contains("<empty>"),
        "{said}"
    );
    let said = cluster.ok(&["explain", "cip.spec.authorities.keyless.identities"]);
    assert!(
        said.contains("issuer") && said.contains("subject"),
        "{said}"
    );
    let said = cluster.ok(&["explain", "trustroot.spec"]);
    assert!(said.contains("DESCRIPTION"), "{said}");
}

fn tells_readiness() {
    let cluster = cluster::installed();
    cluster.until_ready(&format!("cip/{POLICY}"));
    let table = cluster.ok(&["get", "cip", POLICY]);
    let (head, row) = table.split_once('\n').unwrap();
    // Some columns may be empty.
    let cell = |name: &str| row[head.find(name).unwrap()..].split(' ').next();
    assert_eq!(cell("READY"), Some("True"), "{table}");
    // What the policy does not say itself.
    assert_eq!(cell("MODE"), Some("enforce"), "{table}");
    let policy = cluster.get(&["cip", POLICY]);
    let (generation, observed) = (
        &policy["metadata"]["generation"],
        &policy["status"]["observedGeneration"],
    );
    assert_eq!(generation, observed, "{policy:#}");
}

fn follows_secrets() {
    let cluster = cluster::installed();
    let images = cluster.images();
    // Beside the policy of everything, which the signed image satisfies.
    let mut policy = cluster.policy("by-secret", "t/signed*", "");
    policy["spec"]["authorities"][0]["key"] =
        json!({"secretRef": {"name": "trusted-key", "namespace": OURS}});
    cluster.must(cluster.apply(&policy));
    let run = || cluster.try_to_run("default", &images.signed.by_digest);
    let is_denied = |phrase: &str| {
        let said = run();
        said.stderr.contains("failed policy: by-secret") && said.stderr.contains(phrase)
    };
    cluster.until("it is denied for want of the Secret", || {
        is_denied("trusted-key")
    });
    // Nobody else suffers.
    cluster.must(cluster.try_to_run("default", &images.bundled.by_digest));

    let secret = |key: &str| {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "trusted-key", "namespace": OURS},
            "data": {"cosign.pub": STANDARD.encode(key)},
        })
    };
    cluster.must(cluster.apply(&secret(&cluster.stage().release_key())));
    cluster.until("it is admitted by the key in the Secret", || {
        run().status.success()
    });
    let other = std::fs::read_to_string(cluster.stage().path("stranger.pub")).unwrap();
    cluster.must(cluster.apply(&secret(&other)));
    cluster.until("it is denied by another key", || {
        is_denied("no matching signatures")
    });
    cluster.ok(&["-n", OURS, "delete", "secret", "trusted-key"]);
    cluster.until("it is denied for want of the Secret again", || {
        is_denied("trusted-key")
    });
    cluster.ok(&["delete", "cip", "by-secret"]);
    cluster.until("it is admitted without that policy", || {
        run().status.success()
    });
}

fn follows_settings() {
    let cluster = cluster::installed();
    let elsewhere = "registry.example/other/image@sha256:0000000000000000000000000000000000000000000000000000000000000000";
    denied(
        &cluster.try_to_run("default", elsewhere),
        "no matching policies",
    );
    let settings = |value: &str| {
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "config-policy-controller", "namespace": OURS},
            "data": {"no-match-policy": value},
        })
    };
    cluster.must(cluster.apply(&settings("allow")));
    cluster.until("it is admitted", || {
        cluster.try_to_run("default", elsewhere).status.success()
    });
    cluster.must(cluster.apply(&settings("warn")));
    cluster.until("it is admitted with a warning", || {
        let said = cluster.try_to_run("default", elsewhere);
        said.status.success() && said.stderr.contains("Warning: ")
    });
    cluster.must(cluster.apply(&settings("deny")));
    cluster.until("it is denied", || {
        !cluster.try_to_run("default", elsewhere).status.success()
    });
    cluster.ok(&[
        "-n",
        OURS,
        "delete",
        "configmap",
        "config-policy-controller",
    ]);
}

fn many() {
    let cluster = cluster::installed();
    let images = cluster.images();
    let path = "/apis/policy.sigstore.dev/v1beta1/clusterimagepolicies";
    let policy = |number: usize| -> Value {
        let last = number == MANY - 1;
        let name = if last {
            "signed".to_owned()
        } else {
            format!("many-{number}")
        };
        let glob = format!("t/{name}*");
        let key = if last {
            stranger(cluster)
        } else {
            cluster.stage().release_key()
        };
        let mut policy = cluster.policy(&format!("many-{number}"), &glob, &key);
        policy["metadata"]["labels"] = json!({"many": "true"});
        policy
    };
    let policies: Vec<Value> = (0..MANY).map(policy).collect();
    let since = Instant::now();
    cluster.runtime().block_on(async {
        let posted = futures::stream::iter(&policies)
            .map(|policy| cluster.api().post(path, policy))
            .buffer_unordered(16);
        posted
            .for_each(|answer| async move { _ = answer.unwrap() })
            .await;
    });
    let written = Instant::now();
    let last = format!("failed policy: many-{}", MANY - 1);
    cluster.until("the last of them counts", || {
        let said = cluster.try_to_run("default", &images.signed.by_digest);
        said.stderr.contains(&last)
    });
    let counted = written.elapsed();
    cluster.must(cluster.try_to_run("default", &images.bundled.by_digest));
    cluster.ok(&["delete", "cip", "-l", "many=true", "--wait=false"]);
    cluster.until("it is admitted without them", || {
        cluster
            .try_to_run("default", &images.signed.by_digest)
            .status
            .success()
    });
    assert!(
        counted < IN_FORCE,
        "{:?} after they were written in {:?}",
        counted,
        written - since
    );
}

fn stranger(cluster: &Cluster) -> String {
    std::fs::read_to_string(cluster.stage().path("stranger.pub")).unwrap()
}
