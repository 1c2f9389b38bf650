//! An API server, a webhook that follows it, and what can be asked of both.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vouchsafe::adapters::cluster::Pace;
use vouchsafe::app::cluster::ClusterSettings;
use vouchsafe::app::webhook::WebhookSettings;

use crate::support::api_server::ApiServer;
use crate::support::webhook::{Answered, Webhook};

/// The longest that anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Stage {
    pub(crate) server: ApiServer,
    pub(crate) webhook: Webhook,
}

/// An image of this repository, by a digest. No registry has it, and none is there to be asked.
pub(crate) fn image(repository: &str) -> String {
    format!("127.0.0.1:1/{repository}@sha256:{}", "a".repeat(64))
}

/// A policy about a repository, of one authority.
pub(crate) fn policy(name: &str, repository: &str, authority: &Value) -> Value {
    json!({
        "apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "ClusterImagePolicy", "metadata": {"name": name},
        "spec": {"images": [{"glob": format!("127.0.0.1:1/{repository}*")}], "authorities": [authority]},
    })
}

/// One that lets everything of a repository pass.
pub(crate) fn passing(name: &str, repository: &str) -> Value {
    policy(name, repository, &json!({"static": {"action": "pass"}}))
}

/// One that lets nothing of a repository pass.
pub(crate) fn failing(name: &str, repository: &str) -> Value {
    policy(name, repository, &json!({"static": {"action": "fail"}}))
}

/// A ConfigMap of our namespace.
pub(crate) fn config_map(name: &str, data: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "cosign-system"}, "data": data,
    })
}

pub(crate) const POLICIES: &str = "/apis/policy.sigstore.dev/v1alpha1/clusterimagepolicies";

/// Watches that lose their patience soon.
pub(crate) fn pace() -> Pace {
    Pace {
        page: 3,
        answer: Duration::from_millis(500),
        watch: Duration::from_mins(1),
        silence: Duration::from_millis(500),
        retry: Duration::from_millis(20),
        longest_retry: Duration::from_millis(100),
        settle: Duration::from_millis(10),
        settle_at_most: Duration::from_millis(100),
    }
}

// === impl Stage ===

impl Stage {
    /// One whose API server holds these objects; the webhook has read them.
    pub(crate) async fn with(objects: &[Value]) -> Self {
        let server = ApiServer::start().await;
        for object in objects {
            server.put(object.clone());
        }
        let stage = Self::over(server, |_| {}).await;
        stage.becomes_ready().await;
        stage
    }

    /// A webhook over this API server, with other settings than the default ones. It may not have read anything yet.
    pub(crate) async fn over(server: ApiServer, change: impl FnOnce(&mut WebhookSettings)) -> Self {
        // A healthy watch is never silent.
        server.bookmark_every(Duration::from_millis(50));
        let kubeconfig = server.kubeconfig();
        let webhook = Webhook::start_with("", |settings| {
            settings.judge.policies.clear();
            settings.cluster = Some(ClusterSettings {
                kubeconfig: Some(kubeconfig),
                pace: pace(),
                ..ClusterSettings::default()
            });
            change(settings);
        })
        .await;
        Self { server, webhook }
    }

    pub(crate) async fn judge(&self, repository: &str) -> Answered {
        self.webhook.judge(&image(repository)).await
    }

    /// Asks until an image is admitted.
    pub(crate) async fn becomes_admitted(&self, repository: &str) {
        self.becomes(repository, |answer| answer.allowed).await;
    }

    /// Asks until an image is denied for this reason.
    pub(crate) async fn becomes_denied(&self, repository: &str, reason: &str) -> Answered {
        self.becomes(repository, |answer| {
            answer.reason() == reason && !answer.allowed
        })
        .await
    }

    async fn becomes(&self, repository: &str, is: impl Fn(&Answered) -> bool) -> Answered {
        let since = Instant::now();
        loop {
            let answer = self.judge(repository).await;
            if is(&answer) {
                return answer;
            }
            assert!(
                since.elapsed() < PATIENCE,
                "{repository} stays {}: {}",
                answer.reason(),
                answer.message
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks for a while, and an image is admitted each time.
    pub(crate) async fn stays_admitted(&self, repository: &str, time: Duration) {
        let since = Instant::now();
        while since.elapsed() < time {
            let answer = self.judge(repository).await;
            assert!(answer.allowed, "{}: {}", answer.reason(), answer.message);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What `/readyz` says.
    pub(crate) async fn readiness(&self) -> (u16, String) {
        let answer = reqwest::get(format!("{}/readyz", self.webhook.admin())).await;
        let answer = answer.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    pub(crate) async fn becomes_ready(&self) {
        let since = Instant::now();
        while self.readiness().await.0 != 200 {
            assert!(since.elapsed() < PATIENCE, "{:?}", self.readiness().await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The value of a metric, with its labels (`vouchsafe_policies{state="broken"}`); 0 where there is none.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let answer = reqwest::get(format!("{}/metrics", self.webhook.admin())).await;
        let text = answer.unwrap().text().await.unwrap();
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        let found = lines.find(|(found, _)| *found == name);
        found.map_or(0.0, |(_, value)| value.parse().unwrap())
    }

    /// Waits until a metric is at least this.
    pub(crate) async fn counts(&self, name: &str, least: f64) {
        let since = Instant::now();
        while self.metric(name).await < least {
            assert!(since.elapsed() < PATIENCE, "{name} stays below {least}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
