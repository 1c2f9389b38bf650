//! `--cloud-credentials`: the command itself, in front of a registry of a cloud and the service that gives its tokens. Both are reached
//! through a proxy, which is what makes their names lead here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::proxy::Proxy;
use crate::stage::Stage;
use crate::support::command::Ended;
use crate::support::stand_in::{StandIn, json as ok};

const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
const LOOK_ALIKE: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example";
const TOKENS: &str = "api.ecr.eu-west-1.amazonaws.com";

/// A registry that only whoever has the token of its cloud may read, with a signed image.
struct Cloud {
    stage: Stage,
    tokens: StandIn,
    proxy: Proxy,
}

impl Cloud {
    async fn new() -> Self {
        let stage = Stage::new().await;
        stage.signed("t/app");
        stage.registry.require_basic("AWS", "token-of-ecr");
        let token = STANDARD.encode("AWS:token-of-ecr");
        let answer = json!({"authorizationData": [{"authorizationToken": token, "expiresAt": 2_082_758_400}]});
        let tokens = StandIn::start([ok(&answer)]).await;
        let (registry, service) = (
            stage.registry.host(),
            tokens.url.trim_start_matches("http://").to_owned(),
        );
        let proxy = Proxy::leading(&[
            (ECR, &registry),
            (LOOK_ALIKE, &registry),
            (TOKENS, &service),
        ])
        .await;
        stage.file("ca.pem", &proxy.certificate);
        Self {
            stage,
            tokens,
            proxy,
        }
    }

    /// `verify` of the image on this host.
    fn verify(&self, host: &str, rest: &[&str]) -> Ended {
        let url = self.proxy.url();
        let environment = [
            ("HTTPS_PROXY", url.as_str()),
            ("AWS_ACCESS_KEY_ID", "AKID"),
            ("AWS_SECRET_ACCESS_KEY", "hush"),
        ];
        let authority = self.stage.folder().join("ca.pem");
        let fixed = ["--registry-ca", authority.to_str().unwrap()];
        let rest: Vec<&str> = fixed.into_iter().chain(rest.iter().copied()).collect();
        let image = format!("{host}/t/app:v1");
        self.stage.verify(&image, &rest, &environment)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_of_a_cloud_is_read_with_the_identity_of_the_process() {
    let cloud = Cloud::new().await;
    for named in ["auto", "aws"] {
        let cloud = Cloud::new().await;
        let ended = cloud.verify(ECR, &["--cloud-credentials", named]);
        assert_eq!(ended.code, 0, "{named}: {ended:?}");
        let told = format!("{}{}", ended.stdout, ended.stderr);
        assert!(
            !told.contains("token-of-ecr") && !told.contains("hush"),
            "{told}"
        );
        assert_eq!(cloud.tokens.asked().len(), 1);
    }
    // Unless it is asked for, it is not used.
    let ended = cloud.verify(ECR, &[]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stdout.contains("registry-auth"), "{ended:?}");
    let ended = cloud.verify(ECR, &["--cloud-credentials", "azure"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(cloud.tokens.asked().is_empty());
}

/// T-16, CVE-2025-27403.
#[tokio::test(flavor = "multi_thread")]
async fn t16_a_host_that_only_looks_like_one_of_a_cloud_sees_no_token() {
    let cloud = Cloud::new().await;
    let ended = cloud.verify(LOOK_ALIKE, &["--cloud-credentials", "aws"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(cloud.tokens.asked().is_empty());
    let shown = cloud.stage.registry.requests();
    assert!(!shown.is_empty());
    assert!(shown.iter().all(|request| request.authorization.is_none()));
}

/// A token that cannot be had is not "unsigned".
#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_the_image_cannot_be_judged() {
    let cloud = Cloud::new().await;
    // The one answer is taken by somebody else.
    let taken = cloud.verify(ECR, &["--cloud-credentials", "aws"]);
    assert_eq!(taken.code, 0, "{taken:?}");
    let ended = cloud.verify(ECR, &["--cloud-credentials", "aws"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stdout.contains("registry-auth"), "{ended:?}");
}
