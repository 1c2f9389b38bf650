//! Credentials: asked for by a 401, kept apart, tried in order, never repeated.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use vouchsafe::adapters::oci::{OciRegistry, OciSettings, RequestClass, RequestOutcome};
use vouchsafe::gather::keychain::{Credential, KeychainEntry};
use vouchsafe::gather::registry::FetchError;
use vouchsafe::image::{Digest, Repository};

use crate::stub::{
    Counts, Seen, Stub, access, anonymous, blob, client, entry, get, head, manifest, reply,
};

const BODY: &str = r#"{"layers":[]}"#;

fn unauthorized(challenge: &str) -> Response {
    reply(401, &[("www-authenticate", challenge)], "{}")
}

/// The user of a Basic header.
fn user(seen: &Seen) -> Option<String> {
    let encoded = seen.authorization.as_deref()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    Some(text.split_once(':')?.0.to_owned())
}

/// A token service that names tokens after the user, and a registry that takes those of `accepted`.
fn token_registry(accepted: &'static [&'static str]) -> impl Fn(&Seen) -> Response {
    move |seen| {
        if seen.path == "/token" {
            let name = user(seen).unwrap_or_else(|| "anonymous".to_owned());
            return reply(
                200,
                &[],
                format!(r#"{{"token":"for-{name}","expires_in":300}}"#),
            );
        }
        let token = seen
            .authorization
            .as_deref()
            .and_then(|header| header.strip_prefix("Bearer for-"));
        if token.is_some_and(|name| accepted.contains(&name)) {
            return honest(seen);
        }
        let port = seen.host_port();
        unauthorized(&format!(
            r#"Bearer realm="http://127.0.0.1:{port}/token",service="registry of shops",scope="repository:shop/cart:pull""#
        ))
    }
}

fn honest(seen: &Seen) -> Response {
    let digest = Digest::sha256_of(BODY.as_bytes()).to_string();
    match (seen.method.as_str(), seen.path.contains("/blobs/")) {
        ("HEAD", _) => reply(200, &[("docker-content-digest", &digest)], ""),
        (_, true) => reply(200, &[], "evidence"),
        _ => manifest(BODY),
    }
}

#[tokio::test]
async fn a_warm_token_makes_every_question_one_request_and_nothing_is_pinged() {
    let stub = Stub::start(token_registry(&["alice"])).await;
    let counts = Arc::new(Counts::default());
    let settings = OciSettings {
        observer: counts.clone(),
        ..OciSettings::default()
    };
    let client = OciRegistry::new(&settings).unwrap();
    let (repository, access) = (
        stub.repository(),
        access(vec![entry(&stub.host(), "alice")]),
    );

    assert!(head(&client, &repository, &access).await.unwrap().is_some());
    let cold: Vec<_> = stub
        .take()
        .into_iter()
        .map(|seen| format!("{} {}", seen.method, seen.path))
        .collect();
    assert_eq!(
        cold,
        [
            "HEAD /v2/shop/cart/manifests/1.4",
            "GET /token",
            "HEAD /v2/shop/cart/manifests/1.4"
        ]
    );
    counts.take();

    assert!(head(&client, &repository, &access).await.unwrap().is_some());
    assert!(get(&client, &repository, &access).await.unwrap().is_some());
    assert!(
        blob(&client, &repository, b"evidence", 8, &access)
            .await
            .unwrap()
            .is_some()
    );
    let warm = stub.take();
    assert_eq!(warm.len(), 3, "{warm:?}");
    assert!(
        warm.iter()
            .all(|seen| seen.authorization.as_deref() == Some("Bearer for-alice"))
    );
    let expected = [
        RequestClass::ManifestHead,
        RequestClass::ManifestGet,
        RequestClass::BlobGet,
    ];
    assert_eq!(
        counts.take(),
        expected
            .into_iter()
            .map(|class| ((class, RequestOutcome::Ok), 1))
            .collect()
    );
}

#[tokio::test]
async fn a_token_is_asked_for_this_repository_and_for_pulling_only() {
    let stub = Stub::start(token_registry(&["alice"])).await;
    let access = access(vec![entry(&stub.host(), "alice")]);
    get(&client(), &stub.repository(), &access).await.unwrap();
    let token = stub
        .seen()
        .into_iter()
        .find(|seen| seen.path == "/token")
        .unwrap();
    assert_eq!(
        token.query,
        "service=registry+of+shops&scope=repository%3Ashop%2Fcart%3Apull"
    );
    assert_eq!(user(&token).as_deref(), Some("alice"));
}

#[tokio::test]
async fn credentials_of_two_keychains_are_never_mixed() {
    let stub = Stub::start(token_registry(&["alice", "bob", "anonymous"])).await;
    let (client, repository) = (client(), stub.repository());
    let alice = access(vec![entry(&stub.host(), "alice")]);
    let bob = access(vec![entry(&stub.host(), "bob")]);
    for (access, expected) in [
        (&alice, "alice"),
        (&bob, "bob"),
        (&anonymous(), "anonymous"),
        (&alice, "alice"),
        (&anonymous(), "anonymous"),
        (&bob, "bob"),
    ] {
        stub.take();
        get(&client, &repository, access).await.unwrap().unwrap();
        let last = stub.take().pop().unwrap();
        assert_eq!(last.authorization, Some(format!("Bearer for-{expected}")));
    }
}

#[tokio::test]
async fn many_who_wait_for_a_token_share_one_request_for_it() {
    let stub = Stub::start(token_registry(&["alice"])).await;
    let (client, repository) = (client(), stub.repository());
    let access = access(vec![entry(&stub.host(), "alice")]);
    let all = (0..20).map(|_| get(&client, &repository, &access));
    for found in futures::future::join_all(all).await {
        assert!(matches!(found, Ok(Some(_))), "{found:?}");
    }
    let tokens = stub
        .seen()
        .iter()
        .filter(|seen| seen.path == "/token")
        .count();
    assert!(tokens <= 2, "{tokens} token requests");
}

#[tokio::test]
async fn a_registry_that_refuses_every_token_is_asked_a_bounded_number_of_times() {
    let stub = Stub::start(token_registry(&[])).await;
    let access = access(vec![
        entry(&stub.host(), "alice"),
        entry(&stub.host(), "bob"),
    ]);
    let found = get(&client(), &stub.repository(), &access).await;
    let Err(FetchError::Auth { detail, .. }) = &found else {
        panic!("{found:?}")
    };
    for source in ["secret shop/alice", "secret shop/bob", "no credentials"] {
        assert!(detail.contains(source), "{detail}");
    }
    let text = found.unwrap_err().to_string();
    assert!(
        !text.contains("hunter2") && !text.contains("for-alice"),
        "{text}"
    );
    assert!(stub.seen().len() <= 12, "{}", stub.seen().len());
}

#[tokio::test]
async fn a_refused_credential_is_followed_by_the_next_and_by_none() {
    for accepted in [&["bob"][..], &["anonymous"]] {
        let stub = Stub::start(token_registry(accepted)).await;
        let access = access(vec![
            entry(&stub.host(), "alice"),
            entry(&stub.host(), "bob"),
        ]);
        let found = get(&client(), &stub.repository(), &access).await;
        assert!(matches!(found, Ok(Some(_))), "{accepted:?}: {found:?}");
    }
}

#[tokio::test]
async fn a_token_that_is_no_longer_taken_is_fetched_anew_once() {
    let serial = AtomicUsize::new(1);
    let good = Arc::new(Mutex::new(String::new()));
    let valid = Arc::clone(&good);
    let stub = Stub::start(move |seen| {
        if seen.path == "/token" {
            let token = format!("t{}", serial.fetch_add(1, Ordering::SeqCst));
            *valid.lock().unwrap() = format!("Bearer {token}");
            return reply(200, &[], format!(r#"{{"access_token":"{token}"}}"#));
        }
        if seen.authorization.as_deref() == Some(valid.lock().unwrap().as_str()) {
            return honest(seen);
        }
        unauthorized(&format!(
            r#"Bearer realm="http://127.0.0.1:{}/token""#,
            seen.host_port()
        ))
    })
    .await;
    let (client, repository) = (client(), stub.repository());
    get(&client, &repository, &anonymous())
        .await
        .unwrap()
        .unwrap();
    *good.lock().unwrap() = "revoked".to_owned();
    stub.take();
    get(&client, &repository, &anonymous())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stub.take().len(), 3);
}

#[tokio::test]
async fn tokens_that_cannot_be_used_are_malformed() {
    for body in [
        "{\"token\":\"a\\nb\"}",
        "{\"token\":\"a\\r\\nX-Evil: 1\"}",
        "{\"token\":\"\"}",
        "{}",
        "[]",
        "hello",
        "{\"token\":1}",
    ] {
        let stub = Stub::start(move |seen| match seen.path.as_str() {
            "/token" => reply(200, &[], body),
            _ => unauthorized(&format!(
                r#"Bearer realm="http://127.0.0.1:{}/token""#,
                seen.host_port()
            )),
        })
        .await;
        let found = get(&client(), &stub.repository(), &anonymous()).await;
        assert!(
            matches!(&found, Err(FetchError::Malformed { what, .. }) if what == "token"),
            "{body}: {found:?}"
        );
    }
}

#[tokio::test]
async fn a_huge_token_is_too_large_and_a_failing_service_is_not_a_refusal() {
    let answers = [
        reply_of(200, &format!(r#"{{"token":"{}"}}"#, "x".repeat(100_000))),
        reply_of(503, ""),
        reply_of(403, ""),
    ];
    let mut found = Vec::new();
    for answer in answers {
        let stub = Stub::start(move |seen| match seen.path.as_str() {
            "/token" => reply(answer.0, &[], answer.1.clone()),
            _ => unauthorized(&format!(
                r#"Bearer realm="http://127.0.0.1:{}/token""#,
                seen.host_port()
            )),
        })
        .await;
        found.push(get(&client(), &stub.repository(), &anonymous()).await);
    }
    assert!(
        matches!(found[0], Err(FetchError::TooLarge { limit: 65_536, .. })),
        "{found:?}"
    );
    assert!(
        matches!(found[1], Err(FetchError::Unreachable { .. })),
        "{found:?}"
    );
    assert!(
        matches!(found[2], Err(FetchError::Auth { .. })),
        "{found:?}"
    );
}

fn reply_of(status: u16, body: &str) -> (u16, String) {
    (status, body.to_owned())
}

#[tokio::test]
async fn user_and_password_answer_a_basic_challenge_and_then_go_along() {
    let stub = Stub::start(|seen| match user(seen).as_deref() {
        Some("alice") => honest(seen),
        _ => unauthorized(r#"Basic realm="shop""#),
    })
    .await;
    let (client, access) = (client(), access(vec![entry(&stub.host(), "alice")]));
    for expected in [2, 1] {
        stub.take();
        get(&client, &stub.repository(), &access)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(stub.take().len(), expected);
    }
    let found = get(&client, &stub.repository(), &anonymous()).await;
    assert!(matches!(found, Err(FetchError::Auth { .. })), "{found:?}");
}

#[tokio::test]
async fn what_is_hidden_from_strangers_is_not_absent() {
    let stub = Stub::start(|seen| match user(seen).as_deref() {
        Some("alice") => honest(seen),
        _ => reply(404, &[], "{}"),
    })
    .await;
    let access = access(vec![entry(&stub.host(), "alice")]);
    let found = get(&client(), &stub.repository(), &access).await;
    assert!(matches!(found, Ok(Some(_))), "{found:?}");
}

/// T-52: registries answer 404 to an account that may not see a repository.
#[tokio::test]
async fn t52_a_404_to_one_credential_is_followed_by_the_next() {
    let stub = Stub::start(|seen| match user(seen).as_deref() {
        Some("bob") => honest(seen),
        Some(_) => reply(404, &[], "{}"),
        None => unauthorized(r#"Basic realm="shop""#),
    })
    .await;
    let access = access(vec![
        entry(&stub.host(), "alice"),
        entry(&stub.host(), "bob"),
        entry(&stub.host(), "carol"),
    ]);
    let client = client();
    let found = get(&client, &stub.repository(), &access).await;
    assert!(matches!(found, Ok(Some(_))), "{found:?}");
    // From then on he who could read it is asked for first.
    stub.take();
    get(&client, &stub.repository(), &access)
        .await
        .unwrap()
        .unwrap();
    let asked: Vec<_> = stub.take().iter().map(user).collect();
    assert_eq!(asked, [Some("bob".to_owned())]);
}

#[tokio::test]
async fn what_a_credential_that_reads_a_repository_does_not_see_there_is_not_there() {
    let stub = Stub::start(|seen| match (user(seen).as_deref(), seen.method.as_str()) {
        (Some("bob"), "HEAD") => honest(seen),
        (Some(_), _) => reply(404, &[], "{}"),
        (None, _) => unauthorized(r#"Basic realm="shop""#),
    })
    .await;
    let access = access(vec![
        entry(&stub.host(), "alice"),
        entry(&stub.host(), "bob"),
    ]);
    let (client, repository) = (client(), stub.repository());
    assert!(head(&client, &repository, &access).await.unwrap().is_some());
    stub.take();
    assert_eq!(get(&client, &repository, &access).await, Ok(None));
    assert_eq!(stub.take().len(), 1, "nobody else is asked");
    // Where nobody has read anything yet, everybody is.
    let till = Repository::parse(&format!("{}/shop/till", stub.host())).unwrap();
    assert_eq!(get(&client, &till, &access).await, Ok(None));
    let asked: Vec<_> = stub.take().iter().filter_map(user).collect();
    assert_eq!(asked, ["alice", "bob"]);
}

/// T-52: what an expired credential would have shown is not known.
#[tokio::test]
async fn t52_a_refused_credential_and_a_404_to_strangers_are_no_absence() {
    let stub = Stub::start(|seen| match user(seen) {
        Some(_) => unauthorized(r#"Basic realm="shop""#),
        None => reply(404, &[], "{}"),
    })
    .await;
    let access = access(vec![entry(&stub.host(), "alice")]);
    let found = get(&client(), &stub.repository(), &access).await;
    assert!(matches!(found, Err(FetchError::Auth { .. })), "{found:?}");
    // Without a credential there is nothing that could have been shown.
    let found = get(&client(), &stub.repository(), &anonymous()).await;
    assert_eq!(found, Ok(None));
}

/// One tenant's allowance is not that of others.
#[tokio::test]
async fn a_429_holds_back_the_credential_that_was_throttled_and_no_other() {
    let stub = Stub::start(|seen| match user(seen).as_deref() {
        Some("alice") => reply(429, &[("retry-after", "86400")], ""),
        Some("bob") => honest(seen),
        _ => unauthorized(r#"Basic realm="shop""#),
    })
    .await;
    let client = client();
    let alice = access(vec![entry(&stub.host(), "alice")]);
    let bob = access(vec![entry(&stub.host(), "bob")]);
    for expected in [2, 0] {
        stub.take();
        let found = get(&client, &stub.repository(), &alice).await;
        assert!(
            matches!(found, Err(FetchError::Throttled { .. })),
            "{found:?}"
        );
        assert_eq!(stub.take().len(), expected);
    }
    let found = get(&client, &stub.repository(), &bob).await;
    assert!(matches!(found, Ok(Some(_))), "{found:?}");
}

#[tokio::test]
async fn an_identity_token_is_exchanged_by_post_and_a_registry_token_is_sent_as_it_is() {
    let stub = Stub::start(|seen| match (seen.path.as_str(), seen.authorization.as_deref()) {
        ("/token", None) if seen.method == "POST" => {
            assert_eq!(
                seen.body,
                "scope=repository%3Ashop%2Fcart%3Apull&grant_type=refresh_token&client_id=vouchsafe&refresh_token=refresh%26me"
            );
            reply(200, &[], r#"{"access_token":"exchanged"}"#)
        }
        (_, Some("Bearer exchanged" | "Bearer as-it-is")) => honest(seen),
        _ => unauthorized(&format!(
            r#"Bearer realm="http://127.0.0.1:{}/token""#,
            seen.host_port()
        )),
    })
    .await;
    for credential in [
        Credential::IdentityToken("refresh&me".to_owned()),
        Credential::RegistryToken("as-it-is".to_owned()),
    ] {
        let access = access(vec![KeychainEntry {
            pattern: stub.host(),
            credential,
            source: "docker config".to_owned(),
        }]);
        let found = get(&client(), &stub.repository(), &access).await;
        assert!(matches!(found, Ok(Some(_))), "{found:?}");
    }
}

/// T-16: an entry goes to the registry and repository that it names.
#[tokio::test]
async fn an_entry_for_another_registry_or_path_is_not_sent() {
    let stub = Stub::start(|_| unauthorized(r#"Basic realm="shop""#)).await;
    let access = access(vec![
        entry("127.0.0.1", "alice"),
        entry(&format!("{}/other", stub.host()), "bob"),
        entry("registry.example.com", "carol"),
    ]);
    let found = get(&client(), &stub.repository(), &access).await;
    assert!(matches!(found, Err(FetchError::Auth { .. })), "{found:?}");
    assert!(
        stub.seen().iter().all(|seen| seen.authorization.is_none()),
        "{:?}",
        stub.seen()
    );
}

#[tokio::test]
async fn repositories_of_one_registry_may_have_realms_of_their_own() {
    let stub = Stub::start(|seen| {
        let name = if seen.path.contains("/cart") {
            "cart"
        } else {
            "till"
        };
        if let Some(of) = seen.path.strip_prefix("/token/") {
            return reply(200, &[], format!(r#"{{"token":"{of}"}}"#));
        }
        if seen.authorization == Some(format!("Bearer {name}")) {
            return honest(seen);
        }
        unauthorized(&format!(
            r#"Bearer realm="http://127.0.0.1:{}/token/{name}""#,
            seen.host_port()
        ))
    })
    .await;
    let client = client();
    let till = Repository::parse(&format!("{}/shop/till", stub.host())).unwrap();
    for repository in [stub.repository(), till.clone(), stub.repository(), till] {
        stub.take();
        get(&client, &repository, &anonymous())
            .await
            .unwrap()
            .unwrap();
    }
    assert_eq!(stub.take().len(), 1);
}
