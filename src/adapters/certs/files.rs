//! Certificate and key from two files, which somebody else renews: cert-manager through a mounted Secret, or a person.
//!
//! The files are read again and again and compared by content. Kubelet renews a mounted Secret by turning a symbolic link to a new
//! folder, which no watch on the files themselves would see.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{CertificateError, Pair, ServingCertificate};
use crate::adapters::metrics::Metrics;

/// The most that is read of one file.
const FILE_BYTES: u64 = 1 << 20;

/// Where certificate (with its chain) and key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, and those above it, in PEM.
    pub certificate: PathBuf,
    /// The private key, in PEM: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

/// Keeps a certificate as the files have it.
#[derive(Debug)]
pub struct FileWatch {
    files: CertificateFiles,
    serving: Arc<ServingCertificate>,
    metrics: Arc<Metrics>,
    /// What was looked at last, good or not.
    seen: Seen,
}

/// Which contents, or which failure to read them.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Contents([u8; 32]),
    Failure(String),
}

/// Both files as they are.
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

// === impl CertificateFiles ===

impl CertificateFiles {
    /// Loads the pair, and gives the task that keeps it fresh.
    pub async fn load(
        self,
        metrics: Arc<Metrics>,
    ) -> Result<(Arc<ServingCertificate>, FileWatch), CertificateError> {
        let contents = self.read().await?;
        let pair = self.pair(&contents, Timestamp::now())?;
        metrics.certificate_not_after(pair.not_after());
        let serving = Arc::new(ServingCertificate::new(pair));
        let seen = Seen::Contents(contents.digest());
        Ok((
            Arc::clone(&serving),
            FileWatch {
                files: self,
                serving,
                metrics,
                seen,
            },
        ))
    }

    async fn read(&self) -> Result<Contents, CertificateError> {
        Ok(Contents {
            certificate: read(&self.certificate).await?,
            key: read(&self.key).await?,
        })
    }

    fn pair(&self, contents: &Contents, now: Timestamp) -> Result<Pair, CertificateError> {
        let pem = |path: &Path, wanted| {
            let path = path.to_owned();
            move |source| CertificateError::Pem {
                path,
                wanted,
                source,
            }
        };
        let chain = CertificateDer::pem_slice_iter(&contents.certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(pem(&self.certificate, "certificate"))?;
        let key =
            PrivateKeyDer::from_pem_slice(&contents.key).map_err(pem(&self.key, "private key"))?;
        Pair::new(chain, key, now)
    }
}

// === impl FileWatch ===

impl FileWatch {
    /// Looks every `period` whether the files have changed, until `stop`.
    pub async fn run(mut self, period: Duration, stop: CancellationToken) {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.look(Timestamp::now()).await;
        }
    }

    /// Looks once. Each new state of the files is reported once.
    async fn look(&mut self, now: Timestamp) {
        let read = self.files.read().await;
        let seen = match &read {
            Ok(contents) => Seen::Contents(contents.digest()),
            Err(error) => Seen::Failure(error.to_string()),
        };
        if seen == self.seen {
            return;
        }
        self.seen = seen;
        match read.and_then(|contents| self.files.pair(&contents, now)) {
            Ok(pair) => {
                tracing::info!(not_after = %pair.not_after(), "serving a new certificate");
                self.metrics.certificate_not_after(pair.not_after());
                self.metrics.certificate_loaded(true);
                self.serving.replace(pair);
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "keeping the certificate that is served, the files hold none to replace it");
                self.metrics.certificate_loaded(false);
            }
        }
    }
}

// === impl Contents ===

impl Contents {
    /// Tells states of the files apart. The length keeps bytes from moving between them.
    fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.certificate.len().to_be_bytes());
        hash.update(&self.certificate);
        hash.update(&self.key);
        hash.finalize().into()
    }
}

/// A whole file, within bounds.
pub(super) async fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let fail = |source| CertificateError::Read {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).await.map_err(fail)?;
    let size = file
        .take(FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .await
        .map_err(fail)?;
    if u64::try_from(size).is_ok_and(|size| size <= FILE_BYTES) {
        Ok(bytes)
    } else {
        Err(CertificateError::TooLarge {
            path: path.to_owned(),
            limit: FILE_BYTES,
        })
    }
}

#[cfg(test)]
mod tests;
