//! The TLS side of the webhook: one provider, TLS 1.3 unless an old client needs 1.2, a certificate that may change under it.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::ResolvesServerCert;
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
    /// TLS with the certificate that `certificate` gives to each handshake.
    pub fn new(
        certificate: Arc<dyn ResolvesServerCert>,
        oldest: TlsVersion,
    ) -> Result<Self, TlsError> {
        let versions: &[_] = match oldest {
            TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
            TlsVersion::Tls13 => &[&rustls::version::TLS13],
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|source| TlsError::Versions { oldest, source })?
            .with_no_client_auth()
            .with_cert_resolver(certificate);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }
}
