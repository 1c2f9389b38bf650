//! `vouchsafe serve` as a process: what it prints, whom it answers, how it follows its files, and how it ends.

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::desk::{Desk, release, stranger};
use crate::support::command::{bare, vouchsafe};
use crate::support::policy_text::{attested, signed_by};

/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A webhook in a process of its own; killed when it is dropped.
pub(crate) struct Webhook {
    child: Child,
    stdout: Receiver<String>,
    /// Standard error, as it comes.
    log: Arc<Mutex<String>>,
    pub(crate) address: String,
    admin: String,
    home: TempDir,
}

impl Webhook {
    /// Starts it with these policies; files are looked at once a second.
    pub(crate) fn start(policies: &Path, more: &[&str]) -> Self {
        let home = TempDir::new().unwrap();
        let mut command = bare(home.path());
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
            "--reload-interval",
            "1",
            "--policies",
        ]);
        command
            .arg(policies)
            .arg("--ca-out")
            .arg(home.path().join("ca.pem"))
            .args(more);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let log = Arc::<Mutex<String>>::default();
        let stderr = lines(child.stderr.take().unwrap());
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in stderr {
                let mut log = kept.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut webhook = Self {
            child,
            stdout,
            log,
            address: String::new(),
            admin: String::new(),
            home,
        };
        webhook.address = webhook.line("listening https://");
        webhook.admin = webhook.line("admin http://");
        webhook
    }

    /// What follows `prefix` on the next line of standard output.
    fn line(&self, prefix: &str) -> String {
        let line = self
            .stdout
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("no line; {}", self.last_logged()));
        line.strip_prefix(prefix)
            .unwrap_or_else(|| panic!("{line:?} does not begin with {prefix:?}"))
            .to_owned()
    }

    /// What it logged until now.
    fn logged(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The end of it, for a failure to show.
    fn last_logged(&self) -> String {
        let log = self.logged();
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Where it wrote the authority of its certificate.
    pub(crate) fn authority(&self) -> PathBuf {
        self.home.path().join("ca.pem")
    }

    /// A client that trusts the authority of `--ca-out` and nobody else.
    fn client(&self) -> reqwest::Client {
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let pem = std::fs::read(self.authority()).unwrap();
        let authority = reqwest::Certificate::from_pem(&pem).unwrap();
        let client = reqwest::Client::builder()
            .tls_certs_only([authority])
            .no_proxy()
            .timeout(PATIENCE);
        client.build().unwrap()
    }

    /// The answer to a Pod with this image.
    async fn review(&self, image: &str) -> Value {
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "7f0c2d9e", "operation": "CREATE", "namespace": "shop", "name": "p", "dryRun": false,
                "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "resource": {"group": "", "version": "v1", "resource": "pods"},
                "userInfo": {"username": "you"},
                "object": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop"},
                    "spec": {"containers": [{"name": "a", "image": image}]}},
                "oldObject": null,
            },
        });
        let url = format!("https://{}/validate?timeout=10s", self.address);
        let answer = self.client().post(url).json(&review).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["response"]["uid"], "7f0c2d9e");
        answer["response"].clone()
    }

    /// The reason in the audit annotations, and whether the Pod was admitted.
    async fn reason(&self, image: &str) -> (bool, String) {
        let response = self.review(image).await;
        let reason = response["auditAnnotations"]["reason"]
            .as_str()
            .unwrap()
            .to_owned();
        (response["allowed"].as_bool().unwrap(), reason)
    }

    /// Waits until an image is answered like this.
    async fn answers(&self, image: &str, allowed: bool, reason: &str) {
        let started = Instant::now();
        let expected = (allowed, reason.to_owned());
        loop {
            let found = self.reason(image).await;
            if found == expected {
                return;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "{found:?}, not {expected:?}; {}",
                self.last_logged()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the log says this.
    async fn logs(&self, phrase: &str) {
        let started = Instant::now();
        while !self.logged().contains(phrase) {
            assert!(
                started.elapsed() < PATIENCE,
                "{phrase:?} is not in {}",
                self.last_logged()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn admin(&self, path: &str) -> (u16, String) {
        let answer = self
            .client()
            .get(format!("http://{}{path}", self.admin))
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Sends a signal as an orchestrator does.
    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(
            Command::new("/bin/sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for its end.
    async fn ended(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "it does not end; {}",
                self.last_logged()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a pipe, as they come.
fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    receive
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_two_lines_answers_and_ends_with_0_on_sigterm() {
    let desk = Desk::new().await;
    let mut webhook = Webhook::start(&desk.signed_by_release(), &["--stop-delay", "0"]);
    // It accepted before it said so: nothing here is tried twice.
    assert_eq!(
        webhook.reason(&desk.image("signed")).await,
        (true, "satisfied".to_owned())
    );
    assert_eq!(webhook.admin("/readyz").await.0, 200);
    assert_eq!(webhook.admin("/healthz").await.0, 200);
    let (status, metrics) = webhook.admin("/metrics").await;
    assert!(status == 200 && metrics.ends_with("# EOF\n"), "{metrics}");
    webhook.signal("TERM");
    let started = Instant::now();
    assert_eq!(
        webhook.ended().await.code(),
        Some(0),
        "{}",
        webhook.last_logged()
    );
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    // Logs are elsewhere.
    assert_eq!(webhook.stdout.iter().count(), 0);
    assert!(
        webhook.logged().contains("\"review\""),
        "{}",
        webhook.last_logged()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_says_what_to_do_and_ends_with_the_footer() {
    let desk = Desk::new().await;
    let webhook = Webhook::start(
        &desk.signed_by_release(),
        &["--denial-footer", "questions: #platform"],
    );
    let response = webhook.review(&desk.image("unsigned")).await;
    assert_eq!(
        (&response["allowed"], &response["status"]["code"]),
        (&json!(false), &json!(403))
    );
    let message = response["status"]["message"].as_str().unwrap();
    assert!(
        message.starts_with(
            "validation failed: failed policy: signed-by-release: spec.containers[0].image"
        ),
        "{message}"
    );
    for phrase in ["no signatures found", "next", "questions: #platform"] {
        assert!(message.contains(phrase), "{phrase:?} is not in {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_trusts_the_file_of_ca_out_can_speak_to_it() {
    let desk = Desk::new().await;
    let webhook = Webhook::start(&desk.signed_by_release(), &[]);
    let stranger = Webhook::start(&desk.signed_by_release(), &[]);
    let url = format!("https://{}/validate", webhook.address);
    assert!(webhook.client().get(&url).send().await.is_ok());
    assert!(
        stranger
            .client()
            .get(&url)
            .send()
            .await
            .unwrap_err()
            .is_connect()
    );
    let pem = std::fs::read_to_string(webhook.home.path().join("ca.pem")).unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----") && !pem.contains("PRIVATE KEY"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let desk = Desk::new().await;
    let mut webhook = Webhook::start(&desk.signed_by_release(), &["--stop-delay", "60"]);
    webhook.signal("TERM");
    webhook.logs("stopping").await;
    let started = Instant::now();
    webhook.signal("INT");
    assert_eq!(webhook.ended().await.code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(webhook.logged().contains("a second signal"));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_shadow_nothing_is_denied_and_it_says_so_at_its_start() {
    let desk = Desk::new().await;
    let webhook = Webhook::start(&desk.signed_by_release(), &["--enforcement", "shadow"]);
    webhook.logs("enforcement is shadow").await;
    assert_eq!(
        webhook.reason(&desk.image("unsigned")).await,
        (true, "unsigned".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_that_cannot_be_read_any_more_are_a_metric() {
    let desk = Desk::new().await;
    let policies = desk.signed_by_release();
    let webhook = Webhook::start(&policies, &[]);
    let good = std::fs::read_to_string(&policies).unwrap();
    let says = async |line: &str| {
        let started = Instant::now();
        while !webhook.admin("/metrics").await.1.contains(line) {
            assert!(started.elapsed() < PATIENCE, "no {line}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    std::fs::write(&policies, "a: [\n").unwrap();
    says("vouchsafe_reload_failing{of=\"policies\"} 1").await;
    std::fs::write(&policies, good).unwrap();
    says("vouchsafe_reload_failing{of=\"policies\"} 0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_answering_while_endpoints_are_withdrawn() {
    let desk = Desk::new().await;
    let image = desk.image("signed");
    let mut webhook = Webhook::start(&desk.signed_by_release(), &["--stop-delay", "2"]);
    assert_eq!(webhook.admin("/readyz").await.0, 200);
    webhook.signal("TERM");
    let started = Instant::now();
    while webhook.admin("/readyz").await.0 != 503 {
        assert!(
            started.elapsed() < Duration::from_secs(1),
            "still ready after the signal"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(webhook.reason(&image).await, (true, "satisfied".to_owned()));
    assert_eq!(webhook.ended().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn follows_its_policies_and_keeps_the_last_good_set() {
    let desk = Desk::new().await;
    let image = desk.image("signed");
    let policy = desk.file("p.yaml", signed_by("p", &release()));
    let webhook = Webhook::start(&policy, &[]);
    assert_eq!(webhook.reason(&image).await, (true, "satisfied".to_owned()));

    desk.file("p.yaml", signed_by("p", &stranger()));
    webhook.answers(&image, false, "untrusted-signer").await;

    // What no longer parses changes nothing: neither opened nor shut.
    desk.file("p.yaml", "a: [\n");
    webhook.logs("the last good set stays in force").await;
    assert_eq!(
        webhook.reason(&image).await,
        (false, "untrusted-signer".to_owned())
    );
    assert_eq!(webhook.admin("/readyz").await.0, 200);
    std::fs::remove_file(&policy).unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(
        webhook.reason(&image).await,
        (false, "untrusted-signer".to_owned())
    );

    desk.file("p.yaml", signed_by("p", &release()));
    webhook.answers(&image, true, "satisfied").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_edited_to_not_compile_denies_what_it_matches() {
    let desk = Desk::new().await;
    let image = desk.image("signed");
    let policies = desk.folder().join("policies");
    std::fs::create_dir(&policies).unwrap();
    desk.file("policies/a.yaml", signed_by("a", &release()));
    let narrow = |text: String| text.replace("\"**\"", "\"**/t/signed*\"");
    desk.file("policies/b.yaml", narrow(signed_by("b", &release())));
    let webhook = Webhook::start(&policies, &[]);
    let response = webhook.review(&image).await;
    assert_eq!(response["allowed"], true);
    let matching = response["auditAnnotations"]["policies"].as_str().unwrap();
    assert!(
        matching.contains('a') && matching.contains('b'),
        "{matching}"
    );

    desk.file(
        "policies/b.yaml",
        narrow(attested(
            "b",
            &release(),
            "package sigstore\nisCompliant[answer {\n",
        )),
    );
    webhook.answers(&image, false, "policy-invalid").await;
    // For exactly the images that it matches.
    assert_eq!(
        webhook.reason(&desk.image("annotated")).await,
        (true, "satisfied".to_owned())
    );

    desk.file("policies/b.yaml", narrow(signed_by("b", &release())));
    webhook.answers(&image, true, "satisfied").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn does_not_start_without_readable_policies_or_a_free_port() {
    let desk = Desk::new().await;
    let serve = |policies: &Path, listen: &str| {
        let policies = policies.to_str().unwrap();
        let ended = vouchsafe([
            "serve",
            "--policies",
            policies,
            "--listen",
            listen,
            "--admin-listen",
            "127.0.0.1:0",
        ])
        .end();
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{ended:?}");
        ended.stderr
    };
    let syntax = desk.file("syntax.yaml", "a: [\n");
    assert!(serve(&syntax, "127.0.0.1:0").contains("not valid YAML"));
    assert!(serve(&desk.folder().join("gone"), "127.0.0.1:0").contains("cannot be read"));
    let taken = desk.registry.host();
    assert!(serve(&desk.signed_by_release(), &taken).contains(&taken));
}
