//! The table of kinds against the OpenAPI of Kubernetes: every property that could name an image is read, or known to name none.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::{apps::v1 as apps, batch::v1 as batch, core::v1 as core};
use schemars::JsonSchema;
use serde_json::{Value, json};

use super::kinds::Kinds;
use super::unknown_fields::{NO_IMAGES, is_known, looks_like_an_image};
use super::*;

/// A property of an object: the keys that lead to it (`*` for the items of a list and the values of a map), and its schema.
type Properties = BTreeMap<Vec<String>, Value>;

fn schema<T: JsonSchema>() -> Properties {
    let root = serde_json::to_value(schemars::schema_for!(T)).unwrap();
    let mut found = Properties::new();
    walk(&root, &root, &mut Vec::new(), &mut found);
    assert!(found.len() > 100, "only {} properties", found.len());
    found
}

fn walk(root: &Value, schema: &Value, keys: &mut Vec<String>, found: &mut Properties) {
    // Nothing below a workload's spec refers to itself; should that change, this must.
    assert!(keys.len() < 40, "endless: {keys:?}");
    if let Some(name) = schema["$ref"].as_str() {
        let target = root.pointer(name.trim_start_matches('#')).unwrap();
        walk(root, target, keys, found);
    }
    for part in ["allOf", "anyOf", "oneOf"] {
        for schema in schema[part].as_array().into_iter().flatten() {
            walk(root, schema, keys, found);
        }
    }
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        keys.push(key.clone());
        found.insert(keys.clone(), property.clone());
        walk(root, property, keys, found);
        keys.pop();
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            keys.push("*".to_owned());
            if inner == "additionalProperties" {
                found.insert(keys.clone(), json!({"map": true}));
            }
            walk(root, &schema[inner], keys, found);
            keys.pop();
        }
    }
}

/// Every built-in kind with its properties, those of metadata and status left out.
fn kinds() -> Vec<(&'static str, &'static str, Properties)> {
    let all = [
        ("", "Pod", schema::<core::Pod>()),
        ("", "PodTemplate", schema::<core::PodTemplate>()),
        (
            "",
            "ReplicationController",
            schema::<core::ReplicationController>(),
        ),
        ("apps", "DaemonSet", schema::<apps::DaemonSet>()),
        ("apps", "Deployment", schema::<apps::Deployment>()),
        ("apps", "ReplicaSet", schema::<apps::ReplicaSet>()),
        ("apps", "StatefulSet", schema::<apps::StatefulSet>()),
        ("batch", "Job", schema::<batch::Job>()),
        ("batch", "CronJob", schema::<batch::CronJob>()),
    ];
    let of_spec = |(group, kind, properties): (_, _, Properties)| {
        let kept = properties
            .into_iter()
            .filter(|(keys, _)| keys[0] != "metadata" && keys[0] != "status");
        (group, kind, kept.collect())
    };
    all.into_iter().map(of_spec).collect()
}

/// The keys below the Pod spec; `None` for what is not below it.
fn within_pod_spec<'a>(kind: &Kind, keys: &'a [String]) -> Option<Vec<&'a str>> {
    let to_spec = kind.pod_specs[0].described();
    let mut keys = keys.iter().map(String::as_str);
    for step in to_spec.pointer().split('/').skip(1) {
        if keys.next() != Some(step) {
            return None;
        }
    }
    Some(keys.collect())
}

/// Whether somebody who looks for images in this schema would stop here.
fn speaks_of_images(keys: &[String], property: &Value) -> bool {
    let name = keys.last().unwrap().to_lowercase();
    let described = property["description"]
        .as_str()
        .unwrap_or_default()
        .to_lowercase();
    let is_text = property["type"] == "string"
        || property["type"]
            .as_array()
            .is_some_and(|types| types.contains(&json!("string")));
    name.contains("image")
        || (is_text
            && ["image", "oci ", "artifact"]
                .iter()
                .any(|word| described.contains(word)))
}

/// What speaks of images and names none: reviewed, one by one.
const SPEAKS_ONLY: &[&[&str]] = &[
    &["imagePullSecrets"],
    &["initContainers", "*", "imagePullPolicy"],
    &["containers", "*", "imagePullPolicy"],
    &["ephemeralContainers", "*", "imagePullPolicy"],
    &["volumes", "*", "image"],
    &["volumes", "*", "image", "pullPolicy"],
    &["volumes", "*", "rbd", "image"],
];

/// The same, wherever it stands: what its image says by default is what its description speaks of.
const SPEAKS_ONLY_BY_NAME: [&str; 2] = ["workingDir", "runAsUserName"];

/// T-74: a property that a newer Kubernetes brings fails this test until somebody has looked at it.
#[test]
fn every_property_that_could_name_an_image_is_in_the_table_or_known_to_name_none() {
    let table = Kinds::built_in();
    let mut open = BTreeSet::new();
    let mut spoke: BTreeSet<&&[&str]> = BTreeSet::new();
    for (group, name, properties) in kinds() {
        let kind = table.find(group, name).unwrap();
        for (keys, property) in &properties {
            if !speaks_of_images(keys, property) {
                continue;
            }
            let known = within_pod_spec(kind, keys).is_some_and(|keys| {
                spoke.extend(SPEAKS_ONLY.iter().filter(|known| **known == keys));
                SPEAKS_ONLY.contains(&keys.as_slice())
                    || keys
                        .last()
                        .is_some_and(|key| SPEAKS_ONLY_BY_NAME.contains(key))
                    || (is_known(&keys) && property["type"] != "object")
            });
            if !known {
                open.insert(format!("{name}: {}", keys.join(".")));
            }
        }
    }
    assert!(open.is_empty(), "nobody has looked at {open:#?}");
    let idle = SPEAKS_ONLY.iter().filter(|known| !spoke.contains(known));
    assert_eq!(idle.count(), 0, "of what speaks only, these do: {spoke:?}");
}

/// The other way round: a row of the table that Kubernetes does not have reads nothing.
#[test]
fn the_table_names_nothing_that_kubernetes_does_not_have() {
    let table = Kinds::built_in();
    assert_eq!(table.iter().count(), kinds().len());
    for (group, name, properties) in kinds() {
        let kind = table.find(group, name).unwrap();
        let has: BTreeSet<Vec<&str>> = properties
            .keys()
            .filter_map(|keys| within_pod_spec(kind, keys))
            .collect();
        let lists = super::kinds::IMAGE_LISTS.iter();
        for list in lists {
            let keys = [&[list.list, "*"], list.pointer].concat();
            assert!(has.contains(&keys), "{name} has no {keys:?}");
        }
        for keys in NO_IMAGES {
            assert!(has.contains(keys), "{name} has no {keys:?}");
        }
        let replicas = properties.contains_key(&["spec", "replicas"].map(str::to_owned)[..]);
        assert_eq!(kind.replicas.is_some(), replicas, "{name}");
    }
}

/// What the guard for unknown fields passes over hides no image, and maps whose keys users choose are all passed over: a label
/// `image` is none.
#[test]
fn the_guard_for_unknown_fields_passes_over_maps_and_nothing_that_names_an_image() {
    let table = Kinds::built_in();
    let kind = table.find("", "Pod").unwrap();
    for (keys, _) in schema::<core::Pod>() {
        let Some(keys) = within_pod_spec(kind, &keys) else {
            continue;
        };
        let passed_over = NO_IMAGES.iter().any(|part| keys.starts_with(part));
        let is_image = keys.last().is_some_and(|key| looks_like_an_image(key));
        if passed_over && is_image {
            assert_eq!(keys, ["volumes", "*", "rbd", "image"]);
        }
        if is_image {
            assert!(passed_over || is_known(&keys), "{keys:?} is unknown");
        }
    }
    for (keys, property) in schema::<core::Pod>() {
        if property != json!({"map": true}) {
            continue;
        }
        let Some(keys) = within_pod_spec(kind, &keys) else {
            continue;
        };
        let passed_over = NO_IMAGES.iter().any(|part| keys.starts_with(part));
        assert!(passed_over, "{keys:?} has keys of the user's choice");
    }
}
