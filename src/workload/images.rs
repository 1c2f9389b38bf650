//! Reading every image of an object, by the table of kinds.

use serde_json::Value;

use super::FieldPath;
use super::kinds::{IMAGE_LISTS, ImageList, Kind};
use super::pattern::{OtherType, Place};
use super::unknown_fields;

/// One field that names an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageUse {
    /// Where it stands, for people.
    pub field: FieldPath,
    /// Where it stands, as a JSON pointer.
    pub pointer: String,
    /// What makes it the same container, or volume, before and after an update: see [`super::Sticky`].
    pub(super) identity: String,
    /// What is written there, not yet parsed.
    pub image: String,
}

/// An object whose image fields cannot be read. The API server would not send one; it is denied, never skipped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {expected}")]
pub struct MalformedWorkload {
    /// The field.
    pub field: FieldPath,
    /// What should stand there.
    pub expected: &'static str,
}

/// Every image that `object` would run, in the order of its fields.
///
/// Of a kind that an operator configured, a Pod spec may be missing, and a container may leave its image to its controller: the Pod
/// that comes of it is judged.
///
/// # Errors
/// A list that is no list, an item that is no object, an image that is no string.
pub fn images(kind: &Kind, object: &Value) -> Result<Vec<ImageUse>, MalformedWorkload> {
    let mut found = Vec::new();
    for pattern in &kind.pod_specs {
        let specs = pattern.find(object)?;
        if specs.is_empty() && kind.built_in {
            return Err(malformed(&pattern.described(), "a Pod spec"));
        }
        for (place, spec) in specs {
            if !spec.is_object() {
                return Err(malformed(&place, "a Pod spec"));
            }
            for list in IMAGE_LISTS {
                read_list(kind, list, spec, &place, &mut found)?;
            }
            unknown_fields::read(spec, &place, &mut found);
        }
    }
    for pattern in &kind.images {
        for (place, value) in pattern.find(object)? {
            match value {
                Value::String(image) if image.is_empty() => {}
                Value::String(image) => found.push(image_use(&place, image)),
                _ => return Err(malformed(&place, "an image reference")),
            }
        }
    }
    Ok(found)
}

fn read_list(
    kind: &Kind,
    list: &ImageList,
    spec: &Value,
    spec_place: &Place,
    found: &mut Vec<ImageUse>,
) -> Result<(), MalformedWorkload> {
    let items = match spec.get(list.list) {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(malformed(&spec_place.key(list.list), "a list")),
    };
    let optional = list.optional || !kind.built_in;
    for (index, item) in items.iter().enumerate() {
        // Made for what is found alone: a list may be long, and hold nothing.
        let place = || {
            let item = spec_place.key(list.list).item(index, item);
            let place = list
                .pointer
                .iter()
                .fold(item.clone(), |place, key| place.key(key));
            // `volumes[0].image` rather than `volumes[0].image.reference`: the path that policy-controller prints.
            place.shown_as(&item.key("image"))
        };
        match image_of(list, item) {
            Some(Value::String(image)) if image.is_empty() && optional => {}
            Some(Value::String(image)) => found.push(image_use(&place(), image)),
            None | Some(Value::Null) if optional => {}
            None | Some(_) => return Err(malformed(&place(), "an image reference")),
        }
    }
    Ok(())
}

fn image_of<'a>(list: &ImageList, item: &'a Value) -> Option<&'a Value> {
    list.pointer
        .iter()
        .try_fold(item, |value, key| value.get(key))
}

pub(super) fn image_use(place: &Place, image: &str) -> ImageUse {
    ImageUse {
        field: place.field(),
        pointer: place.pointer().to_owned(),
        identity: place.identity().to_owned(),
        image: image.to_owned(),
    }
}

fn malformed(place: &Place, expected: &'static str) -> MalformedWorkload {
    MalformedWorkload {
        field: place.field(),
        expected,
    }
}

impl From<OtherType> for MalformedWorkload {
    fn from(other: OtherType) -> Self {
        malformed(&other.place, other.expected)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::kinds::Kinds;
    use super::*;

    fn uses(
        group: &str,
        kind: &str,
        object: &Value,
    ) -> Result<Vec<(String, String)>, MalformedWorkload> {
        let kinds = Kinds::built_in();
        let kind = kinds.find(group, kind).expect("a kind of the table");
        let found = images(kind, object)?;
        for found in &found {
            assert_eq!(object.pointer(&found.pointer), Some(&json!(found.image)));
        }
        Ok(found
            .into_iter()
            .map(|u| (u.field.to_string(), u.image))
            .collect())
    }

    #[test]
    fn reads_init_regular_and_ephemeral_containers_and_image_volumes() {
        let pod = json!({"spec": {
            "containers": [{"image": "a"}, {"image": "b"}],
            "initContainers": [{"image": "i", "restartPolicy": "Always"}],
            "ephemeralContainers": [{"image": "e"}],
            "volumes": [{"emptyDir": {}}, {"image": {"reference": "v"}}, {"image": {"reference": ""}}, {"image": {}}],
        }});
        let expected = [
            ("spec.initContainers[0].image", "i"),
            ("spec.containers[0].image", "a"),
            ("spec.containers[1].image", "b"),
            ("spec.ephemeralContainers[0].image", "e"),
            ("spec.volumes[1].image", "v"),
        ];
        assert_eq!(
            uses("", "Pod", &pod).unwrap(),
            expected.map(|(f, i)| (f.to_owned(), i.to_owned()))
        );
    }

    #[test]
    fn reads_the_template_of_a_cron_job() {
        let object = json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [{"image": "a"}]}}}}}});
        assert_eq!(
            uses("batch", "CronJob", &object).unwrap(),
            [(
                "spec.jobTemplate.spec.template.spec.containers[0].image".to_owned(),
                "a".to_owned()
            )]
        );
    }

    #[test]
    fn a_container_without_a_readable_image_is_an_error_and_not_skipped() {
        for container in [
            json!({}),
            json!({"image": null}),
            json!({"image": 7}),
            json!("x"),
        ] {
            assert!(uses("", "Pod", &json!({"spec": {"containers": [container]}})).is_err());
        }
        assert!(uses("", "Pod", &json!({"spec": {"containers": {}}})).is_err());
        assert!(uses("", "Pod", &json!({})).is_err());
        assert!(uses("", "Pod", &json!({"spec": "x"})).is_err());
    }
}
