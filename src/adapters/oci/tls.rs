//! TLS towards registries and other services: rustls with aws-lc-rs, the roots of the system, and the operator's own.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;

use super::OciSettingsError;
use super::hosts::ClientCertificate;

/// The TLS side of a client: `authorities` are trusted beside those of the system, and `who` is what we are shown as where a server asks.
pub(super) fn client_config(
    authorities: Vec<CertificateDer<'static>>,
    who: Option<&ClientCertificate>,
) -> Result<ClientConfig, OciSettingsError> {
    let tls = |source| OciSettingsError::Tls { source };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        Verifier::new_with_extra_roots(authorities, Arc::clone(&provider)).map_err(tls)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(tls)?
        .dangerous() // the name of the method that takes a verifier; this one is the system's
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match who {
        Some(who) => builder
            .with_client_auth_cert(who.chain.clone(), who.key.clone_key())
            .map_err(tls)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The TLS side of a client that shows nothing of us. Certificates in `extra_ca` (PEM) are trusted beside those of the system.
pub(in crate::adapters) fn anonymous_config(
    extra_ca: Option<&[u8]>,
) -> Result<ClientConfig, OciSettingsError> {
    let authorities = extra_ca.map(certificates).transpose()?;
    client_config(authorities.unwrap_or_default(), None)
}

/// The certificates in this PEM, at least one.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, OciSettingsError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|source| OciSettingsError::ExtraCa { source })?;
    if found.is_empty() {
        return Err(OciSettingsError::EmptyExtraCa);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_certificates_that_are_none_are_an_error() {
        for pem in [
            "",
            "hello",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            assert!(
                matches!(
                    certificates(pem.as_bytes()),
                    Err(OciSettingsError::EmptyExtraCa)
                ),
                "{pem}"
            );
        }
        let broken = b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            certificates(broken),
            Err(OciSettingsError::ExtraCa { .. })
        ));
    }
}
