//! A certificate of our own: an authority that lives as long as the process, and certificates of it that are renewed in time.
//!
//! The key of the authority stays in memory. Its certificate is written to a file, for whoever registers the webhook
//! (`caBundle`). A new process is a new authority: replicas share one only through files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::fs::{self, OpenOptions};
use tokio::io::AsyncWriteExt;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::authority::{Authority, Window, with_loopback};
use super::lifetimes::Lifetimes;
use super::{CertificateError, Pair, SKEW, ServingCertificate};
use crate::adapters::metrics::Metrics;

/// How long authority and certificates live.
const LIVES: Lifetimes = Lifetimes::DEFAULT;
/// How often it is looked whether it is time. By the clock on the wall: a timer stands still while a machine sleeps.
const PERIOD: Duration = Duration::from_hours(1);

/// Renews a certificate of our own.
pub struct Renewal {
    authority: Authority,
    names: Vec<String>,
    serving: Arc<ServingCertificate>,
    metrics: Arc<Metrics>,
    renew_at: Timestamp,
}

/// Makes an authority and its first certificate, for `localhost`, the loopback addresses and `names`; writes the certificate of the
/// authority to `authority_out`, so that what listens afterwards can be verified.
pub async fn generate(
    names: &[String],
    authority_out: Option<&Path>,
    metrics: Arc<Metrics>,
) -> Result<(Arc<ServingCertificate>, Renewal), CertificateError> {
    let now = Timestamp::now();
    let authority = Authority::new(Window::around(now, SKEW, LIVES.authority.valid))?;
    let names = with_loopback(names);
    let pair = issue(&authority, &names, now)?;
    if let Some(path) = authority_out {
        replace_file(path, authority.anchor().pem().as_bytes())
            .await
            .map_err(|source| CertificateError::Write {
                path: path.to_owned(),
                source,
            })?;
    }
    metrics.certificate_not_after(pair.not_after());
    let renew_at = LIVES.certificate.renew_at(pair.not_after());
    let serving = Arc::new(ServingCertificate::new(pair));
    let renewal = Renewal {
        renew_at,
        authority,
        names,
        serving: Arc::clone(&serving),
        metrics,
    };
    Ok((serving, renewal))
}

/// A certificate with a new key, valid from a little before `now`.
fn issue(
    authority: &Authority,
    names: &[String],
    now: Timestamp,
) -> Result<Pair, CertificateError> {
    let window = Window::around(now, SKEW, LIVES.certificate.valid);
    authority.issue(names, window)?.pair(now)
}

// === impl Renewal ===

impl Renewal {
    /// The certificate of the authority, in PEM.
    pub fn authority_pem(&self) -> &str {
        self.authority.anchor().pem()
    }

    /// Renews whenever it is time, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.look(Timestamp::now());
        }
    }

    /// Renews if it is time. What fails is tried again at the next look.
    fn look(&mut self, now: Timestamp) {
        if now < self.renew_at {
            return;
        }
        match issue(&self.authority, &self.names, now) {
            Ok(pair) => {
                tracing::info!(not_after = %pair.not_after(), "serving a new certificate");
                self.metrics.certificate_not_after(pair.not_after());
                self.metrics.certificate_loaded(true);
                self.renew_at = LIVES.certificate.renew_at(pair.not_after());
                self.serving.replace(pair);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot renew the certificate");
                self.metrics.certificate_loaded(false);
            }
        }
    }
}

/// Writes a file that nobody sees half-written.
async fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let next: PathBuf = path.with_file_name(name);
    // Left by a process that ended in the middle; in a container each has the same number.
    let _ = fs::remove_file(&next).await;
    let written = async {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&next)
            .await?;
        file.write_all(bytes).await?;
        file.sync_all().await?;
        fs::rename(&next, path).await
    };
    let written = written.await;
    if written.is_err() {
        // The first failure is the one to tell.
        let _ = fs::remove_file(&next).await;
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: i64) -> Timestamp {
        Timestamp::from_second(number * 86_400).unwrap()
    }

    fn authority(now: Timestamp) -> Authority {
        Authority::new(Window::around(now, SKEW, LIVES.authority.valid)).unwrap()
    }

    #[tokio::test]
    async fn renews_after_two_thirds_of_its_life_and_not_before() {
        let metrics = Arc::new(Metrics::new());
        let authority = authority(day(20_000));
        let names = with_loopback(&[]);
        let first = issue(&authority, &names, day(20_000)).unwrap();
        let serving = Arc::new(ServingCertificate::new(first));
        let mut renewal = Renewal {
            authority,
            names,
            serving: Arc::clone(&serving),
            metrics,
            renew_at: day(20_060),
        };
        renewal.look(day(20_059));
        assert_eq!(serving.not_after(), Some(day(20_090)));
        renewal.look(day(20_060));
        assert_eq!(serving.not_after(), Some(day(20_150)));
        renewal.look(day(20_119));
        assert_eq!(serving.not_after(), Some(day(20_150)));
        renewal.look(day(20_120));
        assert_eq!(serving.not_after(), Some(day(20_210)));
    }

    #[tokio::test]
    async fn writes_the_authority_whole_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, "of an earlier process").unwrap();
        let (_, renewal) = generate(
            &["vouchsafe.svc".to_owned()],
            Some(&path),
            Arc::new(Metrics::new()),
        )
        .await
        .unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            renewal.authority_pem()
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn says_where_the_authority_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("ca.pem");
        let result = generate(&[], Some(&path), Arc::new(Metrics::new())).await;
        assert!(
            matches!(result, Err(CertificateError::Write { path: found, .. }) if found == path)
        );
    }

    #[test]
    fn refuses_a_name_that_no_certificate_can_hold() {
        let names = ["b\u{fc}cher.example".to_owned()];
        assert!(matches!(
            issue(&authority(day(20_000)), &names, day(20_000)),
            Err(CertificateError::Issue { .. })
        ));
    }
}
