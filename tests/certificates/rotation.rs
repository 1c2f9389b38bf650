//! Rotation under load: no call fails.

use std::sync::Arc;
use std::time::Duration;

use vouchsafe::adapters::certs::{Life, Lifetimes};
use vouchsafe::adapters::cluster::serving::SharedCertificate;

use crate::callers::Callers;
use crate::cluster::{PATIENCE, Replica, SECRET, installed, settings, until};

const HOUR: Duration = Duration::from_hours(1);

/// Certificate and authority are replaced every second, as fast as the grace and the overlap allow.
fn every_second() -> SharedCertificate {
    let life = Life {
        valid: HOUR,
        renew_after: Duration::from_secs(1),
    };
    SharedCertificate {
        lifetimes: Lifetimes {
            certificate: life,
            authority: life,
            grace: Duration::from_millis(500),
            overlap: Duration::from_secs(1),
        },
        ..settings()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_call_fails_while_certificate_and_authority_change_every_second() {
    let api = Arc::new(installed().await);
    let replicas = [
        Replica::start(&api, every_second()).await,
        Replica::start(&api, every_second()).await,
        Replica::start(&api, every_second()).await,
    ];
    until("ready", PATIENCE, || replicas.iter().all(Replica::is_ready)).await;
    let behind = [Duration::ZERO, Duration::from_millis(250)];
    let callers = Callers::start(
        &api,
        &replicas.each_ref().map(|replica| replica.address),
        &behind,
    );
    let steps = |step: &str| -> u64 { replicas.iter().map(|replica| replica.steps(step)).sum() };
    until("2,000 calls and 8 changes", 6 * PATIENCE, || {
        callers.calls() >= 2_000 && steps("switched") >= 8 && steps("retired") >= 7
    })
    .await;
    callers.stop().await;
    assert_eq!((steps("made"), steps("restored"), steps("kept")), (1, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_call_fails_when_the_secret_is_deleted_again_and_again() {
    let api = Arc::new(installed().await);
    let replicas = [Replica::ready(&api).await, Replica::ready(&api).await];
    let behind = [Duration::ZERO, Duration::from_millis(150)];
    let callers = Callers::start(
        &api,
        &replicas.each_ref().map(|replica| replica.address),
        &behind,
    );
    let steps = |step: &str| -> u64 { replicas.iter().map(|replica| replica.steps(step)).sum() };
    for round in 1..=4 {
        api.delete(SECRET);
        until("the authority changed", PATIENCE, || {
            steps("switched") >= round
        })
        .await;
    }
    until("enough calls", PATIENCE, || callers.calls() >= 300).await;
    callers.stop().await;
    assert_eq!(steps("made"), 1);
}
