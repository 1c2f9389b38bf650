//! The same images through `vouchsafe serve`: AdmissionReviews over HTTPS, as an API server sends them.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::process::Background;
use crate::registries::Kind;
use crate::stage::{Cosign, ELSEWHERE, Key, Stage, TEKTON_CHAINS};
use crate::tools::trial;

/// A webhook that runs until it is stopped or dropped, and a client that trusts it alone.
struct Webhook {
    process: Background,
    url: String,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

/// The trials.
pub(crate) fn trials() -> Vec<Trial> {
    let needs = Stage::needs(Kind::Olareg, Cosign::Three);
    let name = "the webhook: answers reviews over https as verify answers";
    vec![trial(name, &needs, answers_reviews)]
}

fn answers_reviews() {
    let mut stage = Stage::new(Kind::Olareg, Cosign::Three);
    let [good, unsigned, stranger, elsewhere] =
        ["good", "unsigned", "stranger", "elsewhere"].map(|name| stage.image(name));
    for (image, key, builder) in [
        (&good, Key::Release, TEKTON_CHAINS),
        (&stranger, Key::Stranger, TEKTON_CHAINS),
        (&elsewhere, Key::Release, ELSEWHERE),
    ] {
        stage.sign(image, key);
        stage.attest(image, key, builder);
    }
    let policies = [stage.signed(), stage.built()];
    let webhook = Webhook::start(&stage, &policies);

    webhook.admits(&[&good.by_digest]);
    webhook.admits(&[&good.by_tag]);
    webhook.denies(&[&unsigned.by_digest], "no signatures found");
    webhook.denies(&[&stranger.by_tag], "no matching signatures");
    webhook.denies(
        &[&elsewhere.by_digest],
        "not by https://tekton.dev/chains/v2",
    );
    webhook.denies(
        &[&good.by_digest, &unsigned.by_tag],
        "spec.containers[1].image",
    );

    stage.stop_registry();
    webhook.denies(&[&unsigned.by_tag], "could not judge");

    webhook.stops_when_it_is_told_to();
}

// === impl Webhook ===

impl Webhook {
    fn start(stage: &Stage, policies: &[impl AsRef<Path>]) -> Self {
        let authority = stage.path("ca.pem");
        let mut command = stage.vouchsafe();
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
        ]);
        command
            .args(["--stop-delay", "0", "--ca-out"])
            .arg(&authority);
        for policy in policies {
            command.arg("--policies").arg(policy.as_ref());
        }
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Background::start(&mut command);
        let mut lines = BufReader::new(process.stdout()).lines();
        let first = lines.next().unwrap().unwrap();
        let address = first.strip_prefix("listening ").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        Self {
            process,
            url: format!("{address}/validate?timeout=10s"),
            client: client(&authority),
            runtime: runtime.unwrap(),
        }
    }

    fn admits(&self, images: &[&String]) {
        let answer = self.review(images);
        assert_eq!(answer["allowed"], json!(true), "{answer:#}");
    }

    fn denies(&self, images: &[&String], phrase: &str) {
        let answer = self.review(images);
        assert_eq!(answer["allowed"], json!(false), "{answer:#}");
        assert_eq!(answer["status"]["code"], json!(403), "{answer:#}");
        let message = answer["status"]["message"].as_str().unwrap();
        assert!(
            message.starts_with("validation failed: failed policy: "),
            "{message}"
        );
        assert!(message.contains(phrase), "{phrase:?} not in {message}");
    }

    fn stops_when_it_is_told_to(self) {
        let Self {
            mut process,
            client,
            runtime,
            ..
        } = self;
        // An idle connection may be kept by a client that does not listen; this one goes.
        drop((client, runtime));
        process.terminate();
        let ended = process.ended_within(Duration::from_secs(20));
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    }

    /// The `response` to the creation of a Pod of these images.
    fn review(&self, images: &[&String]) -> Value {
        let containers: Vec<Value> = images
            .iter()
            .enumerate()
            .map(|(index, image)| json!({"name": format!("c{index}"), "image": image}))
            .collect();
        let review = json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": "e2e-1",
                "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "resource": {"group": "", "version": "v1", "resource": "pods"},
                "namespace": "shop",
                "name": "app",
                "operation": "CREATE",
                "userInfo": {"username": "e2e"},
                "object": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {"name": "app", "namespace": "shop"},
                    "spec": {"containers": containers},
                },
                "oldObject": null,
                "dryRun": false,
            },
        });
        let answer: Value = self.runtime.block_on(async {
            let answer = self
                .client
                .post(&self.url)
                .json(&review)
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status(), 200);
            answer.json().await.unwrap()
        });
        assert_eq!(answer["response"]["uid"], json!("e2e-1"));
        answer["response"].clone()
    }
}

fn client(authority: &Path) -> reqwest::Client {
    // Another trial of this process may have installed it already.
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let pem = std::fs::read(authority).unwrap();
    let authority = reqwest::Certificate::from_pem(&pem).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([authority])
        .no_proxy();
    client.timeout(Duration::from_secs(30)).build().unwrap()
}
