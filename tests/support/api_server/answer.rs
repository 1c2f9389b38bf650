//! What is answered: reading and writing of objects, as far as clients of ours go.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};

use super::fault::{Asked, Fault};
use super::path::{self, Key, Target};
use super::{Shared, locked, object, patch, watch};

/// Why a connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("dropped, as the test asked")]
pub(crate) struct Dropped;

type Answered = Result<(u16, Value), (u16, String)>;

pub(crate) async fn answer(
    shared: &Arc<Shared>,
    request: Request<Body>,
) -> Result<Response<Body>, Dropped> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 4 << 20).await;
    let content_type = parts.headers.get("content-type");
    let asked = Asked {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: path::query(parts.uri.query()),
        content_type: content_type
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned(),
        body: String::from_utf8_lossy(&body.unwrap_or_default()).into_owned(),
    };
    let fault = shared.arrived(asked.clone());
    match fault {
        Some(Fault::Status(code)) => {
            let told = object::status(code, "refused, as the test asked");
            return Ok(json_response(code, &told));
        }
        Some(Fault::Drop) => return Err(Dropped),
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Silence) => return Ok(watch::silent()),
        Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
        Some(Fault::Cut(_)) | None => {}
    }
    let Some(target) = path::parse(&asked.path) else {
        let told = object::status(404, "the server could not find the requested resource");
        return Ok(json_response(404, &told));
    };
    if target.key.name.is_empty() && asked.watches(&target.key.plural) {
        return Ok(watch::response(shared, target, &asked));
    }
    let (code, told) = match answered(shared, &target, &asked) {
        Ok((code, told)) => (code, told),
        Err((code, message)) => (code, object::status(code, &message)),
    };
    shared.tell();
    Ok(match fault {
        Some(Fault::Cut(bytes)) => cut(&told, bytes),
        _ => json_response(code, &told),
    })
}

fn json_response(code: u16, told: &Value) -> Response<Body> {
    let builder = Response::builder()
        .status(code)
        .header("content-type", "application/json");
    builder
        .body(Body::from(told.to_string()))
        .expect("a response")
}

/// An answer that breaks off.
fn cut(told: &Value, bytes: usize) -> Response<Body> {
    let whole = told.to_string();
    let part = Bytes::copy_from_slice(&whole.as_bytes()[..bytes.min(whole.len())]);
    let broken = std::io::Error::other("cut, as the test asked");
    let pieces = futures::stream::iter([Ok(part), Err(broken)]);
    let builder = Response::builder()
        .header("content-type", "application/json")
        .header("content-length", whole.len());
    builder.body(Body::from_stream(pieces)).expect("a response")
}

fn answered(shared: &Shared, target: &Target, asked: &Asked) -> Answered {
    let one = !target.key.name.is_empty();
    match (asked.method.as_str(), one) {
        ("GET", true) => get(shared, target),
        ("GET", false) => list(shared, target, asked),
        ("POST", false) => create(shared, target, asked),
        ("PUT", true) => update(shared, target, asked),
        ("PATCH", true) => patch(shared, target, asked),
        ("DELETE", true) => delete(shared, &target.key),
        (method, _) => Err((405, format!("{method} is not answered here"))),
    }
}

fn get(shared: &Shared, target: &Target) -> Answered {
    let store = locked(&shared.store);
    let found = store
        .get(&target.key)
        .ok_or_else(|| not_found(&target.key))?;
    Ok((200, object::served(found, &target.key, &target.version)))
}

/// A page of the objects that are asked for. The mark where the next page begins names the version of the first one.
fn list(shared: &Shared, target: &Target, asked: &Asked) -> Answered {
    let store = locked(&shared.store);
    let (fields, labels) = (
        asked.parameter("fieldSelector"),
        asked.parameter("labelSelector"),
    );
    let selected = store
        .list(&target.key)
        .filter(|(_, found)| object::is_selected(found, fields, labels));
    let (revision, skip) = match asked.parameter("continue").split_once(':') {
        Some((revision, skip)) => {
            let revision: u64 = revision.parse().unwrap_or(0);
            if !store.remembers(revision) {
                return Err((410, "the provided continue parameter is too old".to_owned()));
            }
            (revision, skip.parse().unwrap_or(0))
        }
        None => (store.revision(), 0),
    };
    let limit = asked.parameter("limit").parse().unwrap_or(usize::MAX);
    let mut items: Vec<Value> = selected
        .skip(skip)
        .take(limit.saturating_add(1))
        .map(|(key, found)| object::served(found, key, &target.version))
        .collect();
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    if items.len() > limit {
        items.pop();
        metadata["continue"] = json!(format!("{revision}:{}", skip + limit));
    }
    let kind = items.first().and_then(|item| item["kind"].as_str());
    let kind = format!("{}List", kind.unwrap_or("Object"));
    // Of its own kinds the server does not say in each item what it is.
    if target.key.group != "policy.sigstore.dev" {
        for item in items.iter_mut().filter_map(Value::as_object_mut) {
            item.remove("kind");
            item.remove("apiVersion");
        }
    }
    let api_version = object::api_version(&target.key, &target.version);
    let told =
        json!({"kind": kind, "apiVersion": api_version, "metadata": metadata, "items": items});
    Ok((200, told))
}

fn create(shared: &Shared, target: &Target, asked: &Asked) -> Answered {
    let created = body(asked)?;
    let mut store = locked(&shared.store);
    let mut key = target.key.clone();
    let text = |name: &str| created["metadata"][name].as_str().unwrap_or_default();
    key.name = match text("name") {
        "" if text("generateName").is_empty() => {
            return Err((422, "metadata.name: Required value".to_owned()));
        }
        "" => format!("{}{:05}", text("generateName"), store.revision()),
        name => name.to_owned(),
    };
    if store.get(&key).is_some() {
        let mut told = object::status(
            409,
            &format!("{} {:?} already exists", key.plural, key.name),
        );
        told["reason"] = json!("AlreadyExists");
        return Ok((409, told));
    }
    Ok((201, store.write(key, created)))
}

fn update(shared: &Shared, target: &Target, asked: &Asked) -> Answered {
    write(shared, target, body(asked)?)
}

fn patch(shared: &Shared, target: &Target, asked: &Asked) -> Answered {
    let wanted = body(asked)?;
    let found = locked(&shared.store).get(&target.key).cloned();
    let applies = asked.content_type == "application/apply-patch+yaml";
    if applies && asked.parameter("fieldManager").is_empty() {
        return Err((400, "fieldManager is required for apply patch".to_owned()));
    }
    let Some(found) = found else {
        if applies && target.subresource.is_empty() {
            return Ok((201, locked(&shared.store).write(target.key.clone(), wanted)));
        }
        return Err(not_found(&target.key));
    };
    let manager = asked.parameter("fieldManager");
    if applies {
        let force = asked.parameter("force") == "true";
        let changed = {
            let mut owners = locked(&shared.owners);
            owners.applied(&target.key, &found, &wanted, manager, force)?
        };
        return write(shared, target, changed);
    }
    // A version in the patch is a condition.
    let changed = patch::patched(&found, &wanted, &asked.content_type)?;
    let written = write(shared, target, changed)?;
    locked(&shared.owners).wrote(&target.key, &found, &written.1, manager);
    Ok(written)
}

/// Replaces an object, or its status alone, if its version is still the one that was read.
fn write(shared: &Shared, target: &Target, mut wanted: Value) -> Answered {
    let mut store = locked(&shared.store);
    let found = store.get(&target.key).cloned();
    let found = found.ok_or_else(|| not_found(&target.key))?;
    let version = wanted["metadata"]["resourceVersion"].clone();
    if version.is_string() && version != found["metadata"]["resourceVersion"] {
        let message = format!(
            "Operation cannot be fulfilled on {} {:?}: the object has been modified",
            target.key.plural, target.key.name
        );
        return Err((409, message));
    }
    if target.subresource == "status" {
        let status = wanted["status"].clone();
        wanted = found;
        wanted["status"] = status;
    } else if target.key.group == "policy.sigstore.dev" {
        // Its status is a resource of its own.
        match found.get("status") {
            Some(status) => wanted["status"] = status.clone(),
            None => drop(wanted.as_object_mut().map(|wanted| wanted.remove("status"))),
        }
    }
    let written = store.write(target.key.clone(), wanted);
    Ok((200, object::served(&written, &target.key, &target.version)))
}

fn delete(shared: &Shared, key: &Key) -> Answered {
    let mut store = locked(&shared.store);
    let mut found = store.get(key).cloned().ok_or_else(|| not_found(key))?;
    let finalizers = found["metadata"]["finalizers"].as_array();
    if finalizers.is_some_and(|finalizers| !finalizers.is_empty()) {
        if found["metadata"]["deletionTimestamp"].is_null() {
            found["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:01Z");
            found = store.write(key.clone(), found);
        }
        return Ok((200, found));
    }
    store.remove(key);
    locked(&shared.owners).forget(key);
    let mut told = object::status(200, "");
    told["status"] = json!("Success");
    Ok((200, told))
}

fn body(asked: &Asked) -> Result<Value, (u16, String)> {
    serde_json::from_str(&asked.body).map_err(|error| (400, error.to_string()))
}

fn not_found(key: &Key) -> (u16, String) {
    (404, format!("{} {:?} not found", key.plural, key.name))
}
