//! The webhook: the engine behind HTTPS, and the tasks that keep policies and certificate fresh.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::future::BoxFuture;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::certificate;
use super::cluster::{self, ClusterSettings};
use super::denials::Denials;
use super::engine::{Broken, Engine};
use super::objects;
use super::observers::{Requests, Reviews};
use super::policies::PolicyReviewer;
use super::sources::References;
use crate::adapters::certs::{ClientAuthorities, ServingCertificate};
use crate::adapters::cluster::{Cluster, ClusterCredentials};
use crate::adapters::files;
use crate::adapters::metrics::{Metrics, Reloaded};
use crate::adapters::oci::{RegistriesError, RegistryHosts, watch_registries};
use crate::config::{self, JudgeArgs};
use crate::decide::Snapshot;
use crate::explain::{self, Answer, Context, Enforcement, Tags};
use crate::limits::Limits;
use crate::server::{
    self, Bound, Mutate, Mutation, Readiness, Routes, ServeSettings, Tls, TlsVersion, Validate,
    admin,
};
use crate::verdict::Reason;
use crate::workload::Request;

pub use super::certificate::Certificate;

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
    /// How often policies are looked at again.
    pub policies_interval: Duration,
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

/// What stands behind `/validate` and `/mutate`.
struct Reviewer {
    engine: Arc<Engine>,
    metrics: Arc<Metrics>,
    footer: Option<String>,
    enforcement: Enforcement,
    /// What Events are made of, where any are made about denials.
    denials: Option<Denials>,
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

/// Puts policies from files in force, and keeps them as the files have them. Out come those that do not compile.
async fn from_files(
    settings: &WebhookSettings,
    engine: &Arc<Engine>,
    metrics: &Arc<Metrics>,
    stop: &CancellationToken,
    tasks: &mut JoinSet<&'static str>,
) -> anyhow::Result<Vec<Broken>> {
    let documents = files::load(&settings.judge.policies)?;
    let broken = put_in_force(&documents, engine).await?;
    told(metrics, engine, &broken, &[]);
    let watching = reload(
        settings,
        documents.fingerprint,
        Arc::clone(engine),
        Arc::clone(metrics),
        stop.clone(),
    );
    tasks.spawn(async move {
        watching.await;
        "the watch on policies"
    });
    Ok(broken)
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

/// The tasks that keep fresh what policies refer to, and what is trusted by default.
fn keep_fresh(
    settings: &WebhookSettings,
    engine: &Arc<Engine>,
    metrics: &Arc<Metrics>,
    stop: &CancellationToken,
    tasks: &mut JoinSet<&'static str>,
) {
    let refreshing = refresh(Arc::clone(engine), Arc::clone(metrics));
    let refresh_stop = stop.clone();
    tasks.spawn(async move {
        refresh_stop.run_until_cancelled(refreshing).await;
        "the refresh of what policies refer to"
    });
    let (keeping, keep_stop) = (Arc::clone(engine), stop.clone());
    tasks.spawn(async move {
        let keeping = keeping.keep_credentials_fresh();
        keep_stop.run_until_cancelled(keeping).await;
        "the refresh of credentials"
    });
    let (trusting, trust_stop) = (Arc::clone(engine), stop.clone());
    let (interval, metrics) = (settings.policies_interval, Arc::clone(metrics));
    tasks.spawn(async move {
        let told = |read: bool| metrics.reload_failing(Reloaded::TrustedRoot, !read);
        trusting
            .watch_trusted_root(interval, trust_stop, told)
            .await;
        "the watch on the trusted root"
    });
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
    let (interval, stop) = (settings.policies_interval, stop.clone());
    tasks.spawn(async move {
        watch.run(interval, stop).await;
        "the watch on the authorities of clients"
    });
    Ok(Tls::for_clients(serving, settings.oldest_tls, clients)?)
}

/// Keeps the policies as the files have them. What cannot be read changes nothing.
fn reload(
    settings: &WebhookSettings,
    known: files::Fingerprint,
    engine: Arc<Engine>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let on_change = move |loaded: Result<files::Documents, files::LoadError>| {
        let (engine, metrics) = (Arc::clone(&engine), Arc::clone(&metrics));
        async move {
            let replaced = match loaded {
                Ok(documents) => put_in_force(&documents, &engine).await,
                Err(error) => Err(error.into()),
            };
            match replaced {
                Ok(broken) => {
                    metrics.reload_failing(Reloaded::Policies, false);
                    told(&metrics, &engine, &broken, &[]);
                }
                Err(error) => {
                    metrics.reload_failing(Reloaded::Policies, true);
                    tracing::error!(error = %format!("{error:#}"), "policies cannot be read; the last good set stays in force");
                }
            }
        }
    };
    files::watch(
        settings.judge.policies.clone(),
        Some(known),
        settings.policies_interval,
        stop,
        on_change,
    )
}

async fn put_in_force(
    documents: &files::Documents,
    engine: &Engine,
) -> anyhow::Result<Vec<Broken>> {
    for unused in objects::unused(documents, engine.namespace()) {
        tracing::warn!("{unused}");
    }
    let objects = documents.objects();
    // What is in force stays so until what the new policies refer to is there.
    engine.prepare(&objects).await;
    engine.replace(objects)
}

/// Keeps the settings of registries as their file has them. What cannot be used changes nothing.
fn reload_registries(
    settings: &WebhookSettings,
    engine: &Arc<Engine>,
    metrics: &Arc<Metrics>,
    stop: CancellationToken,
) -> Option<impl Future<Output = ()> + use<>> {
    let (path, loaded) = (settings.judge.registries.clone()?, engine.registries()?);
    let (engine, metrics) = (Arc::clone(engine), Arc::clone(metrics));
    let on_change = move |hosts: Result<RegistryHosts, RegistriesError>| {
        let replaced = hosts.map_err(anyhow::Error::from).and_then(|hosts| {
            let registries = hosts.len();
            engine.replace_registries(hosts).map(|()| registries)
        });
        metrics.reload_failing(Reloaded::Registries, replaced.is_err());
        match replaced {
            Ok(registries) => tracing::info!(registries, "settings of registries reloaded"),
            Err(error) => {
                tracing::error!(error = %format!("{error:#}"), "settings of registries cannot be used; the last good ones stay in force");
            }
        }
    };
    Some(watch_registries(
        path,
        loaded,
        settings.policies_interval,
        stop,
        on_change,
    ))
}

/// Keeps what policies refer to outside of any file fresh: looks at once where something new is referred to, and else every few
/// seconds whether something is due.
async fn refresh(engine: Arc<Engine>, metrics: Arc<Metrics>) {
    const LOOK: Duration = Duration::from_secs(5);
    loop {
        engine.fetch().await;
        let compiling = Arc::clone(&engine);
        let compiled = tokio::task::spawn_blocking(move || compiling.compile_again()).await;
        match compiled.map_err(anyhow::Error::from).flatten() {
            Ok(Some(broken)) => {
                tracing::info!("what policies refer to has changed");
                told(&metrics, &engine, &broken, &[]);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(error = %format!("{error:#}"), "policies cannot be compiled; the last good set stays in force");
            }
        }
        metrics.remote_policies(engine.remote_counts());
        count_references(&metrics, &engine);
        let _ = tokio::time::timeout(LOOK, engine.wants_something()).await;
    }
}

/// Tells what was put in force. What was broken before is not told again.
pub(super) fn told(metrics: &Metrics, engine: &Engine, broken: &[Broken], before: &[Broken]) {
    let in_force = engine.in_force();
    let policies = in_force.policies.as_ref();
    let all = policies.map_or(0, |set| set.policies().len());
    metrics.policies(all.saturating_sub(broken.len()), broken.len());
    metrics.controls(in_force.controls_state.as_str());
    for policy in broken.iter().filter(|policy| !before.contains(policy)) {
        tracing::warn!(policy = policy.name, problems = ?policy.problems, "policy cannot be used; images it matches are denied");
    }
    tracing::info!(policies = all, broken = broken.len(), "policies in force");
}

fn count_references(metrics: &Metrics, engine: &Engine) {
    let References {
        keys,
        roots,
        expires,
    } = engine.references();
    metrics.references("key", keys);
    metrics.references("trust-root", roots);
    metrics.references("registry-token", engine.cloud_tokens());
    metrics.trust_expires(expires);
}

// === impl WebhookSettings ===

impl WebhookSettings {
    /// In shadow no object is changed: a tag that would be pinned is judged at the digest that it has now.
    fn changing_nothing_in_shadow(mut self) -> Self {
        if self.enforcement == Enforcement::Shadow {
            tracing::warn!("enforcement is shadow: everything is judged, nothing is denied");
            self.judge.tags = match self.judge.tags {
                config::Tags::Resolve | config::Tags::Pin | config::Tags::PinAll => {
                    config::Tags::Resolve
                }
                config::Tags::Require => config::Tags::Require,
            };
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

// === impl Reviewer ===

impl Reviewer {
    /// What an answer to this review says beside its verdict.
    fn context<'a>(&'a self, uid: &'a str, snapshot: &Snapshot) -> Context<'a> {
        Context {
            uid,
            footer: self.footer.as_deref(),
            trust_epoch: snapshot.trust.epoch().to_string(),
            // In shadow nobody is warned of a tag that would be pinned.
            tags: if snapshot.tags.may_move() && self.enforcement == Enforcement::Enforce {
                Tags::MayMove
            } else {
                Tags::Pinned
            },
            enforcement: self.enforcement,
        }
    }
}

impl Validate for Reviewer {
    fn validate(&self, request: Request, deadline: Instant) -> BoxFuture<'_, Answer> {
        Box::pin(async move {
            let snapshot = self.engine.snapshot();
            let verdict = self
                .engine
                .judge()
                .review(&request, &snapshot, deadline)
                .await;
            for image in &verdict.images {
                self.metrics.image_verdict(image.reason);
            }
            let answer = explain::answer(&verdict, &self.context(&request.uid, &snapshot));
            if let Some(denials) = &self.denials {
                denials.note(&request, &answer);
            }
            answer
        })
    }

    fn unjudged(&self, uid: &str, reason: Reason) -> Answer {
        explain::unjudged(reason, &self.context(uid, &self.engine.snapshot()))
    }
}

impl Mutate for Reviewer {
    fn mutate(&self, request: Request, deadline: Instant) -> BoxFuture<'_, Mutation> {
        Box::pin(async move {
            let snapshot = self.engine.snapshot();
            let pinning = self.engine.judge().pin(&request, &snapshot, deadline).await;
            explain::mutation(&pinning)
        })
    }
}
