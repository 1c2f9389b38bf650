//! The start: who is first, who is not, and what is not there yet.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::callers::call;
use crate::cluster::{
    MUTATING, PATIENCE, POLICIES, Replica, SECRET, VALIDATING, bundles, configuration, install,
    installed, settings, until, value,
};
use crate::support::api_server::{ApiServer, Fault};

#[tokio::test]
async fn makes_a_secret_publishes_it_everywhere_and_is_ready() {
    let api = installed().await;
    let before = [VALIDATING, MUTATING, POLICIES].map(|path| api.get(path).unwrap());
    let replica = Replica::ready(&api).await;
    let secret = api.get(SECRET).unwrap();
    assert_eq!(
        secret["metadata"]["labels"]["app.kubernetes.io/managed-by"],
        "vouchsafe"
    );
    let trusted = value(&api, "ca.crt");
    for path in [VALIDATING, MUTATING, POLICIES] {
        assert!(
            bundles(&api, path).iter().all(|bundle| *bundle == trusted),
            "{path}"
        );
    }
    assert_eq!(bundles(&api, POLICIES).len(), 2);
    call(replica.address, &trusted).await.unwrap();
    assert_eq!(
        replica.count("vouchsafe_ca_publications_total{outcome=\"written\"}"),
        3
    );
    // Nothing but the caBundle was written.
    for (path, mut before) in [VALIDATING, MUTATING, POLICIES].into_iter().zip(before) {
        let mut after = api.get(path).unwrap();
        for webhook in after["webhooks"].as_array_mut().unwrap() {
            let config = webhook["clientConfig"].as_object_mut().unwrap();
            assert!(config.remove("caBundle").is_some());
        }
        for object in [&mut before, &mut after] {
            let metadata = object["metadata"].as_object_mut().unwrap();
            metadata.retain(|key, _| !["resourceVersion", "generation"].contains(&key.as_str()));
        }
        assert_eq!(before, after);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_replicas_that_start_at_once_one_makes_the_secret_and_all_show_it() {
    for _ in 0..5 {
        let api = Arc::new(installed().await);
        let mut starting = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let api = Arc::clone(&api);
            starting.spawn(async move { Replica::ready(&api).await });
        }
        let replicas = starting.join_all().await;
        let made: u64 = replicas.iter().map(|replica| replica.steps("made")).sum();
        assert_eq!(made, 1);
        for replica in &replicas {
            call(replica.address, &value(&api, "ca.crt")).await.unwrap();
        }
        assert_eq!(bundles(&api, VALIDATING), [value(&api, "ca.crt")]);
    }
}

#[tokio::test]
async fn a_replica_that_starts_later_changes_nothing() {
    let api = installed().await;
    let _first = Replica::ready(&api).await;
    let revision = api.revision();
    let second = Replica::ready(&api).await;
    call(second.address, &value(&api, "ca.crt")).await.unwrap();
    assert_eq!(api.revision(), revision);
}

#[tokio::test]
async fn is_not_ready_while_the_api_server_is_away_and_needs_no_restart() {
    let mut api = ApiServer::closed().await;
    let replica = Replica::start(&api, settings()).await;
    sleep(Duration::from_millis(500)).await;
    assert!(!replica.is_ready());
    assert!(call(replica.address, "").await.is_err());
    install(&api);
    api.open().await;
    until("ready", PATIENCE, || replica.is_ready()).await;
    call(replica.address, &value(&api, "ca.crt")).await.unwrap();
}

#[tokio::test]
async fn is_not_ready_while_it_may_not_publish_and_says_so() {
    let api = installed().await;
    api.on(|asked| {
        let refused = asked.method == "PATCH" && asked.path == POLICIES;
        refused.then_some(Fault::Status(403))
    });
    let replica = Replica::start(&api, settings()).await;
    let failures = "vouchsafe_ca_publications_total{outcome=\"failed\"}";
    until("a failure is counted", PATIENCE, || {
        replica.count(failures) > 0
    })
    .await;
    assert!(!replica.is_ready());
    assert_eq!(
        bundles(&api, VALIDATING),
        [value(&api, "ca.crt")],
        "the others are published"
    );
    api.clear_faults();
    until("ready", PATIENCE, || replica.is_ready()).await;
}

#[tokio::test]
async fn a_configuration_that_is_missing_is_waited_for_by_nobody_and_published_when_it_comes() {
    let api = ApiServer::start().await;
    let replica = Replica::ready(&api).await;
    install(&api);
    let trusted = value(&api, "ca.crt");
    let took = until("published", PATIENCE, || {
        [VALIDATING, MUTATING, POLICIES]
            .iter()
            .all(|path| bundles(&api, path).iter().all(|bundle| *bundle == trusted))
    })
    .await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    call(replica.address, &trusted).await.unwrap();
}

#[tokio::test]
async fn what_was_trusted_before_stays_trusted_while_a_new_authority_is_made() {
    let api = installed().await;
    let first = Replica::ready(&api).await;
    let old = value(&api, "ca.crt");
    drop(first);
    // Until it is gone.
    sleep(Duration::from_millis(100)).await;
    api.delete(SECRET);
    let mut longer = settings();
    longer.lifetimes.overlap = Duration::from_secs(5);
    let second = Replica::start(&api, longer).await;
    until("ready", PATIENCE, || second.is_ready()).await;
    let trusted = value(&api, "ca.crt");
    assert!(trusted.ends_with(&old) && trusted.len() > old.len());
    assert_eq!(bundles(&api, MUTATING), std::slice::from_ref(&trusted));
    call(second.address, &trusted).await.unwrap();
    until("the old one is retired", PATIENCE, || {
        second.steps("retired") == 1
    })
    .await;
    until("and published no more", PATIENCE, || {
        !bundles(&api, MUTATING)[0].contains(&old)
    })
    .await;
}

#[tokio::test]
async fn leaves_a_secret_alone_that_is_somebody_elses() {
    let api = installed().await;
    let foreign = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "vouchsafe-tls", "namespace": "cosign-system", "annotations": {"cert-manager.io/issuer-name": "ours"}},
        "data": {"tls.crt": "aGVsbG8=", "tls.key": "aGVsbG8=", "ca.crt": "aGVsbG8="},
    });
    let stored = api.put(foreign);
    let replica = Replica::start(&api, settings()).await;
    sleep(Duration::from_millis(800)).await;
    assert_eq!(api.get(SECRET), Some(stored));
    assert!(!replica.is_ready());
    assert_eq!(bundles(&api, VALIDATING), [""]);
}

#[tokio::test]
async fn fills_a_secret_that_is_empty() {
    let api = installed().await;
    api.put(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": "vouchsafe-tls", "namespace": "cosign-system", "labels": {"team": "platform"}},
    }));
    let replica = Replica::ready(&api).await;
    call(replica.address, &value(&api, "ca.crt")).await.unwrap();
    assert_eq!(
        api.get(SECRET).unwrap()["metadata"]["labels"]["team"],
        "platform"
    );
}

#[tokio::test]
async fn without_configurations_it_keeps_the_secret_and_is_ready() {
    let api = ApiServer::start().await;
    let settings = vouchsafe::adapters::cluster::serving::SharedCertificate {
        configurations: Vec::new(),
        ..settings()
    };
    let replica = Replica::start(&api, settings).await;
    until("ready", PATIENCE, || replica.is_ready()).await;
    call(replica.address, &value(&api, "ca.crt")).await.unwrap();
    api.put(configuration(
        "ValidatingWebhookConfiguration",
        "vouchsafe",
        &["policy.sigstore.dev"],
    ));
    sleep(Duration::from_millis(200)).await;
    assert_eq!(bundles(&api, VALIDATING), [""]);
}
