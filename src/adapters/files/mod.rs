//! Policies from files: what `--policies PATH…` names.
//!
//! In: paths of files and folders. Out: [`Documents`], every document with its [`Origin`], or a
//! [`LoadError`] with *all* problems of *all* files. It is all or nothing: a file that cannot be
//! read yields no set, so that the caller keeps the last good one and never enforces a part.
//!
//! 1. `snapshot` finds the files and reads their bytes (bounds, symlinks, kubelet mounts).
//! 2. `tree` parses YAML or JSON into a tree that remembers line and column.
//! 3. `sort` gives every document its kind and type.
//! 4. [`watch`] repeats the three when bytes change.

mod any_kind;
mod error;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod snapshot;
mod sort;
mod tree;
mod watch;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};

pub use any_kind::{objects_of, read_objects};
pub use error::{Cause, LoadError, Problem};
pub use snapshot::{
    CASES_FILE, EVIDENCE_FOLDER, Fingerprint, MAX_DEPTH, MAX_ENTRIES, MAX_FILE_BYTES, MAX_FILES,
    MAX_TOTAL_BYTES,
};
pub use tree::Position;
pub use watch::watch;

use super::enforced::Objects;
use crate::api::{ClusterImagePolicy, TrustRoot};
use snapshot::Snapshot;

/// Everything that the files hold, in the order of files and documents.
#[derive(Clone, Default, PartialEq)]
pub struct Documents {
    /// The policies; no two of one name.
    pub policies: Vec<Sourced<ClusterImagePolicy>>,
    /// The `TrustRoot`s; no two of one name.
    pub trust_roots: Vec<Sourced<TrustRoot>>,
    /// The Secrets; no two of one namespace and name. `stringData` is merged into `data`.
    pub secrets: Vec<Sourced<Secret>>,
    /// The ConfigMaps; no two of one namespace and name.
    pub config_maps: Vec<Sourced<ConfigMap>>,
    /// The Namespaces; no two of one name.
    pub namespaces: Vec<Sourced<Namespace>>,
    /// Of which bytes this was read.
    pub fingerprint: Fingerprint,
}

impl Documents {
    /// What is enforced of them, wherever it was written.
    pub fn objects(&self) -> Objects {
        Objects {
            policies: values(&self.policies),
            trust_roots: values(&self.trust_roots),
            secrets: values(&self.secrets),
            config_maps: values(&self.config_maps),
            ..Objects::default()
        }
    }
}

fn values<T>(sourced: &[Sourced<T>]) -> Vec<Arc<T>> {
    let values = sourced.iter().map(|sourced| &sourced.value);
    values.map(Arc::clone).collect()
}

/// Counts only: Secrets do not belong into logs.
impl fmt::Debug for Documents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Documents")
            .field("policies", &self.policies.len())
            .field("trust_roots", &self.trust_roots.len())
            .field("secrets", &self.secrets.len())
            .field("config_maps", &self.config_maps.len())
            .field("namespaces", &self.namespaces.len())
            .finish_non_exhaustive()
    }
}

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Sourced<T> {
    /// Where it was written.
    pub origin: Origin,
    /// The value.
    pub value: Arc<T>,
}

/// Where a document begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file, as it was reached from the path that the user gave.
    pub file: PathBuf,
    /// The number of the document in the file, from 1; empty documents are not counted.
    pub document: usize,
    /// The line on which it begins, from 1.
    pub line: u64,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// Reads every document of the given files and folders.
///
/// Folders are read recursively: `*.yaml`, `*.yml` and `*.json`, without hidden files and without
/// [`CASES_FILE`] and [`EVIDENCE_FOLDER`], in the order of their names. Symlinks are followed, each real file is
/// read once. A path that does not exist is a problem; a folder without documents is not.
pub fn load(paths: &[PathBuf]) -> Result<Documents, LoadError> {
    parse(&Snapshot::settled(paths))
}

/// Reads every document that can be read, beside everything that is wrong with the others: for those who report, not for those who
/// enforce, who use [`load`].
pub fn read_each(paths: &[PathBuf]) -> (Documents, Vec<Problem>) {
    parse_each(&Snapshot::settled(paths))
}

fn parse(snapshot: &Snapshot) -> Result<Documents, LoadError> {
    let (documents, problems) = parse_each(snapshot);
    if problems.is_empty() {
        return Ok(documents);
    }
    Err(LoadError { problems })
}

fn parse_each(snapshot: &Snapshot) -> (Documents, Vec<Problem>) {
    let mut sorter = sort::Sorter::default();
    let mut problems = snapshot.problems.clone();
    for file in &snapshot.files {
        match tree::parse(&file.text) {
            Ok(documents) => sorter.file(&file.path, documents),
            Err(error) => problems.push(Problem {
                file: file.path.clone(),
                position: error.position,
                document: None,
                cause: Cause::Syntax {
                    found: error.message,
                },
            }),
        }
    }
    let (mut documents, found) = sorter.finish();
    problems.extend(found);
    problems.sort_by(|a, b| (&a.file, a.position).cmp(&(&b.file, b.position)));
    documents.fingerprint = snapshot.fingerprint;
    (documents, problems)
}

#[cfg(test)]
mod tests;
