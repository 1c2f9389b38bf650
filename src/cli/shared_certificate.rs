//! Arguments of `serve` for a certificate that replicas share.

use std::time::Duration;

use clap::{Args, value_parser};

use crate::adapters::certs::{Life, Lifetimes, LifetimesError};
use crate::adapters::cluster::serving::SharedCertificate;

/// From one look at the Secret to the next, where no watch says that it is time.
const POLL: Duration = Duration::from_secs(30);
/// A hundred years.
const LONGEST: u64 = 100 * 365 * 86_400;
const DEFAULT: Lifetimes = Lifetimes::DEFAULT;

/// Where the certificate is shared, and how long it lives.
#[derive(Args, Debug)]
pub(super) struct SharedCertificateArgs {
    /// Secret of our namespace through which replicas share a certificate, which they make and renew (docs/certificates.md)
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with_all = ["tls_cert", "ca_out", "policies"],
        env = "VOUCHSAFE_TLS_SECRET"
    )]
    tls_secret: Option<String>,

    /// Webhook configuration, validating and mutating, whose caBundle is written. May be given again
    #[arg(
        long,
        value_name = "NAME",
        requires = "tls_secret",
        value_delimiter = ',',
        env = "VOUCHSAFE_WEBHOOK_CONFIGURATION"
    )]
    webhook_configuration: Vec<String>,

    /// How long the shared certificate lives, in seconds; it is renewed after two thirds
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT.certificate.valid.as_secs(), value_parser = value_parser!(u64).range(3..=LONGEST), env = "VOUCHSAFE_TLS_LIFETIME")]
    tls_lifetime: u64,

    /// How long its authority lives, in seconds; the next one takes over after two thirds
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT.authority.valid.as_secs(), value_parser = value_parser!(u64).range(3..=LONGEST), env = "VOUCHSAFE_TLS_AUTHORITY_LIFETIME")]
    tls_authority_lifetime: u64,

    /// How long the next authority is trusted before a certificate of it is shown, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT.grace.as_secs(), value_parser = value_parser!(u64).range(0..=LONGEST), env = "VOUCHSAFE_TLS_GRACE")]
    tls_grace: u64,

    /// How long an authority is trusted after the next one took over, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT.overlap.as_secs(), value_parser = value_parser!(u64).range(0..=LONGEST), env = "VOUCHSAFE_TLS_OVERLAP")]
    tls_overlap: u64,
}

// === impl SharedCertificateArgs ===

impl SharedCertificateArgs {
    /// The certificate that is shared, with these names; `None` where none is.
    ///
    /// # Errors
    /// The lifetimes do not go together.
    pub(super) fn settings(
        self,
        names: &[String],
    ) -> Result<Option<SharedCertificate>, LifetimesError> {
        let lifetimes = Lifetimes {
            certificate: Life::new(Duration::from_secs(self.tls_lifetime)),
            authority: Life::new(Duration::from_secs(self.tls_authority_lifetime)),
            grace: Duration::from_secs(self.tls_grace),
            overlap: Duration::from_secs(self.tls_overlap),
        };
        let Some(secret) = self.tls_secret else {
            return Ok(None);
        };
        Ok(Some(SharedCertificate {
            secret,
            configurations: self.webhook_configuration,
            names: names.to_vec(),
            lifetimes: lifetimes.checked()?,
            poll: POLL,
        }))
    }
}
