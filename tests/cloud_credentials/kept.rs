//! How long tokens are kept, who gets one, and what a service that fails or lies can do.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::sleep;
use vouchsafe::adapters::cloud::{Cloud, CloudSettings};

use super::bench::{ACR, ECR, GAR, basic, credentials, entry, settings};
use crate::support::stand_in::{Answer, StandIn, json as ok, text};

/// A token of Google's metadata service.
fn token(token: &str, life: u64) -> Answer {
    let token = json!({"access_token": token, "expires_in": life, "token_type": "Bearer"});
    ok(&token).with("metadata-flavor", "Google")
}

/// Every cloud, as somebody.
fn everybody(service: &StandIn) -> CloudSettings {
    let environment = [
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "hush"),
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_CLIENT_SECRET", "hush"),
    ];
    settings(&[Cloud::Gcp], &environment, service)
}

/// T-16, CVE-2025-27403.
#[tokio::test]
async fn t16_a_host_that_only_looks_like_one_of_a_cloud_gets_nothing_and_nobody_is_asked() {
    let service = StandIn::start([]).await;
    let credentials = credentials(everybody(&service));
    let others = [
        "x.dkr.ecr.us-east-1.amazonaws.com.evil.example",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.example",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com:8443",
        "evil.amazonaws.com",
        "gcr.io.evil.example",
        "europe-docker.pkg.dev.evil.example",
        "shop.azurecr.io.evil.example",
        "shop.azurecr.io:444",
        "docker.io",
        "127.0.0.1:5000",
        "169.254.169.254",
    ];
    assert!(credentials.entries(&others).await.is_empty());
    assert!(service.asked().is_empty());
}

#[tokio::test]
async fn only_the_clouds_that_were_asked_for_have_credentials() {
    let service = StandIn::start([]).await;
    let credentials = credentials(settings(&[Cloud::Gcp], &[], &service));
    assert!(credentials.entries(&[ECR, ACR]).await.is_empty());
    assert!(service.asked().is_empty());
}

#[tokio::test]
async fn many_reviews_at_once_ask_for_one_token() {
    let service = StandIn::start([token("one", 3_600)]).await;
    let credentials = credentials(everybody(&service));
    let all = (0..50).map(|_| basic(&credentials, GAR));
    for (_, password) in futures::future::join_all(all).await {
        assert_eq!(password, "one");
    }
    assert_eq!(service.asked().len(), 1);
}

#[tokio::test]
async fn past_half_of_its_life_a_token_is_given_and_the_next_one_fetched_in_the_background() {
    let service = StandIn::start([token("old", 4), token("new", 3_600)]).await;
    let credentials = credentials(everybody(&service));
    assert_eq!(basic(&credentials, GAR).await.1, "old");
    sleep(Duration::from_millis(2_100)).await;
    assert_eq!(basic(&credentials, GAR).await.1, "old");
    sleep(Duration::from_millis(300)).await;
    assert_eq!(basic(&credentials, GAR).await.1, "new");
    assert_eq!(service.asked().len(), 2);
}

#[tokio::test]
async fn a_refresh_that_fails_keeps_the_last_good_token_until_it_ends_and_then_there_is_none() {
    let service = StandIn::start([
        token("good", 3),
        text(503, "hush"),
        text(503, "hush"),
        text(503, "hush"),
        text(503, "hush"),
    ])
    .await;
    let credentials = credentials(everybody(&service));
    assert_eq!(basic(&credentials, GAR).await.1, "good");
    sleep(Duration::from_millis(1_600)).await;
    for _ in 0..3 {
        assert_eq!(basic(&credentials, GAR).await.1, "good");
        sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(credentials.count().stale, 1);
    sleep(Duration::from_millis(400)).await;
    assert!(entry(&credentials, GAR).await.is_none());
}

/// Credentials are for the host that they were made for.
#[tokio::test]
async fn a_service_that_redirects_is_not_followed() {
    let thief = StandIn::start([]).await;
    let location: &'static str = Box::leak(thief.url.clone().into_boxed_str());
    let service = StandIn::start([
        text(307, "").with("location", location),
        text(302, "").with("location", location),
        text(308, "").with("location", location),
    ])
    .await;
    let credentials = credentials(everybody(&service));
    for registry in [ECR, GAR, ACR] {
        assert!(entry(&credentials, registry).await.is_none(), "{registry}");
    }
    assert!(thief.asked().is_empty());
    assert_eq!(service.asked().len(), 3);
}

#[tokio::test]
async fn a_service_that_does_not_answer_holds_up_a_review_for_three_seconds_at_most() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = CloudSettings::from_environment(&[Cloud::Gcp], false, |_| None);
    let url = format!("http://{}", listener.local_addr().unwrap());
    settings.google.as_mut().unwrap().stand_in = Some(url.parse().unwrap());
    let credentials = credentials(settings);
    let started = Instant::now();
    assert!(entry(&credentials, GAR).await.is_none());
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn nothing_that_is_printed_holds_a_token() {
    let service = StandIn::start([token("ya29-secret", 3_600)]).await;
    let credentials = credentials(everybody(&service));
    let entry = entry(&credentials, GAR).await.unwrap();
    let printed = format!("{entry:?} {credentials:?}");
    for secret in ["ya29-secret", "hush"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
