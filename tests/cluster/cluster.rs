//! The cluster that all trials share: started when the first of them needs it, with the chart installed when the first needs that.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::api::Api;
use crate::control_plane::{self, ControlPlane};
use crate::kubelet::{Kubelet, OURS};
use crate::network::{self, Network};
use crate::process::{Finished, finish};
use crate::registries::{Kind, Registry};
use crate::stage::{Cosign, Form, Image, Key, Stage};
use crate::tools;

/// The name of the release, and of what it installs.
pub(crate) const RELEASE: &str = "vouchsafe";
/// The policy that is there from the beginning: what is under `t/` in the registry wants a signature by the release key.
pub(crate) const POLICY: &str = "release";
/// The webhook from which clusters come over, as `tests/tools/install` names it; its image has that in its name.
pub(crate) const OTHER: &str = "policy-controller";
/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_mins(1);
/// So many lines of a log are told, and so many characters of each.
const TOLD: (usize, usize) = (8, 300);
/// How often is looked.
const GLANCE: Duration = Duration::from_millis(100);

static FOLDER: OnceLock<PathBuf> = OnceLock::new();
static CLUSTER: OnceLock<Cluster> = OnceLock::new();

/// An API server with its controllers, a stand-in for the kubelet, and a registry with images.
pub(crate) struct Cluster {
    folder: PathBuf,
    kubeconfig: PathBuf,
    plane: Mutex<ControlPlane>,
    runtime: Runtime,
    api: Api,
    kubelet: Kubelet,
    stage: Stage,
    images: Images,
    installed: OnceLock<()>,
}

/// What is in the registry.
pub(crate) struct Images {
    /// Signed by the release key, under a tag.
    pub(crate) signed: Image,
    /// Signed by the release key, as a bundle.
    pub(crate) bundled: Image,
    /// Signed by nobody.
    pub(crate) unsigned: Image,
    /// Signed by another key.
    pub(crate) stranger: Image,
}

/// Where everything of this run goes.
pub(crate) fn settle(folder: PathBuf) {
    FOLDER.get_or_init(|| folder);
}

/// The program for an image of that name: the one that is built, and that of the installation which is replaced.
fn program_of(image: &str) -> PathBuf {
    if image.contains(OTHER) {
        tools::path(OTHER)
    } else {
        FOLDER.get().unwrap().join("vouchsafe")
    }
}

/// The chart.
pub(crate) fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/vouchsafe")
}

/// The tools that trials need.
pub(crate) fn needs() -> Vec<&'static str> {
    let others = ["helm", "crane", Kind::Olareg.tool(), Cosign::Three.tool()];
    control_plane::TOOLS.into_iter().chain(others).collect()
}

/// The cluster, without the chart.
pub(crate) fn bare() -> &'static Cluster {
    CLUSTER.get_or_init(|| Cluster::start(FOLDER.get().unwrap()))
}

/// The cluster with the chart installed, and [`POLICY`] in force.
pub(crate) fn installed() -> &'static Cluster {
    let cluster = bare();
    cluster.installed.get_or_init(|| {
        let said = cluster.helm_chart("install", &["--create-namespace"]);
        cluster.must(said);
        cluster.must(cluster.apply(&cluster.release_policy()));
        cluster.cover("default");
        cluster.until("the policy is in force", || {
            let said = cluster.try_to_run("default", &cluster.images.unsigned.by_digest);
            said.stderr.contains("no signatures found")
        });
    });
    cluster
}

// === impl Cluster ===

impl Cluster {
    fn start(folder: &Path) -> Self {
        let network = Network::lay();
        let plane = ControlPlane::start(folder);
        let kubeconfig = plane.kubeconfig();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let (api, kubelet) = runtime.block_on(async {
            let api = Api::connect(&kubeconfig).await;
            let kubelet = Kubelet::start(api.clone(), folder.to_owned(), program_of, network).await;
            (api, kubelet)
        });
        let work = TempDir::new_in(folder).unwrap();
        let registry = Registry::start(Kind::Olareg, work.path());
        let stage = Stage::around(work, registry, Cosign::Three, Form::Tags);
        let images = Images::make(&stage);
        Self {
            folder: folder.to_owned(),
            kubeconfig,
            plane: Mutex::new(plane),
            runtime,
            api,
            kubelet,
            stage,
            images,
            installed: OnceLock::new(),
        }
    }

    /// Where everything of this run is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn images(&self) -> &Images {
        &self.images
    }

    pub(crate) fn stage(&self) -> &Stage {
        &self.stage
    }

    pub(crate) fn kubelet(&self) -> &Kubelet {
        &self.kubelet
    }

    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    pub(crate) fn plane(&self) -> MutexGuard<'_, ControlPlane> {
        self.plane.lock().unwrap()
    }

    /// `kubectl`, with these arguments.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Finished {
        let mut command = self.tool("kubectl");
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        finish(command.args(arguments))
    }

    /// `kubectl` that must succeed: what it printed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        self.must(self.kubectl(arguments)).stdout
    }

    /// What kubectl prints of one object, as JSON.
    pub(crate) fn get(&self, arguments: &[&str]) -> Value {
        let arguments = [&["get", "-o", "json"][..], arguments].concat();
        serde_json::from_str(&self.ok(&arguments)).unwrap()
    }

    /// `kubectl apply` of one object.
    pub(crate) fn apply(&self, object: &Value) -> Finished {
        let file = self.write(object);
        self.kubectl(&["apply", "-f", &file])
    }

    /// `kubectl create` of one object.
    pub(crate) fn create(&self, object: &Value) -> Finished {
        let file = self.write(object);
        self.kubectl(&["create", "-f", &file])
    }

    /// `helm`, with these arguments.
    pub(crate) fn helm(&self, arguments: &[&str]) -> Finished {
        let mut command = self.tool("helm");
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        finish(command.args(["--namespace", OURS]).args(arguments))
    }

    /// `helm install` or `upgrade` of the chart, with the values of this cluster and these arguments, until all is ready.
    pub(crate) fn helm_chart(&self, verb: &str, arguments: &[&str]) -> Finished {
        let chart = chart();
        let insecure = format!("registries.insecure={{{}}}", network::HOST);
        let fixed = [
            verb,
            RELEASE,
            chart.to_str().unwrap(),
            "--set",
            &insecure,
            "--wait",
            "--timeout",
            "100s",
        ];
        self.helm(&[&fixed[..], arguments].concat())
    }

    /// What must have succeeded.
    pub(crate) fn must(&self, said: Finished) -> Finished {
        assert!(
            said.status.success(),
            "{}{}\n{}",
            said.stdout,
            said.stderr,
            self.state()
        );
        said
    }

    /// Runs a Pod of that image without keeping it (`--dry-run=server`).
    pub(crate) fn try_to_run(&self, namespace: &str, image: &str) -> Finished {
        let image = format!("--image={image}");
        self.kubectl(&["-n", namespace, "run", "try", &image, "--dry-run=server"])
    }

    /// A namespace of that name which is covered.
    pub(crate) fn covered(&self, namespace: &str) {
        self.ok(&["create", "namespace", namespace]);
        self.cover(namespace);
    }

    /// Has a namespace covered.
    pub(crate) fn cover(&self, namespace: &str) {
        let label = "policy.sigstore.dev/include=true";
        self.ok(&["label", "namespace", namespace, label]);
        self.until("the service account is there", || {
            let account = ["-n", namespace, "get", "serviceaccount", "default"];
            self.kubectl(&account).status.success()
        });
    }

    /// Waits until that policy or `TrustRoot` is said to be ready.
    pub(crate) fn until_ready(&self, resource: &str) {
        self.ok(&["wait", resource, "--for=condition=Ready", "--timeout=30s"]);
    }

    /// Waits until that is so.
    pub(crate) fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(
                Instant::now() < until,
                "not within {PATIENCE:?}: {what}\n{}",
                self.state()
            );
            std::thread::sleep(GLANCE);
        }
    }

    /// [`POLICY`].
    pub(crate) fn release_policy(&self) -> Value {
        self.policy(POLICY, "t/**", &self.stage.release_key())
    }

    /// A policy by which images of our registry that match `glob` want a signature by that key.
    pub(crate) fn policy(&self, name: &str, glob: &str, key: &str) -> Value {
        let glob = format!("{}/{glob}", self.stage.host());
        json!({
            "apiVersion": "policy.sigstore.dev/v1beta1",
            "kind": "ClusterImagePolicy",
            "metadata": {"name": name},
            "spec": {
                "images": [{"glob": glob}],
                "authorities": [{"name": "release", "key": {"data": key}}],
            },
        })
    }

    /// What is known of our Pods, for messages of failures: how they are, and what their logs complain of.
    pub(crate) fn state(&self) -> String {
        let pods = self.kubectl(&["-n", OURS, "get", "pods", "-o", "wide"]);
        let mut state = pods.stdout + &pods.stderr;
        for name in state
            .clone()
            .lines()
            .filter_map(|line| line.split(' ').next())
        {
            let files = std::fs::read_dir(self.folder.join("pods").join(name));
            for file in files.into_iter().flatten().flatten() {
                if file.path().extension().is_some_and(|end| end == "log") {
                    let text = std::fs::read_to_string(file.path()).unwrap_or_default();
                    let head = format!("--- {}\n", file.path().display());
                    state = state + &head + &complaints(&text) + "\n";
                }
            }
        }
        state
    }

    fn write(&self, object: &Value) -> String {
        let name = object["metadata"]["name"].as_str().unwrap();
        let file = self.stage.path(&format!("{name}.json"));
        std::fs::write(&file, object.to_string()).unwrap();
        file.to_str().unwrap().to_owned()
    }

    fn tool(&self, name: &str) -> Command {
        self.stage.tool(name)
    }
}

/// The last lines of a log that are not everyday's.
fn complaints(log: &str) -> String {
    let lines = log
        .lines()
        .filter(|line| !line.contains("\"level\":\"INFO\""));
    let lines: Vec<String> = lines
        .map(|line| line.chars().take(TOLD.1).collect())
        .collect();
    lines[lines.len().saturating_sub(TOLD.0)..].join("\n")
}

// === impl Images ===

impl Images {
    fn make(stage: &Stage) -> Self {
        let [signed, bundled, unsigned, stranger] =
            ["signed", "bundled", "unsigned", "stranger"].map(|name| stage.image(name));
        stage.sign(&signed, Key::Release);
        stage.sign_as_bundle(&bundled, Key::Release);
        stage.sign(&stranger, Key::Stranger);
        Self {
            signed,
            bundled,
            unsigned,
            stranger,
        }
    }
}
