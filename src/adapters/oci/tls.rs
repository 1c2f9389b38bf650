//! TLS towards registries and other services: rustls with aws-lc-rs, the roots of the system, and the operator's own.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;

use super::OciSettingsError;

/// The TLS side of every registry client. `extra_ca` is PEM; certificates in it are trusted beside those of the system.
pub(in crate::adapters) fn client_config(
    extra_ca: Option<&[u8]>,
) -> Result<ClientConfig, OciSettingsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let roots = extra_ca.map(certificates).transpose()?.unwrap_or_default();
    let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider))
        .map_err(|source| OciSettingsError::Tls { source })?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|source| OciSettingsError::Tls { source })?
        .dangerous() // the name of the method that takes a verifier; this one is the system's
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, OciSettingsError> {
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
                    client_config(Some(pem.as_bytes())),
                    Err(OciSettingsError::EmptyExtraCa)
                ),
                "{pem}"
            );
        }
        let broken = b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            client_config(Some(broken)),
            Err(OciSettingsError::ExtraCa { .. })
        ));
    }
}
