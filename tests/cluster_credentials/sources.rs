//! `source[].signaturePullSecrets` in a cluster: Secrets of the workload's namespace.

use serde_json::json;
use vouchsafe::demo::registry::Store;
use vouchsafe::verdict::{Judgement, Reason};

use super::stage::{PASSWORD, Stage, judge};
use crate::support::policies::Policy;
use crate::support::registry::FaultyRegistry;

/// An image whose signature is in a registry of its own, which only `keeper` may read, and the policy that says so.
async fn apart(stage: &Stage) -> (FaultyRegistry, String, Policy) {
    let (image, digest) = stage.image("t/app");
    let source = FaultyRegistry::start(Store::new()).await;
    stage.sign_in(&source, "signatures/app", &digest);
    source.require_basic("keeper", PASSWORD);
    let policy = release(stage, &source);
    (source, image, policy)
}

/// A policy whose signatures are at this source, and are read with a Secret.
fn release(stage: &Stage, source: &FaultyRegistry) -> Policy {
    Policy::new("release").authority(json!({
        "name": "release",
        "key": {"data": stage.release.public_key_pem()},
        "source": [{
            "oci": format!("{}/signatures/app", source.host()),
            "signaturePullSecrets": [{"name": "signatures"}],
        }],
    }))
}

#[tokio::test]
async fn a_source_is_read_with_the_secret_of_the_workloads_namespace() {
    let stage = Stage::new().await;
    let (source, image, policy) = apart(&stage).await;
    let engine = stage.engine(policy).await;
    stage.secret("shop", "signatures", &source.host(), "keeper");
    let verdict = judge(&engine, &image, &[]).await;
    assert_eq!(verdict.judgement, Judgement::Admit, "{verdict:?}");
}

#[tokio::test]
async fn a_secret_elsewhere_is_not_used_and_the_workloads_own_ones_are_not_either() {
    let stage = Stage::new().await;
    let (source, image, policy) = apart(&stage).await;
    let engine = stage.engine(policy).await;
    stage.secret("cosign-system", "signatures", &source.host(), "keeper");
    stage.secret("shop", "regcred", &source.host(), "keeper");
    let verdict = judge(&engine, &image, &["regcred"]).await;
    assert_eq!(verdict.reason, Reason::RegistryAuth, "{verdict:?}");
    let shown = source.requests();
    assert!(shown.iter().all(|request| request.authorization.is_none()));
}

/// Whoever may leave out a Secret must not be able to hide by it what a policy would hold against the image.
#[tokio::test]
async fn a_source_that_shows_strangers_nothing_is_not_empty_where_the_secret_is_missing() {
    let stage = Stage::new().await;
    let (image, _) = stage.image("t/app");
    let source = FaultyRegistry::start(Store::new()).await;
    let engine = stage.engine(release(&stage, &source)).await;
    let verdict = judge(&engine, &image, &[]).await;
    assert_eq!(verdict.reason, Reason::RegistryAuth, "{verdict:?}");
}

#[tokio::test]
async fn a_source_that_was_seen_with_its_secret_is_empty_when_it_says_so() {
    let stage = Stage::new().await;
    let (image, _) = stage.image("t/app");
    let source = FaultyRegistry::start(Store::new()).await;
    source.require_basic("keeper", PASSWORD);
    stage.secret("shop", "signatures", &source.host(), "keeper");
    let engine = stage.engine(release(&stage, &source)).await;
    let verdict = judge(&engine, &image, &[]).await;
    assert_eq!(verdict.reason, Reason::Unsigned, "{verdict:?}");
}
