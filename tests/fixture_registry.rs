//! The registry that other tests stand on does what it says: digests, errors, faults, authorization, counts.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::{Duration, Instant};

use http::Method;
use rstest::rstest;
use serde_json::{Value, json};
use support::registry::{
    Class, Counts, Fault, FaultyRegistry, Match, RecordedImage, TokenAuth, client,
};
use vouchsafe::demo::registry::{IMAGE_MANIFEST, Registry, Store, image, index};
use vouchsafe::image::Digest;

const REPOSITORY: &str = "t/app";
const BY_TAG: &str = "/v2/t/app/manifests/v1";

/// A registry with one image under `t/app:v1`, and the image's digest.
async fn with_image() -> (FaultyRegistry, Digest) {
    let store = Store::new();
    let digest = image(&store, REPOSITORY, "v1", "seed");
    (FaultyRegistry::start(store).await, digest)
}

async fn get(registry: &FaultyRegistry, path: &str) -> reqwest::Response {
    client().get(registry.url(path)).send().await.unwrap()
}

fn header<'a>(response: &'a reqwest::Response, name: &str) -> &'a str {
    response.headers()[name].to_str().unwrap()
}

#[rstest]
#[case::by_tag("v1".to_owned())]
#[case::by_digest(image(&Store::new(), REPOSITORY, "v1", "seed").to_string())]
#[tokio::test]
async fn answers_get_and_head_of_a_manifest_with_its_digest(#[case] reference: String) {
    let (registry, digest) = with_image().await;
    for method in [Method::GET, Method::HEAD] {
        let url = registry.url(&format!("/v2/t/app/manifests/{reference}"));
        let response = client().request(method.clone(), url).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(
            header(&response, "docker-content-digest"),
            digest.to_string()
        );
        assert_eq!(header(&response, "content-type"), IMAGE_MANIFEST);
        let length: usize = header(&response, "content-length").parse().unwrap();
        let body = response.bytes().await.unwrap();
        if method == Method::GET {
            assert_eq!(length, body.len());
            assert!(digest.is_digest_of(&body));
        } else {
            assert!(length > 0 && body.is_empty());
        }
    }
}

#[tokio::test]
async fn every_descriptor_of_a_sample_leads_to_its_bytes() {
    let store = Store::new();
    let sample = index(&store, REPOSITORY, "v1", "seed");
    let registry = Registry::bind(store.clone(), "127.0.0.1:0").await.unwrap();
    for member in [&sample.amd64, &sample.arm64] {
        let url = format!("http://{}/v2/t/app/manifests/{member}", registry.host());
        let manifest: Value = client()
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        for descriptor in [&manifest["config"], &manifest["layers"][0]] {
            let blob = descriptor["digest"].as_str().unwrap();
            let url = format!("http://{}/v2/t/app/blobs/{blob}", registry.host());
            let bytes = client()
                .get(url)
                .send()
                .await
                .unwrap()
                .bytes()
                .await
                .unwrap();
            assert_eq!(descriptor["size"], json!(bytes.len()));
            assert!(blob.parse::<Digest>().unwrap().is_digest_of(&bytes));
        }
    }
    registry.stop().await;
}

#[rstest]
#[case::tag("/v2/t/app/manifests/nope", "MANIFEST_UNKNOWN")]
#[case::repository("/v2/t/other/manifests/v1", "NAME_UNKNOWN")]
#[case::blob(&format!("/v2/t/app/blobs/sha256:{}", "0".repeat(64)), "BLOB_UNKNOWN")]
#[case::endpoint("/v2/t/app/tags/list", "UNSUPPORTED")]
#[tokio::test]
async fn says_404_with_an_error_document(#[case] path: &str, #[case] code: &str) {
    let (registry, _) = with_image().await;
    let response = get(&registry, path).await;
    assert_eq!(response.status(), 404);
    let document: Value = response.json().await.unwrap();
    assert_eq!(document["errors"][0]["code"], code);
}

#[tokio::test]
async fn lists_referrers_unless_switched_off() {
    let (registry, digest) = with_image().await;
    let referrer = json!({
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "artifactType": "text/note",
        "subject": {"mediaType": IMAGE_MANIFEST, "digest": digest, "size": 1},
    });
    let pushed =
        registry
            .store()
            .push_manifest(REPOSITORY, None, IMAGE_MANIFEST, referrer.to_string());
    let path = format!("/v2/t/app/referrers/{digest}");
    let listed: Value = get(&registry, &path).await.json().await.unwrap();
    assert_eq!(listed["manifests"][0]["digest"], pushed.to_string());
    assert_eq!(listed["manifests"][0]["artifactType"], "text/note");
    let filtered = get(&registry, &format!("{path}?artifactType=text/other")).await;
    assert_eq!(header(&filtered, "oci-filters-applied"), "artifactType");
    let filtered: Value = filtered.json().await.unwrap();
    assert_eq!(filtered["manifests"], json!([]));

    registry.store().serve_referrers(false);
    assert_eq!(get(&registry, &path).await.status(), 404);
}

#[tokio::test]
async fn a_moved_tag_is_seen_while_it_is_served() {
    let (registry, first) = with_image().await;
    let second = image(registry.store(), REPOSITORY, "v2", "another seed");
    assert_ne!(first, second);
    registry.store().retag(REPOSITORY, "v1", &second);
    let response = get(&registry, BY_TAG).await;
    assert_eq!(
        header(&response, "docker-content-digest"),
        second.to_string()
    );
    registry.store().remove_tag(REPOSITORY, "v1");
    assert_eq!(get(&registry, BY_TAG).await.status(), 404);
}

#[tokio::test]
async fn faults_that_answer_answer_instead_of_the_registry() {
    let (registry, _) = with_image().await;
    let slow_down = vec![("retry-after", "7".to_owned())];
    registry.on(
        Match::manifest(),
        Fault::Status(429, slow_down, "later".into()),
    );
    let response = get(&registry, BY_TAG).await;
    assert_eq!(response.status(), 429);
    assert_eq!(header(&response, "retry-after"), "7");
    assert_eq!(response.text().await.unwrap(), "later");

    registry.on(
        Match::manifest(),
        Fault::Redirect("http://elsewhere.example/".to_owned()),
    );
    let response = get(&registry, BY_TAG).await;
    assert_eq!(response.status(), 307);
    assert_eq!(header(&response, "location"), "http://elsewhere.example/");

    registry.clear_faults();
    assert_eq!(get(&registry, BY_TAG).await.status(), 200);
}

#[tokio::test]
async fn faults_that_change_an_answer_leave_the_rest_of_it() {
    let (registry, digest) = with_image().await;
    registry.on(
        Match::manifest(),
        Fault::All(vec![
            Fault::ReplaceBody("other bytes".into()),
            Fault::ReplaceHeader("content-type", "text/plain".to_owned()),
        ]),
    );
    let response = get(&registry, BY_TAG).await;
    assert_eq!(
        header(&response, "docker-content-digest"),
        digest.to_string()
    );
    assert_eq!(header(&response, "content-type"), "text/plain");
    assert_eq!(response.text().await.unwrap(), "other bytes");

    registry.on(
        Match::manifest(),
        Fault::RemoveHeader("docker-content-digest"),
    );
    let response = get(&registry, BY_TAG).await;
    assert!(!response.headers().contains_key("docker-content-digest"));
}

#[tokio::test]
async fn a_hanging_registry_never_answers_and_a_closing_one_breaks_off() {
    let (registry, _) = with_image().await;
    registry.on(Match::manifest(), Fault::Hang);
    let asked = client()
        .get(registry.url(BY_TAG))
        .timeout(Duration::from_millis(300));
    assert!(asked.send().await.unwrap_err().is_timeout());

    registry.on(Match::manifest(), Fault::CloseConnection);
    let error = client().get(registry.url(BY_TAG)).send().await.unwrap_err();
    assert!(!error.is_timeout(), "{error:?}");
    let statuses: Vec<_> = registry.requests().iter().map(|r| r.status).collect();
    // The client may try a closed connection again, but no request was ever answered.
    assert!(
        statuses.len() >= 2 && statuses.iter().all(Option::is_none),
        "{statuses:?}"
    );
}

#[tokio::test]
async fn an_endless_body_does_not_end_and_is_counted() {
    let (registry, _) = with_image().await;
    let content_type = IMAGE_MANIFEST.to_owned();
    registry.on(Match::manifest(), Fault::EndlessBody { content_type });
    let mut response = get(&registry, BY_TAG).await;
    assert_eq!(header(&response, "content-type"), IMAGE_MANIFEST);
    let mut read = 0;
    while read < 5 << 20 {
        read += response.chunk().await.unwrap().unwrap().len();
    }
    assert!(registry.bytes_streamed() >= 5 << 20);
}

#[tokio::test]
async fn a_dripping_body_is_slow_and_a_truncated_one_incomplete() {
    let (registry, digest) = with_image().await;
    let whole = get(&registry, BY_TAG).await.bytes().await.unwrap();
    let bytes_per_sec = u64::try_from(whole.len()).unwrap() * 2;
    registry.on(Match::manifest(), Fault::Drip { bytes_per_sec });
    let start = Instant::now();
    let dripped = get(&registry, BY_TAG).await.bytes().await.unwrap();
    assert!(digest.is_digest_of(&dripped));
    assert!(
        start.elapsed() > Duration::from_millis(400),
        "{:?}",
        start.elapsed()
    );

    registry.on(Match::manifest(), Fault::Truncate { n: 10 });
    let mut response = get(&registry, BY_TAG).await;
    assert_eq!(response.content_length(), u64::try_from(whole.len()).ok());
    assert_eq!(response.chunk().await.unwrap().unwrap(), whole[..10]);
    assert!(response.chunk().await.is_err());
}

#[tokio::test]
async fn a_delayed_answer_is_whole_but_late() {
    let (registry, digest) = with_image().await;
    registry.on(Match::any(), Fault::Delay(Duration::from_millis(200)));
    let start = Instant::now();
    let bytes = get(&registry, BY_TAG).await.bytes().await.unwrap();
    assert!(digest.is_digest_of(&bytes));
    assert!(start.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn faults_count_their_calls() {
    let (registry, _) = with_image().await;
    let alternating = Fault::Alternate(vec![Fault::status(500), Fault::Pass]);
    registry.on(Match::manifest(), alternating);
    registry.on(Match::manifest(), Fault::only_first(1, Fault::status(503)));
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(get(&registry, BY_TAG).await.status().as_u16());
    }
    assert_eq!(statuses, [503, 500, 200, 500, 200]);
}

#[tokio::test]
async fn a_rule_is_for_what_it_describes() {
    let (registry, _) = with_image().await;
    let heads_of_v1 = Match::class(Class::Manifest)
        .method(Method::HEAD)
        .path("v1");
    registry.on(heads_of_v1, Fault::status(500));
    let head = client().head(registry.url(BY_TAG)).send().await.unwrap();
    assert_eq!(head.status(), 500);
    assert_eq!(get(&registry, BY_TAG).await.status(), 200);
    assert_eq!(get(&registry, "/v2/").await.status(), 200);
}

#[tokio::test]
async fn counts_and_records_what_it_was_asked() {
    let (registry, digest) = with_image().await;
    client().head(registry.url(BY_TAG)).send().await.unwrap();
    client()
        .get(registry.url(BY_TAG))
        .basic_auth("u", Some("p"))
        .send()
        .await
        .unwrap();
    get(&registry, &format!("/v2/t/app/blobs/{digest}")).await;
    get(&registry, &format!("/v2/t/app/referrers/{digest}")).await;
    get(&registry, "/token?service=x").await;
    get(&registry, "/v2/").await;
    get(&registry, "/elsewhere").await;
    let each_once = Counts {
        manifest_head: 1,
        manifest_get: 1,
        blob_get: 1,
        referrers: 1,
        token: 1,
        ping: 1,
        other: 1,
    };
    assert_eq!(registry.counts(), each_once);
    let requests = registry.requests();
    assert_eq!(requests[0].method, Method::HEAD);
    assert_eq!(requests[0].authorization, None);
    assert_eq!(requests[1].path, BY_TAG);
    assert_eq!(requests[1].authorization.as_deref(), Some("Basic dTpw"));
    assert_eq!(requests[1].status, Some(200));
    assert_eq!(requests[4].path, "/token?service=x");
    registry.reset_counts();
    assert_eq!(registry.counts().total(), 0);
}

#[tokio::test]
async fn basic_authentication_lets_only_its_user_in() {
    let (registry, _) = with_image().await;
    registry.require_basic("alice", "secret");
    let refused = get(&registry, BY_TAG).await;
    assert_eq!(refused.status(), 401);
    assert_eq!(
        header(&refused, "www-authenticate"),
        r#"Basic realm="fixture""#
    );
    for (password, status) in [("wrong", 401), ("secret", 200)] {
        let asked = client()
            .get(registry.url(BY_TAG))
            .basic_auth("alice", Some(password));
        assert_eq!(asked.send().await.unwrap().status(), status);
    }
}

/// The token for `t/app` that `user` gets, and the status of the token service.
async fn token(registry: &FaultyRegistry, user: Option<(&str, &str)>) -> (u16, Option<String>) {
    let url = registry.url("/token?service=fixture&scope=repository:t/app:pull");
    let mut asked = client().get(url);
    if let Some((name, password)) = user {
        asked = asked.basic_auth(name, Some(password));
    }
    let response = asked.send().await.unwrap();
    let status = response.status().as_u16();
    let document: Value = response.json().await.unwrap();
    (status, document["token"].as_str().map(str::to_owned))
}

async fn status_with(registry: &FaultyRegistry, path: &str, token: &str) -> u16 {
    let asked = client().get(registry.url(path)).bearer_auth(token);
    asked.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_token_gives_access_to_its_repository_until_it_is_revoked() {
    let (registry, _) = with_image().await;
    image(registry.store(), "t/other", "v1", "seed");
    registry.require_token(TokenAuth::default().user_of("alice", "secret", &[REPOSITORY]));
    let refused = get(&registry, BY_TAG).await;
    assert_eq!(refused.status(), 401);
    assert_eq!(
        header(&refused, "www-authenticate"),
        format!(
            r#"Bearer realm="{}",service="fixture",scope="repository:t/app:pull""#,
            registry.url("/token")
        )
    );
    assert_eq!(token(&registry, None).await.0, 401);
    assert_eq!(token(&registry, Some(("alice", "wrong"))).await.0, 401);
    let (_, text) = token(&registry, Some(("alice", "secret"))).await;
    let text = text.unwrap();
    assert_eq!(status_with(&registry, BY_TAG, &text).await, 200);
    assert_eq!(
        status_with(&registry, "/v2/t/other/manifests/v1", &text).await,
        401
    );
    registry.revoke_tokens();
    assert_eq!(status_with(&registry, BY_TAG, &text).await, 401);
    assert_eq!(registry.tokens_issued(), 1);
}

#[tokio::test]
async fn the_token_service_gives_what_it_is_told_to() {
    let (registry, _) = with_image().await;
    registry.require_token(TokenAuth {
        token_text: Some("a\nb".to_owned()),
        expires_in: Some(60),
        ..TokenAuth::anonymous()
    });
    assert_eq!(token(&registry, None).await.1.unwrap(), "a\nb");

    registry.require_token(TokenAuth::default().refresh_token("refresh me"));
    let form = "grant_type=refresh_token&service=fixture&scope=repository:t/app:pull\
                &refresh_token=refresh%20me";
    let asked = client()
        .post(registry.url("/token"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    let document: Value = asked.send().await.unwrap().json().await.unwrap();
    let text = document["token"].as_str().unwrap();
    assert_eq!(status_with(&registry, BY_TAG, text).await, 200);

    registry.require_token(TokenAuth {
        expires_in: Some(0),
        ..TokenAuth::anonymous()
    });
    let (_, expired) = token(&registry, None).await;
    assert_eq!(status_with(&registry, BY_TAG, &expired.unwrap()).await, 401);
}

#[tokio::test]
async fn a_dropped_registry_is_gone() {
    let (registry, _) = with_image().await;
    let url = registry.url(BY_TAG);
    let client = client();
    assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
    registry.stop().await;
    assert!(client.get(&url).send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn serves_a_recorded_image() {
    let source = Store::new();
    let digest = image(&source, REPOSITORY, "v1", "seed");
    let manifest = source.manifest(REPOSITORY, "v1").unwrap().bytes;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("image.json"), &manifest).unwrap();
    std::fs::write(folder.path().join("blob.json"), "{}").unwrap();
    let listing = json!({
        "repository": REPOSITORY,
        "digest": digest,
        "manifests": [
            {"reference": "v1", "mediaType": IMAGE_MANIFEST, "file": "image.json"},
            {"reference": digest, "mediaType": IMAGE_MANIFEST, "file": "image.json"},
        ],
        "blobs": [{"digest": Digest::sha256_of(b"{}"), "file": "blob.json"}],
    });
    std::fs::write(folder.path().join("registry.json"), listing.to_string()).unwrap();

    let recorded = RecordedImage::load(folder.path());
    assert_eq!(
        (recorded.repository.as_str(), &recorded.digest),
        (REPOSITORY, &digest)
    );
    let registry = FaultyRegistry::start(recorded.store).await;
    let bytes = get(&registry, BY_TAG).await.bytes().await.unwrap();
    assert_eq!(bytes, manifest);
}
