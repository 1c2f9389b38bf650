//! Reviews: whatever is read has one uid, and every image that it would run is found.

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use vouchsafe::server::fuzzing::{request, uid_of_prefix};
use vouchsafe::workload::{Change, KINDS, Kind, PullScope, images, what_changed};

fuzz_target!(|body: &[u8]| {
    let prefix = uid_of_prefix(body);
    let Some(request) = request(body) else {
        return;
    };
    assert!(!request.uid.is_empty());
    // A denial that is written before the body is read must not answer another review.
    if let Some(uid) = prefix {
        assert_eq!(uid, request.uid);
    }
    let named = Kind::find(&request.group, &request.kind);
    for kind in KINDS {
        let found = images(kind, &request.object);
        if let Ok(found) = &found {
            for used in found {
                assert!(holds(&request.object, &used.image), "{}", used.field);
            }
            if Some(kind) == named {
                let written = strings_under_image_keys(&request.object, kind.pod_spec);
                assert!(
                    written
                        .iter()
                        .all(|image| found.iter().any(|used| used.image == **image))
                );
            }
        }
        let _ = PullScope::of(kind, &request.object, &request.namespace);
        for subresource in ["", "ephemeralcontainers"] {
            let same = what_changed(kind, subresource, &request.object, &request.object);
            assert!(found.is_err() || matches!(same, Ok(Change::Unchanged)));
        }
        if let (Some(old), Ok(now)) = (&request.old_object, &found) {
            let before = images(kind, old).unwrap_or_default();
            let is_new = now.iter().any(|image| !before.contains(image));
            let change = what_changed(kind, &request.subresource, &request.object, old);
            assert!(
                !is_new || matches!(change, Ok(Change::Judge(_))),
                "a new image is not judged"
            );
        }
    }
});

/// Whether a text stands anywhere in an object.
fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::String(found) => found == text,
        Value::Array(items) => items.iter().any(|item| holds(item, text)),
        Value::Object(fields) => fields.values().any(|field| holds(field, text)),
        _ => false,
    }
}

/// The `image` of every container of every list of a Pod spec.
fn strings_under_image_keys<'a>(object: &'a Value, pod_spec: &[&str]) -> Vec<&'a str> {
    let spec = pod_spec
        .iter()
        .try_fold(object, |value, key| value.get(key));
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    let lists = lists.iter().filter_map(|list| spec?.get(list)?.as_array());
    lists
        .flatten()
        .filter_map(|container| container.get("image")?.as_str())
        .filter(|image| !image.is_empty())
        .collect()
}
