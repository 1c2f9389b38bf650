//! The serving certificate that replicas share: kept in a Secret of our namespace, its authorities published in the `caBundle` of the
//! webhook configurations that call us.
//!
//! *In*: the Secret and the configurations, read anew at every look. *Out*: the certificate that is shown, the Secret one step
//! further, configurations that trust what the Secret trusts. What the next step is says [`certs::shared`](crate::adapters::certs::shared).
//!
//! Every replica does the same; nobody leads. Three orders keep that safe:
//!
//! 1. Configurations are read before the Secret, and are written only as they were read: whoever writes one knows every Secret by
//!    which it was written before.
//! 2. The Secret is written before the configurations, and only as it was read: of two replicas that take a step, one is refused.
//! 3. A certificate is shown after its authority was seen in all configurations for the grace.
//!
//! Watches only say that it is time to look, so that what somebody else changes is put back at once (T-91); a look every so often makes up
//! for a watch that is silent.

mod configurations;
mod secret;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Cluster;
use crate::adapters::certs::shared::{Contents, Shown, Sightings, View};
use crate::adapters::certs::{CertificateError, Lifetimes, ServingCertificate};
use crate::adapters::metrics::Metrics;
use configurations::Configurations;
use secret::{SharedSecret, Write};

/// How long one request to the API server may take.
const REQUEST: Duration = Duration::from_secs(10);
/// After what is heard of by a watch, and from one step to the next. Also what is waited when another replica was first, at first.
const SOON: Duration = Duration::from_millis(20);
/// From a failure to the next look, at first.
const RETRY: Duration = Duration::from_millis(500);

/// A certificate that replicas share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedCertificate {
    /// The name of the Secret, in our namespace.
    pub secret: String,
    /// The names of the configurations that call us, validating and mutating ones.
    pub configurations: Vec<String>,
    /// Names of the certificate, beside `localhost` and the loopback addresses.
    pub names: Vec<String>,
    /// How long everything lives.
    pub lifetimes: Lifetimes,
    /// The longest time from one look to the next.
    pub poll: Duration,
}

/// Keeps a shared certificate: shows it, renews it, publishes its authorities.
pub struct Keeper {
    settings: SharedCertificate,
    secret: SharedSecret,
    configurations: Configurations,
    serving: Arc<ServingCertificate>,
    metrics: Arc<Metrics>,
    sightings: Sightings,
    remembered: Option<Contents>,
    shown: Option<(Shown, Vec<u8>)>,
    /// The failure that was told last.
    told: Option<String>,
}

/// When to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// A step was taken, or somebody else was first.
    Soon,
    /// In so much time, if nothing is heard of before.
    In(Duration),
}

/// Why a look ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServingError {
    /// The API server refuses, or cannot be asked.
    #[error("cannot {what}: {said}")]
    Api {
        /// What was to be done.
        what: String,
        /// What is said about it.
        said: String,
    },
    /// The API server does not answer.
    #[error("cannot {what}: no answer in {} s", REQUEST.as_secs())]
    Slow {
        /// What was to be done.
        what: String,
    },
    /// The Secret holds something else.
    #[error(
        "the Secret {name} is somebody else's: {said}, and it does not carry our label. Name another one with --tls-secret, or mount it and name its files with --tls-cert and --tls-key"
    )]
    Foreign {
        /// Its name.
        name: String,
        /// What is in the way of using it.
        said: String,
    },
    /// No certificate can be made.
    #[error("{}", chain(.0))]
    Certificate(#[from] CertificateError),
}

// === impl Keeper ===

impl Keeper {
    /// Keeps the certificate of `settings` in `serving`. Nothing is asked yet.
    pub fn new(
        cluster: &Cluster,
        settings: SharedCertificate,
        serving: Arc<ServingCertificate>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            secret: SharedSecret::new(cluster, &settings.secret),
            configurations: Configurations::new(cluster, &settings.configurations),
            settings,
            serving,
            metrics,
            sightings: Sightings::default(),
            remembered: None,
            shown: None,
            told: None,
        }
    }

    /// Keeps it until `stop`. Calls `on_published` once, when whoever is configured to call us trusts what is shown.
    pub async fn run(self, on_published: impl FnOnce(), stop: CancellationToken) {
        let heard = Notify::new();
        let changes = futures::stream::select(self.secret.changes(), self.configurations.changes());
        let listening = changes.for_each(|()| {
            heard.notify_one();
            std::future::ready(())
        });
        let keeping = self.keep(&heard, on_published);
        stop.run_until_cancelled(futures::future::join(listening, keeping))
            .await;
    }

    async fn keep(mut self, heard: &Notify, on_published: impl FnOnce()) {
        let mut on_published = Some(on_published);
        let (mut soon, mut retry) = (SOON, RETRY);
        loop {
            let looked = self.look().await;
            if self.is_published()
                && let Some(on_published) = on_published.take()
            {
                tracing::info!("the webhook configurations trust the serving certificate");
                on_published();
            }
            let wait = match looked {
                Ok(Next::In(wait)) => {
                    (soon, retry) = (SOON, RETRY);
                    self.told = None;
                    wait
                }
                Ok(Next::Soon) => doubled(&mut soon, RETRY),
                Err(error) => {
                    self.tell(error.to_string());
                    doubled(&mut retry, self.settings.poll)
                }
            };
            // What is heard of comes in bursts.
            sleep(SOON).await;
            let _ = timeout(wait, heard.notified()).await;
        }
    }

    /// Looks once: takes at most one step, publishes, shows.
    async fn look(&mut self) -> Result<Next, ServingError> {
        let mut seen = self.configurations.read().await;
        self.sightings.record(&seen.sights(), Instant::now());
        let found = self.secret.read().await?;
        let held = self.secret.contents(found.as_ref())?;
        let looked = self.view(held.as_ref());
        let (step, now, clock) = (looked.step(), looked.now, looked.clock);
        let (held, stepped) = match (step, held) {
            (None, Some(held)) => (held, false),
            (None, None) => return Ok(Next::In(self.settings.poll)),
            (Some(step), held) => {
                let after = self.view(held.as_ref()).after(&step)?;
                if self.secret.write(found, &after).await? == Write::Refused {
                    return Ok(Next::Soon);
                }
                tracing::info!(
                    step = step.as_str(),
                    secret = self.settings.secret,
                    authority_not_after = %after.anchor().not_after(),
                    trusted = after.trusted().len(),
                    "the Secret of the serving certificate was changed"
                );
                self.metrics.certificate_step(step.as_str());
                (after, true)
            }
        };
        self.remembered = Some(held.clone());
        let settled = self
            .configurations
            .publish(&mut seen, &held, &self.metrics)
            .await?;
        self.sightings.record(&seen.sights(), Instant::now());
        self.show(&held);
        // By the clock of the step: what became due since then is still to come, and would be slept over otherwise.
        let seen_then = View {
            now,
            clock,
            ..self.view(Some(&held))
        };
        let again = seen_then.look_again(self.settings.poll);
        Ok(if stepped || !settled {
            Next::Soon
        } else {
            Next::In(again)
        })
    }

    /// Shows the certificate of the Secret, if it may be shown and is another one.
    fn show(&mut self, held: &Contents) {
        let view = self.view(Some(held));
        let leaf = held.certificate();
        if !view.may_show() || self.shown.as_ref().is_some_and(|(_, known)| known == leaf) {
            return;
        }
        let (now, clock) = (view.now, view.clock);
        match held.pair(now) {
            Ok(pair) => {
                tracing::info!(not_after = %pair.not_after(), "serving a new certificate");
                self.metrics.certificate_not_after(pair.not_after());
                self.metrics.certificate_loaded(true);
                let before = self.shown.take();
                let same = before.filter(|(shown, _)| shown.anchor == *held.anchor());
                let shown = Shown {
                    anchor: held.anchor().clone(),
                    not_after: pair.not_after(),
                    since: same.map_or(clock, |(shown, _)| shown.since),
                };
                self.shown = Some((shown, leaf.to_vec()));
                self.serving.replace(pair);
            }
            Err(error) => {
                self.metrics.certificate_loaded(false);
                self.tell(chain(&error));
            }
        }
    }

    fn is_published(&self) -> bool {
        self.view(self.remembered.as_ref()).is_published()
    }

    fn view<'a>(&'a self, held: Option<&'a Contents>) -> View<'a> {
        View {
            held,
            remembered: self.remembered.as_ref(),
            shown: self.shown.as_ref().map(|(shown, _)| shown),
            sightings: &self.sightings,
            names: &self.settings.names,
            lifetimes: &self.settings.lifetimes,
            now: Timestamp::now(),
            clock: Instant::now(),
        }
    }

    /// Tells a failure, once in a row.
    fn tell(&mut self, failure: String) {
        if self.told.as_ref() != Some(&failure) {
            tracing::error!(
                error = failure,
                "the serving certificate cannot be kept; what is shown stays"
            );
            self.told = Some(failure);
        }
    }
}

/// The time to wait now; the next time it is twice as long, up to `most`.
fn doubled(wait: &mut Duration, most: Duration) -> Duration {
    let now = *wait;
    *wait = now.saturating_mul(2).min(most);
    now
}

/// A request to the API server, with a deadline and in our words. `what` is what is to be done: "read the Secret NAME".
async fn asked<T>(
    what: impl FnOnce() -> String,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, Failed> {
    match timeout(REQUEST, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => Err(Failed {
            code: status.code,
            error: ServingError::Api {
                what: what(),
                said: status.message.clone(),
            },
        }),
        Ok(Err(error)) => Err(Failed {
            code: 0,
            error: ServingError::Api {
                what: what(),
                said: chain(&error),
            },
        }),
        Err(_) => Err(Failed {
            code: 0,
            error: ServingError::Slow { what: what() },
        }),
    }
}

/// A request that failed.
#[derive(Debug)]
struct Failed {
    /// The status of the answer; 0 where there was none.
    code: u16,
    error: ServingError,
}

/// An error and its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let texts = std::iter::once(error.to_string()).chain(causes.map(ToString::to_string));
    texts.collect::<Vec<_>>().join(": ")
}
