//! The tasks of a webhook that keep fresh what it judges by: policies and trust as their files have them, the settings of registries,
//! and what policies refer to outside of any file. What cannot be read changes nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::WebhookSettings;
use crate::adapters::files;
use crate::adapters::metrics::{Metrics, Reloaded};
use crate::adapters::oci::{RegistriesError, RegistryHosts, watch_registries};
use crate::app::engine::{Broken, Engine};
use crate::app::referents;
use crate::app::sources::References;

/// Puts policies from files in force, and keeps them as the files have them. Out come those that do not compile.
pub(super) async fn from_files(
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

/// The tasks that keep fresh what policies refer to, and what is trusted by default.
pub(super) fn keep_fresh(
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
    let (interval, metrics) = (settings.reload_interval, Arc::clone(metrics));
    tasks.spawn(async move {
        let told = |read: bool| metrics.reload_failing(Reloaded::TrustedRoot, !read);
        trusting
            .watch_trusted_root(interval, trust_stop, told)
            .await;
        "the watch on the trusted root"
    });
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
        settings.reload_interval,
        stop,
        on_change,
    )
}

async fn put_in_force(
    documents: &files::Documents,
    engine: &Engine,
) -> anyhow::Result<Vec<Broken>> {
    for unused in referents::unused(documents, engine.namespace()) {
        tracing::warn!("{unused}");
    }
    let objects = documents.objects();
    // What is in force stays so until what the new policies refer to is there.
    engine.prepare(&objects).await;
    engine.replace(objects)
}

/// Keeps the settings of registries as their file has them. What cannot be used changes nothing.
pub(super) fn reload_registries(
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
        settings.reload_interval,
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
pub(in crate::app) fn told(
    metrics: &Metrics,
    engine: &Engine,
    broken: &[Broken],
    before: &[Broken],
) {
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
