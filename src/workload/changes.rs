//! Which requests change what runs: the difference between the old object and the new one decides, not the kind of operation.

use serde_json::Value;

use super::images::{ImageUse, MalformedWorkload, images};
use super::kinds::Kind;
use super::pattern::Pattern;

/// What an UPDATE means for the images of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// These images are to be judged.
    Judge(Vec<ImageUse>),
    /// Nothing that runs is changed: status, labels, annotations, finalizers, a scale-down.
    Unchanged,
}

/// Compares an object with what it was. `subresource` is empty for the object itself.
///
/// `deletionTimestamp` excuses nothing: an image that changes on an object being deleted is judged (CVE-2023-34091). A rise of
/// `replicas` makes new Pods of the old template, so it is judged too.
///
/// # Errors
/// The new object's image fields cannot be read. An unreadable *old* object counts as "everything changed".
pub fn what_changed(
    kind: &Kind,
    subresource: &str,
    new: &Value,
    old: &Value,
) -> Result<Change, MalformedWorkload> {
    let now = images(kind, new)?;
    let Ok(before) = images(kind, old) else {
        return Ok(Change::Judge(now));
    };
    if subresource == "ephemeralcontainers" {
        let added: Vec<ImageUse> = now
            .into_iter()
            .filter(|image| !before.contains(image))
            .collect();
        return Ok(if added.is_empty() {
            Change::Unchanged
        } else {
            Change::Judge(added)
        });
    }
    let unchanged =
        now == before && !replicas_rose(kind, new, old) && !template_changed(kind, new, old);
    Ok(if unchanged {
        Change::Unchanged
    } else {
        Change::Judge(now)
    })
}

/// Each number of replicas that there is now, compared with the one in its place before; 1 where none is written.
fn replicas_rose(kind: &Kind, new: &Value, old: &Value) -> bool {
    let Some(pattern) = &kind.replicas else {
        return false;
    };
    let replicas = |object: &Value| -> Vec<i64> {
        let found = pattern.find(object).unwrap_or_default();
        found
            .iter()
            .map(|(_, value)| value.as_i64().unwrap_or(1))
            .collect()
    };
    let (now, before) = (replicas(new), replicas(old));
    let longest = now.len().max(before.len()).max(1);
    let at = |list: &[i64], index: usize| list.get(index).copied().unwrap_or(1);
    (0..longest).any(|index| at(&now, index) > at(&before, index))
}

/// Whether a Pod template of a workload changed. A Pod is its own template, and only its images can be changed.
fn template_changed(kind: &Kind, new: &Value, old: &Value) -> bool {
    let templates = kind.pod_specs.iter().filter_map(Pattern::template);
    templates.into_iter().any(|template: Pattern| {
        let all = |object| {
            let found = template.find(object).unwrap_or_default();
            found
                .into_iter()
                .map(|(_, value)| value)
                .collect::<Vec<_>>()
        };
        all(new) != all(old)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::kinds::Kinds;
    use super::*;

    fn pod(image: &str) -> Value {
        json!({"metadata": {"labels": {}}, "spec": {"containers": [{"image": image}]}})
    }

    fn deployment(image: &str, replicas: i64) -> Value {
        json!({"spec": {"replicas": replicas, "template": {"spec": {"containers": [{"image": image}]}}}})
    }

    fn change(kind: &str, new: &Value, old: &Value) -> Change {
        let group = if kind == "Pod" { "" } else { "apps" };
        let kinds = Kinds::built_in();
        let kind = kinds.find(group, kind).expect("in the table");
        what_changed(kind, "", new, old).expect("readable")
    }

    #[test]
    fn a_label_edit_changes_nothing_that_runs() {
        let mut edited = pod("a");
        edited["metadata"]["labels"]["x"] = json!("y");
        assert_eq!(change("Pod", &edited, &pod("a")), Change::Unchanged);
    }

    #[test]
    fn a_changed_image_is_judged_even_while_the_object_is_being_deleted() {
        let mut deleted = pod("evil");
        deleted["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert!(matches!(
            change("Pod", &deleted, &pod("a")),
            Change::Judge(_)
        ));
    }

    #[test]
    fn scaling_up_is_judged_and_scaling_down_is_not() {
        assert!(matches!(
            change("Deployment", &deployment("a", 5), &deployment("a", 3)),
            Change::Judge(_)
        ));
        assert_eq!(
            change("Deployment", &deployment("a", 1), &deployment("a", 3)),
            Change::Unchanged
        );
        assert!(matches!(
            change("Deployment", &deployment("b", 1), &deployment("a", 3)),
            Change::Judge(_)
        ));
    }

    #[test]
    fn of_ephemeral_containers_only_the_added_ones_are_judged() {
        let old = json!({"spec": {"containers": [{"image": "a"}], "ephemeralContainers": [{"image": "b"}]}});
        let new = json!({"spec": {"containers": [{"image": "a"}], "ephemeralContainers": [{"image": "b"}, {"image": "c"}]}});
        let kinds = Kinds::built_in();
        let kind = kinds.find("", "Pod").expect("in the table");
        let Change::Judge(images) =
            what_changed(kind, "ephemeralcontainers", &new, &old).expect("readable")
        else {
            panic!("must be judged")
        };
        assert_eq!(
            images.iter().map(|i| i.image.as_str()).collect::<Vec<_>>(),
            ["c"]
        );
    }
}
