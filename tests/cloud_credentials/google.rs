//! Artifact Registry and Container Registry.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use vouchsafe::adapters::cloud::Cloud;

use super::bench::{GAR, basic, credentials, entry, file, settings};
use crate::support::stand_in::{Answer, StandIn, json as ok, text};

fn token(token: &str) -> Answer {
    ok(&json!({"access_token": token, "expires_in": 3_599, "token_type": "Bearer"}))
}

#[tokio::test]
async fn one_token_of_the_metadata_service_serves_all_registries_of_google() {
    let google = StandIn::start([token("ya29").with("metadata-flavor", "Google")]).await;
    let credentials = credentials(settings(&[Cloud::Gcp], &[], &google));
    for registry in [GAR, "gcr.io", "eu.gcr.io"] {
        let found = basic(&credentials, registry).await;
        assert_eq!(found, ("oauth2accesstoken".to_owned(), "ya29".to_owned()));
    }
    let [asked] = &google.asked()[..] else {
        panic!("more than one request")
    };
    assert_eq!(
        asked.line,
        "GET /computeMetadata/v1/instance/service-accounts/default/token"
    );
    assert_eq!(asked.header("metadata-flavor"), "Google");
}

#[tokio::test]
async fn whoever_else_answers_for_the_metadata_service_is_not_believed() {
    let other = StandIn::start([token("ya29")]).await;
    let credentials = credentials(settings(&[Cloud::Gcp], &[], &other));
    assert!(entry(&credentials, GAR).await.is_none());
}

#[tokio::test]
async fn the_key_of_a_service_account_becomes_a_token_at_googles_own_service() {
    let folder = tempfile::tempdir().unwrap();
    let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = key.as_der().unwrap();
    let private = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(der.as_ref())
    );
    let account = json!({
        "type": "service_account", "client_email": "v@p.iam.gserviceaccount.com", "private_key": private,
        "token_uri": "https://evil.example/token",
    });
    let path = file(&folder, &account.to_string());
    let google = StandIn::start([token("ya29")]).await;
    let environment = [("GOOGLE_APPLICATION_CREDENTIALS", path.as_str())];
    let credentials = credentials(settings(&[], &environment, &google));
    assert_eq!(basic(&credentials, GAR).await.1, "ya29");
    let [asked] = &google.asked()[..] else {
        panic!("more than one request")
    };
    assert_eq!(asked.line, "POST /token");
    let assertion = asked.body.strip_prefix(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=",
    );
    let claims = assertion.unwrap().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!(claims["aud"], "https://oauth2.googleapis.com/token");
    assert_eq!(
        claims["scope"],
        "https://www.googleapis.com/auth/devstorage.read_only"
    );
}

#[tokio::test]
async fn a_token_of_another_cluster_is_exchanged_and_speaks_for_a_service_account() {
    let folder = tempfile::tempdir().unwrap();
    let token_file = file(&folder, "jwt-of-the-cluster");
    let federation = folder.path().join("federation.json");
    let written = json!({
        "type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/v@p.iam.gserviceaccount.com:generateAccessToken",
        "credential_source": {"file": token_file},
    });
    std::fs::write(&federation, written.to_string()).unwrap();
    let google = StandIn::start([
        token("federated"),
        ok(&json!({"accessToken": "ya29", "expireTime": "2036-01-01T00:00:00Z"})),
    ])
    .await;
    let environment = [(
        "GOOGLE_APPLICATION_CREDENTIALS",
        federation.to_str().unwrap(),
    )];
    let credentials = credentials(settings(&[], &environment, &google));
    assert_eq!(basic(&credentials, GAR).await.1, "ya29");
    let asked = google.asked();
    assert_eq!(asked[0].line, "POST /v1/token");
    assert!(
        asked[0].body.ends_with("&subject_token=jwt-of-the-cluster"),
        "{}",
        asked[0].body
    );
    assert_eq!(
        asked[1].line,
        "POST /v1/projects/-/serviceAccounts/v@p.iam.gserviceaccount.com:generateAccessToken"
    );
    assert_eq!(asked[1].header("authorization"), "Bearer federated");
    assert_eq!(
        asked[1].body,
        r#"{"scope":["https://www.googleapis.com/auth/devstorage.read_only"]}"#
    );
}

#[tokio::test]
async fn what_gives_no_token_is_no_credential() {
    for answer in [
        text(403, r#"{"error":"denied"}"#),
        ok(&json!({})).with("metadata-flavor", "Google"),
    ] {
        let google = StandIn::start([answer]).await;
        let credentials = credentials(settings(&[Cloud::Gcp], &[], &google));
        assert!(entry(&credentials, GAR).await.is_none());
    }
}
