//! From trees to typed documents: what kind each one is, and that no two are the same.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};

use super::error::{Cause, Problem};
use super::tree::{Position, Tree};
use super::{Documents, Origin, Sourced};
use crate::api::{self, DecodeError};

/// The longest name of an object, in bytes, as in Kubernetes.
const MAX_NAME_BYTES: usize = 253;

/// Collects documents, and what is wrong with them.
#[derive(Default)]
pub(super) struct Sorter {
    documents: Documents,
    problems: Vec<Problem>,
    /// Where each kind and name was first seen.
    names: HashMap<(&'static str, String), Origin>,
}

// === impl Sorter ===

impl Sorter {
    /// Takes the documents of one file.
    pub(super) fn file(&mut self, file: &Path, trees: Vec<Tree>) {
        for (index, tree) in trees.into_iter().enumerate() {
            self.document(file, index.saturating_add(1), tree);
        }
    }

    /// What was collected.
    pub(super) fn finish(self) -> (Documents, Vec<Problem>) {
        (self.documents, self.problems)
    }

    /// Takes one document, or every item of a `List`.
    fn document(&mut self, file: &Path, document: usize, tree: Tree) {
        let origin = Origin {
            file: file.to_owned(),
            document,
            line: tree.position.line,
        };
        if !tree.is_map() {
            return self.problem(&origin, tree.position, Cause::NotAnObject);
        }
        let field = |name| tree.field(name).and_then(Tree::text).unwrap_or_default();
        let (api_version, kind) = (field("apiVersion"), field("kind"));
        match (api_version, kind) {
            ("v1", "List") => self.list(&origin, tree),
            (_, "ClusterImagePolicy") if is_ours(api_version) => {
                let policy = self.read(&origin, &tree, "ClusterImagePolicy", |value| {
                    api::decode_cluster_image_policy(value)
                });
                self.documents.policies.extend(policy);
            }
            (_, "TrustRoot") if is_ours(api_version) => {
                let root = self.read(&origin, &tree, "TrustRoot", api::decode_trust_root);
                self.documents.trust_roots.extend(root);
            }
            ("v1", "Secret") => {
                let secret = self.read(&origin, &tree, "Secret", decode_secret);
                self.documents.secrets.extend(secret);
            }
            ("v1", "ConfigMap") => {
                let map = self.read(&origin, &tree, "ConfigMap", api::decode::<ConfigMap>);
                self.documents.config_maps.extend(map);
            }
            ("v1", "Namespace") => {
                let namespace = self.read(&origin, &tree, "Namespace", api::decode::<Namespace>);
                self.documents.namespaces.extend(namespace);
            }
            _ => {
                let cause = Cause::UnknownKind {
                    api_version: api_version.to_owned(),
                    kind: kind.to_owned(),
                };
                self.problem(&origin, tree.position, cause);
            }
        }
    }

    fn list(&mut self, origin: &Origin, tree: Tree) {
        let position = tree.position;
        let items = match tree.into_field("items") {
            None => return,
            Some(items) if items.is_null() => return,
            Some(items) => items.into_elements(),
        };
        match items {
            Some(items) => {
                for item in items {
                    self.document(&origin.file, origin.document, item);
                }
            }
            None => self.problem(origin, position, Cause::NotAnObject),
        }
    }

    /// Reads one object, if its name is usable and new.
    fn read<T>(
        &mut self,
        origin: &Origin,
        tree: &Tree,
        kind: &'static str,
        decode: impl FnOnce(serde_json::Value) -> Result<T, DecodeError>,
    ) -> Option<Sourced<T>> {
        let metadata = |name| {
            let field = tree.field("metadata").and_then(|found| found.field(name));
            field.and_then(Tree::text).unwrap_or_default()
        };
        let name = metadata("name");
        if !is_name(name) {
            let found = name.to_owned();
            self.problem(origin, tree.position, Cause::BadName { kind, found });
            return None;
        }
        let full_name = match metadata("namespace") {
            namespace if is_namespaced(kind) && !namespace.is_empty() => {
                format!("{namespace}/{name}")
            }
            _ => name.to_owned(),
        };
        self.claim(origin, tree.position, kind, full_name);
        match decode(tree.to_json()) {
            Ok(value) => Some(Sourced {
                origin: origin.clone(),
                value: Arc::new(value),
            }),
            Err(error) => {
                let position = tree.locate(&error.at());
                let name = name.to_owned();
                self.problem(origin, position, Cause::Decode { kind, name, error });
                None
            }
        }
    }

    /// Notes a name, which only one object of a kind can have.
    fn claim(&mut self, origin: &Origin, position: Position, kind: &'static str, name: String) {
        match self.names.entry((kind, name)) {
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(origin.clone());
            }
            std::collections::hash_map::Entry::Occupied(taken) => {
                let cause = Cause::Duplicate {
                    kind,
                    name: taken.key().1.clone(),
                    first: taken.get().clone(),
                };
                self.problem(origin, position, cause);
            }
        }
    }

    fn problem(&mut self, origin: &Origin, position: Position, cause: Cause) {
        self.problems.push(Problem {
            file: origin.file.clone(),
            position: Some(position),
            document: Some(origin.document),
            cause,
        });
    }
}

fn is_ours(api_version: &str) -> bool {
    api_version
        .split_once('/')
        .is_some_and(|(group, _)| group == api::GROUP)
}

fn is_namespaced(kind: &str) -> bool {
    matches!(kind, "Secret" | "ConfigMap")
}

/// Whether Kubernetes would take this as a name (RFC 1123, label by label).
fn is_name(name: &str) -> bool {
    let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_label = |label: &str| {
        label.starts_with(is_edge)
            && label.ends_with(is_edge)
            && label.chars().all(|c| is_edge(c) || c == '-')
    };
    name.len() <= MAX_NAME_BYTES && name.split('.').all(is_label)
}

/// Reads a Secret, merging `stringData` into `data` as the API server does.
///
/// What is wrong with it is said without quoting it.
fn decode_secret(value: serde_json::Value) -> Result<Secret, DecodeError> {
    let mut secret: Secret = api::decode(value).map_err(|error| DecodeError::WrongValue {
        at: error.at(),
        found: "not what a Secret holds there (data is base64, stringData is text)".to_owned(),
    })?;
    for (key, text) in secret.string_data.take().unwrap_or_default() {
        let bytes = k8s_openapi::ByteString(text.into_bytes());
        secret.data.get_or_insert_default().insert(key, bytes);
    }
    Ok(secret)
}
