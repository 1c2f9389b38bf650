//! What happens to a watch: the last known state stays, and what happened meanwhile is caught up with.

use std::time::Duration;

use serde_json::json;

use crate::stage::{POLICIES, Stage, failing, passing};
use crate::support::api_server::Fault;

const FAILURES: &str = r#"vouchsafe_watch_failures_total{resource="clusterimagepolicies"}"#;
const HEARD: &str = r#"vouchsafe_watch_last_heard_seconds{resource="clusterimagepolicies"}"#;

fn lists(stage: &Stage) -> usize {
    let asked = stage.server.asked();
    asked
        .iter()
        .filter(|asked| asked.lists("clusterimagepolicies"))
        .count()
}

#[tokio::test]
async fn takes_a_watch_up_where_it_was_when_the_connection_breaks() {
    let stage = Stage::with(&[passing("shop", "shop/")]).await;
    let before = lists(&stage);
    stage.server.disconnect();
    stage.server.put(passing("other", "other/"));
    stage.becomes_admitted("other/tool").await;
    assert_eq!(lists(&stage), before, "it was listed again");
}

#[tokio::test]
async fn lists_again_when_the_version_is_forgotten_and_misses_nothing() {
    let mut stage = Stage::with(&[passing("shop", "shop/"), passing("gone", "gone/")]).await;
    stage.server.close().await;
    stage.server.put(passing("other", "other/"));
    stage.server.delete(&format!("{POLICIES}/gone"));
    stage.server.compact();
    stage.server.open().await;
    stage.becomes_admitted("other/tool").await;
    stage.judge("gone/tool").await.denied("no-match");
    stage.judge("shop/cart").await.admitted("static-pass");
}

#[tokio::test]
async fn lists_again_when_a_running_watch_is_told_that_its_version_is_gone() {
    let stage = Stage::with(&[passing("shop", "shop/")]).await;
    let before = lists(&stage);
    let gone = json!({"type": "ERROR", "object": {
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410, "message": "gone",
    }});
    stage
        .server
        .inject("clusterimagepolicies", &gone.to_string());
    stage.counts(FAILURES, 1.0).await;
    stage.server.put(passing("other", "other/"));
    stage.becomes_admitted("other/tool").await;
    assert!(lists(&stage) > before, "it was not listed again");
}

#[tokio::test]
async fn gives_up_a_watch_that_is_silent() {
    let stage = Stage::with(&[passing("shop", "shop/")]).await;
    let mut silenced = false;
    stage.server.on(move |asked| {
        let is_first = asked.watches("clusterimagepolicies") && !silenced;
        silenced |= is_first;
        is_first.then_some(Fault::Silence)
    });
    stage.server.disconnect();
    stage.server.put(passing("other", "other/"));
    stage.becomes_admitted("other/tool").await;
    assert!(stage.metric(FAILURES).await >= 1.0);
}

#[tokio::test]
async fn gives_up_a_request_that_is_never_answered() {
    let stage = Stage::with(&[passing("shop", "shop/")]).await;
    let mut hung = 0;
    stage.server.on(move |asked| {
        let hangs = asked.watches("clusterimagepolicies") && hung < 2;
        hung += usize::from(hangs);
        hangs.then_some(Fault::Hang)
    });
    stage.server.disconnect();
    stage.server.put(passing("other", "other/"));
    stage.becomes_admitted("other/tool").await;
}

#[tokio::test]
async fn takes_no_notice_of_events_that_come_twice_or_late() {
    let stage = Stage::with(&[passing("shop", "shop/")]).await;
    let old = stage.server.get(&format!("{POLICIES}/shop")).unwrap();
    stage.server.put(failing("shop", "shop/"));
    stage.becomes_denied("shop/cart", "static-deny").await;
    for event in ["MODIFIED", "ADDED", "DELETED"] {
        let late = json!({"type": event, "object": old});
        stage
            .server
            .inject("clusterimagepolicies", &late.to_string());
    }
    let now =
        json!({"type": "ADDED", "object": stage.server.get(&format!("{POLICIES}/shop")).unwrap()});
    stage
        .server
        .inject("clusterimagepolicies", &now.to_string());
    stage.server.put(passing("other", "other/"));
    stage.becomes_admitted("other/tool").await;
    stage.judge("shop/cart").await.denied("static-deny");
}

#[tokio::test]
async fn an_event_that_cannot_be_read_costs_nothing_but_the_watch() {
    let stage = Stage::with(&[passing("shop", "shop/")]).await;
    for line in [
        "no JSON",
        r#"{"type":"NOVEL","object":{}}"#,
        r#"{"type":"ADDED","object":{"metadata":{}}}"#,
        r#"{"type":"BOOKMARK","object":{"apiVersion":"v1","kind":"X","metadata":{"resourceVersion":""}}}"#,
    ] {
        let failures = stage.metric(FAILURES).await;
        // What is told while no watch is open is told to nobody.
        while stage.metric(FAILURES).await <= failures {
            stage.server.inject("clusterimagepolicies", line);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    stage.server.delete(&format!("{POLICIES}/shop"));
    stage.becomes_denied("shop/cart", "no-match").await;
}

#[tokio::test]
async fn a_list_that_breaks_off_replaces_nothing() {
    let all: Vec<_> = (0..7)
        .map(|n| passing(&format!("p{n}"), &format!("r{n}/")))
        .collect();
    let stage = Stage::with(&all).await;
    // Pages are of three: the first comes, the second dies.
    let mut fate = [
        Fault::Drop,
        Fault::Cut(40),
        Fault::Status(500),
        Fault::Status(410),
    ]
    .into_iter();
    stage.server.on(move |asked| {
        let is_second =
            asked.lists("clusterimagepolicies") && !asked.parameter("continue").is_empty();
        if is_second { fate.next() } else { None }
    });
    stage.server.put(passing("new", "new/"));
    stage.becomes_admitted("new/tool").await;
    stage.server.on(|asked| {
        asked
            .watches("clusterimagepolicies")
            .then_some(Fault::Status(410))
    });
    stage.server.disconnect();
    stage.counts(FAILURES, 4.0).await;
    for n in 0..7 {
        stage
            .judge(&format!("r{n}/tool"))
            .await
            .admitted("static-pass");
    }
    stage.server.clear_faults();
    stage.server.delete(&format!("{POLICIES}/p6"));
    stage.becomes_denied("r6/tool", "no-match").await;
    stage.judge("r0/tool").await.admitted("static-pass");
}

#[tokio::test]
async fn rights_that_are_taken_away_take_nothing_out_of_force() {
    let stage = Stage::with(&[passing("shop", "shop/")]).await;
    stage.server.on(|_| Some(Fault::Status(403)));
    stage.server.disconnect();
    stage.counts(FAILURES, 5.0).await;
    let heard = stage.metric(HEARD).await;
    assert!(heard > 1_700_000_000.0, "{heard}");
    stage
        .stays_admitted("shop/cart", Duration::from_millis(1_200))
        .await;
    assert!(
        (stage.metric(HEARD).await - heard).abs() < 1e-9,
        "nobody was heard"
    );
    assert_eq!(stage.readiness().await.0, 200);
    stage.server.clear_faults();
    stage.server.put(passing("other", "other/"));
    stage.becomes_admitted("other/tool").await;
    assert!(stage.metric(HEARD).await > heard);
}

#[tokio::test]
async fn an_api_server_that_is_gone_takes_nothing_out_of_force() {
    let mut stage = Stage::with(&[passing("shop", "shop/")]).await;
    stage.server.close().await;
    stage
        .stays_admitted("shop/cart", Duration::from_millis(500))
        .await;
    assert_eq!(stage.readiness().await.0, 200);
    stage.server.open().await;
    stage.server.put(passing("other", "other/"));
    stage.becomes_admitted("other/tool").await;
}

#[tokio::test]
async fn an_api_server_that_refuses_is_not_hammered() {
    let stage = Stage::with(&[passing("shop", "shop/")]).await;
    stage.server.on(|_| Some(Fault::Status(500)));
    stage.server.disconnect();
    stage.counts(FAILURES, 3.0).await;
    stage.server.forget_asked();
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Four resources, at most once in 100 ms each, with jitter on top.
    let asked = stage.server.asked().len();
    assert!((4..=48).contains(&asked), "{asked} requests in a second");
}

#[tokio::test]
async fn a_watch_that_ends_at_once_again_and_again_is_not_hammered() {
    let stage = Stage::with(&[passing("shop", "shop/")]).await;
    stage.server.on(|asked| {
        asked
            .watches("clusterimagepolicies")
            .then_some(Fault::Cut(0))
    });
    stage.server.disconnect();
    stage.server.forget_asked();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let asked = stage.server.asked();
    let watches = asked
        .iter()
        .filter(|asked| asked.watches("clusterimagepolicies"));
    let count = watches.count();
    assert!(count <= 30, "{count} watches in a second");
}
