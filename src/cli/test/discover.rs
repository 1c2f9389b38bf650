//! Which files of cases there are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::adapters::files::{CASES_FILE, EVIDENCE_FOLDER};

/// Entries of folders that are looked at.
const MAX_ENTRIES: usize = 200_000;
/// The deepest folder below the one that was named.
const MAX_DEPTH: usize = 32;

/// The files that are named, and every [`CASES_FILE`] of the folders that are named, each once and sorted. Hidden folders, evidence
/// and links to folders are not entered.
pub(super) fn discover(paths: &[PathBuf]) -> anyhow::Result<BTreeSet<PathBuf>> {
    let (mut found, mut left) = (BTreeSet::new(), MAX_ENTRIES);
    for path in paths {
        let shown = path.display();
        let metadata = fs::metadata(path).with_context(|| format!("cannot read {shown}"))?;
        if metadata.is_dir() {
            folder(path, 0, &mut left, &mut found)?;
        } else if metadata.is_file() {
            found.insert(path.clone());
        } else {
            bail!("{shown} is neither a file of cases nor a folder");
        }
    }
    Ok(found)
}

fn folder(
    path: &Path,
    depth: usize,
    left: &mut usize,
    found: &mut BTreeSet<PathBuf>,
) -> anyhow::Result<()> {
    let shown = path.display();
    if depth > MAX_DEPTH {
        bail!("{shown} is more than {MAX_DEPTH} folders deep; name a folder nearer to the cases");
    }
    for entry in fs::read_dir(path).with_context(|| format!("cannot read the folder {shown}"))? {
        *left = left.saturating_sub(1);
        if *left == 0 {
            bail!("more than {MAX_ENTRIES} files and folders; name the folders with policies");
        }
        let entry = entry.with_context(|| format!("cannot read the folder {shown}"))?;
        let name = entry.file_name();
        let hidden = name.as_encoded_bytes().starts_with(b".");
        let kind = entry.file_type();
        let kind = kind.with_context(|| format!("cannot read {}", entry.path().display()))?;
        // `.` is shown as what is in it.
        let inner = if path == Path::new(".") {
            PathBuf::from(&name)
        } else {
            path.join(&name)
        };
        if kind.is_dir() && !hidden && name != EVIDENCE_FOLDER {
            folder(&inner, depth.saturating_add(1), left, found)?;
        } else if name == CASES_FILE && inner.is_file() {
            found.insert(inner);
        }
    }
    Ok(())
}
