//! `azurekms://`.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::stand_in::{DER, PEM, StandIn, ask, ask_with, json as ok, settings, text};

/// The point of the key, which are the last bytes of its DER.
fn key() -> Value {
    let der = STANDARD.decode(DER).unwrap();
    let (x, y) = der[der.len() - 64..].split_at(32);
    let encode = |bytes| URL_SAFE_NO_PAD.encode(bytes);
    json!({"key": {"kid": "k", "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y), "key_ops": ["sign", "verify"]}})
}

fn token() -> super::stand_in::Answer {
    ok(&json!({"token_type": "Bearer", "access_token": "eyJ"}))
}

async fn stand_in(
    azure: &StandIn,
    reference: &str,
    environment: &[(&str, &str)],
) -> Result<String, String> {
    let mut settings = settings(environment);
    settings.azure.identity.authority = Some(azure.url.clone());
    settings.azure.stand_in = Some(azure.url.parse().unwrap());
    ask_with(reference, settings).await
}

const CLIENT: [(&str, &str); 3] = [
    ("AZURE_TENANT_ID", "t"),
    ("AZURE_CLIENT_ID", "c"),
    ("AZURE_CLIENT_SECRET", "hu&sh"),
];

#[tokio::test]
async fn a_client_with_a_secret_reads_the_key() {
    let azure = StandIn::start([token(), ok(&key())]).await;
    let found = stand_in(&azure, "azurekms://shop.vault.azure.net/release", &CLIENT).await;
    assert_eq!(found.as_deref(), Ok(PEM));
    let asked = azure.asked();
    assert_eq!(asked[0].line, "POST /t/oauth2/v2.0/token");
    assert_eq!(
        asked[0].body,
        "grant_type=client_credentials&client_id=c&scope=https%3A%2F%2Fvault.azure.net%2F.default&client_secret=hu%26sh"
    );
    assert_eq!(asked[1].line, "GET /keys/release?api-version=7.4");
    assert_eq!(asked[1].header("authorization"), "Bearer eyJ");
}

#[tokio::test]
async fn workload_identity_shows_its_token_and_a_version_may_be_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "jwt").unwrap();
    let azure = StandIn::start([token(), ok(&key())]).await;
    let environment = [
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap()),
    ];
    stand_in(
        &azure,
        "azurekms://h.managedhsm.azure.net/release/0a1b",
        &environment,
    )
    .await
    .unwrap();
    let asked = azure.asked();
    assert!(
        asked[0].body.contains("managedhsm.azure.net%2F.default"),
        "{}",
        asked[0].body
    );
    assert!(
        asked[0].body.ends_with("client_assertion=jwt"),
        "{}",
        asked[0].body
    );
    assert_eq!(asked[1].line, "GET /keys/release/0a1b?api-version=7.4");
}

#[tokio::test]
async fn an_rsa_key_is_its_modulus_and_exponent() {
    let modulus = URL_SAFE_NO_PAD.encode([0xc5; 256]);
    let azure = StandIn::start([
        token(),
        ok(&json!({"key": {"kty": "RSA-HSM", "n": modulus, "e": "AQAB"}})),
    ])
    .await;
    let pem = stand_in(&azure, "azurekms://shop.vault.azure.net/release", &CLIENT)
        .await
        .unwrap();
    let key = vouchsafe::verify::PublicKey::from_pem(&pem).unwrap();
    assert_eq!(key.fingerprint().to_string().len(), 64);
}

#[tokio::test]
async fn what_gives_no_key_is_told() {
    let place = "azurekms://shop.vault.azure.net/release";
    for (answers, said) in [
        (
            vec![text(
                401,
                r#"{"error":"invalid_client","error_description":"hush"}"#,
            )],
            "azure's token service answered 401 Unauthorized (invalid_client)",
        ),
        (
            vec![
                token(),
                text(404, r#"{"error":{"code":"KeyNotFound","message":"m"}}"#),
            ],
            "azure key vault answered 404 Not Found (KeyNotFound)",
        ),
        (
            vec![token(), ok(&json!({"key": {"kty": "oct"}}))],
            "azure key vault gave an answer that cannot be used: it is no signing key",
        ),
        (
            vec![
                token(),
                ok(&json!({"key": {"kty": "EC", "crv": "P-256K", "x": "AA", "y": "AA"}})),
            ],
            "azure key vault gave an answer that cannot be used: its curve is none of P-256, P-384, P-521",
        ),
    ] {
        let azure = StandIn::start(answers).await;
        assert_eq!(stand_in(&azure, place, &CLIENT).await, Err(said.to_owned()));
    }
    assert_eq!(
        ask(place, &[]).await,
        Err("credentials: AZURE_TENANT_ID is not set".to_owned())
    );
    assert_eq!(
        ask(place, &CLIENT[..2]).await,
        Err(
            "credentials: neither AZURE_CLIENT_SECRET nor AZURE_FEDERATED_TOKEN_FILE is set"
                .to_owned()
        )
    );
}

#[tokio::test]
async fn t16_a_host_that_only_looks_like_a_vault_gets_nothing() {
    let azure = StandIn::start([]).await;
    let error = stand_in(
        &azure,
        "azurekms://shop.vault.azure.net.evil.example/release",
        &CLIENT,
    )
    .await
    .unwrap_err();
    assert!(
        error.starts_with("credentials are not sent to shop.vault.azure.net.evil.example: "),
        "{error}"
    );
    assert!(azure.asked().is_empty());
}
