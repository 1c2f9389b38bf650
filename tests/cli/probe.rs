//! `vouchsafe probe`: whether a webhook that runs answers as it must.

use std::path::Path;

use crate::desk::Desk;
use crate::support::command::{Ended, vouchsafe};
use crate::webhook::Webhook;

fn probe(authority: &Path, url: &str, more: &[&str]) -> Ended {
    let authority = authority.display().to_string();
    let fixed = ["probe", "--ca", &authority, url];
    vouchsafe(fixed.iter().chain(more)).end()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_refuses_what_nobody_can_admit_is_as_it_must_be() {
    let desk = Desk::new().await;
    let webhook = Webhook::start(&desk.signed_by_release(), &[]);
    let url = format!("https://{}", webhook.address);
    let ended = probe(&webhook.authority(), &url, &[]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended:?}");
    let words = ended.stdout.trim_end();
    assert!(
        words.starts_with(&format!("{url}/ answered in ")),
        "{words}"
    );
    assert!(words.ends_with(" ms: denied, invalid-reference"), "{words}");
}

/// One that enforces is none that judges in shadow.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_answers_otherwise_than_expected_is_said_to() {
    let desk = Desk::new().await;
    let webhook = Webhook::start(&desk.signed_by_release(), &[]);
    let url = format!("https://{}", webhook.address);
    let ended = probe(&webhook.authority(), &url, &["--shadow"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert_eq!(ended.stderr, "expected: admitted, invalid-reference\n");
}

/// T-16: whoever answers under another authority is not asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_under_another_authority_did_not_answer() {
    let desk = Desk::new().await;
    let webhook = Webhook::start(&desk.signed_by_release(), &[]);
    let other = Webhook::start(&desk.signed_by_release(), &[]);
    let url = format!("https://{}", webhook.address);
    let ended = probe(&other.authority(), &url, &[]);
    assert_eq!((ended.code, ended.stdout.as_str()), (3, ""), "{ended:?}");
    assert!(ended.stderr.contains("did not answer"), "{ended:?}");
}

#[test]
fn nobody_there_is_said_so_and_nonsense_is_usage() {
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, "no certificate").unwrap();
    let ended = probe(&authority, "https://127.0.0.1:1", &[]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(
        ended.stderr.contains("holds no certificate in PEM"),
        "{ended:?}"
    );
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&authority, made.cert.pem()).unwrap();
    let ended = probe(&authority, "https://127.0.0.1:1", &["--timeout", "2"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    for wrong in ["http://127.0.0.1:1", "file:///tmp", "127.0.0.1"] {
        assert_eq!(probe(&authority, wrong, &[]).code, 2, "{wrong}");
    }
}
