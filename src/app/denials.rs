//! Events about denials, in the namespace of what was denied: for whoever looks there and did not see what `kubectl` printed.
//!
//! They are made off the way of reviews, by each replica for what it denied: few, and the same one not again for a while. One that
//! cannot be made is not made. A rehearsal (`--dry-run=server`) leaves none behind (T-76).

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use moka::sync::Cache;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::adapters::cluster::Cluster;
use crate::adapters::cluster::events::{Events, News};
use crate::adapters::metrics::Metrics;
use crate::explain::Answer;
use crate::workload::Request;

/// Events that wait to be made. More are dropped.
const WAITING: usize = 64;
/// From one Event to the next.
const BETWEEN: Duration = Duration::from_millis(200);
/// How long the same denial makes no other Event, and of how many that is known.
const SAME: Duration = Duration::from_mins(5);
const KNOWN: u64 = 4_096;
/// The longest name in Kubernetes, in bytes. What is longer names nothing.
const NAME: usize = 253;

/// What notes denials.
pub struct Denials {
    waiting: mpsc::Sender<News>,
    told: Cache<[u8; 32], ()>,
    /// Our own namespace: a denial there must not make us write there.
    own: String,
    metrics: Arc<Metrics>,
}

/// What makes Events of what was noted.
pub struct Teller {
    waiting: mpsc::Receiver<News>,
    events: Events,
    metrics: Arc<Metrics>,
}

/// Both ends, for this replica.
pub fn denials(cluster: &Cluster, replica: &str, metrics: Arc<Metrics>) -> (Denials, Teller) {
    let (sender, waiting) = mpsc::channel(WAITING);
    let told = Cache::builder()
        .max_capacity(KNOWN)
        .time_to_live(SAME)
        .build();
    let teller = Teller {
        waiting,
        events: Events::new(cluster, replica),
        metrics: Arc::clone(&metrics),
    };
    let denials = Denials {
        waiting: sender,
        told,
        own: cluster.namespace().to_owned(),
        metrics,
    };
    (denials, teller)
}

// === impl Denials ===

impl Denials {
    /// Notes an answer, if it is a denial to be told of. Does not wait.
    pub fn note(&self, request: &Request, answer: &Answer) {
        if answer.allowed
            || request.dry_run
            || request.namespace.is_empty()
            || request.namespace == self.own
        {
            return;
        }
        let regarding = regarding(request);
        let reason = answer.verdict_reason.camel_case();
        let fields: Vec<&str> = answer
            .causes
            .iter()
            .map(|cause| cause.field.as_str())
            .collect();
        let same = Sha256::digest(format!("{reason} {fields:?} {regarding:?}")).into();
        if self.told.contains_key(&same) {
            return;
        }
        let news = News {
            regarding,
            warning: true,
            reason,
            action: "Deny",
            note: answer.message.clone(),
        };
        match self.waiting.try_send(news) {
            Ok(()) => self.told.insert(same, ()),
            Err(_) => self.metrics.event("dropped"),
        }
    }
}

// === impl Teller ===

impl Teller {
    /// Makes Events until nobody notes denials any more.
    pub async fn run(mut self) {
        while let Some(news) = self.waiting.recv().await {
            let told = self.events.tell(&news).await;
            self.metrics
                .event(if told.is_ok() { "made" } else { "failed" });
            if let Err(error) = told {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::debug!(%error, cause, "cannot make an Event about a denial");
            }
            sleep(BETWEEN).await;
        }
    }
}

/// What the Event is about: whoever makes the object, if it is made by a controller, for it is there and is asked about; else the object,
/// which may not be there yet.
fn regarding(request: &Request) -> ObjectReference {
    let metadata = request.object.get("metadata").unwrap_or(&Value::Null);
    let text = |value: &Value, name: &str| {
        let text = value.get(name).and_then(Value::as_str);
        text.filter(|text| text.len() <= NAME).map(str::to_owned)
    };
    let owners = metadata.get("ownerReferences").and_then(Value::as_array);
    let is_controller =
        |owner: &&Value| owner.get("controller").and_then(Value::as_bool) == Some(true);
    let namespace = Some(request.namespace.clone());
    if let Some(owner) = owners.into_iter().flatten().find(is_controller) {
        return ObjectReference {
            api_version: text(owner, "apiVersion"),
            kind: text(owner, "kind"),
            name: text(owner, "name"),
            uid: text(owner, "uid"),
            namespace,
            ..ObjectReference::default()
        };
    }
    let api_version = match request.group.as_str() {
        "" => request.version.clone(),
        group => format!("{group}/{}", request.version),
    };
    let given = (!request.name.is_empty()).then(|| request.name.clone());
    let generated =
        || text(metadata, "generateName").map(|name| name.trim_end_matches('-').to_owned());
    ObjectReference {
        api_version: Some(api_version),
        kind: Some(request.kind.clone()),
        name: given.or_else(|| text(metadata, "name")).or_else(generated),
        uid: text(metadata, "uid"),
        namespace,
        ..ObjectReference::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::workload::Operation;

    fn creation(object: Value) -> Request {
        Request {
            uid: "u".to_owned(),
            operation: Operation::Create,
            group: "apps".to_owned(),
            version: "v1".to_owned(),
            kind: "ReplicaSet".to_owned(),
            subresource: String::new(),
            namespace: "shop".to_owned(),
            name: String::new(),
            object,
            old_object: None,
            dry_run: false,
        }
    }

    #[test]
    fn an_event_is_about_the_controller_that_makes_the_object_or_else_about_the_object() {
        let short = |object: Value| {
            let ObjectReference {
                api_version,
                kind,
                name,
                uid,
                namespace,
                ..
            } = regarding(&creation(object));
            [api_version, kind, name, uid, namespace]
                .map(Option::unwrap_or_default)
                .join(" ")
        };
        let owner = |controller: bool| json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart", "uid": "1", "controller": controller});
        let owned = |owners: Value| json!({"metadata": {"name": "cart-7", "uid": "2", "ownerReferences": owners}});
        assert_eq!(
            short(owned(json!([owner(false), owner(true)]))),
            "apps/v1 Deployment cart 1 shop"
        );
        assert_eq!(
            short(owned(json!([owner(false)]))),
            "apps/v1 ReplicaSet cart-7 2 shop"
        );
        assert_eq!(
            short(json!({"metadata": {"generateName": "cart-"}})),
            "apps/v1 ReplicaSet cart  shop"
        );
        assert_eq!(short(json!({})), "apps/v1 ReplicaSet   shop");
    }
}
