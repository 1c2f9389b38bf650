//! ACR.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use vouchsafe::adapters::cloud::Cloud;
use vouchsafe::gather::Credential;

use super::bench::{ACR, credentials, entry, file, settings};
use crate::support::stand_in::{Answer, StandIn, json as ok, text};

/// Somebody, by a secret.
const SOMEBODY: [(&str, &str); 3] = [
    ("AZURE_TENANT_ID", "t"),
    ("AZURE_CLIENT_ID", "c"),
    ("AZURE_CLIENT_SECRET", "hush"),
];

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
    let azure = StandIn::start([ours(), exchanged().1, exchanged().1]).await;
    let credentials = credentials(settings(&[], &SOMEBODY, &azure));
    for registry in [ACR, "other.azurecr.io", ACR] {
        assert!(entry(&credentials, registry).await.is_some(), "{registry}");
    }
    // Entra ID is asked once for both.
    let asked = azure.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked[2].body.contains("service=other.azurecr.io"));
}

/// T-94: whoever invents registries has Entra ID asked once, and few of them.
#[tokio::test]
async fn t94_registries_that_are_invented_cause_one_token_and_few_exchanges() {
    let refusals = (0..200).map(|_| text(401, r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#));
    let azure = StandIn::start(std::iter::once(ours()).chain(refusals)).await;
    let credentials = credentials(settings(&[], &SOMEBODY, &azure));
    let invented: Vec<String> = (0..200)
        .map(|number| format!("x{number}.azurecr.io"))
        .collect();
    let invented: Vec<&str> = invented.iter().map(String::as_str).collect();
    assert!(credentials.entries(&invented).await.is_empty());
    let asked = azure.asked();
    let tokens = asked
        .iter()
        .filter(|asked| asked.line.contains("/oauth2/v2.0/token"));
    assert_eq!(tokens.count(), 1);
    assert!((30..=34).contains(&asked.len()), "{}", asked.len());
}

/// T-94: an identity that gives nothing is left alone for a while, whatever it is asked for.
#[tokio::test]
async fn t94_an_identity_that_fails_is_not_asked_again_for_each_registry() {
    let azure = StandIn::start([text(503, ""), text(503, "")]).await;
    let credentials = credentials(settings(&[], &SOMEBODY, &azure));
    for registry in [ACR, "other.azurecr.io", "third.azurecr.io"] {
        assert!(entry(&credentials, registry).await.is_none(), "{registry}");
    }
    assert_eq!(azure.asked().len(), 1);
}

/// T-94: `--cloud-registry`
#[tokio::test]
async fn t94_where_registries_are_named_no_other_is_asked() {
    let azure = StandIn::start([ours(), exchanged().1]).await;
    let mut settings = settings(&[], &SOMEBODY, &azure);
    settings.only = vec![ACR.parse().unwrap()];
    let credentials = credentials(settings);
    assert!(entry(&credentials, "other.azurecr.io").await.is_none());
    assert!(azure.asked().is_empty());
    assert!(entry(&credentials, ACR).await.is_some());
}

#[tokio::test]
async fn a_registry_that_exchanges_nothing_gives_no_credential() {
    for answers in [
        vec![text(401, r#"{"error":"invalid_client"}"#)],
        vec![ours(), text(401, r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#)],
        vec![ours(), ok(&json!({}))],
    ] {
        let azure = StandIn::start(answers).await;
        let credentials = credentials(settings(&[], &SOMEBODY, &azure));
        assert!(entry(&credentials, ACR).await.is_none());
    }
}
