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

use super::engine::{self, Broken, Engine};
use super::observers::{Requests, Reviews};
use super::policies::PolicyReviewer;
use super::sources::References;
use crate::adapters::certs::{self, CertificateFiles, ServingCertificate};
use crate::adapters::files;
use crate::adapters::metrics::Metrics;
use crate::adapters::oci::{RegistriesError, RegistryHosts, watch_registries};
use crate::config::JudgeArgs;
use crate::decide::Snapshot;
use crate::explain::{self, Answer, Context, Enforcement, Tags};
use crate::limits::Limits;
use crate::server::{
    self, Bound, Mutate, Mutation, Readiness, Routes, ServeSettings, Tls, TlsVersion, Validate,
    admin,
};
use crate::verdict::Reason;
use crate::workload::Request;

/// What a webhook is made of.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// Policies, and how images are judged.
    pub judge: JudgeArgs,
    /// Where reviews are answered.
    pub listen: SocketAddr,
    /// Where health and metrics are told.
    pub admin_listen: SocketAddr,
    /// Where the serving certificate comes from.
    pub certificate: Certificate,
    /// The oldest version of TLS that is spoken.
    pub oldest_tls: TlsVersion,
    /// How often policies are looked at again.
    pub policies_interval: Duration,
    /// How long what was fetched for a policy stays in use when it cannot be fetched again.
    pub max_stale: Duration,
    /// How long reviews are still taken after the signal to stop.
    pub stop_delay: Duration,
    /// One line at the end of every denial.
    pub footer: Option<String>,
    /// The bounds.
    pub limits: Limits,
}

/// Where a serving certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// From two files, read again when they change.
    Files {
        /// The files.
        files: CertificateFiles,
        /// How often they are looked at.
        interval: Duration,
    },
    /// From an authority of our own.
    Generated {
        /// Names beside `localhost` and the loopback addresses.
        names: Vec<String>,
        /// Where the authority's certificate is written.
        authority_out: Option<PathBuf>,
    },
}

/// A webhook that answers.
pub struct Running {
    /// Where reviews are answered.
    pub address: SocketAddr,
    /// Where health and metrics are told.
    pub admin_address: SocketAddr,
    /// Policies that do not compile: they deny what they match.
    pub broken: Vec<Broken>,
    tasks: JoinSet<&'static str>,
    stop: CancellationToken,
}

/// What stands behind `/validate` and `/mutate`.
struct Reviewer {
    engine: Arc<Engine>,
    metrics: Arc<Metrics>,
    footer: Option<String>,
}

/// How long calls in flight may take after the listener is closed: the longest deadline of a review.
const DRAIN: Duration = Duration::from_secs(30);

/// Starts a webhook: policies and certificate are there before anything listens.
pub async fn start(settings: WebhookSettings) -> anyhow::Result<Running> {
    let metrics = Arc::new(Metrics::new());
    let readiness = Readiness::new();
    let policies_pending = readiness.register("policies");
    let observer = Arc::new(Requests(Arc::clone(&metrics)));
    let engine = Engine::new(&settings.judge, &settings.limits, observer)?;
    let engine = Arc::new(engine.keeping(settings.max_stale));
    let documents = files::load(&settings.judge.policies)?;
    warn_unused(&documents, &engine);
    let known = documents.fingerprint;
    engine.prepare(&documents).await;
    let broken = engine.replace(documents)?;
    count(&metrics, &engine, &broken);
    let loaded = engine.snapshot().policies.policies().len();
    tracing::info!(policies = loaded, broken = broken.len(), "policies loaded");
    policies_pending.ready();

    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    let serving = certificate(&settings.certificate, &metrics, &stop, &mut tasks).await?;
    let bound = Bound::tls(settings.listen, Tls::new(serving, settings.oldest_tls)?).await?;
    let bound_admin = Bound::plain(settings.admin_listen).await?;
    let (address, admin_address) = (bound.address(), bound_admin.address());

    let watching = reload(
        &settings,
        known,
        Arc::clone(&engine),
        Arc::clone(&metrics),
        stop.clone(),
    );
    tasks.spawn(async move {
        watching.await;
        "the watch on policies"
    });
    keep_fresh(&settings, &engine, &metrics, &stop, &mut tasks);
    if let Some(watching) = reload_registries(&settings, &engine, stop.clone()) {
        tasks.spawn(async move {
            watching.await;
            "the watch on the settings of registries"
        });
    }
    let exposition = Arc::clone(&metrics);
    let admin_router = admin::router(readiness.clone(), Arc::new(move || exposition.encode()));
    let connections = settings.limits.in_flight.connections;
    let admin_settings = ServeSettings {
        connections: 64,
        stop_delay: settings.stop_delay,
        drain: Duration::from_secs(1),
    };
    let admin_stop = stop.clone();
    tasks.spawn(async move {
        bound_admin
            .serve(admin_router, admin_settings, admin_stop)
            .await;
        "the admin listener"
    });
    let validate_policy = Arc::new(PolicyReviewer::new(
        Arc::clone(&engine),
        Arc::clone(&metrics),
    ));
    let reviewer = Arc::new(Reviewer {
        engine,
        metrics: Arc::clone(&metrics),
        footer: settings.footer,
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
    let serve_settings = ServeSettings {
        connections,
        stop_delay: settings.stop_delay,
        drain: DRAIN,
    };
    let serve_stop = stop.clone();
    tasks.spawn(async move {
        let withdrawn = serve_stop.clone();
        let stopping = async {
            withdrawn.cancelled().await;
            readiness.stop();
        };
        tokio::join!(bound.serve(router, serve_settings, serve_stop), stopping);
        "the webhook listener"
    });
    Ok(Running {
        address,
        admin_address,
        broken,
        tasks,
        stop,
    })
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
    let interval = settings.policies_interval;
    tasks.spawn(async move {
        trusting.watch_trusted_root(interval, trust_stop).await;
        "the watch on the trusted root"
    });
}

async fn certificate(
    from: &Certificate,
    metrics: &Arc<Metrics>,
    stop: &CancellationToken,
    tasks: &mut JoinSet<&'static str>,
) -> anyhow::Result<Arc<ServingCertificate>> {
    let (metrics, stop) = (Arc::clone(metrics), stop.clone());
    match from.clone() {
        Certificate::Files { files, interval } => {
            let (serving, watch) = files
                .load(metrics)
                .await
                .context("cannot load the serving certificate")?;
            tasks.spawn(async move {
                watch.run(interval, stop).await;
                "the watch on the certificate"
            });
            Ok(serving)
        }
        Certificate::Generated {
            names,
            authority_out,
        } => {
            let made = certs::generate(&names, authority_out.as_deref(), metrics).await;
            let (serving, renewal) = made.context("cannot make a serving certificate")?;
            tasks.spawn(async move {
                renewal.run(stop).await;
                "the renewal of the certificate"
            });
            Ok(serving)
        }
    }
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
            match put_in_force(loaded, &engine).await {
                Ok(broken) => {
                    count(&metrics, &engine, &broken);
                    tracing::info!(
                        policies = engine.snapshot().policies.policies().len(),
                        broken = broken.len(),
                        "policies reloaded"
                    );
                }
                Err(error) => {
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
    loaded: Result<files::Documents, files::LoadError>,
    engine: &Engine,
) -> anyhow::Result<Vec<Broken>> {
    let documents = loaded?;
    warn_unused(&documents, engine);
    // What is in force stays so until what the new policies refer to is there.
    engine.prepare(&documents).await;
    engine.replace(documents)
}

/// Keeps the settings of registries as their file has them. What cannot be used changes nothing.
fn reload_registries(
    settings: &WebhookSettings,
    engine: &Arc<Engine>,
    stop: CancellationToken,
) -> Option<impl Future<Output = ()> + use<>> {
    let (path, loaded) = (settings.judge.registries.clone()?, engine.registries()?);
    let engine = Arc::clone(engine);
    let on_change = move |hosts: Result<RegistryHosts, RegistriesError>| {
        let replaced = hosts.map_err(anyhow::Error::from).and_then(|hosts| {
            let registries = hosts.len();
            engine.replace_registries(hosts).map(|()| registries)
        });
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
        match engine.refresh().await {
            Ok(Some(broken)) => {
                count(&metrics, &engine, &broken);
                tracing::info!(
                    broken = broken.len(),
                    "policies compiled again: what they refer to has changed"
                );
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

fn warn_unused(documents: &files::Documents, engine: &Engine) {
    for unused in engine::unused(documents, engine.namespace()) {
        tracing::warn!("{unused}");
    }
}

fn count(metrics: &Metrics, engine: &Engine, broken: &[Broken]) {
    let all = engine.snapshot().policies.policies().len();
    metrics.policies(all.saturating_sub(broken.len()), broken.len());
    for policy in broken {
        tracing::warn!(policy = policy.name, problems = ?policy.problems, "policy cannot be used; images it matches are denied");
    }
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
            tags: if snapshot.tags.may_move() {
                Tags::MayMove
            } else {
                Tags::Pinned
            },
            enforcement: Enforcement::Enforce,
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
            explain::answer(&verdict, &self.context(&request.uid, &snapshot))
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
