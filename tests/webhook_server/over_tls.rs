//! The whole of it over real TLS: certificates that change, clients that are slow, and the stop.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Client, Version};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use vouchsafe::adapters::certs::{
    Authority, CertificateFiles, ServingCertificate, Window, with_loopback,
};
use vouchsafe::adapters::metrics::Metrics;
use vouchsafe::server::{Bound, Readiness, ServeSettings, TlsVersion, admin};

use crate::running::{HTTP1, Running, SETTINGS, ask, request};
use crate::stand_ins::{UID, review};

#[tokio::test]
async fn answers_over_http2_to_who_trusts_the_authority() {
    let server = Running::start(SETTINGS, TlsVersion::Tls13).await;
    let response = server
        .client()
        .post(server.url())
        .json(&review("good"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["response"]["uid"], UID);
    assert_eq!(answer["response"]["allowed"], true);
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("https://{host}:{}/validate", server.address.port());
        assert_eq!(
            ask(&server.client(), &url, "denied").await.unwrap()["response"]["allowed"],
            false
        );
    }
}

#[tokio::test]
async fn refuses_tls_1_2_unless_it_is_allowed() {
    let old: &[_] = &[&rustls::version::TLS12];
    let strict = Running::start(SETTINGS, TlsVersion::default()).await;
    assert!(
        ask(&strict.client_of(old), &strict.url(), "good")
            .await
            .unwrap_err()
            .is_connect()
    );
    let lenient = Running::start(SETTINGS, TlsVersion::Tls12).await;
    assert_eq!(
        ask(&lenient.client_of(old), &lenient.url(), "good")
            .await
            .unwrap()["response"]["allowed"],
        true
    );
    assert!(ask(&lenient.client(), &lenient.url(), "good").await.is_ok());
}

#[tokio::test]
async fn a_stranger_to_the_authority_is_no_client() {
    let (server, other) = (
        Running::start(SETTINGS, TlsVersion::Tls13).await,
        Running::start(SETTINGS, TlsVersion::Tls13).await,
    );
    assert!(
        ask(&other.client(), &server.url(), "good")
            .await
            .unwrap_err()
            .is_connect()
    );
    assert!(ask(&server.client(), &server.url(), "good").await.is_ok());
}

/// Handshakes in a row until told to stop; how many there were.
fn handshakes(
    client: impl Fn() -> Client + Send + 'static,
    url: String,
    enough: Arc<AtomicBool>,
) -> JoinHandle<u32> {
    tokio::spawn(async move {
        let mut count = 0;
        while !enough.load(Ordering::SeqCst) {
            ask(&client(), &url, "good").await.unwrap();
            count += 1;
        }
        count
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renews_its_certificate_under_load_without_a_failed_handshake() {
    let window = || {
        let day = Duration::from_hours(24);
        Window::around(Timestamp::now(), day, day)
    };
    let authority = Authority::new(window()).unwrap();
    let names = with_loopback(&[]);
    let issue = || {
        let issued = authority.issue(&names, window()).unwrap();
        issued.pair(Timestamp::now()).unwrap()
    };
    let serving = Arc::new(ServingCertificate::new(issue()));
    let server = Arc::new(
        Running::with(
            serving.clone(),
            authority.anchor().pem(),
            SETTINGS,
            TlsVersion::Tls13,
        )
        .await,
    );
    let enough = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let dialled = server.clone();
            handshakes(move || dialled.client(), server.url(), enough.clone())
        })
        .collect();
    for _ in 0..50 {
        serving.replace(issue());
        sleep(Duration::from_millis(10)).await;
    }
    enough.store(true, Ordering::SeqCst);
    for client in clients {
        assert!(client.await.unwrap() > 0);
    }
}

/// A self-signed certificate for `localhost`, written as two files.
fn write_pair(folder: &Path) -> String {
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::ExplicitNoCa;
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    std::fs::write(folder.join("tls.crt"), &pem).unwrap();
    std::fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
    pem
}

#[tokio::test]
async fn serves_the_files_it_is_given_and_their_successors() {
    let folder = tempfile::tempdir().unwrap();
    let first = write_pair(folder.path());
    let files = CertificateFiles {
        certificate: folder.path().join("tls.crt"),
        key: folder.path().join("tls.key"),
    };
    let (serving, watch) = files.load(Arc::new(Metrics::new())).await.unwrap();
    let mut server = Running::with(serving, &first, SETTINGS, TlsVersion::Tls13).await;
    tokio::spawn(watch.run(Duration::from_millis(20), server.stop.clone()));
    let kept = server.client();
    assert!(ask(&kept, &server.url(), "good").await.is_ok());
    server.authority = write_pair(folder.path());
    sleep(Duration::from_millis(200)).await;
    assert!(
        ask(&server.client(), &server.url(), "good").await.is_ok(),
        "a new client sees the new certificate"
    );
    assert!(
        ask(&kept, &server.url(), "good").await.is_ok(),
        "an open connection is kept"
    );
}

#[tokio::test]
async fn finishes_what_is_in_flight_when_it_stops() {
    let server = Running::start(SETTINGS, TlsVersion::Tls13).await;
    let (client, url) = (server.client(), server.url());
    let slow = tokio::spawn(async move { ask(&client, &url, "slow").await });
    let mut old = server.raw(HTTP1).await;
    old.write_all(&request("slow")).await.unwrap();
    sleep(Duration::from_millis(200)).await;
    server.stop.cancel();
    sleep(Duration::from_millis(100)).await;
    assert!(
        TcpStream::connect(server.address).await.is_err(),
        "nothing new is taken"
    );
    assert_eq!(slow.await.unwrap().unwrap()["response"]["allowed"], true);
    let mut answer = String::new();
    old.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    timeout(Duration::from_secs(1), server.done)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn takes_connections_for_a_while_after_the_stop_and_sends_old_clients_away() {
    let settings = ServeSettings {
        stop_delay: Duration::from_millis(500),
        ..SETTINGS
    };
    let server = Running::start(settings, TlsVersion::Tls13).await;
    let mut kept = server.raw(HTTP1).await;
    server.stop.cancel();
    sleep(Duration::from_millis(50)).await;
    assert!(ask(&server.client(), &server.url(), "good").await.is_ok());
    kept.write_all(&request("good")).await.unwrap();
    let mut answer = String::new();
    kept.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("connection: close"), "{answer}");
    timeout(Duration::from_secs(2), server.done)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn cuts_off_what_does_not_finish_after_the_stop() {
    let settings = ServeSettings {
        drain: Duration::from_millis(200),
        ..SETTINGS
    };
    let server = Running::start(settings, TlsVersion::Tls13).await;
    let mut old = server.raw(HTTP1).await;
    old.write_all(&request("hangs")).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    server.stop.cancel();
    timeout(Duration::from_secs(1), server.done)
        .await
        .unwrap()
        .unwrap();
    let mut rest = Vec::new();
    let _ = timeout(Duration::from_secs(1), old.read_to_end(&mut rest))
        .await
        .unwrap();
    assert!(rest.is_empty());
}

#[tokio::test]
async fn full_of_silent_clients_it_still_answers_once_they_have_had_their_time() {
    let server = Running::start(
        ServeSettings {
            connections: 48,
            ..SETTINGS
        },
        TlsVersion::Tls13,
    )
    .await;
    // One says nothing at all, the others nothing after their handshakes.
    let _silent = TcpStream::connect(server.address).await.unwrap();
    let _idle = (server.raw(HTTP1).await, server.raw(b"h2").await);
    let start = Instant::now();
    // That is all that one address may have of so few connections.
    assert!(ask(&server.client(), &server.url(), "good").await.is_err());
    while ask(&server.client(), &server.url(), "good").await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(7));
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_head_of_any_size_is_not_read() {
    let server = Running::start(SETTINGS, TlsVersion::Tls13).await;
    let mut bomb = server.raw(HTTP1).await;
    let head = format!(
        "POST /validate HTTP/1.1\r\nhost: localhost\r\nx: {}",
        "x".repeat(1 << 20)
    );
    let _ = bomb.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(2), bomb.read_to_end(&mut answer))
        .await
        .unwrap();
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert!(ask(&server.client(), &server.url(), "good").await.is_ok());
}

#[tokio::test]
async fn the_admin_port_says_what_it_waits_for_and_shows_the_metrics() {
    let (readiness, metrics) = (Readiness::new(), Arc::new(Metrics::new()));
    let (policies, trust) = (readiness.register("policies"), readiness.register("trust"));
    let exposition = metrics.clone();
    let router = admin::router(readiness.clone(), Arc::new(move || exposition.encode()));
    let bound = Bound::plain("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (address, stop) = (bound.address(), CancellationToken::new());
    let done = tokio::spawn(bound.serve(router, SETTINGS, stop.clone()));
    let client = Client::builder()
        .tls_backend_preconfigured(
            Running::start(SETTINGS, TlsVersion::Tls13)
                .await
                .client_config(rustls::DEFAULT_VERSIONS),
        )
        .no_proxy()
        .build()
        .unwrap();
    let get = async |path: &str| {
        let response = client
            .get(format!("http://{address}{path}"))
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(get("/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(
        get("/readyz").await,
        (503, "not ready, waiting for: policies, trust\n".to_owned())
    );
    trust.ready();
    assert_eq!(
        get("/readyz").await,
        (503, "not ready, waiting for: policies\n".to_owned())
    );
    policies.ready();
    assert_eq!(get("/readyz").await, (200, "ok\n".to_owned()));
    metrics.panicked();
    let (status, text) = get("/metrics").await;
    assert_eq!(status, 200);
    assert!(text.contains("vouchsafe_panics_total 1"), "{text}");
    readiness.stop();
    assert_eq!(
        get("/readyz").await,
        (503, "not ready, waiting for: stopping\n".to_owned())
    );
    assert_eq!(get("/healthz").await.0, 200);
    stop.cancel();
    timeout(Duration::from_secs(2), done)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let server = Running::start(SETTINGS, TlsVersion::Tls13).await;
    let error = Bound::plain(server.address).await.err().unwrap();
    assert_eq!(
        error.to_string(),
        format!("cannot listen on {}", server.address)
    );
}
