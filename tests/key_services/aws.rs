//! `awskms://`. That signatures are right is tested beside the signer; here, what is sent and what is made of answers.

use serde_json::json;

use super::stand_in::{DER, PEM, StandIn, ask, json as ok, text};

const ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

fn keys(kms: &StandIn) -> [(&str, &str); 4] {
    [
        ("AWS_ENDPOINT_URL_KMS", kms.url.as_str()),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "hush"),
        ("AWS_SESSION_TOKEN", "session"),
    ]
}

#[tokio::test]
async fn one_signed_request_gives_the_key() {
    let kms = StandIn::start([ok(
        &json!({"PublicKey": DER, "KeyUsage": "SIGN_VERIFY", "KeySpec": "ECC_NIST_P256"}),
    )])
    .await;
    let found = ask(&format!("awskms:///{ARN}"), &keys(&kms)).await;
    assert_eq!(found.as_deref(), Ok(PEM));
    let [asked] = &kms.asked()[..] else {
        panic!("more than one request")
    };
    assert_eq!(asked.line, "POST /");
    assert_eq!(asked.header("x-amz-target"), "TrentService.GetPublicKey");
    assert_eq!(asked.header("x-amz-security-token"), "session");
    assert_eq!(asked.body, json!({"KeyId": ARN}).to_string());
    let authorization = asked.header("authorization");
    assert!(
        authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKID/"),
        "{authorization}"
    );
    assert!(
        authorization.contains("/eu-west-1/kms/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, "),
        "{authorization}"
    );
    assert!(!authorization.contains("hush"));
}

#[tokio::test]
async fn a_service_account_becomes_keys_by_its_web_identity() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "jwt&1").unwrap();
    let answer = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s/1</SecretAccessKey><SessionToken>st</SessionToken></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
    let aws = StandIn::start([text(200, answer), ok(&json!({"PublicKey": DER}))]).await;
    let environment = [
        ("AWS_ENDPOINT_URL", aws.url.as_str()),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/vouchsafe"),
    ];
    assert_eq!(
        ask(&format!("awskms:///{ARN}"), &environment)
            .await
            .as_deref(),
        Ok(PEM)
    );
    let asked = aws.asked();
    assert!(
        asked[0].body.contains("Action=AssumeRoleWithWebIdentity&"),
        "{}",
        asked[0].body
    );
    assert!(
        asked[0].body.ends_with("WebIdentityToken=jwt%261"),
        "{}",
        asked[0].body
    );
    assert_eq!(asked[0].header("authorization"), "");
    assert!(
        asked[1]
            .header("authorization")
            .contains("Credential=ASIA/")
    );
    assert_eq!(asked[1].header("x-amz-security-token"), "st");
}

#[tokio::test]
async fn what_gives_no_key_is_told_with_the_code_of_the_service() {
    for (answer, said) in [
        (
            text(400, r#"{"__type":"NotFoundException","message":"hush"}"#),
            "aws kms answered 400 Bad Request (NotFoundException)",
        ),
        (
            text(400, r#"{"__type":"<script>hush</script>"}"#),
            "aws kms answered 400 Bad Request",
        ),
        (
            ok(&json!({"PublicKey": DER, "KeyUsage": "ENCRYPT_DECRYPT"})),
            "aws kms gave an answer that cannot be used: it is no signing key",
        ),
        (
            ok(&json!({"PublicKey": "AAAA"})),
            "aws kms gave an answer that cannot be used: its key cannot be read",
        ),
    ] {
        let kms = StandIn::start([answer]).await;
        assert_eq!(
            ask(&format!("awskms:///{ARN}"), &keys(&kms)).await,
            Err(said.to_owned())
        );
    }
}

#[tokio::test]
async fn t16_a_reference_takes_credentials_nowhere() {
    let stranger = StandIn::start([]).await;
    let host = stranger.url.trim_start_matches("http://");
    let environment = [
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "hush"),
    ];
    let error = ask(&format!("awskms://{host}/{ARN}"), &environment)
        .await
        .unwrap_err();
    assert!(
        error.starts_with(&format!("credentials are not sent to {host}: ")),
        "{error}"
    );
    assert!(stranger.asked().is_empty());
}

#[tokio::test]
async fn credentials_that_are_missing_are_named() {
    for (environment, said) in [
        (
            vec![],
            "none of AWS_ACCESS_KEY_ID, AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN, and AWS_CONTAINER_CREDENTIALS_FULL_URI is set",
        ),
        (
            vec![("AWS_ACCESS_KEY_ID", "a")],
            "one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is not set",
        ),
    ] {
        let error = ask(&format!("awskms:///{ARN}"), &environment)
            .await
            .unwrap_err();
        assert_eq!(error, format!("credentials: {said}"));
    }
}
