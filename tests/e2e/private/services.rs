//! The services of a Sigstore of one's own, each on free loopback ports: Fulcio, a timestamp authority, and the logs that are wanted.
//!
//! Rekor v1 comes with a log of certificates: both stand on Trillian, and `tests/tools/logs` runs them together.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::process::{Background, finish, succeed};
use crate::registries::{accepts, free_port};
use crate::tools;

use super::issuer::{AUDIENCE, Issuer};

/// When whoever is trusted began.
const SINCE: &str = "2020-01-01T00:00:00Z";

/// Where signatures are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Log {
    Nowhere,
    /// Rekor v1; certificates are logged too.
    V1,
    /// Rekor v2, in files.
    V2,
}

/// Services that run until this is dropped.
pub(super) struct Services {
    pub(super) issuer: Issuer,
    pub(super) log: Log,
    folder: PathBuf,
    fulcio: u16,
    stamps: u16,
    rekor: u16,
    certificates: u16,
    running: Vec<Background>,
}

// === impl Log ===

impl Log {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nowhere => "stamps and no log",
            Self::V1 => "Rekor v1 and a log of certificates",
            Self::V2 => "stamps and Rekor v2",
        }
    }

    pub(super) fn needs(self) -> Vec<&'static str> {
        let mut tools = vec!["cosign", "crane", "olareg", "fulcio", "timestamp-server"];
        match self {
            Self::Nowhere => {}
            Self::V1 => tools.extend([
                "rekor-server",
                "ct-server",
                "trillian-log-server",
                "trillian-log-signer",
                "trillian-createtree",
                "trillian-schema",
                "postgres",
            ]),
            Self::V2 => tools.push("rekor-tiles"),
        }
        tools
    }

    /// The name that is in its checkpoints.
    fn origin(self) -> &'static str {
        match self {
            Self::V1 => "rekor.e2e",
            Self::Nowhere | Self::V2 => "localhost",
        }
    }
}

// === impl Services ===

impl Services {
    /// Starts them, and writes `trusted-root.json` and `signing-config.json` into `folder`.
    pub(super) fn start(log: Log, folder: &Path) -> Self {
        let issuer = Issuer::start();
        let certificates = if log == Log::V1 { free_port() } else { 0 };
        let (fulcio, authority) = fulcio(&issuer, certificates, folder);
        let (stamps, stamping) = stamping(folder);
        let mut services = Self {
            issuer,
            log,
            folder: folder.to_owned(),
            fulcio,
            stamps,
            rekor: 0,
            certificates,
            running: vec![authority, stamping],
        };
        services.write("fulcio.pem", &get(fulcio, "/api/v1/rootCert"));
        let logs = match log {
            Log::Nowhere => None,
            Log::V1 => Some(services.on_trillian()),
            Log::V2 => Some(rekor_v2(folder)),
        };
        if let Some((port, running)) = logs {
            services.rekor = port;
            services.running.push(running);
        }
        services.write("tsa.pem", &get(stamps, "/api/v1/timestamp/certchain"));
        services.say_who_is_trusted();
        services
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn fulcio(&self) -> String {
        format!("http://127.0.0.1:{}", self.fulcio)
    }

    pub(super) fn stamps(&self) -> String {
        format!("http://127.0.0.1:{}/api/v1/timestamp", self.stamps)
    }

    /// The name `localhost` is that of Rekor v2, in its checkpoints too.
    pub(super) fn rekor(&self) -> String {
        format!("http://localhost:{}", self.rekor)
    }

    /// Rekor v1, and the log of certificates that Fulcio knows of already.
    fn on_trillian(&self) -> (u16, Background) {
        let folder = self.file("logs");
        std::fs::create_dir(&folder).unwrap();
        let rekor = free_port();
        let ports = [rekor, self.certificates].into_iter();
        let ports = ports.chain(std::iter::repeat_with(free_port)).take(7);
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/logs"));
        command
            .arg(&folder)
            .arg(self.file("fulcio.pem"))
            .args(ports.map(|port| port.to_string()))
            .stdin(Stdio::null());
        let mut running = Background::start(&mut command);
        let until = Instant::now() + Duration::from_mins(2);
        while !folder.join("ready").exists() {
            assert!(running.is_running(), "the logs have ended; see above");
            assert!(Instant::now() < until, "the logs are not there in time");
            std::thread::sleep(Duration::from_millis(50));
        }
        for key in ["rekor.pub", "ct.pub"] {
            std::fs::copy(folder.join(key), self.file(key)).unwrap();
        }
        (rekor, running)
    }

    /// A file with a token for somebody.
    pub(super) fn token(&self, email: &str) -> PathBuf {
        self.write("token", &self.issuer.token(email))
    }

    fn say_who_is_trusted(&self) {
        let (fulcio, stamps, rekor) = (self.fulcio(), self.stamps(), self.rekor());
        let mut root = vec![
            format!("--fulcio=url={fulcio},certificate-chain=fulcio.pem,start-time={SINCE}"),
            format!("--tsa=url={stamps},certificate-chain=tsa.pem,start-time={SINCE}"),
        ];
        let service = |url: &str, version: u8| {
            format!("url={url},api-version={version},start-time={SINCE},operator=e2e")
        };
        let mut config = vec![format!("--fulcio={}", service(&fulcio, 1))];
        if self.log != Log::V1 {
            config.push(format!("--tsa={}", service(&stamps, 1)));
            config.push("--tsa-config=ANY".to_owned());
        }
        if self.log != Log::Nowhere {
            let origin = self.log.origin();
            root.push(format!(
                "--rekor=url={rekor},public-key=rekor.pub,start-time={SINCE},origin={origin}"
            ));
            let version = if self.log == Log::V1 { 1 } else { 2 };
            config.push(format!("--rekor={}", service(&rekor, version)));
            config.push("--rekor-config=ANY".to_owned());
        }
        if self.log == Log::V1 {
            let url = certificate_log(self.certificates);
            root.push(format!(
                "--ctfe=url={url},public-key=ct.pub,start-time={SINCE}"
            ));
        }
        for (what, arguments) in [("trusted-root", root), ("signing-config", config)] {
            let mut command = Command::new(tools::path("cosign"));
            command
                .current_dir(&self.folder)
                .env("HOME", &self.folder)
                .args([what, "create", "--out", &format!("{what}.json")])
                .args(arguments);
            succeed(&mut command);
        }
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let file = self.file(name);
        std::fs::write(&file, content).unwrap();
        file
    }
}

fn certificate_log(port: u16) -> String {
    format!("http://127.0.0.1:{port}/e2e")
}

/// `certificates` is the port of the log of certificates; 0 where there is none.
fn fulcio(issuer: &Issuer, certificates: u16, folder: &Path) -> (u16, Background) {
    let (port, url) = (free_port(), issuer.url());
    let config = folder.join("fulcio.yaml");
    let text = format!(
        "oidc-issuers: {{\"{url}\": {{issuer-url: \"{url}\", client-id: {AUDIENCE}, type: email}}}}\n"
    );
    std::fs::write(&config, text).unwrap();
    let ports = [port, free_port(), free_port()].map(|port| port.to_string());
    let logged = match certificates {
        0 => String::new(),
        port => certificate_log(port),
    };
    let mut command = Command::new(tools::path("fulcio"));
    command
        .args(["serve", "--ca", "ephemeralca", "--ct-log-url", &logged])
        .args(["--host", "127.0.0.1", "--port", &ports[0]])
        .args(["--grpc-host", "127.0.0.1", "--grpc-port", &ports[1]])
        .args(["--metrics-port", &ports[2]])
        .args([
            "--legacy-unix-domain-socket",
            &format!("@vouchsafe-e2e-{port}"),
        ])
        .arg("--config-path")
        .arg(config);
    (port, started("fulcio", &mut command, port))
}

fn stamping(_folder: &Path) -> (u16, Background) {
    let port = free_port();
    let mut command = Command::new(tools::path("timestamp-server"));
    command
        .args(["serve", "--host", "127.0.0.1", "--port", &port.to_string()])
        .args([
            "--scheme",
            "http",
            "--timestamp-signer",
            "memory",
            "--disable-ntp-monitoring",
        ]);
    (port, started("timestamp-server", &mut command, port))
}

fn rekor_v2(folder: &Path) -> (u16, Background) {
    let pem = |name: &str| folder.join(name);
    let mut generate = Command::new("openssl");
    generate
        .args(["genpkey", "-algorithm", "ed25519", "-out"])
        .arg(pem("rekor.pem"));
    succeed(&mut generate);
    let mut public = Command::new("openssl");
    public
        .args(["pkey", "-pubout", "-in"])
        .arg(pem("rekor.pem"))
        .arg("-out")
        .arg(pem("rekor.pub"));
    succeed(&mut public);
    let port = free_port();
    let ports = [port, free_port(), free_port()].map(|port| port.to_string());
    let mut command = Command::new(tools::path("rekor-tiles"));
    command
        .args([
            "serve",
            "--hostname",
            "localhost",
            "--checkpoint-interval",
            "500ms",
        ])
        .args(["--http-port", &ports[0], "--grpc-port", &ports[1]])
        .args(["--http-metrics-port", &ports[2]])
        .arg("--signer-filepath")
        .arg(pem("rekor.pem"))
        .arg("--storage-dir")
        .arg(folder.join("tiles"));
    (port, started("rekor-tiles", &mut command, port))
}

/// Starts a service and waits until it listens. One of them has a port that cannot be chosen: somebody else may have it for a while.
fn started(name: &str, command: &mut Command, port: u16) -> Background {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    for _ in 0..30 {
        let mut process = Background::start(command);
        if accepts((Ipv4Addr::LOCALHOST, port).into(), &mut process) {
            return process;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    panic!("{name} does not start: {:?}", finish(command).stderr)
}

/// What a service on loopback answers.
fn get(port: u16, path: &str) -> String {
    let mut service = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    // HTTP/1.0: the answer ends with the connection, and is not cut into chunks.
    write!(service, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    service.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 "), "{path}: {head}");
    body.to_owned()
}
