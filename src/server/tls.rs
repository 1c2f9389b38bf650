//! The TLS side of the webhook: one provider, TLS 1.3 unless an old client needs 1.2, a certificate that may change under it, and
//! clients that say who they are where that is asked.

use std::sync::Arc;

use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::{ConfigBuilder, ServerConfig, WantsVerifier};
use tokio_rustls::TlsAcceptor;

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TlsVersion {
    /// TLS 1.2, for a client that has nothing newer.
    Tls12,
    /// TLS 1.3.
    #[default]
    Tls13,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The provider refuses the versions.
    #[error("cannot set up TLS with {oldest:?} as the oldest version")]
    Versions {
        /// What was asked for.
        oldest: TlsVersion,
        /// What the library says.
        #[source]
        source: rustls::Error,
    },
}

/// How TLS is spoken. It holds a certificate, so that nothing listens before there is one.
#[derive(Clone)]
pub struct Tls {
    pub(super) acceptor: TlsAcceptor,
}

impl Tls {
    /// TLS with the certificate that `certificate` gives to each handshake, for any client.
    pub fn new(
        certificate: Arc<dyn ResolvesServerCert>,
        oldest: TlsVersion,
    ) -> Result<Self, TlsError> {
        let config = versions(oldest)?.with_no_client_auth();
        Ok(Self::over(config.with_cert_resolver(certificate)))
    }

    /// The same, for clients alone whose certificate `clients` accepts.
    pub fn for_clients(
        certificate: Arc<dyn ResolvesServerCert>,
        oldest: TlsVersion,
        clients: Arc<dyn ClientCertVerifier>,
    ) -> Result<Self, TlsError> {
        let config = versions(oldest)?.with_client_cert_verifier(clients);
        let mut config = config.with_cert_resolver(certificate);
        // A session that is resumed is not asked for its certificate again, whoever is accepted meanwhile.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self::over(config))
    }

    fn over(mut config: ServerConfig) -> Self {
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }
}

/// One provider, and the versions that are spoken.
fn versions(oldest: TlsVersion) -> Result<ConfigBuilder<ServerConfig, WantsVerifier>, TlsError> {
    let versions: &[_] = match oldest {
        TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|source| TlsError::Versions { oldest, source })
}
