//! The way over from sigstore/policy-controller, step by step as docs/migrate.md has it, with that program itself running before and beside
//! us: no policy is lost, what nobody signed is refused all the time, and `vouchsafe migrate check` says how far it has come.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::cluster::{self, Cluster, OTHER, RELEASE};
use crate::process::{Finished, finish};
use crate::tools;

/// How often the guard looks.
const GLANCE: Duration = Duration::from_millis(200);
const CRDS: [&str; 2] = ["clusterimagepolicies", "trustroots"];
const POLICIES: &str = "/apis/policy.sigstore.dev/v1beta1/clusterimagepolicies";

pub(super) fn trials() -> Vec<Trial> {
    let needs = [&cluster::needs()[..], &[OTHER]].concat();
    let name = "migration: no policy is lost, and what nobody signed is refused all the way";
    vec![tools::trial(name, &needs, comes_over)]
}

fn comes_over() {
    let cluster = cluster::bare();
    begin_anew(cluster);
    let chart = chart_of_the_other(cluster.folder());
    let chart = chart.to_str().unwrap();
    let wait = ["--wait", "--timeout", "100s"];
    let helm = |arguments: &[&str]| cluster.must(cluster.helm(&[arguments, &wait].concat()));

    helm(&["install", OTHER, chart, "--create-namespace"]);
    let namespace = "over";
    cluster.covered(namespace);
    cluster.until("policies are taken", || {
        cluster.apply(&cluster.release_policy()).status.success()
    });
    let second = cluster.policy("second", "t/signed*", &cluster.stage().release_key());
    cluster.must(cluster.apply(&second));
    cluster.must(cluster.apply(&attested(
        cluster,
        "cue",
        "predicateType: \"https://example.com/scan/v1\"",
    )));
    let images = cluster.images();
    cluster.until("the other one judges", || {
        let good = cluster.try_to_run(namespace, &images.signed.by_digest);
        let bad = cluster.try_to_run(namespace, &images.unsigned.by_digest);
        good.status.success() && bad.stderr.contains("no signatures found")
    });
    let before = policies(cluster);
    let guard = Guard::begin(cluster, namespace, before.len());

    // 1. What stands in the way.
    looks(cluster);
    // 2. The definitions are let go of.
    for crd in CRDS {
        let crd = format!("{crd}.policy.sigstore.dev");
        let keep = "helm.sh/resource-policy=keep";
        cluster.ok(&["annotate", "crd", &crd, keep, "--overwrite"]);
    }
    helm(&[
        "upgrade",
        OTHER,
        chart,
        "--reuse-values",
        "--set",
        "installCRDs=false",
    ]);
    // Nothing stands in the way any more.
    let said = check(cluster, 0);
    assert!(
        said.stdout.contains("CHANGES  CustomResourceDefinition "),
        "{}",
        said.stdout
    );
    assert!(said.stderr.contains("blocks: 0,"), "{}", said.stderr);
    // 3. We come in shadow.
    cluster.must(cluster.helm_chart(
        "install",
        &["--take-ownership", "--set", "enforcement=shadow"],
    ));
    cluster.must(cluster.try_to_run(namespace, &images.signed.by_digest));
    // 4. Both judge.
    cluster.must(cluster.helm_chart("upgrade", &["--set", "enforcement=enforce"]));
    cluster.until("both judge", || {
        let said = cluster.try_to_run(namespace, &images.signed.by_tag);
        said.status.success()
    });
    // 6. The other one goes.
    cluster.must(cluster.helm(&["uninstall", OTHER]));
    cluster.until("we alone judge, and admit", || {
        let said = cluster.try_to_run(namespace, &images.signed.by_digest);
        said.status.success()
    });
    let said = cluster.try_to_run(namespace, &images.unsigned.by_digest);
    super::denied(&said, "no signatures found");
    assert!(said.stderr.contains("\n  next "), "{}", said.stderr);

    guard.end(cluster);
    assert_eq!(policies(cluster), before);
    // Its finalizers would keep a policy that is deleted for ever. They go when its Leases have run out, a minute after it.
    cluster.ok(&["delete", "cip", "second", "--timeout=120s"]);
    let configurations = cluster.ok(&[
        "get",
        "validatingwebhookconfiguration,mutatingwebhookconfiguration",
        "-o",
        "name",
    ]);
    assert!(!configurations.contains("sigstore.dev"), "{configurations}");
    // 7. Nothing is left to do.
    is_done(cluster);
}

/// `migrate check` says what stands in the way, and what of it can be mended is mended.
fn looks(cluster: &Cluster) {
    let said = check(cluster, 1);
    blocks(
        &said,
        "ClusterImagePolicy attested: spec.authorities[0].attestations[0].policy",
        "it is written in CUE",
    );
    for crd in CRDS {
        let about = format!("CustomResourceDefinition {crd}.policy.sigstore.dev");
        blocks(
            &said,
            &about,
            "helm uninstall policy-controller would delete it, and every policy with it",
        );
    }
    assert!(
        said.stderr.contains("looked at: 3 ClusterImagePolicies"),
        "{}",
        said.stderr
    );
    assert!(said.stderr.contains("blocks: 3,"), "{}", said.stderr);
    // The other one reads Rego too.
    let rego = "package sigstore\nisCompliant {\n  input.predicateType == \"https://example.com/scan/v1\"\n}\n";
    cluster.must(cluster.apply(&attested(cluster, "rego", rego)));
    let said = check(cluster, 1);
    assert!(!said.stdout.contains("CUE"), "{}", said.stdout);
}

/// `migrate check` says nothing more than that the registry has no HTTPS.
fn is_done(cluster: &Cluster) {
    let said = check(cluster, 0);
    assert!(
        said.stderr.contains("looked at: 2 ClusterImagePolicies"),
        "{}",
        said.stderr
    );
    let changes = said
        .stdout
        .lines()
        .filter(|line| line.starts_with("CHANGES"));
    let others: Vec<&str> = changes
        .filter(|line| !line.ends_with(": spec.images[0].glob"))
        .collect();
    assert!(others.is_empty(), "{}", said.stdout);
    assert!(
        !said.stdout.contains("CustomResourceDefinition"),
        "{}",
        said.stdout
    );
}

/// `vouchsafe migrate check` on the cluster, which must end with this code.
fn check(cluster: &Cluster, code: i32) -> Finished {
    let mut command = cluster.stage().vouchsafe();
    command
        .args(["migrate", "check", "--kubeconfig"])
        .arg(cluster.kubeconfig());
    let said = finish(&mut command);
    assert_eq!(
        said.status.code(),
        Some(code),
        "{}{}",
        said.stdout,
        said.stderr
    );
    assert!(said.stderr.contains("unread: 0"), "{}", said.stderr);
    said
}

/// It must say that this stands in the way, and why.
fn blocks(said: &Finished, about: &str, why: &str) {
    let mut lines = said.stdout.lines();
    let head = format!("BLOCKS   {about}");
    let found = lines.any(|line| line.starts_with(&head));
    assert!(found, "no {head:?} in {}", said.stdout);
    let told = lines.next().unwrap_or_default();
    assert!(told.contains(why), "{told:?} below {head:?}");
}

/// A policy about what an attestation says, in that language.
fn attested(cluster: &Cluster, language: &str, text: &str) -> Value {
    let mut policy = cluster.policy("attested", "attested/**", &cluster.stage().release_key());
    policy["spec"]["authorities"][0]["attestations"] = json!([{
        "name": "scan",
        "predicateType": "https://example.com/scan/v1",
        "policy": {"type": language, "data": text},
    }]);
    policy
}

/// Names and identities of policies: none of them may be another one of that name.
fn policies(cluster: &Cluster) -> Vec<Value> {
    let list = cluster.get(&["cip"]);
    let policies = list["items"].as_array().unwrap().iter();
    let policies = policies.map(|policy| {
        json!([
            policy["metadata"]["name"],
            policy["metadata"]["uid"],
            policy["spec"]["images"]
        ])
    });
    policies.collect()
}

/// Removes what an earlier trial installed, with all policies.
fn begin_anew(cluster: &Cluster) {
    if cluster.helm(&["status", RELEASE]).status.success() {
        cluster.must(cluster.helm(&["uninstall", RELEASE, "--wait"]));
        for crd in CRDS {
            let crd = format!("{crd}.policy.sigstore.dev");
            cluster.ok(&["delete", "crd", &crd, "--timeout=60s"]);
        }
    }
}

/// The other's manifests as a chart of two values, in the shape of its own chart: the definitions can be left out.
fn chart_of_the_other(folder: &Path) -> PathBuf {
    let chart = folder.join(OTHER);
    let templates = chart.join("templates");
    std::fs::create_dir_all(&templates).unwrap();
    let about = json!({"apiVersion": "v2", "name": OTHER, "version": "0.1.0"});
    std::fs::write(chart.join("Chart.yaml"), about.to_string()).unwrap();
    std::fs::write(chart.join("values.yaml"), "installCRDs: true\n").unwrap();
    let config = tools::path(OTHER).canonicalize().unwrap();
    let config = config.parent().unwrap().join("config");
    for file in std::fs::read_dir(config).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let is_yaml = Path::new(&name)
            .extension()
            .is_some_and(|end| end == "yaml");
        // Helm makes the namespace.
        if !is_yaml || name == "kustomization.yaml" || name.contains("namespace") {
            continue;
        }
        let mut text = std::fs::read_to_string(file.path()).unwrap();
        if name.starts_with("300-") {
            text = format!("{{{{- if .Values.installCRDs }}}}\n{text}\n{{{{- end }}}}\n");
        }
        // There is no way to the public Sigstore, and no need to wait twenty seconds before the first probe.
        text = text.replace("args: [", "args: [\"--disable-tuf\",");
        text = text.replace("initialDelaySeconds: 20", "initialDelaySeconds: 1");
        std::fs::write(templates.join(name), text).unwrap();
    }
    chart
}

/// By somebody's judgement, or because nobody could be asked.
fn is_refusal(message: &str) -> bool {
    message.contains("denied the request") || message.contains("failed calling webhook")
}

/// Looks all the time that what nobody signed is refused, and that all policies can be read.
struct Guard {
    stop: Arc<AtomicBool>,
    looks: Arc<AtomicUsize>,
    breaches: Arc<Mutex<Vec<String>>>,
    watch: tokio::task::JoinHandle<()>,
}

// === impl Guard ===

impl Guard {
    fn begin(cluster: &Cluster, namespace: &str, count: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let looks = Arc::new(AtomicUsize::new(0));
        let breaches = Arc::new(Mutex::new(Vec::new()));
        let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"generateName": "guard-"},
            "spec": {"containers": [{"name": "app", "image": cluster.images().unsigned.by_digest}]},
        });
        let api = cluster.api().clone();
        let (stopped, looked, breached) =
            (Arc::clone(&stop), Arc::clone(&looks), Arc::clone(&breaches));
        let watch = cluster.runtime().spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                let breach = match api.post(&path, &pod).await {
                    Ok(_) => Some("admitted what nobody signed".to_owned()),
                    Err(kube::Error::Api(status)) if is_refusal(&status.message) => None,
                    Err(error) => Some(error.to_string()),
                };
                let read = match api.get(POLICIES).await {
                    Ok(list)
                        if list["items"]
                            .as_array()
                            .is_some_and(|items| items.len() == count) =>
                    {
                        None
                    }
                    Ok(list) => Some(format!("policies are lost: {list}")),
                    Err(error) => Some(format!("policies cannot be read: {error}")),
                };
                let now = jiff::Timestamp::now();
                let told = [breach, read].into_iter().flatten();
                breached
                    .lock()
                    .unwrap()
                    .extend(told.map(|breach| format!("{now} {breach}")));
                looked.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(GLANCE).await;
            }
        });
        Self {
            stop,
            looks,
            breaches,
            watch,
        }
    }

    /// Ends it. It must have looked often, and seen nothing.
    fn end(self, cluster: &Cluster) {
        self.stop.store(true, Ordering::Relaxed);
        cluster.runtime().block_on(self.watch).unwrap();
        let breaches = self.breaches.lock().unwrap();
        let told = &breaches[..breaches.len().min(5)];
        assert!(breaches.is_empty(), "{}", told.join("\n"));
        assert!(self.looks.load(Ordering::Relaxed) > 20);
    }
}
