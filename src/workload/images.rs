//! Reading every image of an object, by the table of kinds.

use serde_json::Value;

use super::FieldPath;
use super::kinds::{IMAGE_LISTS, ImageList, Kind};

/// One field that names an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageUse {
    /// Where it stands.
    pub field: FieldPath,
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
/// # Errors
/// A list that is no list, an item that is no object, an image that is no string.
pub fn images(kind: &Kind, object: &Value) -> Result<Vec<ImageUse>, MalformedWorkload> {
    let prefix = kind.pod_spec.join(".");
    let Some(spec) = kind
        .pod_spec
        .iter()
        .try_fold(object, |value, key| value.get(key))
    else {
        return Err(MalformedWorkload {
            field: FieldPath::new(prefix),
            expected: "a Pod spec",
        });
    };
    let mut found = Vec::new();
    for list in IMAGE_LISTS {
        read_list(list, spec, &prefix, &mut found)?;
    }
    Ok(found)
}

fn read_list(
    list: &ImageList,
    spec: &Value,
    prefix: &str,
    found: &mut Vec<ImageUse>,
) -> Result<(), MalformedWorkload> {
    let path = format!("{prefix}.{}", list.list);
    let items = match spec.get(list.list) {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Array(items)) => items,
        Some(_) => {
            return Err(MalformedWorkload {
                field: FieldPath::new(path),
                expected: "a list",
            });
        }
    };
    for (index, item) in items.iter().enumerate() {
        // `volumes[0].image` rather than `volumes[0].image.reference`: the path that policy-controller prints.
        let field = FieldPath::new(format!("{path}[{index}].image"));
        match image_of(list, item) {
            Some(Value::String(image)) if image.is_empty() && list.optional => {}
            Some(Value::String(image)) => found.push(ImageUse {
                field,
                image: image.clone(),
            }),
            None | Some(Value::Null) if list.optional => {}
            None | Some(_) => {
                return Err(MalformedWorkload {
                    field,
                    expected: "an image reference",
                });
            }
        }
    }
    Ok(())
}

fn image_of<'a>(list: &ImageList, item: &'a Value) -> Option<&'a Value> {
    list.pointer
        .iter()
        .try_fold(item, |value, key| value.get(key))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn uses(
        group: &str,
        kind: &str,
        object: &Value,
    ) -> Result<Vec<(String, String)>, MalformedWorkload> {
        let kind = Kind::find(group, kind).expect("a kind of the table");
        Ok(images(kind, object)?
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
    }
}
