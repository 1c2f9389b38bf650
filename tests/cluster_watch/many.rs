//! A thousand policies.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::stage::{Stage, failing, passing};

const COUNT: usize = 1_000;

/// A policy with a program of its own.
fn rego(n: usize, answer: &str) -> Value {
    let mut policy = passing(&format!("p{n:04}"), &format!("r{n}/"));
    let text = format!("package sigstore\nisCompliant {{ n := {n}; {answer} }}");
    policy["spec"]["policy"] = json!({"type": "rego", "data": text});
    policy
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_edit_among_a_thousand_policies_is_in_force_soon_and_reviews_go_on_meanwhile() {
    let all: Vec<Value> = (0..COUNT).map(|n| rego(n, "n >= 0")).collect();
    let since = Instant::now();
    let stage = Stage::with(&all).await;
    let whole = since.elapsed();
    assert!(stage.judge("r999/tool").await.allowed);
    let since = Instant::now();
    stage.server.put(rego(500, "n < 0"));
    stage.becomes_denied("r500/tool", "policy-denied").await;
    let edit = since.elapsed();
    eprintln!("{COUNT} policies: {whole:?} from nothing, {edit:?} for one edit");
    assert!(edit < Duration::from_secs(10), "one edit took {edit:?}");
    assert!(stage.judge("r501/tool").await.allowed);
    // Many edits, one after the other, and a review is answered in time all along.
    for n in 0..200 {
        stage
            .server
            .put(failing(&format!("p{n:04}"), &format!("r{n}/")));
        if n % 20 == 0 {
            let answer = stage.judge("r999/tool").await;
            assert!(answer.allowed, "{}", answer.message);
            assert!(
                answer.took < Duration::from_secs(2),
                "a review took {:?}",
                answer.took
            );
        }
    }
    stage.becomes_denied("r199/tool", "static-deny").await;
    stage.judge("r0/tool").await.denied("static-deny");
    assert!(stage.judge("r999/tool").await.allowed);
}
