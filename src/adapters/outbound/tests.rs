//! Where a request may go, and how much of an answer is read.

use axum::Router;
use axum::http::HeaderValue;
use axum::response::Redirect;
use axum::routing::get;
use tokio::net::TcpListener;

use super::*;

async fn server() -> Url {
    let router = Router::new()
        .route("/small", get(|| async { "small" }))
        .route("/large", get(|| async { vec![b'x'; 2_000] }))
        .route("/away", get(|| async { Redirect::temporary("/small") }))
        .route(
            "/slow",
            get(|| async {
                tokio::time::sleep(Duration::from_mins(1)).await;
                "slow"
            }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    Url::parse(&format!("http://{address}/")).unwrap()
}

fn ask(url: &str, reach: Reach) -> Ask {
    Ask {
        method: Method::GET,
        url: Url::parse(url).unwrap(),
        headers: HeaderMap::from_iter([(http::header::ACCEPT, HeaderValue::from_static("*/*"))]),
        body: Bytes::new(),
        reach,
        limit: 1_000,
    }
}

fn outbound() -> Outbound {
    Outbound::new(None, Duration::from_secs(1)).unwrap()
}

#[tokio::test]
async fn an_answer_is_read_within_bounds_of_size_and_time() {
    let server = server().await;
    let send = |path: &str| {
        let ask = ask(server.join(path).unwrap().as_str(), Reach::Private);
        async move { outbound().send(ask).await }
    };
    assert_eq!(send("small").await.unwrap().body, "small");
    assert!(matches!(
        send("large").await,
        Err(OutboundError::TooLarge { limit: 1_000, .. })
    ));
    assert!(matches!(
        send("slow").await,
        Err(OutboundError::Slow { seconds: 1, .. })
    ));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_a_way() {
    let server = server().await;
    let answer = outbound()
        .send(ask(server.join("away").unwrap().as_str(), Reach::Signed))
        .await;
    assert_eq!(answer.unwrap().status, StatusCode::TEMPORARY_REDIRECT);
}

#[tokio::test]
async fn t53_metadata_addresses_and_plain_http_are_refused() {
    for (url, reach) in [
        ("https://169.254.169.254/", Reach::Private),
        ("http://169.254.169.254/", Reach::Signed),
        ("https://[fd00:ec2::254]/", Reach::Private),
        ("http://vault.example/", Reach::Private),
        ("https://user:secret@vault.example/", Reach::Private),
        ("file:///etc/passwd", Reach::Signed),
    ] {
        let refused = outbound().send(ask(url, reach)).await.unwrap_err();
        assert!(
            matches!(refused, OutboundError::Refused { .. }),
            "{url}: {refused}"
        );
        assert!(!refused.to_string().contains("secret"));
    }
}

#[tokio::test]
async fn an_error_does_not_repeat_the_query() {
    let error = outbound()
        .send(ask("http://127.0.0.1:1/?token=secret", Reach::Private))
        .await
        .unwrap_err();
    assert!(
        error.to_string().starts_with("127.0.0.1 cannot be reached"),
        "{error}"
    );
    assert!(!error.to_string().contains("secret"), "{error}");
}
