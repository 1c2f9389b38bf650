//! etcd, kube-apiserver and kube-controller-manager, as they are released.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::json;

use crate::network::HOST;
use crate::process::{Background, finish};
use crate::tools;

/// The tools that it is made of.
pub(crate) const TOOLS: [&str; 4] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kubectl",
];
/// The port of the API server.
pub(crate) const PORT: u16 = 6443;

/// How long the API server may take until it is ready.
const STARTING: Duration = Duration::from_secs(90);
/// Controllers that act for nodes and disks, which nobody has here.
const CONTROLLERS: &str = "*,-node-ipam-controller,-node-lifecycle-controller,-taint-eviction-controller,-device-taint-eviction-controller,-persistentvolume-attach-detach-controller,-persistentvolume-binder-controller,-persistentvolume-expander-controller";
/// What is written to the audit log: who asked for what, and what webhooks said about it.
const AUDIT: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  verbs: [get, list, watch]
- level: Metadata
";

/// The control plane, until it is dropped.
pub(crate) struct ControlPlane {
    folder: PathBuf,
    api_server: Option<Background>,
    _etcd: Background,
    _controllers: Background,
}

// === impl ControlPlane ===

impl ControlPlane {
    /// Starts it, and waits until it is ready. `folder` is for its files.
    pub(crate) fn start(folder: &Path) -> Self {
        let folder = folder.join("control-plane");
        std::fs::create_dir_all(&folder).unwrap();
        write_credentials(&folder);
        let etcd = start_etcd(&folder);
        let api_server = start_api_server(&folder);
        let plane = Self {
            api_server: Some(api_server),
            _etcd: etcd,
            _controllers: start_controllers(&folder),
            folder,
        };
        plane.await_ready();
        plane
    }

    /// A kubeconfig of somebody who may do everything.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// `kill -9` of the API server.
    pub(crate) fn kill_api_server(&mut self) {
        self.api_server = None;
    }

    /// Starts the API server again, and waits until it is ready.
    pub(crate) fn start_api_server(&mut self) {
        self.api_server = Some(start_api_server(&self.folder));
        self.await_ready();
    }

    fn await_ready(&self) {
        let until = Instant::now() + STARTING;
        loop {
            let mut command = Command::new(tools::path("kubectl"));
            command.arg("--kubeconfig").arg(self.kubeconfig());
            command.args(["get", "--raw", "/readyz"]);
            let done = finish(command.env("HOME", &self.folder));
            if done.status.success() {
                return;
            }
            assert!(
                Instant::now() < until,
                "the API server is not ready after {STARTING:?}: {}\n{}",
                done.stderr,
                self.log("kube-apiserver")
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn log(&self, program: &str) -> String {
        let text = std::fs::read_to_string(self.folder.join(format!("{program}.log")));
        let text = text.unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

fn start_etcd(folder: &Path) -> Background {
    let mut command = program("etcd", folder);
    command
        .arg("--data-dir")
        .arg(folder.join("etcd"))
        .args(["--listen-client-urls", "http://127.0.0.1:12379"])
        .args(["--advertise-client-urls", "http://127.0.0.1:12379"])
        .args(["--listen-peer-urls", "http://127.0.0.1:12380"])
        .args(["--unsafe-no-fsync", "--log-level", "warn"]);
    Background::start(&mut command)
}

fn start_api_server(folder: &Path) -> Background {
    let mut command = program("kube-apiserver", folder);
    let file = |name: &str| folder.join(name);
    command
        .args(["--etcd-servers", "http://127.0.0.1:12379"])
        .args(["--bind-address", "0.0.0.0"])
        .args(["--secure-port", &PORT.to_string()])
        .args(["--advertise-address", &HOST.to_string()])
        .arg("--tls-cert-file")
        .arg(file("server.pem"))
        .arg("--tls-private-key-file")
        .arg(file("server.key"))
        .arg("--service-account-key-file")
        .arg(file("accounts.pub"))
        .arg("--service-account-signing-key-file")
        .arg(file("accounts.key"))
        .args([
            "--service-account-issuer",
            "https://kubernetes.default.svc.cluster.local",
        ])
        .arg("--token-auth-file")
        .arg(file("tokens.csv"))
        .args(["--authorization-mode", "RBAC"])
        .args(["--service-cluster-ip-range", "10.96.0.0/24"])
        // Webhooks are called through their Services: it looks up the endpoints and dials one, as kube-proxy would have it.
        .arg("--enable-aggregator-routing")
        .arg("--allow-privileged")
        .arg("--audit-policy-file")
        .arg(file("audit.yaml"))
        .arg("--audit-log-path")
        .arg(file("audit.log"));
    Background::start(&mut command)
}

fn start_controllers(folder: &Path) -> Background {
    let mut command = program("kube-controller-manager", folder);
    command
        .arg("--kubeconfig")
        .arg(folder.join("kubeconfig"))
        .arg("--service-account-private-key-file")
        .arg(folder.join("accounts.key"))
        .arg("--root-ca-file")
        .arg(folder.join("ca.pem"))
        .args(["--use-service-account-credentials=false"])
        .args(["--leader-elect=false", "--controllers", CONTROLLERS])
        .args(["--kube-api-qps", "200", "--kube-api-burst", "400"]);
    Background::start(&mut command)
}

fn program(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(tools::path(name));
    // Appended to: the API server is started again in one of the trials.
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join(format!("{name}.log")))
        .unwrap();
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    command
}

/// The authority of the cluster, the certificate of the API server, the key that signs tokens of service accounts, and us.
fn write_credentials(folder: &Path) {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let ca = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);

    let names = [
        "kubernetes.default.svc".to_owned(),
        "kubernetes".to_owned(),
        "127.0.0.1".to_owned(),
        "10.96.0.1".to_owned(),
        HOST.to_string(),
    ];
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(names).unwrap();
    let server = server.signed_by(&key, &issuer).unwrap().pem();
    write("ca.pem", &ca);
    write("server.pem", &server);
    write("server.key", &key.serialize_pem());

    let accounts = KeyPair::generate().unwrap();
    write("accounts.key", &accounts.serialize_pem());
    write("accounts.pub", &accounts.public_key_pem());
    write("tokens.csv", "admintoken,admin,admin,\"system:masters\"\n");
    write("audit.yaml", AUDIT);
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "vouchsafe", "cluster": {
            "server": format!("https://{HOST}:{PORT}"),
            "certificate-authority": folder.join("ca.pem"),
        }}],
        "users": [{"name": "admin", "user": {"token": "admintoken"}}],
        "contexts": [{"name": "vouchsafe", "context": {"cluster": "vouchsafe", "user": "admin"}}],
        "current-context": "vouchsafe",
    });
    write("kubeconfig", &kubeconfig.to_string());
}
