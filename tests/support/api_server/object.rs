//! What a server makes of an object: versions, generations, finalizers, `Status` answers, selectors.

use serde_json::{Value, json};

use super::path::Key;

/// The metadata that is the server's: kept from `before`, or made.
pub(crate) fn keep_metadata(object: &mut Value, before: Option<&Value>, key: &Key, revision: u64) {
    let metadata = &mut object["metadata"];
    if !metadata.is_object() {
        *metadata = json!({});
    }
    metadata["name"] = json!(key.name);
    if !key.namespace.is_empty() {
        metadata["namespace"] = json!(key.namespace);
    }
    let Some(before) = before else {
        metadata["uid"] = json!(format!("00000000-0000-4000-8000-{revision:012}"));
        metadata["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        metadata["generation"] = json!(1);
        metadata["resourceVersion"] = json!(revision.to_string());
        return;
    };
    for name in ["uid", "creationTimestamp", "generation", "resourceVersion"] {
        object["metadata"][name] = before["metadata"][name].clone();
    }
    if let Some(going) = before["metadata"].get("deletionTimestamp") {
        object["metadata"]["deletionTimestamp"] = going.clone();
    }
    if ["spec", "webhooks"]
        .iter()
        .any(|part| before[*part] != object[*part])
    {
        let generation = before["metadata"]["generation"].as_u64().unwrap_or(1);
        object["metadata"]["generation"] = json!(generation + 1);
    }
}

/// Whether nothing but the version differs.
pub(crate) fn same(one: &Value, other: &Value) -> bool {
    let plain = |object: &Value| {
        let mut object = object.clone();
        object["metadata"]["resourceVersion"] = Value::Null;
        object
    };
    plain(one) == plain(other)
}

/// Whether it is deleted, and nobody holds it any more.
pub(crate) fn wants_to_go(object: &Value) -> bool {
    let metadata = &object["metadata"];
    let held = metadata["finalizers"]
        .as_array()
        .is_some_and(|finalizers| !finalizers.is_empty());
    metadata["deletionTimestamp"].is_string() && !held
}

/// What is stored as it is served in a version.
pub(crate) fn served(object: &Value, key: &Key, version: &str) -> Value {
    let mut object = object.clone();
    if object.get("apiVersion").is_some() {
        object["apiVersion"] = json!(api_version(key, version));
    }
    object
}

pub(crate) fn api_version(key: &Key, version: &str) -> String {
    match key.group.as_str() {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    }
}

/// A failure as the server tells it.
pub(crate) fn status(code: u16, message: &str) -> Value {
    let reason = match code {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        422 => "Invalid",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "",
    };
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    })
}

/// Whether an object is one that a field selector and a label selector ask for (`a=b`, `a!=b`, joined by commas).
pub(crate) fn is_selected(object: &Value, fields: &str, labels: &str) -> bool {
    let field = |name: &str| {
        let pointer = format!("/{}", name.replace('.', "/"));
        object.pointer(&pointer).and_then(Value::as_str)
    };
    let label = |name: &str| object["metadata"]["labels"][name].as_str();
    holds(fields, field) && holds(labels, label)
}

fn holds<'a>(selector: &str, value: impl Fn(&str) -> Option<&'a str>) -> bool {
    let mut terms = selector.split(',').filter(|term| !term.is_empty());
    terms.all(|term| match term.split_once("!=") {
        Some((name, unwanted)) => value(name) != Some(unwanted),
        None => match term.split_once('=') {
            Some((name, wanted)) => {
                value(name).unwrap_or_default() == wanted.trim_start_matches('=')
            }
            None => value(term).is_some(),
        },
    })
}
