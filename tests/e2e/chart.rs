//! The chart with the real Helm: it is linted, rendered under each of its `ci/*.yaml`, compared with what the first ring reads, and
//! held to the OpenAPI of Kubernetes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Trial;
use serde_json::{Map, Value, json};

use crate::tools::{self, trial};

/// The version that is rendered for.
const KUBERNETES: &str = "1.36.0";
/// Kinds whose definitions are not Kubernetes' own.
const OF_OTHERS: &str = "Certificate,Issuer,ServiceMonitor";

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial(
            "chart: values that do not exist are refused",
            &["helm"],
            refused,
        ),
        trial(
            "chart: a Kubernetes that is too old is refused",
            &["helm"],
            too_old,
        ),
    ];
    for name in names() {
        let (lint, render, check) = (name.clone(), name.clone(), name.clone());
        trials.push(trial(
            format!("chart: helm lint --strict passes {name}"),
            &["helm"],
            move || {
                helm(&["lint", "--strict", &chart(), "--values", &values(&lint)]).unwrap();
            },
        ));
        trials.push(trial(
            format!("chart: the rendering of {name} is the one that the first ring reads"),
            &["helm"],
            move || compared(&render),
        ));
        trials.push(trial(
            format!("chart: the API server would read every field of {name}"),
            &["helm", "kubeconform", "kubernetes-openapi"],
            move || conforms(&check),
        ));
    }
    trials
}

/// `VOUCHSAFE_RECORD=1` writes it anew.
fn compared(name: &str) {
    let fresh = rendered(name, &["--set", "crds.install=false"]).unwrap();
    let file = root(&format!("tests/data/chart/{name}.yaml"));
    if std::env::var_os("VOUCHSAFE_RECORD").is_some() {
        std::fs::write(file, fresh).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        fresh == kept,
        "{} is out of date: VOUCHSAFE_RECORD=1 cargo test --features e2e --test e2e -- chart",
        file.display()
    );
}

fn refused() {
    for wrong in [
        "replica=2",
        "tls.mode=letsencrypt",
        "webhooks.validating.timeoutSeconds=31",
    ] {
        let said = rendered("default", &["--set", wrong]).unwrap_err();
        assert!(
            said.contains("values don't meet the specifications"),
            "{said}"
        );
    }
    let said = rendered("default", &["--set", "tls.mode=secret"]).unwrap_err();
    assert!(said.contains("tls.secretName is needed"), "{said}");
}

fn too_old() {
    for (version, taken) in [
        ("1.32.9", false),
        ("1.33.0", true),
        ("1.34.1-gke.100", true),
        ("1.40.0", true),
    ] {
        let ended = helm(&["template", "vouchsafe", &chart(), "--kube-version", version]);
        assert_eq!(ended.is_ok(), taken, "{version}");
    }
}

/// Definitions of resources included: this is all that is installed.
fn conforms(name: &str) {
    let folder = tempfile::tempdir().unwrap();
    write_schemas(folder.path());
    let manifests = folder.path().join("manifests.yaml");
    // Empty on purpose, which the schema does not know: it takes away what another release had put there.
    let text = rendered(name, &[]).unwrap();
    let text = text.replace("\n    webhook: null\n", "\n");
    std::fs::write(&manifests, text).unwrap();
    let location = folder
        .path()
        .join("{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json");
    let output = Command::new(tools::path("kubeconform"))
        .args([
            "-strict",
            "-summary",
            "-skip",
            OF_OTHERS,
            "-schema-location",
        ])
        .args([&location, &manifests])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("Invalid: 0, Errors: 0"), "{said}");
}

// === Helm ===

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn chart() -> String {
    root("charts/vouchsafe").display().to_string()
}

fn values(name: &str) -> String {
    let file = root(&format!("charts/vouchsafe/ci/{name}-values.yaml"));
    file.display().to_string()
}

/// The names of `ci/NAME-values.yaml`.
fn names() -> Vec<String> {
    let entries = std::fs::read_dir(root("charts/vouchsafe/ci")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|file| file.replace("-values.yaml", ""))
        .collect();
    names.sort();
    names
}

fn rendered(name: &str, more: &[&str]) -> Result<String, String> {
    let (chart, values) = (chart(), values(name));
    let fixed = [
        "template",
        "vouchsafe",
        &chart,
        "--namespace",
        "cosign-system",
        "--kube-version",
        KUBERNETES,
        "--values",
        &values,
    ];
    helm(&[&fixed[..], more].concat())
}

/// What Helm writes, or what it says is wrong. Nothing of the user's own settings is read.
fn helm(arguments: &[&str]) -> Result<String, String> {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(tools::path("helm"))
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(format!("{}{}", text(output.stdout), text(output.stderr)))
    }
}

// === the OpenAPI of Kubernetes ===

/// A JSON Schema for each kind, in `GROUP/KIND_VERSION.json`: what the API server reads, and no other field.
fn write_schemas(folder: &Path) {
    let text = std::fs::read(tools::path("kubernetes-openapi")).unwrap();
    let mut document: Value = serde_json::from_slice(&text).unwrap();
    let Value::Object(mut definitions) = document["definitions"].take() else {
        panic!("no definitions");
    };
    definitions.values_mut().for_each(close);
    relax(&mut definitions);
    let mut roots: BTreeMap<PathBuf, String> = BTreeMap::new();
    for (name, definition) in &definitions {
        let kinds = definition["x-kubernetes-group-version-kind"].as_array();
        for kind in kinds.into_iter().flatten() {
            let [group, version, kind] =
                ["group", "version", "kind"].map(|key| kind[key].as_str().unwrap().to_lowercase());
            // The core group has no name; kubeconform takes its version for one.
            let group = if group.is_empty() { &version } else { &group };
            roots.insert(
                folder.join(group).join(format!("{kind}_{version}.json")),
                name.clone(),
            );
        }
    }
    let shared = folder.join("definitions.json");
    std::fs::write(&shared, json!({"definitions": definitions}).to_string()).unwrap();
    for (file, name) in roots {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let schema = json!({"$ref": format!("file://{}#/definitions/{name}", shared.display())});
        std::fs::write(file, schema.to_string()).unwrap();
    }
}

/// Refuses fields that are not named.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(close);
            if fields.contains_key("properties") && !fields.contains_key("additionalProperties") {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// Types that the API server reads from more than the document says.
fn relax(definitions: &mut Map<String, Value>) {
    for (name, types) in [
        (
            "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
            json!(["integer", "string"]),
        ),
        (
            "io.k8s.apimachinery.pkg.api.resource.Quantity",
            json!(["number", "string"]),
        ),
    ] {
        definitions.insert(name.to_owned(), json!({"type": types}));
    }
}
