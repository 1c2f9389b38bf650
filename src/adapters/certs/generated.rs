//! A certificate of our own: an authority that lives as long as the process, and certificates of it that are renewed in time.
//!
//! The key of the authority stays in memory. Its certificate is written to a file, for whoever registers the webhook
//! (`caBundle`). A new process is a new authority: replicas share one only through files.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::fs::{self, OpenOptions};
use tokio::io::AsyncWriteExt;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{CertificateError, Pair, ServingCertificate};
use crate::adapters::metrics::Metrics;

const DAY: Duration = Duration::from_hours(24);
/// How long the authority lives.
const AUTHORITY_LIFE: Duration = DAY.saturating_mul(3_650);
/// How long a certificate lives.
const LIFE: Duration = DAY.saturating_mul(90);
/// When it is renewed: after two thirds, so that a month of failures is survived.
const RENEWAL: Duration = DAY.saturating_mul(60);
/// Clocks of clients may be behind by this.
const SKEW: Duration = Duration::from_hours(1);
/// How often it is looked whether it is time. By the clock on the wall: a timer stands still while a machine sleeps.
const PERIOD: Duration = Duration::from_hours(1);

/// Issues certificates for our names.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    names: Vec<String>,
}

/// Renews a certificate of our own.
pub struct Renewal {
    authority: Authority,
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
    let authority = Authority::new(names, now)?;
    let pair = authority.issue(now)?;
    if let Some(path) = authority_out {
        replace_file(path, authority.certificate_pem().as_bytes())
            .await
            .map_err(|source| CertificateError::Write {
                path: path.to_owned(),
                source,
            })?;
    }
    metrics.certificate_not_after(pair.not_after());
    let serving = Arc::new(ServingCertificate::new(pair));
    let renewal = Renewal {
        authority,
        serving: Arc::clone(&serving),
        metrics,
        renew_at: later(now, RENEWAL),
    };
    Ok((serving, renewal))
}

// === impl Authority ===

impl Authority {
    /// A new authority, valid from `now` for ten years, that issues for `localhost`, the loopback addresses and `names`.
    pub fn new(names: &[String], now: Timestamp) -> Result<Self, CertificateError> {
        let mut all = vec![
            "localhost".to_owned(),
            Ipv4Addr::LOCALHOST.to_string(),
            Ipv6Addr::LOCALHOST.to_string(),
        ];
        all.extend(names.iter().filter(|name| !name.is_empty()).cloned());
        let made = || {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
            let mut params = valid(CertificateParams::default(), now, AUTHORITY_LIFE);
            params
                .distinguished_name
                .push(DnType::CommonName, "vouchsafe webhook authority");
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            let certificate = params.self_signed(&key)?.pem();
            Ok((Issuer::new(params, key), certificate))
        };
        match made() {
            Ok((issuer, certificate)) => Ok(Self {
                issuer,
                certificate,
                names: all,
            }),
            Err(source) => Err(CertificateError::Issue { names: all, source }),
        }
    }

    /// The certificate of the authority, in PEM: what a client trusts.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate
    }

    /// A certificate with a new key (ECDSA P-256), valid from `now` for 90 days.
    pub fn issue(&self, now: Timestamp) -> Result<Pair, CertificateError> {
        let issued = || {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
            let mut params = valid(CertificateParams::new(self.names.clone())?, now, LIFE);
            params
                .distinguished_name
                .push(DnType::CommonName, "vouchsafe webhook");
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.use_authority_key_identifier_extension = true;
            Ok((params.signed_by(&key, &self.issuer)?, key))
        };
        let (certificate, key) = issued().map_err(|source| CertificateError::Issue {
            names: self.names.clone(),
            source,
        })?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Pair::new(vec![certificate.der().clone()], key, now)
    }
}

// === impl Renewal ===

impl Renewal {
    /// The certificate of the authority, in PEM.
    pub fn authority_pem(&self) -> &str {
        self.authority.certificate_pem()
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
        match self.authority.issue(now) {
            Ok(pair) => {
                tracing::info!(not_after = %pair.not_after(), "serving a new certificate");
                self.metrics.certificate_not_after(pair.not_after());
                self.metrics.certificate_loaded(true);
                self.serving.replace(pair);
                self.renew_at = later(now, RENEWAL);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot renew the certificate");
                self.metrics.certificate_loaded(false);
            }
        }
    }
}

/// The window, from a little before `now`, and an empty name.
fn valid(mut params: CertificateParams, now: Timestamp, life: Duration) -> CertificateParams {
    let since_epoch = Duration::from_secs(u64::try_from(now.as_second()).unwrap_or_default());
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch.saturating_sub(SKEW);
    params.not_after = epoch + since_epoch.saturating_add(life);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
}

/// A time that is later; at the end of time, the end of time.
fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
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

    #[tokio::test]
    async fn renews_after_two_thirds_of_its_life_and_not_before() {
        let metrics = Arc::new(Metrics::new());
        let authority = Authority::new(&[], day(20_000)).unwrap();
        let serving = Arc::new(ServingCertificate::new(
            authority.issue(day(20_000)).unwrap(),
        ));
        let mut renewal = Renewal {
            authority,
            serving: Arc::clone(&serving),
            metrics,
            renew_at: later(day(20_000), RENEWAL),
        };
        renewal.look(day(20_059));
        assert_eq!(serving.not_after(), day(20_090));
        renewal.look(day(20_060));
        assert_eq!(serving.not_after(), day(20_150));
        renewal.look(day(20_119));
        assert_eq!(serving.not_after(), day(20_150));
        renewal.look(day(20_120));
        assert_eq!(serving.not_after(), day(20_210));
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
        let authority = Authority::new(&["b\u{fc}cher.example".to_owned()], day(20_000)).unwrap();
        assert!(matches!(
            authority.issue(day(20_000)),
            Err(CertificateError::Issue { .. })
        ));
    }
}
