//! `vouchsafe serve`: the webhook.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::shared_certificate::SharedCertificateArgs;
use super::{Exit, colour_on_stderr, print};
use crate::adapters::certs::CertificateFiles;
use crate::adapters::remote_policies::MAX_STALE;
use crate::app::cluster::{ClusterSettings, WriterSettings};
use crate::app::webhook::{self, Certificate, WebhookSettings};
use crate::config::JudgeArgs;
use crate::explain::Enforcement;
use crate::limits::Limits;
use crate::server::TlsVersion;
use crate::telemetry::{self, LogFormat};

/// Arguments of `serve`.
#[derive(Args, Debug)]
#[command(mut_arg("policies", |policies| policies.help(POLICIES)))]
#[command(after_help = "Once it accepts calls it prints, on standard output:
  listening https://HOST:PORT
  admin http://HOST:PORT

SIGTERM and SIGINT end it in grace; a second one ends it at once.

Without --policies it follows the API server: ClusterImagePolicies, TrustRoots, and the ConfigMaps
and Secrets of --namespace. Until they are read every image is denied; /readyz says what is missing.

Example, without a cluster:
  vouchsafe serve --policies policies/ --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --ca-out ca.pem")]
pub(super) struct ServeArgs {
    #[command(flatten)]
    judge: JudgeArgs,

    /// How the API server is reached; without it, as the service account of the Pod we run in
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "policies",
        env = "VOUCHSAFE_KUBECONFIG"
    )]
    kubeconfig: Option<PathBuf>,

    /// The Lease of --namespace by which replicas agree on one that writes statuses
    #[arg(
        long,
        value_name = "NAME",
        default_value = "vouchsafe",
        conflicts_with = "policies",
        env = "VOUCHSAFE_LEASE"
    )]
    lease: String,

    /// The name of this replica, which no other has: its Pod's. By default one is made up
    #[arg(long, value_name = "NAME", env = "VOUCHSAFE_REPLICA")]
    replica: Option<String>,

    /// Make an Event for what is denied, in its namespace (docs/status.md)
    #[arg(long, conflicts_with = "policies", env = "VOUCHSAFE_DENIAL_EVENTS")]
    denial_events: bool,

    /// What is done about the pull secrets of workloads: those of a Pod and of its service account
    #[arg(
        long,
        value_enum,
        default_value_t,
        conflicts_with = "policies",
        env = "VOUCHSAFE_PULL_SECRETS"
    )]
    pull_secrets: PullSecrets,

    /// Where reviews are answered, over HTTPS; port 0 takes a free one
    #[arg(
        long,
        value_name = "ADDR:PORT",
        default_value = "[::]:8443",
        env = "VOUCHSAFE_LISTEN"
    )]
    listen: SocketAddr,

    /// Where /healthz, /readyz and /metrics are told, over HTTP
    #[arg(
        long,
        value_name = "ADDR:PORT",
        default_value = "[::]:9090",
        env = "VOUCHSAFE_ADMIN_LISTEN"
    )]
    admin_listen: SocketAddr,

    /// Serving certificate with its chain, in PEM; read again when it changes
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_key",
        env = "VOUCHSAFE_TLS_CERT"
    )]
    tls_cert: Option<PathBuf>,

    /// Private key of the serving certificate, in PEM
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_cert",
        env = "VOUCHSAFE_TLS_KEY"
    )]
    tls_key: Option<PathBuf>,

    /// Without --tls-cert and --tls-secret a certificate is made; this is where its authority is written (the caBundle of the webhook)
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "tls_cert",
        env = "VOUCHSAFE_CA_OUT"
    )]
    ca_out: Option<PathBuf>,

    /// A name of the certificate that is made, beside localhost. May be given again
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "tls_cert",
        value_delimiter = ',',
        env = "VOUCHSAFE_TLS_NAME"
    )]
    tls_name: Vec<String>,

    #[command(flatten)]
    shared_certificate: SharedCertificateArgs,

    /// The oldest version of TLS that is spoken
    #[arg(long, value_enum, default_value_t, env = "VOUCHSAFE_TLS_MIN_VERSION")]
    tls_min_version: TlsMin,

    /// A PEM file with the authorities of clients: only who shows a certificate of one of them may call. Read again when it changes
    #[arg(long, value_name = "FILE", env = "VOUCHSAFE_CLIENT_CA")]
    client_ca: Option<PathBuf>,

    /// Of the clients of --client-ca those alone whose certificate has this name: the common name, or an alternative one. May be given again
    #[arg(
        long,
        value_name = "NAME",
        requires = "client_ca",
        env = "VOUCHSAFE_CLIENT_NAME"
    )]
    client_name: Vec<String>,

    /// Whether denials are carried out
    #[arg(long, value_enum, default_value_t, env = "VOUCHSAFE_ENFORCEMENT")]
    enforcement: Enforce,

    /// One line at the end of every denial: where people may ask
    #[arg(long, value_name = "TEXT", env = "VOUCHSAFE_DENIAL_FOOTER")]
    denial_footer: Option<String>,

    /// How often policies, certificates, settings of registries and the trusted root are looked at again, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600), env = "VOUCHSAFE_RELOAD_INTERVAL")]
    reload_interval: u64,

    /// How long what was fetched for a policy (`remote`, `key.kms`) stays in use when it cannot be fetched again, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = MAX_STALE.as_secs(), env = "VOUCHSAFE_MAX_STALE")]
    max_stale: u64,

    /// How long reviews are still taken after the signal to stop, in seconds: until endpoints are withdrawn everywhere
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=300), env = "VOUCHSAFE_STOP_DELAY")]
    stop_delay: u64,

    /// How logs are written; text on a terminal, JSON otherwise
    #[arg(long, value_enum, env = "VOUCHSAFE_LOG_FORMAT")]
    log_format: Option<Format>,

    /// What is logged: a level, or `vouchsafe=debug,info`
    #[arg(
        long,
        value_name = "FILTER",
        default_value = "info",
        env = "VOUCHSAFE_LOG"
    )]
    log: String,
}

/// What `--policies` is for `serve`.
const POLICIES: &str = "Do without a cluster: a file or folder with policies, trust roots, and the Secrets and ConfigMaps they refer to (YAML or JSON). May be given again";

#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum TlsMin {
    /// For an API server that has nothing newer
    #[value(name = "1.2")]
    Tls12,
    /// The default
    #[default]
    #[value(name = "1.3")]
    Tls13,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Enforce {
    /// They are
    #[default]
    Enforce,
    /// Everything is judged and counted (`vouchsafe_would_deny_total`), nothing is denied or changed; warnings say what would be denied
    Shadow,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum PullSecrets {
    /// They are read one by one, by their names, and used
    #[default]
    Read,
    /// The API server is not asked for them, so that no right to is needed; registries are asked with our own credentials alone
    Ignore,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// For people
    Text,
    /// One object a line
    Json,
}

/// What tells us to stop: SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

pub(super) async fn run(args: ServeArgs) -> anyhow::Result<Exit> {
    let format = args.log_format.map(|format| match format {
        Format::Text => LogFormat::Text,
        Format::Json => LogFormat::Json,
    });
    telemetry::init(format, &args.log, colour_on_stderr())?;
    // Taken before anything listens, so that no signal is lost.
    let mut signals = Signals::new()?;
    let running = webhook::start(settings(args)?).await?;
    print(&format!(
        "listening https://{}\nadmin http://{}\n",
        running.address, running.admin_address
    ))?;
    let stop = CancellationToken::new();
    let asked_twice = async {
        signals.next().await;
        stop.cancel();
        signals.next().await;
    };
    tokio::select! {
        ended = running.run(stop.clone().cancelled_owned()) => ended?,
        () = asked_twice => tracing::warn!("a second signal: stopped at once, and cut off what was in flight"),
    }
    Ok(Exit::Success)
}

// === impl Signals ===

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn settings(args: ServeArgs) -> anyhow::Result<WebhookSettings> {
    let interval = Duration::from_secs(args.reload_interval);
    let shared = args.shared_certificate.settings(&args.tls_name)?;
    let certificate = match (args.tls_cert, args.tls_key, shared) {
        (Some(certificate), Some(key), _) => Certificate::Files {
            files: CertificateFiles { certificate, key },
            interval,
        },
        (_, _, Some(shared)) => Certificate::Shared(shared),
        _ => Certificate::Generated {
            names: args.tls_name,
            authority_out: args.ca_out,
        },
    };
    let cluster = args.judge.policies.is_empty().then(|| {
        let defaults = WriterSettings::default();
        ClusterSettings {
            kubeconfig: args.kubeconfig,
            writers: WriterSettings {
                lease: args.lease,
                replica: args.replica.unwrap_or(defaults.replica),
                denial_events: args.denial_events,
                pauses: defaults.pauses,
            },
            pull_secrets: args.pull_secrets == PullSecrets::Read,
            ..ClusterSettings::default()
        }
    });
    Ok(WebhookSettings {
        judge: args.judge,
        cluster,
        listen: args.listen,
        admin_listen: args.admin_listen,
        certificate,
        oldest_tls: match args.tls_min_version {
            TlsMin::Tls12 => TlsVersion::Tls12,
            TlsMin::Tls13 => TlsVersion::Tls13,
        },
        reload_interval: interval,
        max_stale: Duration::from_secs(args.max_stale),
        stop_delay: Duration::from_secs(args.stop_delay),
        client_ca: args.client_ca,
        client_names: args.client_name,
        footer: args.denial_footer,
        enforcement: match args.enforcement {
            Enforce::Enforce => Enforcement::Enforce,
            Enforce::Shadow => Enforcement::Shadow,
        },
        limits: Limits::default(),
    })
}
