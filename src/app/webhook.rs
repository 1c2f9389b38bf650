//! The webhook: the engine behind HTTPS, what a review is answered (`reviewer`, `policy_reviewer`), and the tasks that keep policies, trust
//! and the settings of registries fresh (`reloading`).

mod policy_reviewer;
mod reloading;
mod reviewer;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::policy_reviewer::PolicyReviewer;
use self::reloading::{from_files, keep_fresh, reload_registries};
use self::reviewer::Reviewer;
use super::certificate;
use super::cluster::{self, ClusterSettings};
use super::engine::{Broken, Engine};
use super::observers::{Requests, Reviews};
use crate::adapters::certs::{ClientAuthorities, ServingCertificate};
use crate::adapters::cluster::{Cluster, ClusterCredentials};
use crate::adapters::metrics::Metrics;
use crate::config::JudgeArgs;
use crate::explain::Enforcement;
use crate::limits::Limits;
use crate::server::{self, Bound, Readiness, Routes, ServeSettings, Tls, TlsVersion, admin};

pub use super::certificate::Certificate;

pub(super) use reloading::told;

/// What a webhook is made of.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// Policies, and how images are judged.
    pub judge: JudgeArgs,
    /// The cluster that policies come from; `None` where they come from files.
    pub cluster: Option<ClusterSettings>,
    /// Where reviews are answered.
    pub listen: SocketAddr,
    /// Where health and metrics are told.
    pub admin_listen: SocketAddr,
    /// Where the serving certificate comes from.
    pub certificate: Certificate,
    /// The oldest version of TLS that is spoken.
    pub oldest_tls: TlsVersion,
    /// A file with the authorities of clients; without it anybody may call.
    pub client_ca: Option<PathBuf>,
    /// Which clients of theirs may call; every one, where there are none.
    pub client_names: Vec<String>,
    /// How often files are looked at again: policies, the trusted root, authorities of clients, settings of registries.
    pub reload_interval: Duration,
    /// How long what was fetched for a policy stays in use when it cannot be fetched again.
    pub max_stale: Duration,
    /// How long reviews are still taken after the signal to stop.
    pub stop_delay: Duration,
    /// One line at the end of every denial.
    pub footer: Option<String>,
    /// Whether denials are carried out.
    pub enforcement: Enforcement,
    /// The bounds.
    pub limits: Limits,
}

/// A webhook that answers.
pub struct Running {
    /// Where reviews are answered.
    pub address: SocketAddr,
    /// Where health and metrics are told.
    pub admin_address: SocketAddr,
    /// Policies from files that do not compile: they deny what they match.
    pub broken: Vec<Broken>,
    tasks: JoinSet<&'static str>,
    stop: CancellationToken,
}

/// How long calls in flight may take after the listener is closed: the longest deadline of a review.
const DRAIN: Duration = Duration::from_secs(30);

/// Starts a webhook: the certificate is there before anything listens, and so are policies that come from files. Those of a cluster come
/// when they come: until then every image is denied, and the process is not ready.
pub async fn start(settings: WebhookSettings) -> anyhow::Result<Running> {
    let settings = settings.changing_nothing_in_shadow();
    let metrics = Arc::new(Metrics::new());
    metrics.enforcing(settings.enforcement == Enforcement::Enforce);
    let readiness = Readiness::new();
    let observer = Arc::new(Requests(Arc::clone(&metrics)));
    let cluster = connect(&settings).await?;
    let engine = engine(&settings, cluster.as_ref(), observer)?;
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    let (engine, broken, denials) = if let Some((cluster, cluster_settings)) = &cluster {
        let engine = Arc::new(engine.awaiting_policies());
        let of_cluster = cluster::Tasks {
            cluster: cluster.clone(),
            engine: Arc::clone(&engine),
            metrics: Arc::clone(&metrics),
            stop: stop.clone(),
        };
        let denials = of_cluster.spawn(cluster_settings, &readiness, &mut tasks);
        (engine, Vec::new(), denials)
    } else {
        let engine = Arc::new(engine);
        let broken = from_files(&settings, &engine, &metrics, &stop, &mut tasks).await?;
        (engine, broken, None)
    };

    let of_certificate = certificate::Tasks {
        metrics: &metrics,
        readiness: &readiness,
        stop: &stop,
        spawned: &mut tasks,
    };
    let cluster = cluster.as_ref().map(|(cluster, _)| cluster);
    let serving = of_certificate.spawn(&settings.certificate, cluster).await?;
    let tls = tls(&settings, serving, &metrics, &stop, &mut tasks).await?;
    let bound = Bound::tls(settings.listen, tls).await?;
    let bound_admin = Bound::plain(settings.admin_listen).await?;
    let (address, admin_address) = (bound.address(), bound_admin.address());

    keep_fresh(&settings, &engine, &metrics, &stop, &mut tasks);
    if let Some(watching) = reload_registries(&settings, &engine, &metrics, stop.clone()) {
        tasks.spawn(async move {
            watching.await;
            "the watch on the settings of registries"
        });
    }
    tasks.spawn(serve_admin(
        bound_admin,
        readiness.clone(),
        Arc::clone(&metrics),
        settings.stop_delay,
        stop.clone(),
    ));
    let connections = settings.limits.in_flight.connections;
    let validate_policy = Arc::new(PolicyReviewer::new(
        Arc::clone(&engine),
        Arc::clone(&metrics),
        settings.enforcement,
    ));
    let reviewer = Arc::new(Reviewer {
        engine,
        metrics: Arc::clone(&metrics),
        footer: settings.footer,
        enforcement: settings.enforcement,
        denials,
    });
    let router = server::router(
        Routes {
            validate: Arc::<Reviewer>::clone(&reviewer),
            mutate: reviewer,
            validate_policy,
        },
        Arc::new(Reviews(metrics)),
        &settings.limits,
    );
    tasks.spawn(serve_reviews(
        bound,
        router,
        connections,
        settings.stop_delay,
        readiness,
        stop.clone(),
    ));
    Ok(Running {
        address,
        admin_address,
        broken,
        tasks,
        stop,
    })
}

/// Answers reviews until `stop` and what was in flight then; from `stop` on the process says that it is not ready.
async fn serve_reviews(
    bound: Bound,
    router: axum::Router,
    connections: usize,
    stop_delay: Duration,
    readiness: Readiness,
    stop: CancellationToken,
) -> &'static str {
    let settings = ServeSettings {
        connections,
        stop_delay,
        drain: DRAIN,
    };
    let withdrawn = stop.clone();
    let stopping = async {
        withdrawn.cancelled().await;
        readiness.stop();
    };
    tokio::join!(bound.serve(router, settings, stop), stopping);
    "the webhook listener"
}

/// Tells health and metrics until `stop`.
async fn serve_admin(
    bound: Bound,
    readiness: Readiness,
    metrics: Arc<Metrics>,
    stop_delay: Duration,
    stop: CancellationToken,
) -> &'static str {
    let router = admin::router(readiness, Arc::new(move || metrics.encode()));
    let settings = ServeSettings {
        connections: 256,
        stop_delay,
        drain: Duration::from_secs(1),
    };
    bound.serve(router, settings, stop).await;
    "the admin listener"
}

/// The engine, with the credentials that there are where it runs. It has no policies yet.
fn engine(
    settings: &WebhookSettings,
    cluster: Option<&(Cluster, ClusterSettings)>,
    observer: Arc<Requests>,
) -> anyhow::Result<Engine> {
    let (judge, limits) = (&settings.judge, &settings.limits);
    let engine = match cluster {
        None => Engine::new(judge, limits, observer),
        Some((cluster, told)) => Engine::in_cluster(judge, limits, observer, |own| {
            let credentials = ClusterCredentials::new(cluster.client(), own, limits);
            Arc::new(credentials.reading_pull_secrets(told.pull_secrets))
        }),
    };
    Ok(engine?.keeping(settings.max_stale))
}

/// The cluster, where there is one. Nothing is asked of it yet.
async fn connect(settings: &WebhookSettings) -> anyhow::Result<Option<(Cluster, ClusterSettings)>> {
    let Some(cluster) = settings.cluster.clone() else {
        return Ok(None);
    };
    let kubeconfig = cluster.kubeconfig.as_deref();
    let connected = Cluster::connect(kubeconfig, &settings.judge.namespace).await?;
    Ok(Some((connected, cluster)))
}

/// TLS for anybody, or for those alone whom the authorities of `--client-ca` vouch for.
async fn tls(
    settings: &WebhookSettings,
    serving: Arc<ServingCertificate>,
    metrics: &Arc<Metrics>,
    stop: &CancellationToken,
    tasks: &mut JoinSet<&'static str>,
) -> anyhow::Result<Tls> {
    let Some(path) = &settings.client_ca else {
        return Ok(Tls::new(serving, settings.oldest_tls)?);
    };
    let (clients, watch) =
        ClientAuthorities::load(path, &settings.client_names, Arc::clone(metrics))
            .await
            .context("cannot load the authorities of clients (--client-ca)")?;
    let (interval, stop) = (settings.reload_interval, stop.clone());
    tasks.spawn(async move {
        watch.run(interval, stop).await;
        "the watch on the authorities of clients"
    });
    Ok(Tls::for_clients(serving, settings.oldest_tls, clients)?)
}

// === impl WebhookSettings ===

impl WebhookSettings {
    /// In shadow no object is changed: a tag that would be pinned is judged at the digest that it has now.
    fn changing_nothing_in_shadow(mut self) -> Self {
        if self.enforcement == Enforcement::Shadow {
            tracing::warn!("enforcement is shadow: everything is judged, nothing is denied");
            self.judge.tags = self.judge.tags.unpinned();
        }
        self
    }
}

// === impl Running ===

impl Running {
    /// Waits until `until` is over, and then until what is in flight is finished.
    ///
    /// # Errors
    /// A task ended that must not end.
    pub async fn run(mut self, until: impl Future<Output = ()>) -> anyhow::Result<()> {
        tokio::select! {
            () = until => {}
            ended = self.tasks.join_next() => match ended {
                Some(Ok(task)) => bail!("{task} ended unexpectedly"),
                Some(Err(error)) => return Err(error).context("a task of the webhook failed"),
                None => bail!("nothing is left of the webhook"),
            },
        }
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.context("a task of the webhook failed while stopping")?;
        }
        Ok(())
    }
}
