//! How many requests an admission costs a registry, held to its bars, and how long it takes.
//!
//! The real webhook answers reviews over HTTPS on one kept connection; the registry is the one of the tests, which counts what it
//! is asked and gives access to tokens of its own service only. "Warm token": the repository was asked before, the image was not.
//!
//! `cargo bench --bench registry_requests` counts and measures, `cargo test --bench registry_requests` counts. The exit code is 1
//! when a count is above its bar. The bars and what stands behind them: `docs/benchmarks.md`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and fails by panicking"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};
use support::registry::{Counts, Fault, FaultyRegistry, Match, TokenAuth};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use vouchsafe::app::webhook::{self, Certificate, WebhookSettings};
use vouchsafe::config::{JudgeArgs, NoMatch, Tags, TrustArgs};
use vouchsafe::demo::registry::{Store, image as sample};
use vouchsafe::demo::signer::{
    AttestationOptions, SLSA_PROVENANCE_V02, SignatureOptions, SigningKey, attach_attestation,
    attach_signature, slsa_v02,
};
use vouchsafe::explain::Enforcement;
use vouchsafe::limits::Limits;
use vouchsafe::server::TlsVersion;

/// A repository of which a policy wants signatures.
const SIGNED: &str = "bench/signed";
/// A repository of which one policy wants signatures and one provenance.
const BOTH: &str = "bench/both";
/// Pods of one rollout that are created at the same moment.
const PODS: usize = 50;
/// What the registry takes for an answer during a rollout, so that the Pods really are there at the same moment.
const LATENCY: Duration = Duration::from_millis(250);
/// Admissions that are measured.
const MEASURED: usize = 100;

/// A webhook, a registry, and a client on one connection.
struct Stage {
    registry: FaultyRegistry,
    key: SigningKey,
    url: String,
    client: reqwest::Client,
    _folder: TempDir,
    _stop: tokio_util::sync::DropGuard,
}

/// An image, as a Pod may write it.
struct Image {
    by_tag: String,
    by_digest: String,
}

/// What was counted, row by row.
#[derive(Default)]
struct Table {
    above: usize,
}

fn main() -> ExitCode {
    // `cargo bench` says so; `cargo test` does not.
    let is_measuring = std::env::args().any(|argument| argument == "--bench");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let stage = Stage::start().await;
        let above = count(&stage).await;
        if is_measuring {
            measure(&stage).await;
        }
        if above == 0 {
            ExitCode::SUCCESS
        } else {
            println!("\n{above} counts above their bar");
            ExitCode::FAILURE
        }
    })
}

/// Requests per admission, and how many rows are above their bar.
async fn count(stage: &Stage) -> usize {
    let mut table = Table::default();
    println!("requests to the registry per admission\n");

    let first = stage.image(SIGNED, "first");
    table.row(
        ".sig, first contact: challenge and token",
        None,
        stage.admit(&first.by_digest).await,
    );
    stage.admit(&stage.image(BOTH, "first").by_digest).await;

    let image = stage.image(SIGNED, "sig");
    table.row(
        ".sig, by digest",
        Some(2),
        stage.admit(&image.by_digest).await,
    );
    let image = stage.image(BOTH, "sig-att");
    table.row(
        ".sig and .att, by digest",
        Some(4),
        stage.admit(&image.by_digest).await,
    );
    table.row(
        "the same again, by digest",
        Some(0),
        stage.admit(&image.by_digest).await,
    );
    table.row(
        "the same again, by tag",
        Some(1),
        stage.admit(&image.by_tag).await,
    );
    let image = stage.image(BOTH, "tag");
    table.row(
        ".sig and .att, by tag",
        Some(5),
        stage.admit(&image.by_tag).await,
    );
    let unsigned = stage.unsigned(BOTH, "unsigned");
    table.row(
        "unsigned, by digest",
        Some(4),
        stage.deny(&unsigned.by_digest).await,
    );

    let image = stage.image(BOTH, "rollout");
    let what = format!(".sig and .att, {PODS} Pods at once, by digest");
    table.row(&what, Some(6), stage.roll_out(&image.by_digest).await);
    let image = stage.image(BOTH, "rollout-by-tag");
    let what = format!(".sig and .att, {PODS} Pods at once, by tag");
    table.row(&what, Some(6), stage.roll_out(&image.by_tag).await);
    table.above
}

/// Time per admission, as a client of the webhook sees it.
async fn measure(stage: &Stage) {
    let images: Vec<Image> = (0..MEASURED)
        .map(|n| stage.image(BOTH, &format!("cold-{n}")))
        .collect();
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for times in [&mut cold, &mut warm] {
        for image in &images {
            let started = Instant::now();
            stage.admit(&image.by_digest).await;
            times.push(started.elapsed());
        }
    }
    println!("\ntime per admission of .sig and .att by digest, {MEASURED} each (min / median)\n");
    println!("  first sight, warm token   {}", spread(cold));
    println!("  seen before               {}", spread(warm));
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    format!(
        "{:.2?} / {median:.2?}",
        times.first().copied().unwrap_or_default()
    )
}

// === impl Table ===

impl Table {
    fn row(&mut self, what: &str, bar: Option<usize>, counts: Counts) {
        let Counts {
            manifest_head,
            manifest_get,
            blob_get,
            token,
            ..
        } = counts;
        let others = counts.total() - manifest_head - manifest_get - blob_get - token;
        let total = counts.total();
        let is_above = bar.is_some_and(|bar| total > bar);
        self.above += usize::from(is_above);
        let bar = bar.map_or_else(String::new, |bar| format!("of {bar}"));
        println!(
            "  {what:<46} {total:>3} {bar:<5} HEAD {manifest_head}, manifest {manifest_get}, blob {blob_get}, token {token}, other {others}{}",
            if is_above { "   ABOVE ITS BAR" } else { "" },
        );
    }
}

// === impl Stage ===

impl Stage {
    async fn start() -> Self {
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let registry = FaultyRegistry::start(Store::new()).await;
        registry.require_token(TokenAuth::anonymous());
        let key = SigningKey::generate().unwrap();
        let folder = TempDir::new().unwrap();
        let (policies, authority) = (
            folder.path().join("policies.yaml"),
            folder.path().join("ca.pem"),
        );
        std::fs::write(&policies, self::policies(key.public_key_pem())).unwrap();
        let any_port = "127.0.0.1:0".parse().unwrap();
        let running = webhook::start(WebhookSettings {
            judge: JudgeArgs {
                policies: vec![policies],
                namespace: "cosign-system".to_owned(),
                no_match_policy: NoMatch::Deny,
                insecure_registry: Vec::new(),
                registry_ca: None,
                tags: Tags::default(),
                kinds: None,
                registries: None,
                cloud_credentials: Vec::new(),
                cloud_registry: Vec::new(),
                trust: TrustArgs::default(),
            },
            cluster: None,
            listen: any_port,
            admin_listen: any_port,
            certificate: Certificate::Generated {
                names: Vec::new(),
                authority_out: Some(authority.clone()),
            },
            oldest_tls: TlsVersion::Tls13,
            client_ca: None,
            client_names: Vec::new(),
            reload_interval: Duration::from_mins(1),
            max_stale: Duration::from_hours(24),
            stop_delay: Duration::ZERO,
            footer: None,
            enforcement: Enforcement::Enforce,
            limits: Limits::default(),
        });
        let running = running.await.unwrap();
        let url = format!("https://{}/validate?timeout=10s", running.address);
        let stop = CancellationToken::new();
        tokio::spawn(running.run(stop.clone().cancelled_owned()));
        let authority = reqwest::Certificate::from_pem(&std::fs::read(authority).unwrap()).unwrap();
        let client = reqwest::Client::builder()
            .tls_certs_only([authority])
            .no_proxy()
            .build();
        Self {
            registry,
            key,
            url,
            client: client.unwrap(),
            _folder: folder,
            _stop: stop.drop_guard(),
        }
    }

    /// An image that satisfies every policy.
    fn image(&self, repository: &str, tag: &str) -> Image {
        let store = self.registry.store();
        let digest = sample(store, repository, tag, tag);
        attach_signature(
            store,
            repository,
            &digest,
            &self.key,
            &SignatureOptions::default(),
        )
        .unwrap();
        let predicate = slsa_v02(
            "https://tekton.dev/chains/v2",
            "https://git.example/shop",
            "7f0b2a5c",
        );
        let options = AttestationOptions::default();
        attach_attestation(
            store,
            repository,
            &digest,
            &self.key,
            SLSA_PROVENANCE_V02,
            &predicate,
            &options,
        )
        .unwrap();
        self.written(repository, tag, &digest.to_string())
    }

    /// An image that nobody vouched for.
    fn unsigned(&self, repository: &str, tag: &str) -> Image {
        let digest = sample(self.registry.store(), repository, tag, tag);
        self.written(repository, tag, &digest.to_string())
    }

    fn written(&self, repository: &str, tag: &str, digest: &str) -> Image {
        let repository = format!("{}/{repository}", self.registry.host());
        Image {
            by_tag: format!("{repository}:{tag}"),
            by_digest: format!("{repository}@{digest}"),
        }
    }

    async fn admit(&self, image: &str) -> Counts {
        self.registry.reset_counts();
        self.expect(image, true).await;
        self.registry.counts()
    }

    async fn deny(&self, image: &str) -> Counts {
        self.registry.reset_counts();
        self.expect(image, false).await;
        self.registry.counts()
    }

    async fn roll_out(&self, image: &str) -> Counts {
        self.registry.reset_counts();
        self.registry.on(Match::any(), Fault::Delay(LATENCY));
        join_all((0..PODS).map(|_| self.expect(image, true))).await;
        self.registry.clear_faults();
        self.registry.counts()
    }

    async fn expect(&self, image: &str, is_allowed: bool) {
        let review = json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": "bench",
                "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "resource": {"group": "", "version": "v1", "resource": "pods"},
                "namespace": "shop",
                "name": "app",
                "operation": "CREATE",
                "userInfo": {"username": "bench"},
                "object": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {"name": "app", "namespace": "shop"},
                    "spec": {"containers": [{"name": "app", "image": image}]},
                },
                "oldObject": null,
                "dryRun": false,
            },
        });
        let answer = self
            .client
            .post(&self.url)
            .json(&review)
            .send()
            .await
            .unwrap();
        let answer: Value = answer.json().await.unwrap();
        let allowed = answer.pointer("/response/allowed").and_then(Value::as_bool);
        assert_eq!(allowed, Some(is_allowed), "{image}: {answer:#}");
        // A policy that does not match costs nothing and would look like thrift.
        let judged_by = answer
            .pointer("/response/auditAnnotations/policies")
            .and_then(Value::as_str)
            .unwrap_or_default();
        assert!(
            judged_by.contains("signed=") && judged_by.contains("built=") == image.contains(BOTH),
            "{answer:#}"
        );
    }
}

/// Signatures are wanted everywhere, provenance of [`BOTH`].
fn policies(key: &str) -> String {
    let policy = |name: &str, glob: &str, attestations: Value| {
        json!({
            "apiVersion": "policy.sigstore.dev/v1beta1",
            "kind": "ClusterImagePolicy",
            "metadata": {"name": name},
            "spec": {
                "images": [{"glob": glob}],
                "authorities": [{"name": "release", "key": {"data": key}, "attestations": attestations}],
            },
        })
    };
    let rego = "package sigstore\n\nisCompliant {\n  input.predicate.builder.id == \"https://tekton.dev/chains/v2\"\n}\n";
    let provenance = json!([{
        "name": "provenance",
        "predicateType": SLSA_PROVENANCE_V02,
        "policy": {"type": "rego", "data": rego},
    }]);
    let signed = policy("signed", "**", json!([]));
    let built = policy("built", &format!("**/{BOTH}**"), provenance);
    format!("{signed}\n---\n{built}\n")
}
