//! Where a registry cannot lead us, and what never goes along (T-53).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls_pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use vouchsafe::adapters::oci::{InsecureHosts, OciRegistry, OciSettings};
use vouchsafe::gather::registry::FetchError;
use vouchsafe::image::Repository;

use crate::stub::{
    Names, Stub, access, anonymous, blob, client, entry, get, head, manifest, reply,
};

const BODY: &str = r#"{"layers":[]}"#;

fn names(table: &[(&'static str, &str)]) -> Arc<Names> {
    let parse = |address: &&str| address.parse::<IpAddr>().unwrap();
    Arc::new(Names(
        table
            .iter()
            .map(|(name, address)| (*name, parse(address)))
            .collect(),
    ))
}

fn is_refused<T>(found: &Result<T, FetchError>) -> bool {
    matches!(found, Err(FetchError::Refused { .. }))
}

/// The realm of a foreign host sees nothing of us, least of all the credentials.
#[tokio::test]
async fn a_stolen_realm_gets_no_request() {
    let thief = Stub::start(|_| reply(200, &[], r#"{"token":"x"}"#)).await;
    let realm = format!(
        r#"Bearer realm="http://localhost:{}/token",service="s""#,
        thief.port
    );
    let stub = Stub::start(move |_| reply(401, &[("www-authenticate", &realm)], "")).await;
    for access in [access(vec![entry(&stub.host(), "alice")]), anonymous()] {
        let found = get(&client(), &stub.repository(), &access).await;
        assert!(is_refused(&found), "{found:?}");
    }
    assert!(thief.seen().is_empty());
}

#[tokio::test]
async fn a_realm_at_a_metadata_address_or_with_a_user_is_refused() {
    for realm in [
        "http://169.254.169.254/latest/meta-data/",
        "https://169.254.169.254/token",
        "https://[fd00:ec2::254]/token",
        "https://0xa9fea9fe/token",
        "https://10.0.0.1/token",
        "https://127.0.0.2/token",
        "https://user:hunter2@127.0.0.1/token",
        "file:///etc/passwd",
        "nonsense",
    ] {
        let challenge = format!(r#"Bearer realm="{realm}",service="s""#);
        let stub = Stub::start(move |_| reply(401, &[("www-authenticate", &challenge)], "")).await;
        let found = head(&client(), &stub.repository(), &anonymous()).await;
        assert!(is_refused(&found), "{realm}: {found:?}");
        assert!(!found.unwrap_err().to_string().contains("hunter2"));
    }
}

#[tokio::test]
async fn a_token_service_may_not_redirect() {
    let thief = Stub::start(|_| reply(200, &[], r#"{"token":"x"}"#)).await;
    let to = format!("http://127.0.0.1:{}/token", thief.port);
    let stub = Stub::start(move |seen| match seen.path.as_str() {
        "/token" => reply(307, &[("location", &to)], ""),
        _ => reply(
            401,
            &[(
                "www-authenticate",
                &format!(
                    r#"Bearer realm="http://127.0.0.1:{}/token""#,
                    seen.host_port()
                ),
            )],
            "",
        ),
    })
    .await;
    let access = access(vec![entry(&stub.host(), "alice")]);
    let found = get(&client(), &stub.repository(), &access).await;
    assert!(is_refused(&found), "{found:?}");
    assert!(thief.seen().is_empty());
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_port() {
    let storage = Stub::start(|_| reply(200, &[], "evidence")).await;
    let to = format!("http://{}/stored?signature=1", storage.host());
    let stub = Stub::start(move |seen| match &seen.authorization {
        Some(_) => reply(307, &[("location", &to)], ""),
        None => reply(401, &[("www-authenticate", "Basic realm=\"shop\"")], ""),
    })
    .await;
    let access = access(vec![entry(&stub.host(), "alice")]);
    let found = blob(&client(), &stub.repository(), b"evidence", 8, &access).await;
    assert_eq!(found.unwrap().unwrap(), "evidence");
    let seen = storage.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].authorization, None);
    assert_eq!(seen[0].query, "signature=1");
}

/// A 401 from where a redirect led is not the registry's: its challenge is not answered.
#[tokio::test]
async fn a_challenge_from_behind_a_redirect_is_not_answered() {
    let thief =
        Stub::start(|_| reply(401, &[("www-authenticate", "Basic realm=\"shop\"")], "")).await;
    let to = format!("http://{}/x", thief.host());
    let stub = Stub::start(move |_| reply(307, &[("location", &to)], "")).await;
    let access = access(vec![entry(&stub.host(), "alice")]);
    let found = blob(&client(), &stub.repository(), b"evidence", 8, &access).await;
    assert!(matches!(found, Err(FetchError::Auth { .. })), "{found:?}");
    assert!(thief.seen().iter().all(|seen| seen.authorization.is_none()));
}

#[tokio::test]
async fn a_redirect_loop_ends_after_five_hops() {
    let stub = Stub::start(|_| reply(302, &[("location", "/again")], "")).await;
    let found = get(&client(), &stub.repository(), &anonymous()).await;
    assert!(
        matches!(found, Err(FetchError::Malformed { .. })),
        "{found:?}"
    );
    assert_eq!(stub.seen().len(), 6);
}

#[tokio::test]
async fn redirects_to_metadata_addresses_are_refused_by_number_and_by_name() {
    let settings = OciSettings {
        lookup: names(&[
            ("metadata.google.internal", "169.254.169.254"),
            ("rebind.test", "::ffff:169.254.169.254"),
        ]),
        ..OciSettings::default()
    };
    let client = OciRegistry::new(&settings).unwrap();
    for to in [
        "http://169.254.169.254/",
        "https://169.254.169.254/",
        "https://100.100.100.200/",
        "https://[fe80::1]/",
        "https://metadata.google.internal/",
        "https://rebind.test/",
        "http://storage.test/",
        "ftp://127.0.0.1/",
        "https://user@127.0.0.1/",
    ] {
        let stub = Stub::start(move |_| reply(307, &[("location", to)], "")).await;
        let found = blob(&client, &stub.repository(), b"x", 1, &anonymous()).await;
        assert!(is_refused(&found), "{to}: {found:?}");
    }
}

#[tokio::test]
async fn a_registry_whose_name_is_a_metadata_address_is_refused() {
    let settings = OciSettings {
        lookup: names(&[("evil.test", "169.254.169.254")]),
        insecure: InsecureHosts::parse(["evil.test", "169.254.0.0/16"]).unwrap(),
        ..OciSettings::default()
    };
    let client = OciRegistry::new(&settings).unwrap();
    for registry in ["evil.test", "169.254.169.254", "100.100.100.200:80"] {
        let repository = Repository::parse(&format!("{registry}/shop/cart")).unwrap();
        let found = head(&client, &repository, &anonymous()).await;
        assert!(is_refused(&found), "{registry}: {found:?}");
    }
}

#[tokio::test]
async fn plain_http_is_spoken_only_where_it_is_allowed() {
    let stub = Stub::start(|_| manifest(BODY)).await;
    let repository = Repository::parse(&format!("registry.test:{}/shop/cart", stub.port)).unwrap();
    let mut settings = OciSettings {
        lookup: names(&[("registry.test", "127.0.0.1")]),
        ..OciSettings::default()
    };
    let found = get(
        &OciRegistry::new(&settings).unwrap(),
        &repository,
        &anonymous(),
    )
    .await;
    assert!(
        matches!(found, Err(FetchError::Unreachable { .. })),
        "{found:?}"
    );
    assert!(stub.seen().is_empty(), "no fallback from https to http");

    settings.insecure = InsecureHosts::parse(["*.test"]).unwrap();
    let found = get(
        &OciRegistry::new(&settings).unwrap(),
        &repository,
        &anonymous(),
    )
    .await;
    assert!(matches!(found, Ok(Some(_))), "{found:?}");
}

/// TCP connections as TLS ones.
struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.tcp.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

/// A listener for `registry.test`, and the PEM of what it must be trusted by.
async fn tls_listener() -> (TlsListener, u16, Vec<u8>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["registry.test".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = tcp.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    (TlsListener { tcp, acceptor }, port, cert.pem().into_bytes())
}

#[tokio::test]
async fn https_needs_a_certificate_that_is_trusted_for_the_name() {
    let (listener, port, pem) = tls_listener().await;
    let _stub = Stub::serve(listener, port, |_| manifest(BODY));
    let table = [("registry.test", "127.0.0.1"), ("other.test", "127.0.0.1")];
    let trusting = OciSettings {
        lookup: names(&table),
        extra_ca: Some(pem),
        ..OciSettings::default()
    };
    let ignorant = OciSettings {
        extra_ca: None,
        ..trusting.clone()
    };
    for (settings, host, expected) in [
        (&trusting, "registry.test", true),
        (&trusting, "other.test", false),
        (&ignorant, "registry.test", false),
    ] {
        let client = OciRegistry::new(settings).unwrap();
        let repository = Repository::parse(&format!("{host}:{port}/shop/cart")).unwrap();
        let found = get(&client, &repository, &anonymous()).await;
        assert_eq!(matches!(found, Ok(Some(_))), expected, "{host}: {found:?}");
        if !expected {
            assert!(
                matches!(found, Err(FetchError::Unreachable { .. })),
                "{found:?}"
            );
        }
    }
}

#[tokio::test]
async fn https_is_not_given_up_for_a_redirect_or_a_realm() {
    let plain = Stub::start(|_| manifest(BODY)).await;
    for answer in [
        ("location", format!("http://{}/x", plain.host())),
        (
            "www-authenticate",
            format!(r#"Bearer realm="http://registry.test:{}/t""#, plain.port),
        ),
    ] {
        let (listener, port, pem) = tls_listener().await;
        let status = if answer.0 == "location" { 307 } else { 401 };
        let _stub = Stub::serve(listener, port, move |_| {
            reply(status, &[(answer.0, &answer.1)], "")
        });
        let settings = OciSettings {
            lookup: names(&[("registry.test", "127.0.0.1")]),
            extra_ca: Some(pem),
            ..OciSettings::default()
        };
        let client = OciRegistry::new(&settings).unwrap();
        let repository = Repository::parse(&format!("registry.test:{port}/shop/cart")).unwrap();
        let found = get(&client, &repository, &anonymous()).await;
        assert!(is_refused(&found), "{found:?}");
    }
    assert!(plain.seen().is_empty());
}
