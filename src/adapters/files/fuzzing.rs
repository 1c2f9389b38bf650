//! What `tests/fuzz` reaches that nobody else does: a file's text without a file. Only built for it.

use std::path::PathBuf;

use super::snapshot::{Fingerprint, ReadFile, Snapshot};
use super::{Documents, Problem, parse_each};

/// What a file with this text holds, and what is wrong with it.
pub fn documents(text: &str) -> (Documents, Vec<Problem>) {
    parse_each(&Snapshot {
        files: vec![ReadFile {
            path: PathBuf::from("policy.yaml"),
            text: text.to_owned(),
        }],
        problems: Vec::new(),
        fingerprint: Fingerprint::default(),
    })
}
