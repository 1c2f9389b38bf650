//! Values, their schema, and what else of the chart can be read without Helm.

use serde_json::{Value, json};

use crate::rendered::{all, rendered, root};
use crate::support::command::vouchsafe;

fn read(path: &str) -> String {
    std::fs::read_to_string(root(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn values(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap()
}

fn schema() -> Value {
    serde_json::from_str(&read("charts/vouchsafe/values.schema.json")).unwrap()
}

/// Made anew by `vouchsafe crds > charts/vouchsafe/files/crds.yaml`.
#[test]
fn the_definitions_in_the_chart_are_those_of_the_program() {
    let printed = vouchsafe(["crds"]).end().stdout;
    assert!(
        printed == read("charts/vouchsafe/files/crds.yaml"),
        "out of date: run `vouchsafe crds > charts/vouchsafe/files/crds.yaml`"
    );
}

#[test]
fn chart_and_program_have_one_version() {
    let chart = values("charts/vouchsafe/Chart.yaml");
    for field in ["version", "appVersion"] {
        assert_eq!(chart[field], env!("CARGO_PKG_VERSION"));
    }
}

/// Whether a schema and all below it refuse what they do not name.
fn is_closed(at: &str, schema: &Value, values: &Value) {
    let Some(values) = values.as_object() else {
        return;
    };
    let Some(properties) = schema["properties"].as_object() else {
        // What Kubernetes itself checks, and maps whose keys are the user's.
        return;
    };
    assert_eq!(schema["additionalProperties"], false, "{at}");
    for (key, value) in values {
        let property = properties
            .get(key)
            .unwrap_or_else(|| panic!("{at}.{key} is not in the schema"));
        is_closed(&format!("{at}.{key}"), property, value);
    }
    for key in properties.keys().filter(|key| *key != "global") {
        let optional = at.starts_with("values.kinds") || at.ends_with("issuerRef");
        assert!(
            optional || values.contains_key(key),
            "{at}.{key} has no default"
        );
    }
}

#[test]
fn the_schema_names_every_value_and_refuses_others() {
    let defaults = values("charts/vouchsafe/values.yaml");
    is_closed("values", &schema(), &defaults);
    let valid = jsonschema::validator_for(&schema()).unwrap();
    assert!(valid.is_valid(&defaults));
    for wrong in [
        r#"{"replica": 2}"#,
        r#"{"tags": "pinned"}"#,
        r#"{"enforcement": "off"}"#,
        r#"{"webhooks": {"validating": {"timeoutSeconds": 31}}}"#,
        r#"{"webhooks": {"objectSelector": {}}}"#,
        r#"{"image": {"repository": "a", "digest": "sha256:abc"}}"#,
        r#"{"kinds": [{"group": "argoproj.io", "kind": "Rollout", "resource": "rollouts"}]}"#,
        r#"{"denialFooter": "two\nlines"}"#,
        r#"{"extraArgs": ["-v"]}"#,
    ] {
        let wrong: Value = serde_json::from_str(wrong).unwrap();
        assert!(!valid.is_valid(&wrong), "{wrong}");
    }
}

/// Each file of values in `ci` has its rendering, and none is left of a file that is gone.
#[test]
fn every_set_of_values_is_rendered() {
    let mut names: Vec<String> = std::fs::read_dir(root("charts/vouchsafe/ci"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|file| file.strip_suffix("-values.yaml").unwrap().to_owned())
        .collect();
    names.sort();
    let rendered: Vec<String> = all().into_iter().map(|rendering| rendering.name).collect();
    assert_eq!(rendered, names);
}

#[test]
fn every_object_says_whose_it_is() {
    for rendering in all() {
        for manifest in rendering.manifests() {
            let labels = &manifest["metadata"]["labels"];
            for (label, value) in [
                ("app.kubernetes.io/name", "vouchsafe"),
                ("app.kubernetes.io/instance", "vouchsafe"),
                ("app.kubernetes.io/managed-by", "Helm"),
                ("app.kubernetes.io/part-of", "vouchsafe"),
            ] {
                assert_eq!(labels[label], value, "{}", manifest["metadata"]["name"]);
            }
        }
    }
}

#[test]
fn what_every_switch_adds_is_there() {
    let everything = rendered("everything");
    for kind in [
        "FlowSchema",
        "PriorityLevelConfiguration",
        "ServiceMonitor",
        "PriorityClass",
        "NetworkPolicy",
    ] {
        assert_eq!(everything.one(kind)["kind"], kind);
    }
    let default = rendered("default");
    for kind in [
        "FlowSchema",
        "PriorityLevelConfiguration",
        "ServiceMonitor",
        "ConfigMap",
    ] {
        assert!(default.of_kind(kind).is_empty(), "{kind}");
    }
    let managed: Vec<usize> = ["Issuer", "Certificate"]
        .map(|kind| rendered("cert-manager").of_kind(kind).len())
        .to_vec();
    assert_eq!(managed, [2, 2]);
}

/// T-81: `networkPolicy.webhookFrom`. Without it nobody is kept out, since where the API server comes from is not known.
#[test]
fn t81_the_port_of_the_webhook_is_open_to_those_who_are_named_or_to_everybody() {
    for (name, from) in [
        (
            "everything",
            json!([{"ipBlock": {"cidr": "10.0.0.10/32"}}, {"ipBlock": {"cidr": "10.0.0.11/32"}}]),
        ),
        ("default", Value::Null),
    ] {
        let rendering = rendered(name);
        let rule = &rendering.one("NetworkPolicy")["spec"]["ingress"][0];
        assert_eq!(rule["ports"][0]["port"], "webhook");
        assert_eq!(rule["from"], from, "{name}");
    }
}
