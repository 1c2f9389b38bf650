//! Who may call: clients that show a certificate of an authority that the operator names (T-81).
//!
//! *In*: a PEM file with one authority or more, read again and again and compared by content. *Out*: a [`ClientAuthorities`] that every
//! handshake asks. A file that cannot be used changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::CertificateError;
use super::files::read;
use crate::adapters::metrics::{Metrics, Reloaded};

/// Asks every client for a certificate of one of these authorities, made for authenticating clients.
#[derive(Debug)]
pub struct ClientAuthorities(ArcSwap<Arc<dyn ClientCertVerifier>>);

/// Keeps the authorities as their file has them.
#[derive(Debug)]
pub struct ClientWatch {
    path: PathBuf,
    authorities: Arc<ClientAuthorities>,
    metrics: Arc<Metrics>,
    /// What was looked at last, good or not.
    seen: Result<Vec<u8>, String>,
}

// === impl ClientAuthorities ===

impl ClientAuthorities {
    /// Reads the authorities, and gives the task that keeps them fresh.
    pub async fn load(
        path: &Path,
        metrics: Arc<Metrics>,
    ) -> Result<(Arc<Self>, ClientWatch), CertificateError> {
        let pem = read(path).await?;
        let authorities = Arc::new(Self(ArcSwap::from_pointee(verifier(path, &pem)?)));
        let watch = ClientWatch {
            path: path.to_owned(),
            authorities: Arc::clone(&authorities),
            metrics,
            seen: Ok(pem),
        };
        Ok((authorities, watch))
    }
}

/// Whoever shows a certificate below one of the authorities in this text.
fn verifier(path: &Path, pem: &[u8]) -> Result<Arc<dyn ClientCertVerifier>, CertificateError> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| CertificateError::Pem {
            path: path.to_owned(),
            wanted: "certificate",
            source,
        })?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots
            .add(certificate)
            .map_err(|source| CertificateError::NotAnAuthority {
                path: path.to_owned(),
                source,
            })?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|source| CertificateError::NoAuthorities {
            path: path.to_owned(),
            source,
        })
}

impl ClientCertVerifier for ClientAuthorities {
    /// None: the authorities may change under a handshake, and a client that has a certificate shows it without them.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let current = self.0.load();
        current.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.load().verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.load().verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.load().supported_verify_schemes()
    }
}

// === impl ClientWatch ===

impl ClientWatch {
    /// Looks every `period` whether the file has changed, until `stop`.
    pub async fn run(mut self, period: Duration, stop: CancellationToken) {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.look().await;
        }
    }

    /// Looks once. Each new state of the file is reported once.
    async fn look(&mut self) {
        let found = read(&self.path).await;
        let seen = found.as_ref().map(Vec::clone).map_err(ToString::to_string);
        if seen == self.seen {
            return;
        }
        self.seen = seen;
        let verifier = found.and_then(|pem| verifier(&self.path, &pem));
        self.metrics
            .reload_failing(Reloaded::ClientAuthorities, verifier.is_err());
        match verifier {
            Ok(verifier) => {
                tracing::info!("the authorities of clients were read again");
                self.authorities.0.store(Arc::new(verifier));
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "the last good authorities of clients stay in force");
            }
        }
    }
}
