//! The pull secrets of a Pod and of its service account.

use std::time::Duration;

use vouchsafe::verdict::{Judgement, Reason};

use super::stage::{PASSWORD, Stage, judge};
use crate::support::api_server::Fault;

#[tokio::test]
async fn the_pull_secret_of_the_service_account_opens_the_registry() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    stage.registry.require_basic("puller", PASSWORD);
    stage.account("shop", &["regcred"]);
    stage.secret("shop", "regcred", &stage.registry.host(), "puller");
    let engine = stage.engine(stage.policy()).await;
    let verdict = judge(&engine, &image, &[]).await;
    assert_eq!(verdict.judgement, Judgement::Admit, "{verdict:?}");
}

/// The rights that this takes: `get`, by name, in the namespace of the workload.
#[tokio::test]
async fn objects_are_read_by_name_and_nothing_is_listed_or_watched() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    stage.registry.require_basic("puller", PASSWORD);
    stage.secret("shop", "own", &stage.registry.host(), "puller");
    let engine = stage.engine(stage.policy()).await;
    for _ in 0..10 {
        let verdict = judge(&engine, &image, &["own"]).await;
        assert_eq!(verdict.judgement, Judgement::Admit, "{verdict:?}");
    }
    let mut asked: Vec<String> = stage
        .api
        .asked()
        .iter()
        .map(|asked| format!("{} {}", asked.method, asked.path))
        .collect();
    asked.sort();
    asked.dedup();
    assert_eq!(
        asked,
        [
            "GET /api/v1/namespaces/shop/secrets/own",
            "GET /api/v1/namespaces/shop/serviceaccounts/default",
        ]
    );
}

#[tokio::test]
async fn a_secret_of_another_namespace_is_not_used() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    stage.registry.require_basic("puller", PASSWORD);
    for elsewhere in ["cosign-system", "other"] {
        stage.secret(elsewhere, "regcred", &stage.registry.host(), "puller");
    }
    let engine = stage.engine(stage.policy()).await;
    let verdict = judge(&engine, &image, &["regcred"]).await;
    assert_eq!(verdict.judgement, Judgement::Unknown, "{verdict:?}");
    assert_eq!(verdict.reason, Reason::RegistryAuth, "{verdict:?}");
}

/// An image that nobody signed, too: without its credentials nothing was looked at.
#[tokio::test]
async fn an_api_server_that_does_not_answer_is_could_not_judge_and_never_unsigned() {
    let stage = Stage::new().await;
    let (unsigned, _) = stage.image("t/unsigned");
    stage.secret("shop", "regcred", &stage.registry.host(), "puller");
    for fault in [
        Fault::Hang,
        Fault::Drop,
        Fault::Status(500),
        Fault::Status(403),
    ] {
        let engine = stage.engine(stage.policy()).await;
        stage
            .api
            .on(move |asked| asked.path.contains("/secrets/").then_some(fault));
        let verdict = judge(&engine, &unsigned, &["regcred"]).await;
        assert_eq!(
            verdict.judgement,
            Judgement::Unknown,
            "{fault:?} {verdict:?}"
        );
        assert_eq!(
            verdict.reason,
            Reason::RegistryAuth,
            "{fault:?} {verdict:?}"
        );
        let told = format!("{verdict:?}");
        assert!(
            told.contains("secret shop/regcred could not be read"),
            "{told}"
        );
        // What the API server says to us is not for tenants.
        assert!(!told.contains("system:serviceaccount"), "{told}");
        stage.api.clear_faults();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let verdict = judge(&engine, &unsigned, &["regcred"]).await;
        assert_eq!(verdict.reason, Reason::Unsigned, "{fault:?} {verdict:?}");
    }
}

/// What opens without the credentials that could not be read is judged: an API server that is away stops no image that anybody may read.
#[tokio::test]
async fn what_is_open_to_everybody_is_judged_without_the_api_server() {
    let mut stage = Stage::new().await;
    let signed = stage.signed("t/app");
    let engine = stage.engine(stage.policy()).await;
    stage.api.close().await;
    let verdict = judge(&engine, &signed, &["regcred"]).await;
    assert_eq!(verdict.judgement, Judgement::Admit, "{verdict:?}");
}

#[tokio::test]
async fn a_secret_that_comes_after_its_pod_is_found() {
    let stage = Stage::new().await;
    let image = stage.signed("t/app");
    stage.registry.require_basic("puller", PASSWORD);
    let engine = stage.engine(stage.policy()).await;
    let verdict = judge(&engine, &image, &["late"]).await;
    assert_eq!(verdict.reason, Reason::RegistryAuth, "{verdict:?}");
    stage.secret("shop", "late", &stage.registry.host(), "puller");
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let verdict = judge(&engine, &image, &["late"]).await;
    assert_eq!(verdict.judgement, Judgement::Admit, "{verdict:?}");
}
