//! ACR.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use vouchsafe::adapters::cloud::Cloud;
use vouchsafe::gather::Credential;

use super::bench::{ACR, credentials, entry, file, settings};
use crate::support::stand_in::{Answer, StandIn, json as ok, text};

fn ours() -> Answer {
    ok(&json!({"token_type": "Bearer", "expires_in": 3_599, "access_token": "eyJ"}))
}

/// What the registry answers: a token with claims, good until 2036.
fn exchanged() -> (String, Answer) {
    let claims = URL_SAFE_NO_PAD.encode(r#"{"exp":2082758400}"#);
    let token = format!("e30.{claims}.c2ln");
    let answer = ok(&json!({"refresh_token": token}));
    (token, answer)
}

#[tokio::test]
async fn a_federated_token_becomes_a_refresh_token_of_the_registry() {
    let folder = tempfile::tempdir().unwrap();
    let federated = file(&folder, "jwt");
    let (token, answer) = exchanged();
    let azure = StandIn::start([ours(), answer]).await;
    let environment = [
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_FEDERATED_TOKEN_FILE", federated.as_str()),
    ];
    let credentials = credentials(settings(&[], &environment, &azure));
    let entry = entry(&credentials, ACR).await.unwrap();
    assert_eq!(entry.pattern, ACR);
    assert_eq!(entry.credential, Credential::IdentityToken(token));
    assert_eq!(entry.source, "cloud credentials (azure)");
    let asked = azure.asked();
    assert_eq!(asked[0].line, "POST /t/oauth2/v2.0/token");
    assert!(
        asked[0]
            .body
            .contains("&scope=https%3A%2F%2Fcontainerregistry.azure.net%2F.default&")
            && asked[0].body.ends_with("&client_assertion=jwt"),
        "{}",
        asked[0].body
    );
    assert_eq!(asked[1].line, "POST /oauth2/exchange");
    assert_eq!(
        asked[1].body,
        "grant_type=access_token&service=shop.azurecr.io&access_token=eyJ&tenant=t"
    );
}

#[tokio::test]
async fn the_managed_identity_of_the_machine_is_asked_for_where_azure_is_named() {
    let (token, answer) = exchanged();
    // The metadata service writes its numbers as text.
    let machine = ok(&json!({"access_token": "eyJ", "expires_in": "86399"}));
    let azure = StandIn::start([machine, answer]).await;
    let settings = settings(&[Cloud::Azure], &[("AZURE_CLIENT_ID", "c")], &azure);
    let entry = entry(&credentials(settings), ACR).await.unwrap();
    assert_eq!(entry.credential, Credential::IdentityToken(token));
    let asked = azure.asked();
    assert_eq!(
        asked[0].line,
        "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fcontainerregistry.azure.net&client_id=c"
    );
    assert_eq!(asked[0].header("metadata"), "true");
    assert_eq!(
        asked[1].body,
        "grant_type=access_token&service=shop.azurecr.io&access_token=eyJ"
    );
}

#[tokio::test]
async fn each_registry_has_a_token_of_its_own() {
    let azure = StandIn::start([ours(), exchanged().1, ours(), exchanged().1]).await;
    let environment = [
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_CLIENT_SECRET", "hush"),
    ];
    let credentials = credentials(settings(&[], &environment, &azure));
    for registry in [ACR, "other.azurecr.io", ACR] {
        assert!(entry(&credentials, registry).await.is_some(), "{registry}");
    }
    let asked = azure.asked();
    assert_eq!(asked.len(), 4);
    assert!(asked[3].body.contains("service=other.azurecr.io"));
}

#[tokio::test]
async fn a_registry_that_exchanges_nothing_gives_no_credential() {
    let environment = [
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_CLIENT_SECRET", "hush"),
    ];
    for answers in [
        vec![text(401, r#"{"error":"invalid_client"}"#)],
        vec![ours(), text(401, r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#)],
        vec![ours(), ok(&json!({}))],
    ] {
        let azure = StandIn::start(answers).await;
        let credentials = credentials(settings(&[], &environment, &azure));
        assert!(entry(&credentials, ACR).await.is_none());
    }
}
