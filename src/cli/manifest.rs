//! Manifests as `verify -f` takes them: YAML or JSON, several documents, lists, standard input.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::workload::{Kinds, Operation, Request};

/// The most that is read of one manifest, in bytes.
const BYTES: u64 = 64 << 20;

/// What a manifest holds.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    /// Objects that run images, as requests to create them, each with the words that tell it from the others.
    pub(super) objects: Vec<(String, Request)>,
    /// Objects of kinds that are not judged: kind and name.
    pub(super) others: Vec<String>,
}

/// Reads a manifest; `-` is standard input.
pub(super) fn read(path: &Path, kinds: &Kinds) -> anyhow::Result<Manifest> {
    let name = path.display();
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(BYTES + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(BYTES + 1).read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read the manifest {name}"))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > BYTES {
        bail!("the manifest {name} is larger than {BYTES} bytes");
    }
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text)
        .with_context(|| format!("the manifest {name} is not YAML"))?;
    let (mut manifest, mut empty) = (Manifest::default(), true);
    for (index, document) in documents.into_iter().enumerate() {
        empty &= document.is_null();
        take(document, kinds, &mut manifest)
            .with_context(|| format!("document {} of {name}", index + 1))?;
    }
    // What writes into a pipe and fails leaves nothing behind; that must not pass as a manifest without images.
    if empty {
        bail!("the manifest {name} holds no object");
    }
    Ok(manifest)
}

fn take(document: Value, kinds: &Kinds, manifest: &mut Manifest) -> anyhow::Result<()> {
    if document.is_null() {
        return Ok(());
    }
    let text = |key: &str| document.get(key).and_then(Value::as_str).map(str::to_owned);
    let (Some(api_version), Some(kind)) = (text("apiVersion"), text("kind")) else {
        bail!("it has no apiVersion or no kind, so it is not a Kubernetes object");
    };
    if let Some(items) = document
        .get("items")
        .and_then(Value::as_array)
        .filter(|_| kind.ends_with("List"))
    {
        return items
            .iter()
            .try_for_each(|item| take(item.clone(), kinds, manifest));
    }
    // `kubectl` reads nothing else from a List; one that cannot be read may not be passed over.
    if kind == "List" && document.get("items").is_some_and(|items| !items.is_null()) {
        bail!("its items are not a list");
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    if kinds.find(group, &kind).is_none() {
        let name = document.pointer("/metadata/name").and_then(Value::as_str);
        manifest
            .others
            .push(format!("{kind}/{}", name.unwrap_or_default()));
        return Ok(());
    }
    let meta = |key: &str| {
        document
            .pointer(&format!("/metadata/{key}"))
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (name, namespace) = (meta("name"), meta("namespace"));
    let shown = if name.is_empty() {
        format!("{kind}/{}", meta("generateName"))
    } else {
        format!("{kind}/{name}")
    };
    let request = Request {
        uid: String::new(),
        operation: Operation::Create,
        group: group.to_owned(),
        version: version.to_owned(),
        kind,
        subresource: String::new(),
        namespace: if namespace.is_empty() {
            "default".to_owned()
        } else {
            namespace
        },
        name,
        object: document,
        old_object: None,
        // One command is one question: what is absent for one object is absent for the next.
        dry_run: false,
    };
    manifest.objects.push((shown, request));
    Ok(())
}
