//! The Secret is deleted, or somebody writes something else into it.

use std::time::Duration;

use rstest::rstest;
use tokio::time::sleep;

use crate::callers::call;
use crate::cluster::{
    PATIENCE, Replica, SECRET, VALIDATING, bundles, installed, rewrite, until, value,
};

#[tokio::test]
async fn a_secret_that_is_deleted_is_made_again_and_its_authority_replaced_in_order() {
    let api = installed().await;
    let replica = Replica::ready(&api).await;
    let old = value(&api, "ca.crt");
    api.delete(SECRET);
    until("the Secret is back", Duration::from_secs(1), || {
        api.get(SECRET).is_some()
    })
    .await;
    call(replica.address, &old).await.unwrap();
    until("the authority changed", PATIENCE, || {
        replica.steps("switched") == 1
    })
    .await;
    until("the old one is retired", PATIENCE, || {
        !bundles(&api, VALIDATING)[0].contains(&old)
    })
    .await;
    assert!(call(replica.address, &old).await.is_err());
    call(replica.address, &bundles(&api, VALIDATING)[0])
        .await
        .unwrap();
    let steps = ["made", "restored", "switched", "retired"].map(|step| replica.steps(step));
    assert_eq!(steps, [1, 1, 1, 1]);
}

/// Half a key, another key, another certificate, nothing.
#[rstest]
#[case("tls.key", |value: &str| value[..value.len() / 2].to_owned())]
#[case("ca.key", |value: &str| value[..value.len() / 2].to_owned())]
#[case("ca.key", |_: &str| rcgen::KeyPair::generate().unwrap().serialize_pem())]
#[case("tls.key", |_: &str| rcgen::KeyPair::generate().unwrap().serialize_pem())]
#[case("tls.crt", |_: &str| String::new())]
#[case("ca.crt", |_: &str| "hello".to_owned())]
#[tokio::test]
async fn what_somebody_breaks_in_the_secret_is_written_anew_and_never_shown(
    #[case] key: &str,
    #[case] broken: impl Fn(&str) -> String,
) {
    let api = installed().await;
    let replica = Replica::ready(&api).await;
    let (trusted, good) = (value(&api, "ca.crt"), value(&api, key));
    let expires = replica.serving.not_after();
    rewrite(&api, key, &broken(&good));
    until("repaired", Duration::from_secs(1), || {
        replica.steps("restored") == 1
    })
    .await;
    assert_eq!(replica.serving.not_after(), expires);
    call(replica.address, &trusted).await.unwrap();
    assert!(bundles(&api, VALIDATING)[0].contains(&trusted));
    until("the authority changed", PATIENCE, || {
        replica.steps("switched") >= 1
    })
    .await;
    call(replica.address, &bundles(&api, VALIDATING)[0])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_secret_that_was_put_back_from_an_old_copy_is_followed_in_order() {
    let api = installed().await;
    let replica = Replica::ready(&api).await;
    let old = api.get(SECRET).unwrap();
    api.delete(SECRET);
    until("the authority changed", PATIENCE, || {
        replica.steps("retired") == 1
    })
    .await;
    let current = value(&api, "ca.crt");
    api.put(old);
    until(
        "what is shown stays trusted",
        Duration::from_secs(1),
        || replica.steps("kept") == 1,
    )
    .await;
    assert!(value(&api, "ca.crt").contains(&current));
    sleep(Duration::from_millis(50)).await;
    call(replica.address, &bundles(&api, VALIDATING)[0])
        .await
        .unwrap();
    until("and is retired", PATIENCE, || replica.steps("retired") == 2).await;
    call(replica.address, &bundles(&api, VALIDATING)[0])
        .await
        .unwrap();
}
