//! What Tekton Chains wrote, recorded from it and served again: judged by the policy that ships in `policies/`.

use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use vouchsafe::demo::registry::{Registry, RunningRegistry, Store};

use super::workloads::deploy;
use super::{denied, trial};
use crate::cluster::{self, Cluster};
use crate::network::HOST;
use recorded::RecordedImage;

#[allow(
    dead_code,
    unreachable_pub,
    reason = "written for the first ring, which uses all of it"
)]
#[path = "../../support/registry/recorded.rs"]
mod recorded;

/// The builder that was recorded, and that the policy names.
const BUILDER: &str = "https://tekton.dev/chains/v2";
const ELSEWHERE: &str = "https://builder.example/elsewhere";

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "chains: what Tekton Chains signed and attested is admitted",
            admits_what_chains_built,
        ),
        trial(
            "chains: kubectl prints which builder was found and which is wanted",
            prints_the_builder,
        ),
    ]
}

fn admits_what_chains_built() {
    let cluster = cluster::installed();
    let served = Served::start(cluster);
    for policy in [served.built(), served.signed("release")] {
        cluster.must(cluster.apply(&policy));
    }
    cluster.until_ready("cip/built-by-tekton-chains");
    cluster.until_ready("cip/signed-by-tekton-chains");
    cluster.until("both are in force, and satisfied", || {
        served.run(cluster).status.success()
    });
    cluster.covered("chains");
    deploy(cluster, "chains", &served.by_tag, 1);

    // By the same words of another key it proves nothing.
    cluster.must(cluster.apply(&served.signed("stranger")));
    cluster.until("another key is asked for", || {
        !served.run(cluster).status.success()
    });
    let said = served.run(cluster);
    denied(
        &said,
        "failed policy: signed-by-tekton-chains: spec.containers[0].image",
    );
    denied(&said, "no matching signatures");
    cluster.ok(&[
        "delete",
        "cip",
        "built-by-tekton-chains",
        "signed-by-tekton-chains",
    ]);
}

fn prints_the_builder() {
    let cluster = cluster::installed();
    let served = Served::start(cluster);
    let mut policy = served.built();
    let rego = policy
        .pointer_mut("/spec/authorities/0/attestations/0/policy/data")
        .unwrap();
    let wanted = rego.as_str().unwrap().replace(BUILDER, ELSEWHERE);
    assert!(wanted.contains(ELSEWHERE), "{wanted}");
    *rego = json!(wanted);
    cluster.must(cluster.apply(&policy));
    cluster.until("the policy is in force", || {
        served
            .run(cluster)
            .stderr
            .contains("failed policy: built-by-tekton-chains")
    });
    let why = format!(
        "policy is not compliant for query 'isCompliant = data.sigstore.isCompliant' with errors: built by {BUILDER}, not by {ELSEWHERE}"
    );
    let said = served.run(cluster);
    denied(&said, &why);
    denied(
        &said,
        "failed policy: built-by-tekton-chains: spec.containers[0].image",
    );
    let image = format!("--image={}", served.by_tag);
    let said = cluster.kubectl(&["create", "deployment", "elsewhere", &image]);
    denied(&said, &why);
    denied(&said, "spec.template.spec.containers[0].image");
    cluster.ok(&["delete", "cip", "built-by-tekton-chains"]);
}

/// The recorded image in a registry of its own.
struct Served {
    _registry: RunningRegistry,
    host: String,
    by_tag: String,
}

// === impl Served ===

impl Served {
    fn start(cluster: &Cluster) -> Self {
        let store = Store::new();
        let image = RecordedImage::load_into(&store, evidence().join("signed"));
        let address = format!("{HOST}:0");
        let registry = Registry::bind(store, &address);
        let registry = cluster.runtime().block_on(registry).unwrap();
        let host = registry.host();
        Self {
            by_tag: format!("{host}/{}:v1", image.repository),
            _registry: registry,
            host,
        }
    }

    fn run(&self, cluster: &Cluster) -> crate::process::Finished {
        cluster.try_to_run("default", &self.by_tag)
    }

    /// The policy that ships, for this registry and with the key that was recorded.
    fn built(&self) -> Value {
        let text = read(&root().join("policies/tekton-chains-provenance/builder.yaml"));
        let mut policy: Value = serde_saphyr::from_str(&text).unwrap();
        policy["spec"]["images"] = self.images();
        policy["spec"]["authorities"][0]["key"]["data"] = json!(key("release"));
        policy
    }

    /// A policy that wants a signature by that key.
    fn signed(&self, by: &str) -> Value {
        json!({
            "apiVersion": "policy.sigstore.dev/v1beta1",
            "kind": "ClusterImagePolicy",
            "metadata": {"name": "signed-by-tekton-chains"},
            "spec": {
                "images": self.images(),
                "authorities": [{"name": "tekton-chains", "key": {"data": key(by)}}],
            },
        })
    }

    fn images(&self) -> Value {
        json!([{"glob": format!("{}/**", self.host)}])
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where it was recorded.
fn evidence() -> PathBuf {
    root().join("tests/data/recorded/tekton-chains-0.22")
}

/// A public key that it was recorded with: `release` or `stranger`.
fn key(name: &str) -> String {
    read(&evidence().join("keys").join(format!("{name}.pub")))
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
