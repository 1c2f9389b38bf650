//! Watches: the history of a resource from a version on, line by line.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::fault::Asked;
use super::path::Target;
use super::store::Told;
use super::{Shared, locked, object};

/// One watch.
struct Watch {
    shared: Arc<Shared>,
    grown: tokio::sync::watch::Receiver<usize>,
    target: Target,
    fields: String,
    labels: String,
    /// The next line of history.
    next: usize,
    ends: Instant,
    bookmarks: Option<(Instant, Duration)>,
    over: bool,
}

/// The stream of a watch; of none that begins before what is remembered.
pub(crate) fn response(shared: &Arc<Shared>, target: Target, asked: &Asked) -> Response<Body> {
    let from: u64 = asked.parameter("resourceVersion").parse().unwrap_or(0);
    let grown = shared.grown.subscribe();
    let next = {
        let store = locked(&shared.store);
        if !store.remembers(from) {
            let gone = object::status(410, &format!("too old resource version: {from}"));
            let line = json!({"type": "ERROR", "object": gone}).to_string() + "\n";
            return stream(Body::from(line));
        }
        let history = store.history();
        history.partition_point(|change| change.revision <= from)
    };
    let seconds = asked.parameter("timeoutSeconds").parse().unwrap_or(300);
    let every = *locked(&shared.bookmarks);
    let wants_bookmarks = ["1", "true"].contains(&asked.parameter("allowWatchBookmarks"));
    let watch = Watch {
        shared: Arc::clone(shared),
        grown,
        target,
        fields: asked.parameter("fieldSelector").to_owned(),
        labels: asked.parameter("labelSelector").to_owned(),
        next,
        ends: Instant::now() + Duration::from_secs(seconds),
        bookmarks: wants_bookmarks.then(|| (Instant::now() + every, every)),
        over: false,
    };
    let lines = futures::stream::unfold(watch, |mut watch| async move {
        let line = watch.line().await?;
        Some((Ok::<Bytes, std::io::Error>(Bytes::from(line)), watch))
    });
    stream(Body::from_stream(lines))
}

/// A watch that tells nothing.
pub(crate) fn silent() -> Response<Body> {
    let nothing = futures::stream::pending::<Result<Bytes, std::io::Error>>();
    stream(Body::from_stream(nothing))
}

fn stream(body: Body) -> Response<Body> {
    let builder = Response::builder().header("content-type", "application/json;stream=watch");
    builder.body(body).expect("a response")
}

// === impl Watch ===

impl Watch {
    /// The next line, with its end; `None` when the watch is over.
    async fn line(&mut self) -> Option<String> {
        loop {
            if self.over {
                return None;
            }
            if let Some(line) = self.told() {
                return Some(line + "\n");
            }
            let never = self.ends + Duration::from_hours(1);
            let bookmark = self.bookmarks.map_or(never, |(next, _)| next);
            tokio::select! {
                grown = self.grown.changed() => grown.ok()?,
                () = tokio::time::sleep_until(self.ends) => return None,
                () = tokio::time::sleep_until(bookmark) => {
                    self.bookmarks = self.bookmarks.map(|(next, every)| (next + every, every));
                    return Some(self.bookmark() + "\n");
                }
            }
        }
    }

    fn told(&mut self) -> Option<String> {
        let store = locked(&self.shared.store);
        while let Some(change) = store.history().get(self.next) {
            self.next += 1;
            if change.plural != self.target.key.plural {
                continue;
            }
            match &change.told {
                Told::Line(line) => {
                    self.over = line.contains("\"ERROR\"");
                    return Some(line.clone());
                }
                Told::Event(event, key, changed) => {
                    let wanted = &self.target.key;
                    let is_here = wanted.namespace.is_empty() || wanted.namespace == key.namespace;
                    if key.group == wanted.group
                        && is_here
                        && object::is_selected(changed, &self.fields, &self.labels)
                    {
                        let changed = object::served(changed, key, &self.target.version);
                        return Some(json!({"type": event, "object": changed}).to_string());
                    }
                }
            }
        }
        None
    }

    fn bookmark(&self) -> String {
        let revision = locked(&self.shared.store).revision().to_string();
        let object: Value = json!({
            "apiVersion": object::api_version(&self.target.key, &self.target.version), "kind": "Bookmark",
            "metadata": {"resourceVersion": revision, "creationTimestamp": null},
        });
        json!({"type": "BOOKMARK", "object": object}).to_string()
    }
}
