//! `vouchsafe demo`: the whole way on one machine, with nothing else installed.
//!
//! An embedded registry holds the cast ([`crate::demo::cast`]), the real webhook stands on a free port, and AdmissionReviews are
//! sent to it over HTTPS, as an API server would.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::pod_review::PodReview;
use super::{Exit, colour_on_stdout, print};
use crate::adapters::remote_policies::MAX_STALE;
use crate::app::webhook::{self, Certificate, WebhookSettings};
use crate::config::{JudgeArgs, NoMatch, Tags, TrustArgs};
use crate::demo::cast::{self, Part};
use crate::demo::registry::{Registry, Store};
use crate::explain::Enforcement;
use crate::limits::Limits;
use crate::server::TlsVersion;

/// Arguments of `demo`.
#[derive(Args, Debug)]
#[command(after_help = "Exit code 0 when every image was answered as announced, 1 otherwise.")]
pub(super) struct DemoArgs {
    /// Leave registry and webhook running until Ctrl-C, to try more by hand
    #[arg(long)]
    keep: bool,
}

/// Where the demo runs.
struct Stage {
    registry: String,
    webhook: String,
    policies: String,
    client: reqwest::Client,
}

pub(super) async fn run(args: DemoArgs) -> anyhow::Result<Exit> {
    let folder = Folder::make()?;
    let store = Store::new();
    let policies = folder.path().join("policies.yaml");
    std::fs::write(&policies, cast::set_the_stage(&store)?)
        .context("cannot write the demo's policies")?;
    let registry = Registry::bind(store, "127.0.0.1:0")
        .await
        .context("cannot start the demo's registry")?;
    let authority = folder.path().join("ca.pem");
    let running = webhook::start(settings(&policies, &authority)).await?;
    let stage = Stage {
        registry: registry.host(),
        webhook: format!("https://{}/validate?timeout=10s", running.address),
        policies: policies.display().to_string(),
        client: client(&authority)?,
    };
    let stop = CancellationToken::new();
    let serving = tokio::spawn(running.run(stop.clone().cancelled_owned()));
    let outcome = play(&stage).await;
    if outcome.is_ok() {
        print(&next(&stage, args.keep))?;
    }
    if args.keep && outcome.is_ok() {
        tokio::signal::ctrl_c().await?;
    }
    stop.cancel();
    serving.await.context("the webhook failed")??;
    outcome
}

/// Sends one Pod after the other, and shows what kubectl would show.
async fn play(stage: &Stage) -> anyhow::Result<Exit> {
    let line = |text: String| print(&text);
    line(format!(
        "registry  {}\nwebhook   {}\npolicies  {}\n",
        stage.registry, stage.webhook, stage.policies
    ))?;
    let mut as_announced = 0;
    for part in &cast::CAST {
        let image = format!("{}/{}", stage.registry, part.image);
        line(format!(
            "\n{}\n$ kubectl run {} --image={image}\n",
            heading(part),
            name(part)
        ))?;
        let response = review(stage, part, &image).await?;
        let (shown, admitted) = as_kubectl(&response, part)?;
        line(shown.clone())?;
        if admitted == part.admitted && shown.contains(part.phrase) {
            as_announced += 1;
        } else {
            line("unexpected: this is not what the demo announced\n".to_owned())?;
        }
    }
    let all = cast::CAST.len();
    line(format!("\n{as_announced} of {all} as announced\n"))?;
    Ok(if as_announced == all {
        Exit::Success
    } else {
        Exit::Deny
    })
}

/// What to try after the demo.
fn next(stage: &Stage, keep: bool) -> String {
    let image = cast::CAST.first().map_or("", |part| part.image);
    if keep {
        format!(
            "\nnext: in another terminal, vouchsafe verify --policies {} {}/{image}\nregistry and webhook run until Ctrl-C\n",
            stage.policies, stage.registry,
        )
    } else {
        "\nnext: vouchsafe demo --keep leaves the registry running and says how to judge its images by hand\n".to_owned()
    }
}

fn heading(part: &Part) -> String {
    let text = format!("{}: {}", part.image, part.story);
    if colour_on_stdout() {
        format!("\u{1b}[1m{text}\u{1b}[0m")
    } else {
        text
    }
}

/// The name of the Pod.
fn name(part: &Part) -> String {
    let repository = part.image.split(':').next().unwrap_or_default();
    repository.rsplit('/').next().unwrap_or_default().to_owned()
}

async fn review(stage: &Stage, part: &Part, image: &str) -> anyhow::Result<Value> {
    let name = name(part);
    let uid = format!("demo-{name}");
    let review = PodReview {
        uid: &uid,
        namespace: "shop",
        name: &name,
        user: "you",
        image,
        dry_run: false,
    }
    .to_json();
    let answer = stage
        .client
        .post(&stage.webhook)
        .json(&review)
        .send()
        .await
        .context("the webhook did not answer")?;
    let answer: Value = answer
        .json()
        .await
        .context("the webhook answered with something else than JSON")?;
    if answer.pointer("/response/uid").and_then(Value::as_str) != Some(&uid) {
        bail!("the webhook answered another review: {answer}");
    }
    Ok(answer)
}

/// What kubectl prints for a response, and whether the Pod was admitted.
fn as_kubectl(response: &Value, part: &Part) -> anyhow::Result<(String, bool)> {
    let Some(allowed) = response
        .pointer("/response/allowed")
        .and_then(Value::as_bool)
    else {
        bail!("the webhook's answer says neither yes nor no: {response}");
    };
    let warnings = response
        .pointer("/response/warnings")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let mut lines: Vec<String> = warnings
        .filter_map(Value::as_str)
        .map(|warning| format!("Warning: {warning}"))
        .collect();
    if allowed {
        lines.push(format!("pod/{} created", name(part)));
    } else {
        let message = response.pointer("/response/status/message");
        let message = message.and_then(Value::as_str).unwrap_or_default();
        lines.push(format!(
            "Error from server (Forbidden): admission webhook \"policy.sigstore.dev\" denied the request: {message}"
        ));
    }
    let shown = lines.join("\n") + "\n";
    Ok((shown, allowed))
}

fn settings(policies: &Path, authority: &Path) -> WebhookSettings {
    let free_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    WebhookSettings {
        judge: JudgeArgs {
            policies: vec![policies.to_owned()],
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
        listen: free_port,
        admin_listen: free_port,
        certificate: Certificate::Generated {
            names: Vec::new(),
            authority_out: Some(authority.to_owned()),
        },
        oldest_tls: TlsVersion::Tls13,
        client_ca: None,
        client_names: Vec::new(),
        reload_interval: Duration::from_secs(5),
        max_stale: MAX_STALE,
        stop_delay: Duration::ZERO,
        footer: None,
        enforcement: Enforcement::Enforce,
        limits: Limits::default(),
    }
}

/// A client that trusts the webhook's authority and nobody else.
fn client(authority: &Path) -> anyhow::Result<reqwest::Client> {
    let pem = std::fs::read(authority).context("cannot read the webhook's authority")?;
    let authority = reqwest::Certificate::from_pem(&pem)
        .context("the webhook's authority is no certificate")?;
    let client = reqwest::Client::builder()
        .tls_certs_only([authority])
        .no_proxy()
        .timeout(Duration::from_secs(30));
    client.build().context("cannot make an HTTPS client")
}

/// A temporary folder, removed at the end.
struct Folder(std::path::PathBuf);

impl Folder {
    /// A new folder that only its owner can read. One that is there already is not taken: somebody else may have made it.
    fn make() -> anyhow::Result<Self> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let name = format!(
            "vouchsafe-demo-{}-{}",
            std::process::id(),
            now.subsec_nanos()
        );
        let path = std::env::temp_dir().join(name);
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning of its temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
