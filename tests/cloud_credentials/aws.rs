//! ECR. That signatures are right is tested beside the signer against AWS' published cases; here, what is asked and what is made of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vouchsafe::adapters::cloud::Cloud;

use super::bench::{ECR, basic, credentials, entry, file, settings};
use crate::support::stand_in::{Answer, StandIn, json as ok, text};

const KEYS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "AKID"),
    ("AWS_SECRET_ACCESS_KEY", "hush"),
];
const GIVEN: &str = r#"{"Code":"Success","AccessKeyId":"ASIA","SecretAccessKey":"s/1","Token":"st","Expiration":"2036-01-01T00:00:00Z"}"#;

/// What ECR answers: the token of a user in base64, good until 2036.
fn token(password: &str) -> Value {
    let token = STANDARD.encode(format!("AWS:{password}"));
    json!({"authorizationToken": token, "expiresAt": 2_082_758_400.153, "proxyEndpoint": format!("https://{ECR}")})
}

fn tokens(password: &str) -> Answer {
    ok(&json!({"authorizationData": [token(password)]}))
}

#[tokio::test]
async fn one_signed_request_gives_a_token_for_every_registry_of_a_region() {
    let aws = StandIn::start([tokens("pw:1")]).await;
    let credentials = credentials(settings(&[], &KEYS, &aws));
    let other = "210987654321.dkr.ecr.eu-west-1.amazonaws.com";
    for registry in [ECR, other] {
        let found = basic(&credentials, registry).await;
        assert_eq!(found, ("AWS".to_owned(), "pw:1".to_owned()));
    }
    let [asked] = &aws.asked()[..] else {
        panic!("more than one request")
    };
    assert_eq!((asked.line.as_str(), asked.body.as_str()), ("POST /", "{}"));
    assert_eq!(
        asked.header("x-amz-target"),
        "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
    );
    let authorization = asked.header("authorization");
    assert!(
        authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKID/")
            && authorization.contains(
                "/eu-west-1/ecr/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
            ),
        "{authorization}"
    );
}

#[tokio::test]
async fn the_public_registry_has_a_service_of_its_own() {
    let aws = StandIn::start([ok(&json!({"authorizationData": token("public")}))]).await;
    let credentials = credentials(settings(&[], &KEYS, &aws));
    let found = basic(&credentials, "public.ecr.aws").await;
    assert_eq!(found.1, "public");
    let asked = &aws.asked()[0];
    assert_eq!(
        asked.header("x-amz-target"),
        "SpencerFrontendService.GetAuthorizationToken"
    );
    let authorization = asked.header("authorization");
    assert!(
        authorization.contains("/us-east-1/ecr-public/aws4_request, "),
        "{authorization}"
    );
}

#[tokio::test]
async fn a_service_account_becomes_a_role_by_its_web_identity() {
    let folder = tempfile::tempdir().unwrap();
    let jwt = file(&folder, "jwt&1\n");
    let role = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s/1</SecretAccessKey><SessionToken>st</SessionToken></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
    let aws = StandIn::start([text(200, role), tokens("irsa")]).await;
    let environment = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", jwt.as_str()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/vouchsafe"),
    ];
    let credentials = credentials(settings(&[], &environment, &aws));
    assert_eq!(basic(&credentials, ECR).await.1, "irsa");
    let asked = aws.asked();
    assert!(
        asked[0]
            .body
            .starts_with("Action=AssumeRoleWithWebIdentity&")
            && asked[0].body.ends_with("&WebIdentityToken=jwt%261"),
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

/// T-94: regions that are invented have the security token service asked once, where the role's own region is.
#[tokio::test]
async fn t94_the_keys_of_a_role_are_asked_for_once_whatever_region_a_registry_names() {
    let aws = StandIn::start([
        text(200, GIVEN),
        tokens("one"),
        tokens("two"),
        text(400, ""),
    ])
    .await;
    let environment = [(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "http://169.254.170.23/v1/credentials",
    )];
    let credentials = credentials(settings(&[], &environment, &aws));
    for (region, is_there) in [
        ("eu-west-1", true),
        ("ap-south-2", true),
        ("xx-south-9", false),
    ] {
        let registry = format!("123456789012.dkr.ecr.{region}.amazonaws.com");
        assert_eq!(entry(&credentials, &registry).await.is_some(), is_there);
    }
    let asked = aws.asked();
    let keys = asked
        .iter()
        .filter(|asked| asked.line.starts_with("GET /v1/credentials"));
    assert_eq!((keys.count(), asked.len()), (1, 4));
    let signed = asked[3].header("authorization");
    assert!(signed.contains("/xx-south-9/ecr/aws4_request"), "{signed}");
}

#[tokio::test]
async fn the_agent_of_pod_identity_is_shown_the_token_of_the_pod() {
    let folder = tempfile::tempdir().unwrap();
    let token_file = file(&folder, "pod-token");
    let aws = StandIn::start([text(200, GIVEN), tokens("pod")]).await;
    let environment = [
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "http://169.254.170.23/v1/credentials",
        ),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            token_file.as_str(),
        ),
    ];
    let credentials = credentials(settings(&[], &environment, &aws));
    assert_eq!(basic(&credentials, ECR).await.1, "pod");
    let asked = aws.asked();
    assert_eq!(asked[0].line, "GET /v1/credentials");
    assert_eq!(asked[0].header("authorization"), "pod-token");
    assert_eq!(asked[1].header("x-amz-security-token"), "st");
}

/// T-16: the token of the Pod goes to the documented addresses alone, whatever the variable says.
#[tokio::test]
async fn t16_an_agent_elsewhere_is_shown_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let token_file = file(&folder, "pod-token");
    let aws = StandIn::start([text(200, GIVEN), tokens("pod")]).await;
    for uri in [
        format!("{}/v1/credentials", aws.url),
        "http://evil.example/v1/credentials".to_owned(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
    ] {
        let environment = [
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri.as_str()),
            (
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                token_file.as_str(),
            ),
        ];
        let credentials = credentials(settings(&[], &environment, &aws));
        assert!(entry(&credentials, ECR).await.is_none(), "{uri}");
    }
    assert!(aws.asked().is_empty());
}

#[tokio::test]
async fn the_role_of_the_machine_is_asked_for_in_a_session_and_only_where_aws_is_named() {
    let metadata = || {
        [
            text(200, "session"),
            text(200, "node-role\n"),
            text(200, GIVEN),
            tokens("node"),
        ]
    };
    let aws = StandIn::start(metadata()).await;
    let by_machine = credentials(settings(&[Cloud::Aws], &[], &aws));
    assert_eq!(basic(&by_machine, ECR).await.1, "node");
    let asked = aws.asked();
    let lines: Vec<&str> = asked.iter().map(|asked| asked.line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "PUT /latest/api/token",
            "GET /latest/meta-data/iam/security-credentials/",
            "GET /latest/meta-data/iam/security-credentials/node-role",
            "POST /",
        ]
    );
    assert_eq!(
        asked[0].header("x-aws-ec2-metadata-token-ttl-seconds"),
        "60"
    );
    assert_eq!(asked[2].header("x-aws-ec2-metadata-token"), "session");
    // What the environment does not name is not looked for at a metadata service.
    let aws = StandIn::start(metadata()).await;
    let found = credentials(settings(&[], &[], &aws));
    assert!(entry(&found, ECR).await.is_none());
    assert!(aws.asked().is_empty());
}

#[tokio::test]
async fn a_role_whose_name_leads_elsewhere_is_not_asked_for() {
    let aws = StandIn::start([text(200, "session"), text(200, "..")]).await;
    let credentials = credentials(settings(&[Cloud::Aws], &[], &aws));
    assert!(entry(&credentials, ECR).await.is_none());
    assert_eq!(aws.asked().len(), 2);
}

#[tokio::test]
async fn answers_without_a_token_are_no_credentials() {
    for answer in [
        text(
            400,
            r#"{"__type":"AccessDeniedException","message":"hush"}"#,
        ),
        text(200, "<html>"),
        ok(&json!({"authorizationData": []})),
        ok(&json!({"authorizationData": [{"authorizationToken": "!"}]})),
        ok(&json!({"authorizationData": [{"authorizationToken": STANDARD.encode("no colon")}]})),
    ] {
        let aws = StandIn::start([answer]).await;
        let credentials = credentials(settings(&[], &KEYS, &aws));
        assert!(entry(&credentials, ECR).await.is_none());
        assert_eq!(aws.asked().len(), 1);
    }
}
