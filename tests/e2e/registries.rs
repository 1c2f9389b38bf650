//! Real registries on free ports, where the suite wants them.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::REACHABLE;
use crate::process::Background;
use crate::tools;

/// Which registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An OCI 1.1 registry with the referrers API.
    Olareg,
    /// The CNCF registry, which answers 404 to the referrers API.
    Distribution,
    /// The CNCF registry as it was before version 3: no referrers API, and no OCI 1.1.
    Distribution2,
    /// Version 3 behind Basic authentication, for [`USER`] only.
    DistributionWithPassword,
}

/// The user of [`Kind::DistributionWithPassword`], and the password.
pub(crate) const USER: (&str, &str) = ("puller", "correct-horse");
/// The same for the registry: bcrypt with cost 5, as `htpasswd -B` writes it.
const HTPASSWD: &str = "puller:$2y$05$abcdefghijklmnopqrstuuZ0Fx87Pb/Aqb0E90lfvCwzXnaFKUHpS\n";

/// How long a registry may take until it accepts connections.
const STARTING: Duration = Duration::from_secs(20);

/// A registry that runs until it is dropped.
pub(crate) struct Registry {
    port: u16,
    _process: Background,
}

// === impl Kind ===

impl Kind {
    /// As trials are named.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Olareg => "olareg",
            Self::Distribution => "distribution",
            Self::Distribution2 => "distribution 2",
            Self::DistributionWithPassword => "distribution with a password",
        }
    }

    /// As `tests/tools/install` names it.
    pub(crate) fn tool(self) -> &'static str {
        match self {
            Self::Olareg => "olareg",
            Self::Distribution | Self::DistributionWithPassword => "registry",
            Self::Distribution2 => "registry2",
        }
    }

    fn command(self, port: u16, folder: &Path) -> Command {
        let mut command = Command::new(tools::path(self.tool()));
        command.arg("serve");
        match self {
            Self::Olareg => {
                let port = port.to_string();
                command.args(["--addr", &REACHABLE.to_string(), "--port", &port]);
                command.args(["--store-type", "mem"]);
            }
            Self::Distribution | Self::Distribution2 => {
                command.arg(settings(port, folder, ""));
            }
            Self::DistributionWithPassword => {
                let file = folder.join("htpasswd");
                std::fs::write(&file, HTPASSWD).unwrap();
                let auth = format!(
                    "auth: {{htpasswd: {{realm: e2e, path: {}}}}}\n",
                    file.display()
                );
                command.arg(settings(port, folder, &auth));
            }
        }
        command
    }
}

/// Writes distribution's settings.
fn settings(port: u16, folder: &Path, auth: &str) -> std::path::PathBuf {
    let file = folder.join(format!("distribution-{port}.yml"));
    let text = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{inmemory: {{}}}}\nhttp: {{addr: {REACHABLE}:{port}, secret: e2e}}\n{auth}"
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// What a registry shows its clients, and whose certificates it wants of them. Paths.
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) authority: PathBuf,
}

/// Distribution with its things on disk.
fn on_disk(port: u16, folder: &Path, store: &Path, http: &str) -> Command {
    let file = folder.join(format!("distribution-{port}.yml"));
    let text = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: {REACHABLE}:{port}, secret: e2e{http}}}\n",
        store.display(),
    );
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(tools::path("registry"));
    command.arg("serve").arg(file);
    command
}

// === impl Registry ===

impl Registry {
    /// Starts one; `folder` is where it keeps its settings.
    pub(crate) fn start(kind: Kind, folder: &Path) -> Self {
        // Between choosing a port and listening on it somebody else may take it: then another port.
        Self::start_as(kind.name(), |port| kind.command(port, folder))
    }

    /// Version 3 over TLS, for clients with a certificate of this authority. What it serves is the registry's that keeps its things in
    /// the same `store`.
    pub(crate) fn over_tls(folder: &Path, store: &Path, files: &TlsFiles) -> Self {
        let tls = format!(
            ", tls: {{certificate: {}, key: {}, clientcas: [{}]}}",
            files.certificate.display(),
            files.key.display(),
            files.authority.display()
        );
        Self::start_as("distribution over TLS", |port| {
            on_disk(port, folder, store, &tls)
        })
    }

    /// Version 3 with plain HTTP, which keeps its things in `store`.
    pub(crate) fn with_store(folder: &Path, store: &Path) -> Self {
        Self::start_as("distribution", |port| on_disk(port, folder, store, ""))
    }

    fn start_as(name: &str, command: impl Fn(u16) -> Command) -> Self {
        for _ in 0..3 {
            let port = free_port();
            let mut command = command(port);
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let mut process = Background::start(&mut command);
            if accepts((REACHABLE, port).into(), &mut process) {
                return Self {
                    port,
                    _process: process,
                };
            }
        }
        panic!("{name} does not start");
    }

    /// Address and port.
    pub(crate) fn host(&self) -> String {
        format!("{REACHABLE}:{}", self.port)
    }
}

/// A port that nobody listens on, at any address.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Waits until the process listens there; `false` when it ended instead.
pub(crate) fn accepts(address: SocketAddr, process: &mut Background) -> bool {
    let until = Instant::now() + STARTING;
    while process.is_running() && Instant::now() < until {
        if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
            return process.is_running();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}
