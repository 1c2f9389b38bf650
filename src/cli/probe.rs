//! `vouchsafe probe`: asks a webhook that runs, as an API server would, about a Pod that nobody can admit.
//!
//! What comes back shows the whole way at once: the address is reached, the certificate is one of the authority that the API server
//! was told, and who answers judges.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::Value;

use super::pod_review::PodReview;
use super::{Exit, note, print};
use crate::verdict::Reason;

/// The most bytes of an answer that are read.
const ANSWER: usize = 1 << 20;
/// What no container runtime could pull, so that no registry is asked and no policy can admit it.
const NO_IMAGE: &str = "vouchsafe probe: no image";

/// Arguments of `probe`.
#[derive(Args, Debug)]
#[command(
    after_help = "Exit code 0 when the Pod was refused as it must be, 1 when it was answered otherwise, 3 when nobody answered.

Example, in a Pod that has the Secret of the certificate mounted:
  vouchsafe probe --ca /etc/vouchsafe/ca/ca.crt https://vouchsafe.cosign-system.svc"
)]
pub(super) struct ProbeArgs {
    /// Where the webhook is, as `https://HOST[:PORT]`
    #[arg(value_name = "URL")]
    url: reqwest::Url,

    /// The authorities of its certificate, in PEM: what stands in `caBundle`
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,

    /// It judges in shadow: the Pod must be admitted, with the verdict beside it
    #[arg(long)]
    shadow: bool,

    /// How long it may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=30))]
    timeout: u64,
}

pub(super) async fn run(args: ProbeArgs) -> anyhow::Result<Exit> {
    let client = client(&args)?;
    let mut url = args.url.clone();
    url.set_path("/validate");
    url.set_query(Some(&format!("timeout={}s", args.timeout)));
    let uid = format!("probe-{}", std::process::id());
    let began = Instant::now();
    let answer = match ask(&client, url, &uid).await {
        Ok(answer) => answer,
        Err(error) => {
            note(&format!("{} did not answer: {error:#}", args.url));
            return Ok(Exit::Unknown);
        }
    };
    let took = began.elapsed().as_millis();
    let said = said(&answer, &uid);
    print(&format!(
        "{} answered in {took} ms: {}\n",
        args.url,
        said.words()
    ))?;
    if said.is_as_it_must_be(args.shadow) {
        return Ok(Exit::Success);
    }
    note(&format!(
        "expected: {}",
        Said::expected(args.shadow).words()
    ));
    Ok(Exit::Deny)
}

/// What an answer says about the Pod.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    /// Whether it is admitted; nothing where the answer does not say so about this review.
    allowed: Option<bool>,
    /// The audit annotation `reason`.
    reason: String,
}

// === impl Said ===

impl Said {
    fn expected(shadow: bool) -> Self {
        Self {
            allowed: Some(shadow),
            reason: Reason::InvalidReference.as_str().to_owned(),
        }
    }

    fn is_as_it_must_be(&self, shadow: bool) -> bool {
        *self == Self::expected(shadow)
    }

    fn words(&self) -> String {
        let verdict = match self.allowed {
            Some(true) => "admitted",
            Some(false) => "denied",
            None => return "neither yes nor no to what was asked".to_owned(),
        };
        if self.reason.is_empty() {
            format!("{verdict}, without a reason")
        } else {
            format!("{verdict}, {}", self.reason)
        }
    }
}

fn said(answer: &Value, uid: &str) -> Said {
    let at = |pointer: &str| answer.pointer(pointer);
    let is_ours = at("/response/uid").and_then(Value::as_str) == Some(uid);
    let allowed = at("/response/allowed").and_then(Value::as_bool);
    let reason = at("/response/auditAnnotations/reason").and_then(Value::as_str);
    Said {
        allowed: allowed.filter(|_| is_ours),
        reason: reason.unwrap_or_default().chars().take(64).collect(),
    }
}

/// A client that trusts these authorities and nobody else.
fn client(args: &ProbeArgs) -> anyhow::Result<reqwest::Client> {
    if args.url.scheme() != "https" || args.url.host().is_none() {
        bail!(
            "{} is no address of a webhook: https://HOST[:PORT]",
            args.url
        );
    }
    let file = args.ca.display();
    let pem = std::fs::read(&args.ca).with_context(|| format!("cannot read --ca {file}"))?;
    let authorities = reqwest::Certificate::from_pem_bundle(&pem)
        .with_context(|| format!("--ca {file} holds something else than certificates in PEM"))?;
    if authorities.is_empty() {
        bail!("--ca {file} holds no certificate in PEM");
    }
    let client = reqwest::Client::builder()
        .tls_certs_only(authorities)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(args.timeout));
    client.build().context("cannot make an HTTPS client")
}

async fn ask(client: &reqwest::Client, url: reqwest::Url, uid: &str) -> anyhow::Result<Value> {
    let mut response = client.post(url).json(&review(uid)).send().await?;
    let status = response.status();
    if !status.is_success() {
        bail!("it said {status}");
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER {
            bail!("its answer has more than {ANSWER} bytes");
        }
    }
    serde_json::from_slice(&body).context("its answer is no JSON")
}

fn review(uid: &str) -> Value {
    let review = PodReview {
        uid,
        namespace: "default",
        name: "probe",
        user: "vouchsafe-probe",
        image: NO_IMAGE,
        dry_run: true,
    };
    review.to_json()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(allowed: bool, reason: &str) -> Value {
        json!({"response": {"uid": "1", "allowed": allowed, "auditAnnotations": {"reason": reason}}})
    }

    #[test]
    fn only_a_denial_for_what_it_is_will_do() {
        let denied = said(&answer(false, "invalid-reference"), "1");
        assert!(denied.is_as_it_must_be(false));
        assert!(!denied.is_as_it_must_be(true));
        let admitted = said(&answer(true, "invalid-reference"), "1");
        assert!(!admitted.is_as_it_must_be(false));
        assert!(admitted.is_as_it_must_be(true));
        assert!(!said(&answer(false, "overloaded"), "1").is_as_it_must_be(false));
    }

    #[test]
    fn an_answer_to_another_review_says_nothing() {
        let other = said(&answer(false, "invalid-reference"), "2");
        assert_eq!(other.allowed, None);
        assert_eq!(other.words(), "neither yes nor no to what was asked");
        assert_eq!(said(&json!([]), "1").allowed, None);
    }
}
