//! What policies refer to: ConfigMaps, and texts behind URLs.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::get;
use rstest::rstest;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use vouchsafe::adapters::certs;
use vouchsafe::adapters::metrics::Metrics;
use vouchsafe::server::{Bound, ServeSettings, Tls, TlsVersion};

use crate::stage::{Image, Stage};
use crate::support::policies::{Policy, yaml};
use crate::support::webhook::Webhook;

const YES: &str = "package sigstore\nisCompliant { true }\n";
const NO: &str = "package sigstore\nisCompliant { false }\n";

/// A policy about `t/app` with this program over it, beside one about `t/other` that needs nothing.
fn referring(stage: &Stage, program: &Value) -> String {
    let policy = stage
        .release()
        .glob("**/t/app**")
        .spec("policy", program.clone());
    let other = Policy::new("other")
        .glob("**/t/other**")
        .key("release", &stage.release);
    yaml(&[policy, other])
}

fn map(name: &str, namespace: &str, data: &Value) -> String {
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace}, "data": data,
    });
    format!("\n---\n{map}\n")
}

fn in_map() -> Value {
    json!({"type": "rego", "configMapRef": {"name": "rules", "key": "rego"}})
}

/// Looks again until it is `wanted`: files are looked at every few milliseconds here.
async fn becomes(webhook: &Webhook, image: &Image, wanted: &str) {
    for _ in 0..200 {
        if webhook.judge(&image.pinned()).await.reason() == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let answered = webhook.judge(&image.pinned()).await;
    assert_eq!(answered.reason(), wanted, "{}", answered.message);
}

async fn reloading(policies: &str) -> Webhook {
    Webhook::start_with(policies, |settings| {
        settings.reload_interval = Duration::from_millis(20);
    })
    .await
}

/// T-68: whatever happens to a policy or to what it refers to, images that it matches are denied, and no others.
#[rstest]
#[case::the_map_is_deleted("")]
#[case::the_map_is_another_namespaces(&map("rules", "shop", &json!({"rego": YES})))]
#[case::the_key_is_gone(&map("rules", "cosign-system", &json!({"other": YES})))]
#[case::the_map_is_empty(&map("rules", "cosign-system", &json!({})))]
#[case::the_text_is_broken(&map("rules", "cosign-system", &json!({"rego": "package sigstore\nisCompliant {"})))]
#[tokio::test]
async fn t68_a_config_map_that_breaks_denies_what_its_policy_matches(#[case] broken: &str) {
    let stage = Stage::new().await;
    let (image, other) = (stage.signed("t/app"), stage.signed("t/other"));
    let policies = referring(&stage, &in_map());
    let good = policies.clone() + &map("rules", "cosign-system", &json!({"rego": YES}));
    let webhook = reloading(&good).await;
    webhook.judge(&image.pinned()).await.admitted("satisfied");
    webhook.rewrite(&(policies + broken));
    becomes(&webhook, &image, "policy-invalid").await;
    webhook.judge(&other.pinned()).await.admitted("satisfied");
    webhook.rewrite(&good);
    becomes(&webhook, &image, "satisfied").await;
}

/// T-68: a policy that is edited into something broken is broken at once.
#[rstest]
#[case::a_regex(json!({"keyless": {"identities": [{"issuerRegExp": "(", "subject": "s"}]}}))]
#[case::a_secret_that_is_not_there(json!({"key": {"secretRef": {"name": "gone"}}}))]
#[case::a_key(json!({"key": {"data": "no key"}}))]
#[tokio::test]
async fn t68_a_policy_that_is_broken_by_an_edit_denies_what_it_matches(#[case] authority: Value) {
    let stage = Stage::new().await;
    let (image, other) = (stage.signed("t/app"), stage.signed("t/other"));
    let good = || stage.release().glob("**/t/app**");
    let beside = || {
        Policy::new("other")
            .glob("**/t/other**")
            .key("release", &stage.release)
    };
    let webhook = reloading(&yaml(&[good(), beside()])).await;
    webhook.judge(&image.pinned()).await.admitted("satisfied");
    let broken = good().spec("authorities", json!([authority]));
    webhook.rewrite(&yaml(&[broken, beside()]));
    becomes(&webhook, &image, "policy-invalid").await;
    webhook.judge(&other.pinned()).await.admitted("satisfied");
}

/// T-68: what a deleted policy covered is covered by none.
#[tokio::test]
async fn t68_what_a_deleted_policy_covered_is_denied_where_no_other_one_does() {
    let stage = Stage::new().await;
    let (image, other) = (stage.signed("t/app"), stage.signed("t/other"));
    let beside = || {
        Policy::new("other")
            .glob("**/t/other**")
            .key("release", &stage.release)
    };
    let webhook = reloading(&yaml(&[stage.release().glob("**/t/app**"), beside()])).await;
    webhook.judge(&image.pinned()).await.admitted("satisfied");
    webhook.rewrite(&yaml(&[beside()]));
    becomes(&webhook, &image, "no-match").await;
    webhook.judge(&other.pinned()).await.admitted("satisfied");
}

#[tokio::test]
async fn the_policy_of_an_attestation_is_read_from_a_config_map_too() {
    let stage = Stage::new().await;
    let image = stage.built("t/app");
    let attestation = json!({
        "name": "built", "predicateType": "slsaprovenance",
        "policy": {"type": "rego", "configMapRef": {"name": "rules", "key": "rego"}},
    });
    let authority = json!({
        "name": "chains", "key": {"data": stage.release.public_key_pem()},
        "attestations": [attestation],
    });
    let policy = yaml(&[Policy::new("provenance").authority(authority)]);
    for (text, reason) in [(YES, "satisfied"), (NO, "policy-denied")] {
        let rules = map("rules", "cosign-system", &json!({"rego": text}));
        let webhook = Webhook::start(&(policy.clone() + &rules)).await;
        assert_eq!(webhook.judge(&image.pinned()).await.reason(), reason);
    }
}

/// A server of policies, over HTTPS.
struct Texts {
    host: String,
    authority: tempfile::NamedTempFile,
    _stop: tokio_util::sync::DropGuard,
}

impl Texts {
    async fn serve() -> Self {
        let authority = tempfile::NamedTempFile::new().unwrap();
        let made = certs::generate(&[], Some(authority.path()), Arc::new(Metrics::new())).await;
        let (serving, _) = made.unwrap();
        let tls = Tls::new(serving, TlsVersion::Tls13).unwrap();
        let bound = Bound::tls("127.0.0.1:0".parse().unwrap(), tls)
            .await
            .unwrap();
        let host = format!("localhost:{}", bound.address().port());
        let router = Router::new()
            .route("/yes", get(|| async { YES }))
            .route("/no", get(|| async { NO }))
            .route("/large", get(|| async { " ".repeat(2 << 20) }))
            .route("/bytes", get(|| async { vec![0xff_u8, 0xfe] }))
            .route("/moved", get(|| async { Redirect::temporary("/yes") }))
            .route("/loop", get(|| async { Redirect::temporary("/loop") }))
            .route(
                "/away",
                get(|| async { Redirect::temporary("https://127.0.0.1:1/yes").into_response() }),
            )
            .route(
                "/slow",
                get(|| async { std::future::pending::<&str>().await }),
            );
        let (stop, settings) = (
            CancellationToken::new(),
            ServeSettings {
                connections: 1_024,
                stop_delay: Duration::ZERO,
                drain: Duration::ZERO,
            },
        );
        tokio::spawn(bound.serve(router, settings, stop.clone()));
        Self {
            host,
            authority,
            _stop: stop.drop_guard(),
        }
    }

    fn remote(&self, path: &str, text: &str) -> Value {
        let sha256sum = hex::encode(Sha256::digest(text));
        let url = format!("https://{}{path}", self.host);
        json!({"type": "rego", "remote": {"url": url, "sha256sum": sha256sum}})
    }

    async fn webhook(&self, policies: &str) -> Webhook {
        Webhook::start_with(policies, |settings| {
            settings.reload_interval = Duration::from_millis(20);
            settings.judge.registry_ca = Some(self.authority.path().to_owned());
        })
        .await
    }
}

#[rstest]
#[case::as_it_is("/yes", YES, "satisfied")]
#[case::after_a_redirect_on_the_same_host("/moved", YES, "satisfied")]
#[case::a_program_that_says_no("/no", NO, "policy-denied")]
#[case::another_text_than_is_pinned("/no", YES, "policy-invalid")]
#[case::after_a_redirect_to_another_host("/away", YES, "policy-invalid")]
#[case::after_too_many_redirects("/loop", YES, "policy-invalid")]
#[case::too_large("/large", YES, "policy-invalid")]
#[case::not_text("/bytes", YES, "policy-invalid")]
#[case::not_there("/gone", YES, "policy-invalid")]
#[tokio::test]
async fn a_policy_behind_a_url_is_the_text_that_is_pinned(
    #[case] path: &str,
    #[case] pinned: &str,
    #[case] reason: &str,
) {
    let stage = Stage::new().await;
    let (image, other) = (stage.signed("t/app"), stage.signed("t/other"));
    let texts = Texts::serve().await;
    let policies = referring(&stage, &texts.remote(path, pinned));
    let webhook = texts.webhook(&policies).await;
    let answered = webhook.judge(&image.pinned()).await;
    assert_eq!(answered.reason(), reason, "{}", answered.message);
    webhook.judge(&other.pinned()).await.admitted("satisfied");
}

#[rstest]
#[case::plain_http("http://localhost/yes")]
#[case::metadata("https://169.254.169.254/yes")]
#[case::metadata_in_ipv6("https://[::ffff:169.254.169.254]/yes")]
#[case::nobody_listens("https://127.0.0.1:1/yes")]
#[case::nobody_is_trusted("https://localhost:LISTENS/yes")]
#[tokio::test]
async fn a_policy_behind_an_address_that_is_not_asked_is_broken(#[case] url: &str) {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    let texts = Texts::serve().await;
    let url = url.replace("localhost:LISTENS", &texts.host);
    let remote = json!({"type": "rego", "remote": {"url": url, "sha256sum": "0".repeat(64)}});
    let webhook = Webhook::start(&referring(&stage, &remote)).await;
    webhook
        .judge(&image.pinned())
        .await
        .denied("policy-invalid");
}

#[tokio::test]
async fn a_policy_that_is_edited_to_another_url_is_fetched_at_once() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    let texts = Texts::serve().await;
    let webhook = texts
        .webhook(&referring(&stage, &texts.remote("/no", NO)))
        .await;
    webhook.judge(&image.pinned()).await.denied("policy-denied");
    webhook.rewrite(&referring(&stage, &texts.remote("/yes", YES)));
    becomes(&webhook, &image, "satisfied").await;
}
