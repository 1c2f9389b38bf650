//! Time and size: endless, slow, broken and overloaded registries.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::Instant;

use vouchsafe::adapters::oci::{OciRegistry, OciSettings};
use vouchsafe::gather::registry::FetchError;
use vouchsafe::image::Repository;

use crate::stub::{
    MANIFEST, Stub, anonymous, anonymous_for, blob, client, endless, get, head, manifest, reply,
};

const BODY: &str = r#"{"layers":[]}"#;
static SPACES: [u8; 65_536] = [b' '; 65_536];

/// T-06.
#[tokio::test]
async fn an_endless_manifest_ends_at_the_bound() {
    let stub = Stub::start(|_| {
        reply(
            200,
            &[("content-type", MANIFEST)],
            endless(&SPACES, Duration::ZERO),
        )
    })
    .await;
    let found = get(&client(), &stub.repository(), &anonymous()).await;
    assert!(
        matches!(found, Err(FetchError::TooLarge { limit, .. }) if limit == 4 << 20),
        "{found:?}"
    );
    assert_eq!(stub.seen().len(), 1, "not asked for again");
}

/// T-06.
#[tokio::test]
async fn an_endless_blob_ends_at_the_size_that_was_claimed() {
    let stub = Stub::start(|_| reply(200, &[], endless(&SPACES, Duration::ZERO))).await;
    let found = blob(&client(), &stub.repository(), b"x", 1, &anonymous()).await;
    assert!(
        matches!(found, Err(FetchError::Malformed { .. })),
        "{found:?}"
    );
}

/// T-06: every byte comes in time, the whole never does.
#[tokio::test]
async fn a_dripping_manifest_ends_at_the_deadline() {
    let stub = Stub::start(|_| {
        reply(
            200,
            &[("content-type", MANIFEST)],
            endless(b" ", Duration::from_millis(20)),
        )
    })
    .await;
    let started = Instant::now();
    let access = anonymous_for(Duration::from_millis(300));
    let found = get(&client(), &stub.repository(), &access).await;
    assert!(
        matches!(found, Err(FetchError::Deadline { .. })),
        "{found:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_registry_that_accepts_and_never_answers_ends_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let repository =
        Repository::parse(&format!("{}/shop/cart", listener.local_addr().unwrap())).unwrap();
    let access = anonymous_for(Duration::from_millis(200));
    let found = head(&client(), &repository, &access).await;
    assert!(
        matches!(found, Err(FetchError::Deadline { .. })),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    drop(listener);
    let repository = Repository::parse(&format!("{host}/shop/cart")).unwrap();
    let found = head(&client(), &repository, &anonymous()).await;
    let Err(FetchError::Unreachable { registry, detail }) = found else {
        panic!("{found:?}")
    };
    assert_eq!(registry, host);
    assert!(detail.contains("refused"), "{detail}");
}

#[tokio::test]
async fn a_5xx_is_tried_again_and_then_answered() {
    for status in [500, 502, 503, 504] {
        let calls = AtomicUsize::new(0);
        let stub = Stub::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => reply(status, &[], "oops"),
            _ => manifest(BODY),
        })
        .await;
        let found = get(&client(), &stub.repository(), &anonymous()).await;
        assert!(matches!(found, Ok(Some(_))), "{status}: {found:?}");
        assert_eq!(stub.seen().len(), 3);
    }
}

#[tokio::test]
async fn a_lasting_5xx_is_unreachable_after_the_attempts() {
    let stub = Stub::start(|_| reply(503, &[], "oops")).await;
    let found = get(&client(), &stub.repository(), &anonymous()).await;
    assert!(
        matches!(found, Err(FetchError::Unreachable { .. })),
        "{found:?}"
    );
    assert_eq!(stub.seen().len(), 3);
}

#[tokio::test]
async fn a_truncated_body_is_never_an_answer() {
    let stub = Stub::start(|_| {
        let half = futures::stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::from_static(
            b"{\"layers\"",
        ))]);
        reply(
            200,
            &[("content-type", MANIFEST), ("content-length", "100")],
            axum::body::Body::from_stream(half),
        )
    })
    .await;
    let found = get(&client(), &stub.repository(), &anonymous()).await;
    assert!(
        matches!(found, Err(FetchError::Unreachable { .. })),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_429_is_waited_out_when_that_fits() {
    let calls = AtomicUsize::new(0);
    let stub = Stub::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => reply(429, &[("retry-after", "1")], ""),
        _ => manifest(BODY),
    })
    .await;
    let started = Instant::now();
    let found = get(&client(), &stub.repository(), &anonymous()).await;
    assert!(matches!(found, Ok(Some(_))), "{found:?}");
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(stub.seen().len(), 2);
}

#[tokio::test]
async fn a_429_that_does_not_fit_is_said_at_once_and_the_host_is_left_alone() {
    let stub = Stub::start(|_| reply(429, &[("retry-after", "86400")], "")).await;
    let client = client();
    let started = Instant::now();
    for _ in 0..3 {
        let found = get(&client, &stub.repository(), &anonymous()).await;
        assert!(
            matches!(
                found,
                Err(FetchError::Throttled {
                    retry_after: Some(_),
                    ..
                })
            ),
            "{found:?}"
        );
    }
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(stub.seen().len(), 1);
}

#[tokio::test]
async fn waiting_for_a_free_place_ends_as_overloaded() {
    let mut settings = OciSettings::default();
    settings.limits.concurrent_requests = 1;
    let client = OciRegistry::new(&settings).unwrap();
    let stub = Stub::start(|_| reply(200, &[], endless(b" ", Duration::from_millis(20)))).await;
    let (long, short) = (
        anonymous_for(Duration::from_secs(2)),
        anonymous_for(Duration::from_millis(300)),
    );
    let repository = stub.repository();
    let (first, second) = tokio::join!(get(&client, &repository, &long), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        get(&client, &repository, &short).await
    });
    assert!(
        matches!(first, Err(FetchError::Deadline { .. })),
        "{first:?}"
    );
    assert!(
        matches!(second, Err(FetchError::Overloaded { .. })),
        "{second:?}"
    );
}

#[tokio::test]
async fn an_error_never_repeats_what_the_registry_wrote() {
    let stub = Stub::start(|_| {
        reply(
            418,
            &[],
            r#"{"errors":[{"code":"DENIED","message":"\u001b[31m hunter2"}]}"#,
        )
    })
    .await;
    let found = get(&client(), &stub.repository(), &anonymous()).await;
    let text = found.unwrap_err().to_string();
    assert!(text.contains("418 DENIED"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_404_whose_body_never_ends_is_told_before_the_deadline() {
    let stub = Stub::start(|_| reply(404, &[], endless(b" ", Duration::from_millis(20)))).await;
    let started = Instant::now();
    let access = anonymous_for(Duration::from_millis(100));
    let found = get(&client(), &stub.repository(), &access).await;
    assert_eq!(found, Ok(None));
    assert!(started.elapsed() < Duration::from_millis(400));
}

#[tokio::test]
async fn who_waits_for_a_token_waits_no_longer_than_their_own_time() {
    let stub = Stub::start(|seen| {
        if seen.path == "/token" {
            return reply(200, &[], endless(b" ", Duration::from_millis(20)));
        }
        let port = seen.host_port();
        let challenge = format!(r#"Bearer realm="http://127.0.0.1:{port}/token""#);
        reply(401, &[("www-authenticate", &challenge)], "")
    })
    .await;
    let (client, repository) = (client(), stub.repository());
    let (long, short) = (
        anonymous_for(Duration::from_secs(2)),
        anonymous_for(Duration::from_millis(300)),
    );
    let started = Instant::now();
    let hurried = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let found = get(&client, &repository, &short).await;
        (found, started.elapsed())
    };
    let (patient, (found, took)) = tokio::join!(get(&client, &repository, &long), hurried);
    assert!(
        matches!(found, Err(FetchError::Deadline { .. })),
        "{found:?}"
    );
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(
        matches!(patient, Err(FetchError::Deadline { .. })),
        "{patient:?}"
    );
}
