//! Credential helpers of a docker config: programs named `docker-credential-NAME` that know a registry's credentials.
//!
//! In comes a registry, out comes what its helper answers, as a [`KeychainEntry`] for exactly that registry. A helper is a program
//! that somebody else wrote and that may wait for a network, so everything about it is bounded: its time (then it is killed), its
//! answer, how many run at once, and how long one review waits for all of them. An answer is used again for a short while: a rollout
//! is one question.
//!
//! The helpers of the big clouds make a fresh token for whatever registry they are asked about. As `credsStore` they are asked about
//! that cloud's own hosts alone, so that a host which only looks like one gets nothing (T-16, CVE-2025-27403).

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use futures::future::join_all;
use moka::Expiry;
use moka::future::Cache;
use serde::Deserialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::adapters::cloud::hosts::CloudRegistry;
use crate::gather::keychain::{Credential, KeychainEntry};

/// Time for one helper, and for all helpers of one review together.
const TIME: Duration = Duration::from_secs(5);
/// How often is looked whether a helper has ended.
const GLANCE: Duration = Duration::from_millis(5);
/// The longest answer, in bytes: tokens of clouds are some thousands.
const ANSWER_BYTES: u64 = 64 << 10;
/// How long an answer is used again. Tokens that helpers make live for hours.
const KNOWN: Duration = Duration::from_mins(1);
/// How long "it knows none" is used again.
const UNKNOWN: Duration = Duration::from_secs(10);
/// Answers that are kept.
const ANSWERS: u64 = 1_024;
/// Helpers that run at one time.
static RUNNING: Semaphore = Semaphore::const_new(8);

/// The helpers that a docker config names.
#[derive(Clone, Debug)]
pub(super) struct Helpers {
    /// Registry → helper.
    named: BTreeMap<String, String>,
    /// The helper for all others.
    store: Option<String>,
    /// By helper and registry.
    answers: Cache<(String, String), Option<Credential>>,
}

/// What a helper prints.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username")]
    username: String,
    #[serde(rename = "Secret")]
    secret: String,
}

struct Freshness;

impl Expiry<(String, String), Option<Credential>> for Freshness {
    fn expire_after_create(
        &self,
        _: &(String, String),
        answer: &Option<Credential>,
        _: Instant,
    ) -> Option<Duration> {
        Some(if answer.is_some() { KNOWN } else { UNKNOWN })
    }
}

// === impl Helpers ===

impl Default for Helpers {
    fn default() -> Self {
        Self::new(BTreeMap::new(), None)
    }
}

impl Helpers {
    /// These helpers. A helper is a name, not a path: any other is left out.
    pub(super) fn new(named: BTreeMap<String, String>, store: Option<String>) -> Self {
        let is_name = |name: &String| {
            name.bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
                && !name.is_empty()
        };
        Self {
            named: named
                .into_iter()
                .filter(|(_, helper)| is_name(helper))
                .collect(),
            store: store.filter(is_name),
            answers: Cache::builder()
                .max_capacity(ANSWERS)
                .expire_after(Freshness)
                .build(),
        }
    }

    /// What the helpers know about these registries, in their order.
    pub(super) async fn entries(&self, registries: &[&str]) -> Vec<KeychainEntry> {
        let asked = registries.iter().map(|registry| self.entry(registry));
        // Those that take longer than that know nothing for this review.
        let asked = asked.map(|entry| async { timeout(TIME, entry).await.ok().flatten() });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// The helper to ask about a registry, and the name under which it knows it. The key of Docker Hub is a URL of its own.
    fn responsible(&self, registry: &str) -> Option<(&str, String)> {
        let key = if registry == "docker.io" {
            "https://index.docker.io/v1/"
        } else {
            registry
        };
        let named = self.named.get(key).or_else(|| self.named.get(registry));
        let store = || {
            self.store
                .as_ref()
                .filter(|store| may_serve(store, registry))
        };
        let helper = named.or_else(store)?;
        Some((helper, key.to_owned()))
    }

    async fn entry(&self, registry: &str) -> Option<KeychainEntry> {
        let (helper, key) = self.responsible(registry)?;
        let question = (helper.to_owned(), key.clone());
        let answer = self.answers.get_with(question, ask(helper, &key)).await;
        if answer.is_none() {
            tracing::debug!(helper, registry, "the credential helper has no credentials");
        }
        Some(KeychainEntry {
            pattern: key,
            credential: answer?,
            source: format!("credential helper {helper}"),
        })
    }
}

/// Whether a helper that is there for all registries is asked about this one. Those of the clouds make a token for whatever they are
/// asked about.
fn may_serve(helper: &str, registry: &str) -> bool {
    let cloud = CloudRegistry::of(registry);
    match helper {
        "ecr-login" => matches!(
            cloud,
            Some(CloudRegistry::Ecr { .. } | CloudRegistry::EcrPublic)
        ),
        "gcr" | "gcloud" => cloud == Some(CloudRegistry::Google),
        "acr" | "acr-env" | "acr-linux" => matches!(cloud, Some(CloudRegistry::Azure { .. })),
        _ => true,
    }
}

/// Asks a helper, once there is a place among those that run.
async fn ask(helper: &str, key: &str) -> Option<Credential> {
    let place = RUNNING.acquire().await.ok()?;
    let (program, key) = (format!("docker-credential-{helper}"), key.to_owned());
    spawn_blocking(move || run(&program, &key, place))
        .await
        .ok()?
}

/// Runs a helper to its end, or kills it when its time is over.
fn run(program: &str, key: &str, place: SemaphorePermit<'static>) -> Option<Credential> {
    let until = Instant::now().checked_add(TIME)?;
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let answer = question(&mut child, key, until, place);
    let ended = ended(&mut child, until);
    answer.filter(|_| ended)
}

/// Writes the question and reads the answer, until its time is over.
fn question(
    child: &mut Child,
    key: &str,
    until: Instant,
    place: SemaphorePermit<'static>,
) -> Option<Credential> {
    // A registry's name fits into the pipe: this does not wait for the helper to read it.
    child.stdin.take()?.write_all(key.as_bytes()).ok()?;
    let stdout = child.stdout.take()?;
    let (told, hears) = mpsc::channel();
    // Who holds the other end of a pipe is not always the program that was started, so reading it can outlive that. It keeps its place.
    thread::spawn(move || {
        let _place = place;
        let mut text = Vec::new();
        let read = stdout.take(ANSWER_BYTES).read_to_end(&mut text);
        // Nobody hears it when the time is over.
        let _ = told.send(read.map(|_| text));
    });
    let text = hears
        .recv_timeout(until.saturating_duration_since(Instant::now()))
        .ok()?
        .ok()?;
    let Answer { username, secret } = serde_json::from_slice(&text).ok()?;
    Some(Credential::of_user(username, secret))
}

/// Whether the program ended well and in time. One that did not end is killed.
fn ended(child: &mut Child, until: Instant) -> bool {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < until => thread::sleep(GLANCE),
            Ok(None) | Err(_) => {
                // It may have ended in between; either way it is gone and waited for.
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn helpers(named: &[(&str, &str)], store: Option<&str>) -> Helpers {
        let named = named
            .iter()
            .map(|(registry, helper)| ((*registry).to_owned(), (*helper).to_owned()));
        Helpers::new(named.collect(), store.map(str::to_owned))
    }

    /// T-38.
    #[test]
    fn t38_a_helper_is_a_name_and_not_a_path() {
        let found = helpers(
            &[("a.example.com", "../../bin/sh"), ("b.example.com", "")],
            Some("/bin/sh"),
        );
        assert!(found.named.is_empty() && found.store.is_none(), "{found:?}");
    }

    /// T-16: a cloud's helper makes tokens for that cloud's hosts, and for nothing that looks like one.
    #[test]
    fn t16_a_cloud_helper_is_asked_about_its_own_hosts_alone() {
        for (store, own) in [
            ("ecr-login", "123456789012.dkr.ecr.eu-west-1.amazonaws.com"),
            ("ecr-login", "public.ecr.aws"),
            ("gcr", "eu.gcr.io"),
            ("gcloud", "europe-docker.pkg.dev"),
            ("acr-env", "shop.azurecr.io"),
            ("desktop", "registry.example.com:5000"),
        ] {
            let found = helpers(&[], Some(store));
            assert!(found.responsible(own).is_some(), "{store} {own}");
        }
        for (store, other) in [
            (
                "ecr-login",
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.tld",
            ),
            ("ecr-login", "a.b.dkr.ecr.eu-west-1.amazonaws.com"),
            ("ecr-login", "dkr.ecr.eu-west-1.amazonaws.com"),
            ("ecr-login", "public.ecr.aws:8443"),
            ("gcr", "gcr.io.evil.tld"),
            ("gcr", "evilgcr.io"),
            ("gcloud", "pkg.dev.evil.tld"),
            ("acr-env", "shop.azurecr.io.evil.tld"),
            ("acr-env", "shopazurecr.io"),
            ("acr-env", "registry.example.com"),
        ] {
            let found = helpers(&[], Some(store));
            assert!(found.responsible(other).is_none(), "{store} {other}");
        }
    }

    /// T-16: `credHelpers` names its host, and that host alone.
    #[test]
    fn t16_a_helper_that_is_named_for_a_host_is_not_asked_about_another() {
        let found = helpers(&[("acr.azurecr.io", "acr-env")], None);
        assert!(found.responsible("acr.azurecr.io").is_some());
        for other in [
            "acr.azurecr.io.evil.tld",
            "acr.azurecr.io:444",
            "evil.tld",
            "azurecr.io",
            "docker.io",
        ] {
            assert!(found.responsible(other).is_none(), "{other}");
        }
    }

    #[test]
    fn docker_hub_is_known_by_its_url() {
        let found = helpers(&[("https://index.docker.io/v1/", "hub")], None);
        let (helper, key) = found.responsible("docker.io").unwrap();
        assert_eq!(
            (helper, key.as_str()),
            ("hub", "https://index.docker.io/v1/")
        );
    }
}
