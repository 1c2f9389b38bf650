//! `gcpkms://`.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::stand_in::{PEM, StandIn, ask, json as ok, text};

const KEY: &str = "projects/p/locations/global/keyRings/r/cryptoKeys/k";

fn key() -> Value {
    json!({"pem": PEM, "algorithm": "EC_SIGN_P256_SHA256", "name": "n"})
}

#[tokio::test]
async fn a_service_account_says_who_it_is_by_a_token_that_it_signs_itself() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("account.json");
    let account = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = account.as_der().unwrap();
    let private = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(der.as_ref())
    );
    let written = json!({
        "type": "service_account", "client_email": "v@p.iam.gserviceaccount.com", "private_key_id": "k1",
        "private_key": private, "token_uri": "https://evil.example/token",
    });
    std::fs::write(&file, written.to_string()).unwrap();
    let kms = StandIn::start([ok(&key())]).await;
    let environment = [
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS", kms.url.as_str()),
        ("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap()),
    ];
    let found = ask(&format!("gcpkms://{KEY}/cryptoKeyVersions/3"), &environment).await;
    assert_eq!(found.as_deref(), Ok(PEM));
    let [asked] = &kms.asked()[..] else {
        panic!("more than one request")
    };
    assert_eq!(
        asked.line,
        format!("GET /v1/{KEY}/cryptoKeyVersions/3/publicKey")
    );
    let token = asked
        .header("authorization")
        .strip_prefix("Bearer ")
        .unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, account.public_key().as_ref());
    public
        .verify(
            message.as_bytes(),
            &URL_SAFE_NO_PAD.decode(signature).unwrap(),
        )
        .unwrap();
    let claims: Value = serde_json::from_slice(
        &URL_SAFE_NO_PAD
            .decode(message.rsplit_once('.').unwrap().1)
            .unwrap(),
    )
    .unwrap();
    assert_eq!(claims["aud"], "https://cloudkms.googleapis.com/");
    assert_eq!(claims["iss"], claims["sub"]);
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        300
    );
}

#[tokio::test]
async fn without_a_version_the_newest_that_is_enabled_is_read_with_the_token_of_the_metadata_service()
 {
    let name = |version: &str| json!({"name": format!("{KEY}/cryptoKeyVersions/{version}")});
    let google = StandIn::start([
        ok(&json!({"access_token": "ya29", "expires_in": 3_599, "token_type": "Bearer"}))
            .with("metadata-flavor", "Google"),
        ok(&json!({"cryptoKeyVersions": [name("9"), name("10"), name("2")]})),
        ok(&key()),
    ])
    .await;
    let host = google.url.trim_start_matches("http://");
    let environment = [
        (
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS",
            google.url.as_str(),
        ),
        ("GCE_METADATA_HOST", host),
    ];
    assert_eq!(
        ask(&format!("gcpkms://{KEY}"), &environment)
            .await
            .as_deref(),
        Ok(PEM)
    );
    let asked = google.asked();
    let lines: Vec<&str> = asked.iter().map(|asked| asked.line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "GET /computeMetadata/v1/instance/service-accounts/default/token",
            &format!("GET /v1/{KEY}/cryptoKeyVersions?filter=state%3DENABLED&pageSize=200"),
            &format!("GET /v1/{KEY}/cryptoKeyVersions/10/publicKey"),
        ]
    );
    assert_eq!(asked[0].header("metadata-flavor"), "Google");
    assert_eq!(asked[2].header("authorization"), "Bearer ya29");
}

#[tokio::test]
async fn whoever_else_answers_is_no_metadata_service() {
    let other = StandIn::start([ok(&json!({"access_token": "x"}))]).await;
    let host = other.url.trim_start_matches("http://");
    let error = ask(&format!("gcpkms://{KEY}"), &[("GCE_METADATA_HOST", host)])
        .await
        .unwrap_err();
    assert_eq!(
        error,
        format!("credentials: {host} is no metadata service of Google")
    );
}

#[tokio::test]
async fn what_gives_no_key_is_told() {
    let token = || ok(&json!({"access_token": "x"})).with("metadata-flavor", "Google");
    for (answers, said) in [
        (
            vec![
                token(),
                text(
                    403,
                    r#"{"error":{"status":"PERMISSION_DENIED","message":"m"}}"#,
                ),
            ],
            "google cloud kms answered 403 Forbidden (PERMISSION_DENIED)",
        ),
        (
            vec![
                token(),
                ok(&json!({"pem": PEM, "algorithm": "RSA_DECRYPT_OAEP_2048_SHA256"})),
            ],
            "google cloud kms gave an answer that cannot be used: it is no signing key",
        ),
    ] {
        let google = StandIn::start(answers).await;
        let host = google.url.trim_start_matches("http://");
        let environment = [
            (
                "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS",
                google.url.as_str(),
            ),
            ("GCE_METADATA_HOST", host),
        ];
        assert_eq!(
            ask(&format!("gcpkms://{KEY}/versions/1"), &environment).await,
            Err(said.to_owned())
        );
    }
    let google = StandIn::start([token(), ok(&json!({}))]).await;
    let host = google.url.trim_start_matches("http://");
    let environment = [
        (
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS",
            google.url.as_str(),
        ),
        ("GCE_METADATA_HOST", host),
    ];
    let error = ask(&format!("gcpkms://{KEY}"), &environment)
        .await
        .unwrap_err();
    assert!(
        error.ends_with("the key has no version that is enabled"),
        "{error}"
    );
}

#[tokio::test]
async fn other_kinds_of_credentials_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.json");
    let path = file.to_str().unwrap();
    for (content, said) in [
        (
            r#"{"type":"authorized_user"}"#,
            "only the key of a service account and a federation file (external_account) can be used; leave the variable unset for workload identity",
        ),
        (
            r#"{"type":"external_account","token_url":"https://evil.example/token"}"#,
            "its token_url is not https://sts.googleapis.com/v1/token",
        ),
        (
            r#"{"type":"service_account"}"#,
            "the service account has no client_email or no private_key",
        ),
        (
            r#"{"type":"service_account","client_email":"e","private_key":"hush"}"#,
            "its private_key cannot be used",
        ),
        ("hush", "it is no JSON of credentials"),
    ] {
        std::fs::write(&file, content).unwrap();
        let error = ask(
            &format!("gcpkms://{KEY}"),
            &[("GOOGLE_APPLICATION_CREDENTIALS", path)],
        )
        .await
        .unwrap_err();
        assert_eq!(
            error,
            format!("credentials: GOOGLE_APPLICATION_CREDENTIALS names {path}: {said}")
        );
    }
}
