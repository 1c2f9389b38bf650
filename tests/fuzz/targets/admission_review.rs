//! Reviews: whatever is read has one uid, and every image that it would run is found.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use vouchsafe::server::fuzzing::{request, uid_of_prefix};
use vouchsafe::workload::{Change, Kinds, PullScope, Sticky, images, what_changed};

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
    let object = &request.object;
    for kind in Kinds::built_in().iter() {
        let _ = PullScope::of(kind, object, &request.namespace);
        let sticky = Sticky::of(kind, request.old_object.as_ref());
        let Ok(found) = images(kind, object) else {
            continue;
        };
        for used in &found {
            let there = object.pointer(&used.pointer).and_then(Value::as_str);
            assert_eq!(there, Some(used.image.as_str()), "{}", used.field);
            if let (Some(before), Some(old)) = (sticky.before(used), &request.old_object) {
                assert!(holds(old, before), "{before}");
            }
        }
        if kind.group == request.group && kind.kind == request.kind {
            for image in written(object, &kind.kind) {
                assert!(found.iter().any(|used| used.image == image), "{image}");
            }
        }
        for subresource in ["", "ephemeralcontainers"] {
            let same = what_changed(kind, subresource, object, object);
            assert!(matches!(same, Ok(Change::Unchanged)), "{same:?}");
        }
        if let Some(old) = &request.old_object {
            let is_new = found.iter().any(|used| !holds(old, &used.image));
            let change = what_changed(kind, &request.subresource, object, old);
            assert!(
                !is_new || matches!(change, Ok(Change::Judge(_))),
                "{change:?}"
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

/// The `image` of every container in every list of a Pod spec, found in another way.
fn written<'a>(object: &'a Value, kind: &str) -> Vec<&'a str> {
    let pod_spec = match kind {
        "Pod" => "/spec",
        "PodTemplate" => "/template/spec",
        "CronJob" => "/spec/jobTemplate/spec/template/spec",
        _ => "/spec/template/spec",
    };
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    let lists = lists
        .iter()
        .filter_map(|list| object.pointer(pod_spec)?.get(list)?.as_array());
    lists
        .flatten()
        .filter_map(|container| container.get("image")?.as_str())
        .filter(|image| !image.is_empty())
        .collect()
}
