//! `--client-ca`: strangers reach the Service, and no further (T-81).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    PKCS_ECDSA_P256_SHA256,
};
use reqwest::Client;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio::time::sleep;
use vouchsafe::adapters::certs::{self, ClientAuthorities};
use vouchsafe::adapters::metrics::Metrics;
use vouchsafe::server::{Tls, TlsVersion};

use crate::running::{Running, SETTINGS, ask};

/// Somebody who vouches for clients.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A certificate for this purpose, with its key.
    fn issue(
        &self,
        purpose: ExtendedKeyUsagePurpose,
    ) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::new(["kube-apiserver".to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        params
            .distinguished_name
            .push(DnType::CommonName, "the-common-name");
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        (certificate.der().clone(), key.into())
    }

    fn client_certificate(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        self.issue(ExtendedKeyUsagePurpose::ClientAuth)
    }
}

/// A webhook for the clients of the authorities in `folder/clients.pem`, which is looked at every 20 ms.
async fn guarded(folder: &Path, oldest: TlsVersion) -> Running {
    guarded_for(&[], folder, oldest).await
}

/// The same, for clients of these names alone.
async fn guarded_for(names: &[&str], folder: &Path, oldest: TlsVersion) -> Running {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let metrics = Arc::new(Metrics::new());
    let (serving, renewal) = certs::generate(&[], None, Arc::clone(&metrics))
        .await
        .unwrap();
    let file = folder.join("clients.pem");
    let (clients, watch) = ClientAuthorities::load(&file, &names, metrics)
        .await
        .unwrap();
    let tls = Tls::for_clients(serving, oldest, clients).unwrap();
    let server = Running::over(tls, renewal.authority_pem(), SETTINGS).await;
    tokio::spawn(watch.run(Duration::from_millis(20), server.stop.clone()));
    server
}

/// A client that shows this certificate, and connects anew for each call.
fn client(
    server: &Running,
    (certificate, key): (CertificateDer<'static>, PrivateKeyDer<'static>),
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Client {
    let config = server.client_config(versions);
    let provider = Arc::clone(config.crypto_provider());
    let key = provider.key_provider.load_private_key(key).unwrap();
    let shown = rustls::sign::CertifiedKey::new(vec![certificate], key);
    let mut config = config;
    config.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(shown));
    Client::builder()
        .tls_backend_preconfigured(config)
        .pool_max_idle_per_host(0)
        .no_proxy()
        .build()
        .unwrap()
}

fn folder_with(authorities: &[&Authority]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), authorities);
    folder
}

fn write(folder: &Path, authorities: &[&Authority]) {
    let pem: String = authorities.iter().map(|one| one.pem.as_str()).collect();
    std::fs::write(folder.join("clients.pem"), pem).unwrap();
}

/// T-81
#[tokio::test]
async fn only_who_shows_a_certificate_of_the_authority_is_answered() {
    let (ours, strangers) = (Authority::new(), Authority::new());
    let folder = folder_with(&[&ours]);
    for (oldest, versions) in [
        (TlsVersion::Tls13, &[&rustls::version::TLS13]),
        (TlsVersion::Tls12, &[&rustls::version::TLS12]),
    ] {
        let server = guarded(folder.path(), oldest).await;
        let known = client(&server, ours.client_certificate(), versions);
        assert!(ask(&known, &server.url(), "good").await.is_ok());
        for refused in [
            server.client_of(versions),
            client(&server, strangers.client_certificate(), versions),
            // The certificate of a server is no certificate of a client.
            client(
                &server,
                ours.issue(ExtendedKeyUsagePurpose::ServerAuth),
                versions,
            ),
        ] {
            assert!(ask(&refused, &server.url(), "good").await.is_err());
        }
    }
}

/// T-81: `--client-name`, where the authority vouches for others too.
#[tokio::test]
async fn t81_of_an_authority_only_who_has_one_of_the_names_is_answered() {
    let ours = Authority::new();
    let folder = folder_with(&[&ours]);
    let versions = rustls::DEFAULT_VERSIONS;
    for (names, is_answered) in [
        (&["kube-apiserver"][..], true),
        (&["other", "kube-apiserver"], true),
        (&["the-common-name"], true),
        (&["kube-apiserver.example.com"], false),
        (&["KUBE-APISERVER"], false),
        (&["kube"], false),
        (&[""], false),
    ] {
        let server = guarded_for(names, folder.path(), TlsVersion::Tls13).await;
        let client = client(&server, ours.client_certificate(), versions);
        let answer = ask(&client, &server.url(), "good").await;
        assert_eq!(answer.is_ok(), is_answered, "{names:?}");
    }
}

/// T-81
#[tokio::test]
async fn authorities_change_without_a_restart_and_nobody_comes_back_on_an_old_session() {
    let (before, after) = (Authority::new(), Authority::new());
    let folder = folder_with(&[&before]);
    let server = guarded(folder.path(), TlsVersion::Tls13).await;
    let versions = rustls::DEFAULT_VERSIONS;
    let old = client(&server, before.client_certificate(), versions);
    let new = client(&server, after.client_certificate(), versions);
    assert!(ask(&old, &server.url(), "good").await.is_ok());
    assert!(ask(&new, &server.url(), "good").await.is_err());

    // Both, while clients change over; and what is no certificate changes nothing.
    write(folder.path(), &[&before, &after]);
    sleep(Duration::from_millis(200)).await;
    assert!(ask(&new, &server.url(), "good").await.is_ok());
    std::fs::write(folder.path().join("clients.pem"), "no certificate").unwrap();
    sleep(Duration::from_millis(200)).await;
    assert!(ask(&new, &server.url(), "good").await.is_ok());

    write(folder.path(), &[&after]);
    sleep(Duration::from_millis(200)).await;
    // The same client, with the session of its last connection in its memory.
    assert!(ask(&old, &server.url(), "good").await.is_err());
    assert!(ask(&new, &server.url(), "good").await.is_ok());
}

#[tokio::test]
async fn a_file_without_an_authority_is_no_start() {
    let folder = folder_with(&[]);
    let file = folder.path().join("clients.pem");
    let load = || ClientAuthorities::load(&file, &[], Arc::new(Metrics::new()));
    let empty = load().await.unwrap_err().to_string();
    assert!(empty.ends_with("holds no authority of clients"), "{empty}");
    std::fs::remove_file(&file).unwrap();
    assert!(
        load()
            .await
            .unwrap_err()
            .to_string()
            .starts_with("cannot read")
    );
}
