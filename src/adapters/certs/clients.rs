//! Who may call: clients that show a certificate of an authority that the operator names (T-81).
//!
//! *In*: a PEM file with one authority or more, read again and again and compared by content; names, where not everybody of theirs is
//! meant. *Out*: a [`ClientAuthorities`] that every
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
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::CertificateError;
use super::files::read;
use crate::adapters::metrics::{Metrics, Reloaded};

/// `commonName` of a subject.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// Asks every client for a certificate of one of these authorities, made for authenticating clients.
#[derive(Debug)]
pub struct ClientAuthorities {
    current: ArcSwap<Arc<dyn ClientCertVerifier>>,
    /// Who is meant; everybody, where there are none.
    names: Vec<String>,
}

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
    /// Reads the authorities, and gives the task that keeps them fresh. Where there are `names`, a certificate must have one of them, letter
    /// by letter: as the common name of its subject, or among its alternative names (DNS, e-mail, URI).
    pub async fn load(
        path: &Path,
        names: &[String],
        metrics: Arc<Metrics>,
    ) -> Result<(Arc<Self>, ClientWatch), CertificateError> {
        let pem = read(path).await?;
        let authorities = Arc::new(Self {
            current: ArcSwap::from_pointee(verifier(path, &pem)?),
            names: names.to_vec(),
        });
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
        let current = self.current.load();
        let verified = current.verify_client_cert(end_entity, intermediates, now)?;
        if self.names.is_empty() || has_name(end_entity, &self.names) {
            return Ok(verified);
        }
        Err(rustls::Error::InvalidCertificate(
            rustls::CertificateError::ApplicationVerificationFailure,
        ))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.current
            .load()
            .verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.current
            .load()
            .verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current.load().supported_verify_schemes()
    }
}

/// Whether a certificate is somebody's whose name is one of these.
fn has_name(certificate: &CertificateDer<'_>, names: &[String]) -> bool {
    let Ok(certificate) = Certificate::from_der(certificate) else {
        return false;
    };
    let is_named = |found: &str| names.iter().any(|name| name == found);
    let certificate = certificate.tbs_certificate;
    let parts = certificate.subject.0.iter().flat_map(|part| part.0.iter());
    let mut common = parts.filter(|part| part.oid == COMMON_NAME);
    if common.any(|part| std::str::from_utf8(part.value.value()).is_ok_and(is_named)) {
        return true;
    }
    let Ok(Some((_, SubjectAltName(others)))) = certificate.get::<SubjectAltName>() else {
        return false;
    };
    others.iter().any(|other| match other {
        GeneralName::DnsName(name)
        | GeneralName::Rfc822Name(name)
        | GeneralName::UniformResourceIdentifier(name) => is_named(name.as_str()),
        _ => false,
    })
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
                self.authorities.current.store(Arc::new(verifier));
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "the last good authorities of clients stay in force");
            }
        }
    }
}
