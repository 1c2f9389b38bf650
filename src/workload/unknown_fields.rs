//! Fields of a Pod spec that look as if they held an image, and that the table of kinds does not know: those of a newer Kubernetes.
//!
//! They are read as images. Where that is wrong a Pod is denied and the answer names the field; the other way round an image would
//! run that nobody judged (T-74). What is known to hold no image, and what holds keys of the user's choice, is left out by name, and
//! a test holds those names to the OpenAPI of Kubernetes.

use serde_json::Value;

use super::images::{ImageUse, image_use};
use super::kinds::IMAGE_LISTS;
use super::pattern::Place;

/// Parts of a Pod spec in which no key is the name of an image field: maps whose keys users choose, and the image of an RBD volume,
/// which is a block device in Ceph.
pub(super) const NO_IMAGES: [&[&str]; 13] = [
    &["affinity"],
    &["nodeSelector"],
    &["overhead"],
    &["resources"],
    &["topologySpreadConstraints"],
    &["initContainers", "*", "resources"],
    &["containers", "*", "resources"],
    &["ephemeralContainers", "*", "resources"],
    &["volumes", "*", "csi", "volumeAttributes"],
    &["volumes", "*", "ephemeral", "volumeClaimTemplate"],
    &["volumes", "*", "flexVolume", "options"],
    &["volumes", "*", "projected", "sources"],
    &["volumes", "*", "rbd", "image"],
];

/// One step on the way into a Pod spec.
#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Item(usize, &'a Value),
}

/// Adds the images in fields that the table of kinds does not know.
pub(super) fn read(spec: &Value, place: &Place, found: &mut Vec<ImageUse>) {
    walk(spec, place, &mut Vec::new(), found);
}

/// Names of places are made for what is found alone: an object may be large, and hold nothing.
fn walk<'a>(value: &'a Value, spec: &Place, way: &mut Vec<Step<'a>>, found: &mut Vec<ImageUse>) {
    if NO_IMAGES.iter().any(|part| leads_to(way, part)) {
        return;
    }
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                way.push(Step::Key(key));
                if looks_like_an_image(key) {
                    take(value, spec, way, found);
                }
                walk(value, spec, way, found);
                way.pop();
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                way.push(Step::Item(index, item));
                walk(item, spec, way, found);
                way.pop();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A reference, or an object around one, as image volumes have it.
fn take(value: &Value, spec: &Place, way: &[Step<'_>], found: &mut Vec<ImageUse>) {
    let keys: Vec<&str> = way.iter().map(|step| step.name()).collect();
    if is_known(&keys) {
        return;
    }
    let place = way.iter().fold(spec.clone(), |place, step| match step {
        Step::Key(key) => place.key(key),
        Step::Item(index, item) => place.item(*index, item),
    });
    let (place, reference) = match value.get("reference") {
        Some(reference) => (place.key("reference"), reference),
        None => (place, value),
    };
    if let Value::String(image) = reference
        && !image.is_empty()
    {
        found.push(image_use(&place, image));
    }
}

/// Whether these are the keys of the way, `*` for the items of a list.
fn leads_to(way: &[Step<'_>], keys: &[&str]) -> bool {
    way.len() == keys.len() && way.iter().zip(keys).all(|(step, key)| step.name() == *key)
}

/// `image`, `baseImage`, `imageReference`; not `imagePullPolicy`.
pub(super) fn looks_like_an_image(key: &str) -> bool {
    matches!(key, "image" | "imageRef" | "imageReference") || key.ends_with("Image")
}

/// Whether the table reads what stands at these keys, or below them.
pub(super) fn is_known(keys: &[&str]) -> bool {
    let of_list = |list: &super::kinds::ImageList| match keys {
        [name, "*", pointer @ ..] => {
            *name == list.list && !pointer.is_empty() && list.pointer.starts_with(pointer)
        }
        _ => false,
    };
    keys == ["volumes", "*", "rbd", "image"] || IMAGE_LISTS.iter().any(of_list)
}

// === impl Step ===

impl<'a> Step<'a> {
    fn name(self) -> &'a str {
        match self {
            Self::Key(key) => key,
            Self::Item(..) => "*",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn unknown(spec: &Value) -> Vec<(String, String)> {
        let mut found = Vec::new();
        read(spec, &Place::default().key("spec"), &mut found);
        found
            .into_iter()
            .map(|found| (found.field.to_string(), found.image))
            .collect()
    }

    /// T-74.
    #[test]
    fn a_field_of_a_newer_kubernetes_that_looks_like_an_image_is_one() {
        let spec = json!({
            "sidecars": [{"name": "a", "image": "b"}],
            "sandboxImage": "c",
            "containers": [{"image": "known", "rootfs": {"image": {"reference": "d"}}}],
            "volumes": [{"image": {"reference": "known"}}, {"oci": {"imageReference": "e"}}],
        });
        let expected = [
            ("spec.containers[0].rootfs.image.reference", "d"),
            ("spec.sandboxImage", "c"),
            ("spec.sidecars[0].image", "b"),
            ("spec.volumes[1].oci.imageReference", "e"),
        ];
        assert_eq!(
            unknown(&spec),
            expected.map(|(field, image)| (field.to_owned(), image.to_owned()))
        );
    }

    #[test]
    fn what_is_known_to_be_no_image_is_none() {
        let spec = json!({
            "nodeSelector": {"image": "a"},
            "affinity": {"podAffinity": {"x": [{"labelSelector": {"matchLabels": {"image": "a"}}}]}},
            "containers": [{"image": "known", "imagePullPolicy": "Always", "resources": {"limits": {"image": "1"}}}],
            "imagePullSecrets": [{"name": "a"}],
            "volumes": [{"rbd": {"image": "disk", "pool": "rbd"}}, {"csi": {"driver": "a", "volumeAttributes": {"image": "a"}}}],
        });
        assert_eq!(unknown(&spec), []);
    }
}
