//! What Helm made of the chart, under each of its `ci/*.yaml`.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The manifests of one rendering.
pub(crate) struct Rendered {
    /// The name of its values, such as `opt-out`.
    pub(crate) name: String,
    manifests: Vec<Value>,
}

/// A path below the root of the repository.
pub(crate) fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Every rendering, in the order of names.
pub(crate) fn all() -> Vec<Rendered> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(root("tests/data/chart"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let read: Vec<Rendered> = files.iter().map(|file| Rendered::read(file)).collect();
    assert!(!read.is_empty());
    read
}

/// The rendering of `charts/vouchsafe/ci/NAME-values.yaml`.
pub(crate) fn rendered(name: &str) -> Rendered {
    Rendered::read(&root("tests/data/chart").join(format!("{name}.yaml")))
}

// === impl Rendered ===

impl Rendered {
    fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap();
        let manifests: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        Self {
            name: file.file_stem().unwrap().to_str().unwrap().to_owned(),
            manifests: manifests
                .into_iter()
                .filter(|manifest| !manifest.is_null())
                .collect(),
        }
    }

    /// Every manifest.
    pub(crate) fn manifests(&self) -> impl Iterator<Item = &Value> {
        self.manifests.iter()
    }

    /// Every manifest of this kind.
    pub(crate) fn of_kind(&self, kind: &str) -> Vec<&Value> {
        self.manifests()
            .filter(|manifest| manifest["kind"] == kind)
            .collect()
    }

    /// The one manifest of this kind.
    pub(crate) fn one(&self, kind: &str) -> &Value {
        let found = self.of_kind(kind);
        assert_eq!(found.len(), 1, "{kind} in {}", self.name);
        found[0]
    }

    /// The webhook in the configuration of this kind and name.
    pub(crate) fn webhook(&self, kind: &str, name: &str) -> &Value {
        let named = |manifest: &&&Value| manifest["metadata"]["name"] == name;
        let found = self.of_kind(kind);
        let configuration = found
            .iter()
            .find(named)
            .unwrap_or_else(|| panic!("no {kind} {name} in {}", self.name));
        let webhooks = configuration["webhooks"].as_array().unwrap();
        assert_eq!(webhooks.len(), 1);
        &webhooks[0]
    }

    /// The webhook that judges images.
    pub(crate) fn validating(&self) -> &Value {
        self.webhook("ValidatingWebhookConfiguration", &self.full_name())
    }

    /// The name of everything in it.
    pub(crate) fn full_name(&self) -> String {
        let name = self.one("Deployment")["metadata"]["name"].as_str();
        name.unwrap().to_owned()
    }

    /// The container of our Pods.
    pub(crate) fn container(&self) -> &Value {
        let containers = &self.one("Deployment")["spec"]["template"]["spec"]["containers"];
        assert_eq!(containers.as_array().unwrap().len(), 1);
        &containers[0]
    }

    /// Its flags.
    pub(crate) fn args(&self) -> Vec<&str> {
        let args = self.container()["args"].as_array().unwrap().iter();
        args.map(|arg| arg.as_str().unwrap()).collect()
    }
}

/// The strings of a list.
pub(crate) fn strings(list: &Value) -> Vec<&str> {
    let items = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    items.iter().map(|item| item.as_str().unwrap()).collect()
}
