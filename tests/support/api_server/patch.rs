//! Patches: JSON Patch, merge patch, and a close relative of strategic merge.

use serde_json::Value;

/// The object with the patch applied; or in words why it cannot be.
pub(crate) fn patched(
    object: &Value,
    patch: &Value,
    content_type: &str,
) -> Result<Value, (u16, String)> {
    let mut changed = object.clone();
    match content_type {
        "application/json-patch+json" => {
            let patch: json_patch::Patch =
                serde_json::from_value(patch.clone()).map_err(|error| (400, error.to_string()))?;
            json_patch::patch(&mut changed, &patch).map_err(|error| (422, error.to_string()))?;
        }
        "application/merge-patch+json" => json_patch::merge(&mut changed, patch),
        "application/strategic-merge-patch+json" => merge(&mut changed, patch),
        other => return Err((415, format!("unknown kind of patch {other:?}"))),
    }
    Ok(changed)
}

/// As a merge patch does, and lists of things with a name or a type are merged by it.
fn merge(object: &mut Value, patch: &Value) {
    match (object, patch) {
        (Value::Object(object), Value::Object(patch)) => {
            for (name, value) in patch {
                if value.is_null() {
                    object.remove(name);
                } else {
                    merge(object.entry(name.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (Value::Array(list), Value::Array(patch)) if key_of(list, patch).is_some() => {
            let key = key_of(list, patch).unwrap_or_default();
            for wanted in patch {
                match list.iter_mut().find(|found| found[key] == wanted[key]) {
                    Some(found) => merge(found, wanted),
                    None => list.push(wanted.clone()),
                }
            }
        }
        (object, patch) => *object = patch.clone(),
    }
}

fn key_of(list: &[Value], patch: &[Value]) -> Option<&'static str> {
    let both = || list.iter().chain(patch);
    ["name", "type"]
        .into_iter()
        .find(|key| both().next().is_some() && both().all(|item| item[*key].is_string()))
}
