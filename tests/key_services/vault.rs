//! `hashivault://`.

use serde_json::{Value, json};

use super::stand_in::{PEM, StandIn, ask, json as ok, text};

fn key(public_key: &str) -> Value {
    json!({"data": {"type": "ecdsa-p256", "latest_version": 2, "keys": {
        "1": {"public_key": "old"}, "2": {"public_key": public_key},
    }}})
}

#[tokio::test]
async fn the_newest_version_of_the_key_is_read_with_the_token() {
    let vault = StandIn::start([ok(&key(PEM))]).await;
    let environment = [
        ("VAULT_ADDR", vault.url.as_str()),
        ("VAULT_TOKEN", "t-1"),
        ("VAULT_NAMESPACE", "shop"),
    ];
    assert_eq!(
        ask("hashivault://release", &environment).await.as_deref(),
        Ok(PEM)
    );
    let asked = &vault.asked()[0];
    assert_eq!(asked.line, "GET /v1/transit/keys/release");
    assert_eq!(
        (
            asked.header("x-vault-token"),
            asked.header("x-vault-namespace")
        ),
        ("t-1", "shop")
    );
}

#[tokio::test]
async fn the_token_may_stand_in_the_file_that_an_agent_renews_and_the_engine_elsewhere() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(".vault-token"), "t-2\n").unwrap();
    let vault = StandIn::start([ok(&key(PEM))]).await;
    let environment = [
        ("VAULT_ADDR", vault.url.as_str()),
        ("HOME", home.path().to_str().unwrap()),
        ("TRANSIT_SECRET_ENGINE_PATH", "team/transit"),
    ];
    ask("hashivault://release", &environment).await.unwrap();
    let asked = &vault.asked()[0];
    assert_eq!(asked.line, "GET /v1/team/transit/keys/release");
    assert_eq!(asked.header("x-vault-token"), "t-2");
}

#[tokio::test]
async fn an_ed25519_key_comes_as_its_bytes() {
    let vault = StandIn::start([ok(&key("O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik="))]).await;
    let found = ask(
        "hashivault://a",
        &[("VAULT_ADDR", &vault.url), ("VAULT_TOKEN", "t")],
    )
    .await
    .unwrap();
    assert_eq!(
        found,
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAO2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=\n-----END PUBLIC KEY-----\n"
    );
}

#[tokio::test]
async fn what_gives_no_key_is_told_and_nothing_secret_repeated() {
    for (answer, said) in [
        (
            text(403, r#"{"errors":["permission denied for t-secret"]}"#),
            "vault answered 403 Forbidden",
        ),
        (
            text(200, "t-secret"),
            "vault gave an answer that cannot be used: not the JSON that was to be expected (line 1, column 2)",
        ),
        (
            ok(&key("")),
            "vault gave an answer that cannot be used: the key has no public part: it is no signing key",
        ),
        (
            ok(&key("t-secret")),
            "vault gave an answer that cannot be used: its key cannot be read",
        ),
        (
            text(302, "").with("location", "http://evil.example/"),
            "vault answered 302 Found",
        ),
        (
            text(200, &"x".repeat(100_000)),
            "127.0.0.1 answered with more than 65536 bytes",
        ),
    ] {
        let vault = StandIn::start([answer]).await;
        let error = ask(
            "hashivault://a",
            &[("VAULT_ADDR", &vault.url), ("VAULT_TOKEN", "t-secret")],
        )
        .await
        .unwrap_err();
        assert_eq!(error, said);
    }
}

#[tokio::test]
async fn settings_that_are_missing_are_named() {
    let token = ("VAULT_TOKEN", "t");
    for (environment, said) in [
        (vec![token], "credentials: VAULT_ADDR is not set"),
        (
            vec![("VAULT_ADDR", "https://vault.example")],
            "credentials: VAULT_TOKEN is not set",
        ),
        (
            vec![token, ("VAULT_ADDR", "vault")],
            "credentials: VAULT_ADDR is no address",
        ),
        (
            vec![token, ("VAULT_ADDR", "http://vault.example:8200")],
            "vault.example is not asked: only https will do, since its answer is believed",
        ),
    ] {
        assert_eq!(
            ask("hashivault://a", &environment).await,
            Err(said.to_owned())
        );
    }
    for reference in ["hashivault://", "hashivault://a/b", "hashivault://..?x"] {
        let error = ask(reference, &[token, ("VAULT_ADDR", "https://127.0.0.1:1")])
            .await
            .unwrap_err();
        assert!(
            error.starts_with("the reference names no key"),
            "{reference}: {error}"
        );
    }
}
