//! Real registries on free loopback ports.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::process::Background;
use crate::tools;

/// Which registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An OCI 1.1 registry with the referrers API.
    Olareg,
    /// The CNCF registry, which answers 404 to the referrers API.
    Distribution,
    /// The same behind Basic authentication, for [`USER`] only.
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
            Self::DistributionWithPassword => "distribution with a password",
        }
    }

    /// As `tests/tools/install` names it.
    pub(crate) fn tool(self) -> &'static str {
        match self {
            Self::Olareg => "olareg",
            Self::Distribution | Self::DistributionWithPassword => "registry",
        }
    }

    fn command(self, port: u16, folder: &Path) -> Command {
        let mut command = Command::new(tools::path(self.tool()));
        command.arg("serve");
        match self {
            Self::Olareg => {
                let port = port.to_string();
                command.args(["--addr", "127.0.0.1", "--port", &port]);
                command.args(["--store-type", "mem"]);
            }
            Self::Distribution => {
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
        "version: 0.1\nlog: {{level: error}}\nstorage: {{inmemory: {{}}}}\nhttp: {{addr: 127.0.0.1:{port}, secret: e2e}}\n{auth}"
    );
    std::fs::write(&file, text).unwrap();
    file
}

// === impl Registry ===

impl Registry {
    /// Starts one; `folder` is where it keeps its settings.
    pub(crate) fn start(kind: Kind, folder: &Path) -> Self {
        // Between choosing a port and listening on it somebody else may take it: then another port.
        for _ in 0..3 {
            let port = free_port();
            let mut command = kind.command(port, folder);
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let mut process = Background::start(&mut command);
            if accepts(port, &mut process) {
                return Self {
                    port,
                    _process: process,
                };
            }
        }
        panic!("{} does not start", kind.name());
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Waits until the process listens; `false` when it ended instead.
fn accepts(port: u16, process: &mut Background) -> bool {
    let until = Instant::now() + STARTING;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    while process.is_running() && Instant::now() < until {
        if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
            return process.is_running();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}
