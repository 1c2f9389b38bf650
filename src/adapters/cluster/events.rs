//! Events: what `kubectl describe` and `kubectl get events` tell about a resource beside its status.
//!
//! *In*: about which object, whether it is a warning, why, and what people are told. *Out*: one Event of `events.k8s.io`, made and never
//! changed: who asks for it has seen to it that it is news. (The recorder of `kube` counts up an Event of the same reason instead, and
//! would go on showing the text of the first.)

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::timeout;

use super::status::WriteError;
use super::{Cluster, FIELD_MANAGER};

/// For one request.
const REQUEST: Duration = Duration::from_secs(5);
/// What the API server takes of a text, in bytes.
const NOTE: usize = 1024;
/// What it takes of a name, in bytes, and how much of it that of the object may be.
const NAME: usize = 200;
/// What it takes of the name of a replica, in bytes.
const INSTANCE: usize = 128;
/// Where Events about resources without a namespace are.
const DEFAULT_NAMESPACE: &str = "default";

/// Makes Events.
#[derive(Clone)]
pub struct Events {
    client: Client,
    replica: String,
}

/// An Event to be.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// The object that it is about. Without a namespace it has none.
    pub regarding: ObjectReference,
    /// Whether somebody should have a look.
    pub warning: bool,
    /// Why, in one CamelCase word.
    pub reason: String,
    /// What was done to the object, in one CamelCase word.
    pub action: &'static str,
    /// For people; the first KiB is kept.
    pub note: String,
}

// === impl Events ===

impl Events {
    /// Events of this replica.
    pub fn new(cluster: &Cluster, replica: &str) -> Self {
        Self {
            client: cluster.client(),
            replica: replica.to_owned(),
        }
    }

    /// Makes one.
    pub async fn tell(&self, news: &News) -> Result<(), WriteError> {
        let event = event(news, &self.replica, Timestamp::now());
        let namespace = event
            .metadata
            .namespace
            .as_deref()
            .unwrap_or(DEFAULT_NAMESPACE);
        let events = Api::<Event>::namespaced(self.client.clone(), namespace);
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let making = timeout(REQUEST, events.create(&params, &event)).await;
        making.map_err(|_| WriteError::Late)??;
        Ok(())
    }
}

fn event(news: &News, replica: &str, now: Timestamp) -> Event {
    let regarding = news.regarding.clone();
    let name = cut(regarding.name.as_deref().unwrap_or(FIELD_MANAGER), NAME);
    let namespace = regarding.namespace.clone();
    let namespace = namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    Event {
        action: Some(news.action.to_owned()),
        event_time: Some(MicroTime(now)),
        metadata: ObjectMeta {
            // As everybody names Events: one at each time.
            name: Some(format!("{name}.{:x}", now.as_nanosecond())),
            namespace: Some(namespace),
            ..ObjectMeta::default()
        },
        note: Some(cut(&news.note, NOTE)),
        reason: Some(news.reason.clone()),
        regarding: Some(regarding),
        reporting_controller: Some(FIELD_MANAGER.to_owned()),
        reporting_instance: Some(cut(replica, INSTANCE)),
        type_: Some(if news.warning { "Warning" } else { "Normal" }.to_owned()),
        ..Event::default()
    }
}

/// The first `max` bytes, or a little less where a character would be halved. A name must not end with anything but a letter or digit.
fn cut(text: &str, max: usize) -> String {
    let mut cut = text.to_owned();
    while cut.len() > max {
        cut.pop();
    }
    if cut.len() < text.len() {
        cut.truncate(cut.trim_end_matches(['.', '-']).len());
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(name: &str, namespace: Option<&str>, note: &str) -> News {
        News {
            regarding: ObjectReference {
                name: Some(name.to_owned()),
                namespace: namespace.map(str::to_owned),
                ..ObjectReference::default()
            },
            warning: true,
            reason: "PolicyInvalid".to_owned(),
            action: "Compile",
            note: note.to_owned(),
        }
    }

    #[test]
    fn an_event_is_where_its_object_is_and_within_what_the_api_server_takes() {
        let now = Timestamp::from_second(255).expect("a time");
        let made = event(&news("a", None, "why"), "replica-1", now);
        assert_eq!(made.metadata.namespace.as_deref(), Some("default"));
        assert_eq!(made.metadata.name.as_deref(), Some("a.3b5f2f3600"));
        assert_eq!(made.type_.as_deref(), Some("Warning"));
        let long = event(
            &news(&"a.".repeat(126), Some("shop"), &"ä".repeat(2_000)),
            &"r".repeat(300),
            now,
        );
        assert_eq!(long.metadata.namespace.as_deref(), Some("shop"));
        let name = long.metadata.name.expect("a name");
        assert!(name.len() <= 253 && !name.contains(".."), "{name}");
        assert_eq!(long.note.expect("a note").len(), 1024);
        assert_eq!(long.reporting_instance.expect("an instance").len(), 128);
    }
}
