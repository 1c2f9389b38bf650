//! `vouchsafe serve` as a process, with the flags that a chart sets.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::sleep;

use crate::callers::call;
use crate::cluster::{PATIENCE, VALIDATING, bundles, install, installed, until, value};
use crate::support::api_server::{ApiServer, Fault};
use crate::support::command::{bare, vouchsafe};

/// A webhook in a process of its own; killed when it is dropped.
struct Webhook {
    child: Child,
    address: String,
    admin: String,
    _home: TempDir,
}

impl Webhook {
    fn start(api: &ApiServer, more: &[&str]) -> Self {
        let home = TempDir::new().unwrap();
        let mut command = bare(home.path());
        command
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--admin-listen",
                "127.0.0.1:0",
                "--kubeconfig",
            ])
            .arg(api.kubeconfig())
            .args([
                "--tls-secret",
                "vouchsafe-tls",
                "--tls-name",
                "vouchsafe.cosign-system.svc",
            ])
            .args(["--webhook-configuration", "vouchsafe,vouchsafe-policies"])
            .args(more);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut line = |prefix: &str| {
            let line = lines.next().unwrap().unwrap();
            line.strip_prefix(prefix).unwrap().to_owned()
        };
        let (address, admin) = (line("listening https://"), line("admin http://"));
        Self {
            child,
            address,
            admin,
            _home: home,
        }
    }

    async fn ready(&self) -> String {
        // Another test of this binary may have installed it already.
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(format!("http://{}/readyz", self.admin)).send();
        answer.await.unwrap().text().await.unwrap()
    }

    async fn is_ready(&self) {
        let start = tokio::time::Instant::now();
        while self.ready().await != "ok\n" {
            assert!(start.elapsed() < PATIENCE, "{}", self.ready().await);
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn is_ready_when_the_configurations_trust_its_certificate_and_stays_so() {
    let mut api = installed().await;
    api.on(|asked| (asked.method == "PATCH").then_some(Fault::Status(403)));
    let webhook = Webhook::start(&api, &[]);
    until("the Secret is made", PATIENCE, || {
        !value(&api, "ca.crt").is_empty()
    })
    .await;
    sleep(Duration::from_millis(300)).await;
    let waits = webhook.ready().await;
    assert!(waits.contains("certificate"), "{waits}");
    api.clear_faults();
    webhook.is_ready().await;
    let address = webhook.address.parse().unwrap();
    // There is no page at /, and what answers is who it says.
    let answer = call(address, &bundles(&api, VALIDATING)[0]).await;
    assert!(answer.unwrap_err().contains("404"));
    api.close().await;
    sleep(Duration::from_millis(300)).await;
    webhook.is_ready().await;
    let answer = call(address, &value(&api, "ca.crt")).await;
    assert!(answer.unwrap_err().contains("404"));
}

#[tokio::test]
async fn changes_its_authority_as_often_as_its_flags_say() {
    let api = ApiServer::start().await;
    install(&api);
    let lives = [
        "--tls-lifetime",
        "6",
        "--tls-authority-lifetime",
        "6",
        "--tls-grace",
        "1",
        "--tls-overlap",
        "1",
    ];
    let webhook = Webhook::start(&api, &lives);
    webhook.is_ready().await;
    let first = value(&api, "ca.crt");
    until("another authority", PATIENCE, || {
        !bundles(&api, VALIDATING)[0].contains(&first)
    })
    .await;
    let answer = call(
        webhook.address.parse().unwrap(),
        &bundles(&api, VALIDATING)[0],
    )
    .await;
    assert!(answer.unwrap_err().contains("404"));
}

#[test]
fn says_which_flags_do_not_go_together() {
    let said = |arguments: &[&str]| {
        let ended = vouchsafe(["serve"].iter().chain(arguments)).end();
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        ended.stderr
    };
    let secret = ["--tls-secret", "vouchsafe-tls"];
    let files = said(&[&secret[..], &["--tls-cert", "a", "--tls-key", "b"]].concat());
    assert!(
        files.contains("--tls-secret <NAME>' cannot be used with"),
        "{files}"
    );
    let policies = said(&[&secret[..], &["--policies", "policies/"]].concat());
    assert!(policies.contains("cannot be used with"), "{policies}");
    let alone = said(&["--webhook-configuration", "vouchsafe"]);
    assert!(alone.contains("--tls-secret <NAME>"), "{alone}");
    let short = said(&[&secret[..], &["--tls-authority-lifetime", "30"]].concat());
    assert!(short.contains("too short for a grace of 30 s"), "{short}");
}
