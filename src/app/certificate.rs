//! The serving certificate: where it comes from, and the task that keeps it fresh.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::adapters::certs::{self, CertificateFiles, ServingCertificate};
use crate::adapters::cluster::Cluster;
use crate::adapters::cluster::serving::{Keeper, SharedCertificate};
use crate::adapters::metrics::Metrics;
use crate::server::{Pending, Readiness};

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
    /// From a Secret that replicas share; needs a cluster. It comes when it comes: until then handshakes fail, and the process is not
    /// ready.
    Shared(SharedCertificate),
}

/// What the task of a certificate shares with the others.
pub(super) struct Tasks<'a> {
    pub(super) metrics: &'a Arc<Metrics>,
    pub(super) readiness: &'a Readiness,
    pub(super) stop: &'a CancellationToken,
    pub(super) spawned: &'a mut JoinSet<&'static str>,
}

// === impl Tasks ===

impl Tasks<'_> {
    /// The certificate, and its task.
    pub(super) async fn spawn(
        self,
        from: &Certificate,
        cluster: Option<&Cluster>,
    ) -> anyhow::Result<Arc<ServingCertificate>> {
        let (metrics, stop) = (Arc::clone(self.metrics), self.stop.clone());
        match from.clone() {
            Certificate::Files { files, interval } => {
                let loaded = files.load(metrics).await;
                let (serving, watch) = loaded.context("cannot load the serving certificate")?;
                self.spawned.spawn(async move {
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
                self.spawned.spawn(async move {
                    renewal.run(stop).await;
                    "the renewal of the certificate"
                });
                Ok(serving)
            }
            Certificate::Shared(shared) => {
                let cluster = cluster.context("a certificate is shared in a cluster alone")?;
                certs::check_names(&shared.names).context("cannot make a serving certificate")?;
                let serving = Arc::new(ServingCertificate::none());
                let keeper = Keeper::new(cluster, shared, Arc::clone(&serving), metrics);
                let pending = self.readiness.register("certificate");
                self.spawned.spawn(async move {
                    Box::pin(keeper.run(|| Pending::ready(pending), stop)).await;
                    "the keeper of the certificate"
                });
                Ok(serving)
            }
        }
    }
}
