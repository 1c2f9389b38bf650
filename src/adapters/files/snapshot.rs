//! Which files there are, and what is in them at one moment.
//!
//! In: paths that a user gave. Out: the text of every file, read once each, and a fingerprint of
//! it all. A kubelet mount changes under our hands by a swap of its `..data` symlink, so a reading
//! counts only when a second one says the same.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::error::{Cause, Problem};

/// The largest file, in bytes.
pub const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;
/// The most files.
pub const MAX_FILES: u64 = 2_000;
/// The most bytes of all files together.
pub const MAX_TOTAL_BYTES: u64 = 64 * 1024 * 1024;
/// The most entries of folders that are looked at, of whatever name.
pub const MAX_ENTRIES: u64 = 20_000;
/// The deepest folder below the one that was named.
pub const MAX_DEPTH: u64 = 16;

/// The name of a file of cases of `vouchsafe test`, which stands beside the policies that it tests and is none.
pub const CASES_FILE: &str = "vouchsafe-test.yaml";
/// The name of a folder with evidence for such cases: nothing in it is a policy.
pub const EVIDENCE_FOLDER: &str = "vouchsafe-evidence";

/// How often a reading is repeated until two agree.
const READINGS: usize = 5;

/// A digest over the names and bytes of all files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// A file as it was read.
pub(super) struct ReadFile {
    /// The path by which it was reached.
    pub(super) path: PathBuf,
    /// What it says.
    pub(super) text: String,
}

/// All files at one moment.
pub(super) struct Snapshot {
    /// The files that could be read, in order.
    pub(super) files: Vec<ReadFile>,
    /// The files that could not.
    pub(super) problems: Vec<Problem>,
    /// Of all that, problems included.
    pub(super) fingerprint: Fingerprint,
}

// === impl Snapshot ===

impl Snapshot {
    /// Reads until two readings agree; if they never do, that is a problem of the result.
    pub(super) fn settled(paths: &[PathBuf]) -> Self {
        let mut last = Self::take(paths);
        for _ in 1..READINGS {
            let next = Self::take(paths);
            if next.fingerprint == last.fingerprint {
                return next;
            }
            last = next;
        }
        let file = paths.first().cloned().unwrap_or_default();
        last.problems.push(problem(&file, Cause::Unsettled));
        // Not that of its bytes: when they come to rest, that has to count as a change.
        last.fingerprint = fingerprint(&last.files, &last.problems);
        last
    }

    /// Reads once.
    pub(super) fn take(paths: &[PathBuf]) -> Self {
        let mut walk = Walk::default();
        for path in paths {
            walk.named(path);
        }
        let fingerprint = fingerprint(&walk.files, &walk.problems);
        Self {
            files: walk.files,
            problems: walk.problems,
            fingerprint,
        }
    }
}

/// Every part goes in with its length, so that no two sets of files look alike.
fn fingerprint(files: &[ReadFile], problems: &[Problem]) -> Fingerprint {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update(bytes.len().to_string());
        hash.update(b":");
        hash.update(bytes);
    };
    for file in files {
        part(file.path.as_os_str().as_encoded_bytes());
        part(file.text.as_bytes());
    }
    for problem in problems {
        part(problem.to_string().as_bytes());
    }
    Fingerprint(hash.finalize().into())
}

fn problem(file: &Path, cause: Cause) -> Problem {
    Problem {
        file: file.to_owned(),
        position: None,
        document: None,
        cause,
    }
}

/// A walk over files and folders, and what it has found so far.
#[derive(Default)]
struct Walk {
    files: Vec<ReadFile>,
    problems: Vec<Problem>,
    /// Files and folders that were reached already, by their real path.
    seen: HashSet<PathBuf>,
    entries: u64,
    bytes: u64,
    /// A bound of the whole walk is exceeded; said once.
    stopped: bool,
}

// === impl Walk ===

impl Walk {
    /// A path that the user named: whatever it is called, it is meant.
    fn named(&mut self, path: &Path) {
        self.visit(path, 0, true);
    }

    fn visit(&mut self, path: &Path, depth: u64, named: bool) {
        if self.stopped {
            return;
        }
        let is_meant = named || has_policy_name(path);
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                if self.is_new(path) {
                    self.folder(path, depth);
                }
            }
            Ok(_) | Err(_) if !is_meant => {}
            // Opening anything else, such as a pipe, could wait for ever.
            Ok(metadata) if !metadata.is_file() => self.problem(path, Cause::NotAFile),
            Ok(_) => {
                if self.is_new(path) {
                    self.file(path);
                }
            }
            Err(error) => self.unreadable(path, &error),
        }
    }

    /// Whether this real file or folder was not reached before, by whatever way.
    fn is_new(&mut self, path: &Path) -> bool {
        match fs::canonicalize(path) {
            Ok(real) => self.seen.insert(real),
            Err(error) => {
                self.unreadable(path, &error);
                false
            }
        }
    }

    fn folder(&mut self, path: &Path, depth: u64) {
        if depth > MAX_DEPTH {
            return self.too_many(path, MAX_DEPTH, "levels of folders");
        }
        match self.names(path) {
            Ok(mut names) => {
                names.sort();
                for name in names {
                    self.visit(&path.join(name), depth.saturating_add(1), false);
                }
            }
            Err(error) => self.unreadable(path, &error),
        }
    }

    /// The names in a folder; hidden ones are left out, a kubelet's `..data` among them, and so is evidence.
    fn names(&mut self, path: &Path) -> io::Result<Vec<std::ffi::OsString>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            self.entries = self.entries.saturating_add(1);
            if self.entries > MAX_ENTRIES {
                self.too_many(path, MAX_ENTRIES, "entries in folders");
                break;
            }
            let name = entry?.file_name();
            if !name.as_encoded_bytes().starts_with(b".") && name != EVIDENCE_FOLDER {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn file(&mut self, path: &Path) {
        let count = u64::try_from(self.files.len()).unwrap_or(u64::MAX);
        if count >= MAX_FILES {
            return self.too_many(path, MAX_FILES, "files");
        }
        match read(path) {
            Ok(text) => {
                let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
                self.bytes = self.bytes.saturating_add(length);
                if self.bytes > MAX_TOTAL_BYTES {
                    return self.too_many(path, MAX_TOTAL_BYTES, "bytes in all files");
                }
                self.files.push(ReadFile {
                    path: path.to_owned(),
                    text,
                });
            }
            Err(cause) => self.problem(path, cause),
        }
    }

    fn too_many(&mut self, path: &Path, limit: u64, of: &'static str) {
        self.stopped = true;
        self.problem(path, Cause::TooMany { limit, of });
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        self.problem(path, unreadable(error));
    }

    fn problem(&mut self, path: &Path, cause: Cause) {
        self.problems.push(problem(path, cause));
    }
}

fn has_policy_name(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let is_test = path.file_name().is_some_and(|name| name == CASES_FILE);
    let is_policy = |extension: &str| {
        let known = ["yaml", "yml", "json"];
        known
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    };
    extension.is_some_and(is_policy) && !is_test
}

fn unreadable(error: &io::Error) -> Cause {
    Cause::Unreadable {
        found: error.to_string(),
    }
}

fn read(path: &Path) -> Result<String, Cause> {
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(&error))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE_BYTES) {
        return Err(Cause::TooLarge {
            limit: MAX_FILE_BYTES,
        });
    }
    String::from_utf8(bytes).map_err(|error| Cause::NotText {
        offset: error.utf8_error().valid_up_to(),
    })
}
