//! `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`, and what `registries.yaml` says instead.

use rstest::rstest;

use crate::proxy::{NAME, Proxy};
use crate::stage::Stage;

const INSECURE: [&str; 2] = ["--insecure-registry", NAME];

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_goes_through_the_proxy_of_the_environment() {
    let stage = Stage::new().await;
    stage.signed("t/app");
    let proxy = Proxy::start(&stage.registry.host()).await;
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        let image = format!("{NAME}/t/app:v1");
        let ended = stage.verify(&image, &INSECURE, &[(variable, &proxy.url())]);
        assert_eq!(ended.code, 0, "{variable}: {ended:?}");
        let asked = proxy.asked();
        let prefix = format!("HEAD http://{NAME}/v2/t/app/manifests/v1 ");
        assert!(
            asked.iter().any(|line| line.starts_with(&prefix)),
            "{variable}: {asked:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn https_goes_through_a_tunnel_and_trusts_the_authority_of_its_host() {
    let stage = Stage::new().await;
    stage.signed("t/app");
    let proxy = Proxy::start(&stage.registry.host()).await;
    stage.file("ca.pem", &proxy.certificate);
    let settings = stage.file(
        "registries.yaml",
        &format!("registries: [{{host: {NAME}, ca: ca.pem}}]"),
    );
    let environment = [("HTTPS_PROXY", proxy.url())];
    let environment = environment
        .each_ref()
        .map(|(name, url)| (*name, url.as_str()));
    let image = format!("{NAME}/t/app:v1");
    let rest = ["--registries", settings.to_str().unwrap()];
    let ended = stage.verify(&image, &rest, &environment);
    assert_eq!(ended.code, 0, "{ended:?}");
    let asked = proxy.asked();
    let tunnel = format!("CONNECT {NAME}:443 ");
    assert!(
        !asked.is_empty() && asked.iter().all(|line| line.starts_with(&tunnel)),
        "{asked:?}"
    );

    // Whoever the system does not know is not believed without it.
    let ended = stage.verify(&image, &[], &environment);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stdout.contains("registry-unreachable"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_proxy_names_and_loopback_go_directly() {
    let stage = Stage::new().await;
    stage.signed("t/app");
    let proxy = Proxy::start(&stage.registry.host()).await;
    let url = proxy.url();
    let loopback = format!("{}/t/app:v1", stage.registry.host());
    let environment = [("HTTP_PROXY", url.as_str()), ("HTTPS_PROXY", &url)];
    let ended = stage.verify(&loopback, &[], &environment);
    assert_eq!(ended.code, 0, "{ended:?}");

    // Nobody answers to this name but the proxy.
    let environment = [("HTTP_PROXY", url.as_str()), ("NO_PROXY", NAME)];
    let ended = stage.verify(&format!("{NAME}/t/app:v1"), &INSECURE, &environment);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert_eq!(proxy.asked(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_of_a_host_counts_before_that_of_the_environment() {
    let stage = Stage::new().await;
    stage.signed("t/app");
    let (own, other) = (
        Proxy::start(&stage.registry.host()).await,
        Proxy::start(&stage.registry.host()).await,
    );
    let image = format!("{NAME}/t/app:v1");
    let other_url = other.url();
    let environment = [("HTTP_PROXY", other_url.as_str()), ("NO_PROXY", "*")];
    for (proxy, code) in [(own.url(), 0), ("none".to_owned(), 3)] {
        let settings = stage.file(
            "registries.yaml",
            &format!("registries: [{{host: {NAME}, insecure: true, proxy: \"{proxy}\"}}]"),
        );
        let rest = ["--registries", settings.to_str().unwrap()];
        let ended = stage.verify(&image, &rest, &environment);
        assert_eq!(ended.code, code, "{proxy}: {ended:?}");
        assert_eq!(own.asked().is_empty(), code != 0);
    }
    assert_eq!(other.asked(), Vec::<String>::new());
}

/// T-53: what we do not talk to we do not ask a proxy for either.
#[rstest]
#[case::link_local("169.254.169.254")]
#[case::as_ipv6("[::ffff:a9fe:a9fe]:80")]
#[case::by_name("metadata.google.internal")]
#[case::by_name_in_capitals("Metadata.Google.Internal")]
#[tokio::test(flavor = "multi_thread")]
async fn t53_metadata_services_are_not_asked_for_through_a_proxy(#[case] host: &str) {
    let stage = Stage::new().await;
    let proxy = Proxy::start(&stage.registry.host()).await;
    let url = proxy.url();
    let environment = [("HTTP_PROXY", url.as_str()), ("HTTPS_PROXY", &url)];
    let rest = ["--insecure-registry", host];
    let ended = stage.verify(&format!("{host}/t/app:v1"), &rest, &environment);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stdout.contains("never contacted"), "{ended:?}");
    assert_eq!(proxy.asked(), Vec::<String>::new());
}
