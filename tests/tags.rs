//! `/mutate` and what `/validate` asks of tags, over HTTPS: every mode of `--tags`, what is pinned, what is left, and what it costs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

#[path = "tags/custom.rs"]
mod custom;
#[path = "tags/modes.rs"]
mod modes;
#[path = "tags/pins.rs"]
mod pins;
#[path = "tags/sticky.rs"]
mod sticky;

use serde_json::{Value, json};
use vouchsafe::config::{NoMatch, Tags};
use vouchsafe::demo::registry::{Store, image};
use vouchsafe::demo::signer::{SignatureOptions, SigningKey, attach_signature};
use vouchsafe::image::Digest;

use support::policies::{Policy, yaml};
use support::registry::FaultyRegistry;
use support::webhook::{Review, Webhook};

/// A registry with a signed image `t/app:v1`, and an unsigned one `t/bare:v1`.
struct Stage {
    registry: FaultyRegistry,
    release: SigningKey,
    app: Digest,
    bare: Digest,
}

impl Stage {
    async fn new() -> Self {
        let registry = FaultyRegistry::start(Store::new()).await;
        let release = SigningKey::generate().unwrap();
        let app = image(registry.store(), "t/app", "v1", "app");
        let bare = image(registry.store(), "t/bare", "v1", "bare");
        let stage = Self {
            registry,
            release,
            app,
            bare,
        };
        stage.sign(&stage.app.clone());
        stage
    }

    /// Signs an image of `t/app`.
    fn sign(&self, digest: &Digest) {
        let options = SignatureOptions::default();
        attach_signature(
            self.registry.store(),
            "t/app",
            digest,
            &self.release,
            &options,
        )
        .unwrap();
    }

    /// The tag `v1` names another image from now on, signed too.
    fn move_tag(&self) -> Digest {
        let moved = image(self.registry.store(), "t/app", "v1", "moved");
        self.sign(&moved);
        moved
    }

    /// `host/t/NAME`
    fn name(&self, name: &str) -> String {
        format!("{}/t/{name}", self.registry.host())
    }

    fn release(&self) -> Policy {
        Policy::new("release").key("release", &self.release)
    }

    /// A webhook that wants a signature by the release key.
    async fn webhook(&self, tags: Tags) -> Webhook {
        self.webhook_with(tags, &[self.release()]).await
    }

    async fn webhook_with(&self, tags: Tags, policies: &[Policy]) -> Webhook {
        let set = |settings: &mut vouchsafe::app::webhook::WebhookSettings| {
            settings.judge.tags = tags;
            settings.judge.no_match_policy = NoMatch::Allow;
        };
        Webhook::start_with(&yaml(policies), set).await
    }

    /// How many requests the registry got since the last time.
    fn asked(&self) -> usize {
        let asked = self.registry.counts().total();
        self.registry.reset_counts();
        asked
    }
}

/// A Deployment with one container.
fn deployment(image: &str) -> Review {
    let template = json!({"spec": {"containers": [{"name": "a", "image": image}]}});
    Review::create(
        "apps",
        "v1",
        "Deployment",
        json!({"replicas": 1, "template": template}),
    )
}

/// Every difference between two values, by JSON pointer.
fn differences(a: &Value, b: &Value) -> Vec<String> {
    fn walk(a: &Value, b: &Value, at: &str, found: &mut Vec<String>) {
        match (a, b) {
            (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
                for (key, value) in a {
                    walk(value, &b[key], &format!("{at}/{key}"), found);
                }
            }
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                for (index, (a, b)) in a.iter().zip(b).enumerate() {
                    walk(a, b, &format!("{at}/{index}"), found);
                }
            }
            _ if a == b => {}
            _ => found.push(at.to_owned()),
        }
    }
    let mut found = Vec::new();
    walk(a, b, "", &mut found);
    found
}
