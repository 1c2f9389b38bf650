//! The certificate that the webhook shows: from files that somebody else renews, or made and renewed here.
//!
//! *In*: two PEM files, or names to issue for, or a Secret that replicas share ([`shared`]). *Out*: a [`ServingCertificate`] that every
//! handshake asks, and a task that keeps it fresh. Renewing swaps what is in memory: no restart, no handshake that fails. What is
//! half-written, does not belong together or has expired never replaces a pair that works.
//!
//! Where the rest of it is:
//!
//! | place | what |
//! |---|---|
//! | `authority` | our own authority, and what it issues |
//! | `files` | a pair from two files (`--tls-cert`) |
//! | `generated` | a pair made at the start, of this process alone (`--ca-out`) |
//! | [`shared`] | a pair that replicas share (`--tls-secret`): what the Secret holds and which step is next; touches nothing |
//! | `lifetimes`, `validity` | how long certificates of ours live; until when any certificate is valid |
//! | `clients` | the authorities of clients, where calls are for some alone (`--client-ca`) |
//! | [`cluster::serving`](super::cluster::serving) | the Secret and each `caBundle`, read and written as [`shared`] says |
//! | `server::tls` | the handshake, which asks [`ServingCertificate`] |
//! | `app::certificate` | which of the three it is, the task that keeps it fresh, and when the process is ready |
//! | `cli::serve`, `cli::shared_certificate` | their flags |

mod authority;
mod clients;
mod error;
mod files;
mod generated;
mod lifetimes;
pub mod shared;
mod validity;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

pub use authority::{Anchor, Authority, Issued, Window, check_names, with_loopback};
pub use clients::{ClientAuthorities, ClientWatch};
pub use error::CertificateError;
pub use files::{CertificateFiles, FileWatch};
pub use generated::{Renewal, generate};
pub use lifetimes::{Life, Lifetimes, LifetimesError};

/// Clocks of clients may be behind by this.
const SKEW: Duration = Duration::from_hours(1);

/// A certificate with the key that belongs to it.
#[derive(Clone, Debug)]
pub struct Pair {
    certified: Arc<CertifiedKey>,
    not_after: Timestamp,
}

/// The pair that is shown to the next handshake. While there is none, handshakes fail.
#[derive(Debug, Default)]
pub struct ServingCertificate(ArcSwapOption<Pair>);

// === impl Pair ===

impl Pair {
    /// Holds that key and certificate belong together and that the certificate has not expired at `now`.
    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        now: Timestamp,
    ) -> Result<Self, CertificateError> {
        let leaf = chain.first().ok_or(CertificateError::NoCertificate)?;
        let not_after =
            validity::not_after(leaf).map_err(|source| CertificateError::Unreadable { source })?;
        if not_after < now {
            return Err(CertificateError::Expired { not_after, now });
        }
        let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
            .map_err(|source| CertificateError::Mismatch { source })?;
        Ok(Self {
            certified: Arc::new(certified),
            not_after,
        })
    }

    /// When the certificate expires.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }
}

// === impl ServingCertificate ===

impl ServingCertificate {
    /// Shows this pair.
    pub fn new(pair: Pair) -> Self {
        Self(ArcSwapOption::from_pointee(pair))
    }

    /// Shows nothing yet.
    pub fn none() -> Self {
        Self::default()
    }

    /// Shows this pair from now on. Connections that are open stay as they are.
    pub fn replace(&self, pair: Pair) {
        self.0.store(Some(Arc::new(pair)));
    }

    /// When the certificate that is shown expires; `None` while there is none.
    pub fn not_after(&self) -> Option<Timestamp> {
        self.0.load().as_ref().map(|pair| pair.not_after)
    }
}

impl ResolvesServerCert for ServingCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.0.load();
        shown.as_ref().map(|pair| Arc::clone(&pair.certified))
    }
}
