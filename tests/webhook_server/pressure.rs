//! T-92: callers that hold what there is only so much of, room for bodies and connections, and an honest one beside them.

use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::client::TlsStream;
use vouchsafe::server::{ServeSettings, TlsVersion};

use crate::running::{HTTP1, Running, SETTINGS, ask};
use crate::stand_ins::{UID, review};

const MIB: usize = 1 << 20;
/// A second address of this machine: to the webhook, somebody else.
const ELSEWHERE: [u8; 4] = [127, 0, 0, 2];

/// The beginning of a review that claims to be this long.
fn claim(bytes: usize, sent: usize) -> Vec<u8> {
    let body = review("good").to_string();
    let mut text = format!(
        "POST /validate?timeout=10s HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {bytes}\r\n\r\n"
    )
    .into_bytes();
    text.extend_from_slice(body.trim_end_matches('}').as_bytes());
    text.resize(text.len() + sent, b' ');
    text
}

/// So many callers that claim 6 MiB, send so much of it, and stay.
async fn slow_callers(server: &Running, count: usize, sent: usize) -> Vec<TlsStream<TcpStream>> {
    let all = (0..count).map(|_| async {
        let mut caller = server.raw(HTTP1).await;
        // One that waits for room is not read on, and one that is refused need not listen to the end.
        let sending = async { caller.write_all(&claim(6 * MIB, sent)).await };
        let _unread = timeout(Duration::from_secs(1), sending).await;
        caller
    });
    futures::future::join_all(all).await
}

/// An honest review of this size, and how long its answer took.
async fn honest(server: &Running, client: &Client, bytes: usize) -> (Value, Duration) {
    let mut document = review("good");
    document["request"]["object"]["metadata"]["annotations"] = json!({"long": "x".repeat(bytes)});
    let started = Instant::now();
    let call = client.post(server.url()).json(&document);
    let answer = call.send().await.unwrap().json().await.unwrap();
    (answer, started.elapsed())
}

#[tokio::test]
async fn t92_ten_slow_callers_that_claim_everything_keep_nobody_waiting() {
    let server = Running::start(SETTINGS, TlsVersion::Tls13).await;
    let _slow = slow_callers(&server, 10, 1 << 10).await;
    sleep(Duration::from_millis(100)).await;
    for bytes in [0, MIB, 5 * MIB] {
        let (answer, took) = honest(&server, &server.client(), bytes).await;
        assert_eq!(answer["response"]["allowed"], true, "{answer}");
        assert!(took < Duration::from_secs(2), "{bytes}: {took:?}");
    }
}

/// They have really sent what they claim, but for its end. Small reviews pass even from their address; large ones from another.
#[tokio::test]
async fn t92_ten_slow_callers_that_sent_everything_keep_out_neither_small_reviews_nor_other_addresses()
 {
    let server = Running::start(SETTINGS, TlsVersion::Tls13).await;
    let elsewhere = server.client_from(ELSEWHERE);
    let _slow = slow_callers(&server, 10, 6 * MIB - (4 << 10)).await;
    sleep(Duration::from_millis(100)).await;
    for (client, bytes) in [
        (server.client(), 0),
        (server.client(), 32 << 10),
        (elsewhere, 5 * MIB),
    ] {
        let (answer, took) = honest(&server, &client, bytes).await;
        assert_eq!(answer["response"]["allowed"], true, "{answer}");
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
}

/// Two bodies that wait for each other: one is denied at once, with its uid, and the other goes on.
#[tokio::test]
async fn t92_a_body_that_is_refused_half_way_is_denied_with_its_uid() {
    let server = Running::start(SETTINGS, TlsVersion::Tls13).await;
    let mut slow = slow_callers(&server, 10, 6 * MIB - (4 << 10)).await;
    let mut denied = 0;
    for caller in &mut slow {
        let mut answer = vec![0; 4 << 10];
        // Who was not refused has no answer while it is waited for.
        if let Ok(Ok(read)) = timeout(Duration::from_millis(700), caller.read(&mut answer)).await {
            let text = String::from_utf8_lossy(&answer[..read]).into_owned();
            if text.starts_with("HTTP/1.1 200") {
                assert!(text.contains(UID) && text.contains("overloaded"), "{text}");
                denied += 1;
            }
        }
    }
    assert!(denied > 0);
}

/// Room comes back from all of them: of what they held, and of what they waited for.
#[tokio::test]
async fn t92_when_slow_callers_have_had_their_time_or_are_gone_the_room_is_whole() {
    let server = Running::start(SETTINGS, TlsVersion::Tls13).await;
    for _ in 0..2 {
        let slow = slow_callers(&server, 10, 6 * MIB - (4 << 10)).await;
        drop(slow);
        sleep(Duration::from_millis(700)).await;
        let client = server.client();
        let at_once = (0..3).map(|_| honest(&server, &client, 5 * MIB));
        for (answer, took) in futures::future::join_all(at_once).await {
            assert_eq!(answer["response"]["allowed"], true, "{answer}");
            assert!(took < Duration::from_secs(5), "{took:?}");
        }
    }
}

#[tokio::test]
async fn t92_an_address_that_holds_its_part_of_the_connections_is_turned_away_and_no_other() {
    let settings = ServeSettings {
        connections: 48,
        ..SETTINGS
    };
    let server = Running::start(settings, TlsVersion::Tls13).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(server.raw(HTTP1).await);
    }
    let refused = ask(&server.client(), &server.url(), "good").await;
    assert!(refused.unwrap_err().is_connect());
    let elsewhere = server.client_from(ELSEWHERE);
    assert!(ask(&elsewhere, &server.url(), "good").await.is_ok());
    drop(held);
    sleep(Duration::from_millis(100)).await;
    assert!(ask(&server.client(), &server.url(), "good").await.is_ok());
}
