//! What is published stays published, whatever others do to the configurations.

use std::time::Duration;

use serde_json::{Value, json};

use crate::callers::call;
use crate::cluster::{
    MUTATING, POLICIES, Replica, VALIDATING, bundles, install, installed, settings, until, value,
};
use crate::support::api_server::{ApiServer, Fault};

const SECOND: Duration = Duration::from_secs(1);

fn is_published(api: &ApiServer) -> bool {
    let trusted = value(api, "ca.crt");
    let mut all = [VALIDATING, MUTATING, POLICIES]
        .into_iter()
        .flat_map(|path| bundles(api, path));
    all.all(|bundle| bundle == trusted)
}

/// Sets the `caBundle` of every webhook of a configuration; `null` removes it.
fn reset(api: &ApiServer, path: &str, bundle: &Value) {
    let mut configuration = api.get(path).unwrap();
    for webhook in configuration["webhooks"].as_array_mut().unwrap() {
        webhook["clientConfig"]["caBundle"] = bundle.clone();
        if bundle.is_null() {
            webhook["clientConfig"]
                .as_object_mut()
                .unwrap()
                .remove("caBundle");
        }
    }
    api.put(configuration);
}

#[tokio::test]
async fn puts_back_within_a_second_what_somebody_reset() {
    let api = installed().await;
    let replica = Replica::ready(&api).await;
    let garbage = json!("aGVsbG8=");
    let broken =
        json!("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCmhlbGxvCi0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0K");
    for bundle in [Value::Null, json!(""), garbage, broken] {
        for path in [VALIDATING, MUTATING, POLICIES] {
            reset(&api, path, &bundle);
            assert!(!is_published(&api));
            until("published again", SECOND, || is_published(&api)).await;
        }
    }
    call(replica.address, &bundles(&api, VALIDATING)[0])
        .await
        .unwrap();
}

#[tokio::test]
async fn several_replicas_put_it_back_once() {
    let api = installed().await;
    let replicas = [
        Replica::ready(&api).await,
        Replica::ready(&api).await,
        Replica::ready(&api).await,
    ];
    let revision = api.revision();
    reset(&api, VALIDATING, &Value::Null);
    until("published again", SECOND, || is_published(&api)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(api.revision(), revision + 2, "one reset, one repair");
    assert!(replicas.iter().all(Replica::is_ready));
}

#[tokio::test]
async fn publishes_to_configurations_that_are_made_anew() {
    let api = installed().await;
    let _replica = Replica::ready(&api).await;
    for path in [VALIDATING, MUTATING, POLICIES] {
        api.delete(path);
    }
    install(&api);
    assert!(!is_published(&api));
    until("published again", SECOND, || is_published(&api)).await;
}

#[tokio::test]
async fn a_webhook_that_is_added_is_told_whom_to_trust() {
    let api = installed().await;
    let _replica = Replica::ready(&api).await;
    let mut configuration = api.get(VALIDATING).unwrap();
    let mut added = configuration["webhooks"][0].clone();
    added["name"] = json!("second.sigstore.dev");
    added["clientConfig"]
        .as_object_mut()
        .unwrap()
        .remove("caBundle");
    configuration["webhooks"]
        .as_array_mut()
        .unwrap()
        .insert(0, added);
    api.put(configuration);
    until("published again", SECOND, || is_published(&api)).await;
    assert_eq!(bundles(&api, VALIDATING).len(), 2);
}

#[tokio::test]
async fn finds_out_without_a_watch_too() {
    let api = installed().await;
    api.on(|asked| {
        let watched = asked.watches("validatingwebhookconfigurations") || asked.watches("secrets");
        watched.then_some(Fault::Silence)
    });
    let settings = vouchsafe::adapters::cluster::serving::SharedCertificate {
        poll: Duration::from_millis(300),
        ..settings()
    };
    let replica = Replica::start(&api, settings).await;
    until("ready", 10 * SECOND, || replica.is_ready()).await;
    reset(&api, VALIDATING, &Value::Null);
    until("published again", 3 * SECOND, || is_published(&api)).await;
}

#[tokio::test]
async fn survives_answers_that_break_off_and_conflicts() {
    let api = installed().await;
    let mut number = 0;
    api.on(move |asked| {
        number += 1;
        let writes = ["PATCH", "PUT", "POST"].contains(&asked.method.as_str());
        match number % 3 {
            0 if writes => Some(Fault::Status(409)),
            1 if asked.method == "GET" => Some(Fault::Status(500)),
            2 if !asked.watches("secrets") => Some(Fault::Cut(20)),
            _ => None,
        }
    });
    let replica = Replica::start(&api, settings()).await;
    tokio::time::sleep(SECOND).await;
    api.clear_faults();
    until("ready", 20 * SECOND, || replica.is_ready()).await;
    reset(&api, MUTATING, &Value::Null);
    until("published again", 3 * SECOND, || is_published(&api)).await;
}
