//! T-53: where a registry may lead us, and what it may see of our credentials on the way.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use rstest::rstest;
use serde_json::json;
use tokio::net::TcpListener;
use vouchsafe::demo::registry::Store;

use crate::stage::{Image, Stage};
use crate::support::policies::yaml;
use crate::support::registry::{Fault, FaultyRegistry, Match, TokenAuth};
use crate::support::webhook::{Answered, Review, Webhook};

const PASSWORD: &str = "correct horse battery staple";

/// A webhook that wants a signature of the release key, and has a pull secret `regcred` for the stage's registry.
async fn with_credentials(stage: &Stage) -> Webhook {
    let auth = STANDARD.encode(format!("robot:{PASSWORD}"));
    let config = json!({"auths": {stage.registry.host(): {"auth": auth}}});
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": "regcred", "namespace": "shop"},
        "data": {".dockerconfigjson": STANDARD.encode(config.to_string())},
    });
    let secret = serde_saphyr::to_string(&secret).unwrap();
    Webhook::start(&format!("{}\n---\n{secret}", yaml(&[stage.release()]))).await
}

async fn judge(webhook: &Webhook, image: &Image) -> Answered {
    let review = Review::of(&[&image.pinned()]).pull_secret("regcred");
    let answered = webhook.review(&review).await;
    let told = format!("{} {:?}", answered.message, answered.annotations);
    assert!(
        !told.contains(PASSWORD) && !told.contains(&STANDARD.encode(PASSWORD)),
        "{told}"
    );
    answered
}

fn token_service(realm: Option<String>) -> TokenAuth {
    TokenAuth {
        realm,
        ..TokenAuth::default().user("robot", PASSWORD)
    }
}

/// The good case: the token service of the registry itself.
#[tokio::test]
async fn the_pull_secret_of_the_pod_opens_its_registry() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    stage.registry.require_token(token_service(None));
    let webhook = with_credentials(&stage).await;
    judge(&webhook, &image).await.admitted("satisfied");
    // Without the secret the same registry refuses.
    let other = stage.signed("t/other");
    webhook.judge(&other.pinned()).await.denied("registry-auth");
}

/// T-53: a realm elsewhere is neither asked with credentials nor, over plain HTTP, at all.
#[tokio::test]
async fn a_realm_on_another_host_sees_no_credentials() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    let thief = FaultyRegistry::start(Store::new()).await;
    thief.require_token(token_service(None));
    let port = thief.host().rsplit_once(':').unwrap().1.to_owned();
    let realm = format!("http://localhost:{port}/token");
    stage.registry.require_token(token_service(Some(realm)));
    let webhook = with_credentials(&stage).await;
    judge(&webhook, &image).await.unjudged();
    assert_eq!(thief.requests(), []);
}

/// T-53: addresses that only this machine, or only this cluster, should reach.
#[rstest]
#[case::cloud_metadata("http://169.254.169.254/latest/meta-data/iam")]
#[case::cloud_metadata_over_https("https://169.254.169.254/latest/api/token")]
#[case::cloud_metadata_as_a_number("http://2852039166/")]
#[case::cloud_metadata_as_ipv6("https://[::ffff:169.254.169.254]/")]
#[case::link_local("https://[fe80::1]/token")]
#[case::another_scheme("file:///var/run/secrets/kubernetes.io/serviceaccount/token")]
#[case::a_user_in_it("http://robot:secret@127.0.0.1:1/token")]
#[case::no_address("::::")]
#[case::unspecified("http://0.0.0.0/token")]
#[tokio::test]
async fn a_realm_that_we_must_not_ask_is_not_asked(#[case] realm: &str) {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    stage
        .registry
        .require_token(token_service(Some(realm.to_owned())));
    let webhook = with_credentials(&stage).await;
    let answered = judge(&webhook, &image).await;
    answered.unjudged();
    assert!(
        answered.took < std::time::Duration::from_secs(2),
        "{:?}",
        answered.took
    );
}

/// T-53: a redirect to another host carries no credentials along. The blob is what its digest says, so it may come from there.
#[tokio::test]
async fn a_redirect_to_another_host_carries_no_credentials() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    stage.registry.require_basic("robot", PASSWORD);
    let elsewhere = FaultyRegistry::start(stage.store().clone()).await;
    let found = stage.store().manifest("t/app", &image.sig()).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&found.bytes).unwrap();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    let target = elsewhere.url(&format!("/v2/t/app/blobs/{layer}"));
    stage.registry.on(Match::blob(), Fault::Redirect(target));
    let webhook = with_credentials(&stage).await;
    judge(&webhook, &image).await.admitted("satisfied");
    let seen = elsewhere.requests();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].authorization, None);
    let asked = stage.registry.requests();
    assert!(asked.iter().any(|request| request.authorization.is_some()));
}

/// T-53: redirects that lead nowhere good.
#[rstest]
#[case::cloud_metadata("http://169.254.169.254/latest/meta-data/")]
#[case::cloud_metadata_as_a_number("http://0xa9fea9fe/")]
#[case::plain_http_to_a_host_that_is_not_on_loopback("http://registry.example/v2/")]
#[case::another_scheme("gopher://127.0.0.1:1/")]
#[case::no_address("http://")]
#[case::to_itself("?again")]
#[tokio::test]
async fn a_redirect_that_we_must_not_follow_is_not_followed(#[case] target: &str) {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    stage
        .registry
        .on(Match::any(), Fault::Redirect(target.to_owned()));
    let webhook = with_credentials(&stage).await;
    let answered = judge(&webhook, &image).await;
    answered.unjudged();
    assert!(
        answered.took < std::time::Duration::from_secs(2),
        "{:?}",
        answered.took
    );
    assert!(stage.registry.counts().total() < 20);
}

/// A registry that only this Pod's secret opens is named as the one that refused, and not called unsigned.
#[rstest]
#[case::the_service_fails(Fault::status(500), "registry-unreachable")]
#[case::the_service_refuses(Fault::status(403), "registry-auth")]
#[case::the_service_throttles(Fault::status(429), "registry-throttled")]
#[case::the_service_is_gone(Fault::CloseConnection, "registry-unreachable")]
#[case::no_json(
    Fault::ReplaceBody(Bytes::from_static(b"<html>")),
    "registry-malformed"
)]
#[case::half_a_document(
    Fault::ReplaceBody(Bytes::from_static(b"{\"token\":\"abc")),
    "registry-malformed"
)]
#[case::no_token(Fault::ReplaceBody(Bytes::from_static(b"{}")), "registry-malformed")]
#[case::an_empty_token(
    Fault::ReplaceBody(Bytes::from_static(b"{\"token\":\"\"}")),
    "registry-malformed"
)]
#[case::a_token_that_is_a_list(
    Fault::ReplaceBody(Bytes::from_static(b"{\"token\":[\"a\"]}")),
    "registry-malformed"
)]
#[case::a_token_with_a_line_break(
    Fault::ReplaceBody(Bytes::from_static(b"{\"token\":\"a\\r\\nX-Evil: 1\"}")),
    "registry-malformed"
)]
#[case::a_token_that_opens_nothing(
    Fault::ReplaceBody(Bytes::from_static(b"{\"token\":\"wrong\"}")),
    "registry-auth"
)]
#[case::not_utf8(
    Fault::ReplaceBody(Bytes::from_static(b"{\"token\":\"\xff\"}")),
    "registry-malformed"
)]
#[case::endless(Fault::EndlessBody { content_type: "application/json".to_owned() }, "limit-exceeded")]
#[tokio::test]
async fn a_broken_token_service_is_not_absence_and_heals(
    #[case] fault: Fault,
    #[case] reason: &str,
) {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    stage.registry.require_token(token_service(None));
    stage.registry.on(Match::token(), fault);
    let webhook = with_credentials(&stage).await;
    let denied = judge(&webhook, &image).await;
    denied.denied(reason);
    assert!(stage.registry.counts().total() < 20);
    stage.registry.clear_faults();
    judge(&webhook, &image).await.admitted("satisfied");
}

/// A token service that hangs ends with the review.
#[tokio::test]
async fn a_token_service_that_hangs_ends_with_the_deadline() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let realm = format!("http://{}/token", listener.local_addr().unwrap());
    stage.registry.require_token(token_service(Some(realm)));
    let webhook = with_credentials(&stage).await;
    let review = Review::of(&[&image.pinned()])
        .pull_secret("regcred")
        .timeout(1);
    let answered = webhook.review(&review).await;
    answered.denied("deadline");
    assert!(
        answered.took < std::time::Duration::from_secs(1),
        "{:?}",
        answered.took
    );
}
