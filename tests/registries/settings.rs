//! `--registries FILE`: at the start, while the webhook runs, and with mirrors.

use std::time::{Duration, Instant};

use vouchsafe::demo::registry::Store;

use crate::stage::Stage;
use crate::support::command::vouchsafe;
use crate::support::policies::yaml;
use crate::support::registry::{Fault, FaultyRegistry, Match};
use crate::support::webhook::Webhook;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_used_ends_the_command_with_its_places() {
    let stage = Stage::new().await;
    let settings = stage.file(
        "registries.yaml",
        "registries:\n  - host: a.example.com\n    ca: missing.pem\n  - host: a.example.com\n",
    );
    let settings = settings.to_str().unwrap();
    let ended = stage.verify("a.example.com/t/app:v1", &["--registries", settings], &[]);
    let expected = [
        "3:9: ca missing.pem: cannot be read: ",
        "4:11: this host stands twice",
    ];
    assert_eq!(ended.code, 2, "{ended:?}");
    for expected in expected {
        let line = format!("{settings}:{expected}");
        assert!(ended.stderr.contains(&line), "{expected}: {ended:?}");
    }
    let policies = stage.file("policies.yaml", &yaml(&[stage.policy()]));
    let policies = policies.to_str().unwrap();
    let run = vouchsafe(["serve", "--policies", policies, "--registries", settings]);
    let ended = tokio::task::block_in_place(|| run.end());
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("this host stands twice"), "{ended:?}");
}

/// A signature that the mirror has not pulled is found in the registry, and an image is admitted by it.
#[tokio::test]
async fn an_image_is_judged_by_what_mirror_and_registry_hold_together() {
    let stage = Stage::new().await;
    let digest = stage.signed("t/app");
    // The mirror has the image, and nothing about it.
    let mirror = FaultyRegistry::start(Store::new()).await;
    let mirrored = vouchsafe::demo::registry::image(mirror.store(), "hub/t/app", "v1", "t/app");
    assert_eq!(mirrored, digest);
    let settings = stage.file(
        "registries.yaml",
        &format!(
            "registries: [{{host: \"{}\", mirrors: [{{host: \"{}/hub\"}}]}}]",
            stage.registry.host(),
            mirror.host()
        ),
    );
    let webhook = Webhook::start_with(&yaml(&[stage.policy()]), |webhook| {
        webhook.judge.registries = Some(settings);
    })
    .await;
    let image = stage.registry.reference("t/app:v1").to_string();
    webhook.judge(&image).await.admitted("satisfied");
    assert!(mirror.counts().total() > 0);

    // A mirror that is broken in every way changes no verdict.
    for fault in [
        Fault::status(500),
        Fault::CloseConnection,
        Fault::status(401),
    ] {
        mirror.on(Match::any(), fault);
        stage.signed("t/other");
        let other = stage.registry.reference("t/other:v1").to_string();
        webhook.judge(&other).await.admitted("satisfied");
        stage.image("t/unsigned");
        let unsigned = stage.registry.reference("t/unsigned:v1").to_string();
        webhook.judge(&unsigned).await.denied("unsigned");
        mirror.clear_faults();
    }
}

/// Asks until the answer is the expected one, or says what it was.
async fn until(webhook: &Webhook, image: &str, allowed: bool) {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let answered = webhook.judge(image).await;
        if answered.allowed == allowed {
            return;
        }
        assert!(Instant::now() < end, "{answered:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn the_file_counts_anew_when_it_changes_and_the_last_good_one_until_then() {
    let stage = Stage::new().await;
    stage.signed("t/app");
    let image = stage.registry.reference("t/app:v1").to_string();
    stage.registry.require_basic("robot", "hunter2");
    let host = stage.registry.host();
    stage.file("password", "hunter2\n");
    let credentials = format!(
        "registries: [{{host: \"{host}\", credentials: {{username: robot, passwordFile: password}}}}]"
    );
    let settings = stage.file("registries.yaml", "registries: []");
    let webhook = Webhook::start_with(&yaml(&[stage.policy()]), |webhook| {
        webhook.judge.registries = Some(settings);
        webhook.reload_interval = Duration::from_millis(50);
    })
    .await;
    webhook.judge(&image).await.denied("registry-auth");

    stage.file("registries.yaml", &credentials);
    until(&webhook, &image, true).await;

    // A file that cannot be used changes nothing.
    stage.file("registries.yaml", "registries: [{}]");
    tokio::time::sleep(Duration::from_millis(500)).await;
    webhook.judge(&image).await.admitted("satisfied");

    // A password that is rotated is read again, although the file that names it is the same.
    stage.file("registries.yaml", &credentials);
    stage.registry.require_basic("robot", "correct horse");
    stage.file("password", "correct horse\n");
    until(&webhook, &image, true).await;
}
