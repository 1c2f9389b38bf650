//! A recording as files.
//!
//! Written only where there is nothing, or an older recording that nobody has added to. Read within bounds, and strictly.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answers::{Answers, Index, Lookups, SCHEMA};
use crate::image::Digest;

/// The most answers of one recording.
pub(super) const MAX_ANSWERS: usize = 10_000;
/// The most bytes of one recording.
pub(super) const MAX_BYTES: usize = 256 << 20;
/// The most bytes of `index.json` and of `recording.json`: a few hundred for each answer.
const MAX_DOCUMENT_BYTES: u64 = 8 << 20;

const LAYOUT: &str = "oci-layout";
const INDEX: &str = "index.json";
const LOOKUPS: &str = "recording.json";
const BLOBS: &str = "blobs";
const TRUSTED_ROOT: &str = "trusted_root.json";

/// Answers and their bytes.
#[derive(Clone, Debug)]
pub struct Recording {
    answers: Answers,
    bytes: BTreeMap<Digest, Bytes>,
    trusted_root: Option<String>,
}

/// Why a folder cannot be read or written as a recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// There is no recording.
    #[error("{} is no recording of evidence: {} is missing; `vouchsafe verify --record DIR` makes one", folder.display(), missing)]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// The file that would be there.
        missing: &'static str,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A document is larger than any recording's.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound.
        limit: u64,
    },
    /// A document is not what it should be.
    #[error("{}: {detail}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Something is there that is not part of a recording.
    #[error("{} is not part of a recording, and would be lost", path.display())]
    Stranger {
        /// The file or folder.
        path: PathBuf,
    },
}

// === impl Recording ===

impl Recording {
    pub(super) fn new(answers: Answers, bytes: BTreeMap<Digest, Bytes>) -> Self {
        Self {
            answers,
            bytes,
            trusted_root: None,
        }
    }

    /// With the root that was trusted by default, a `trusted_root.json`.
    #[must_use]
    pub fn trusting(self, trusted_root: Option<String>) -> Self {
        Self {
            trusted_root,
            ..self
        }
    }

    /// Writes it into `folder`, which is made. `cases` is the digest of the file of cases that belongs to it.
    ///
    /// # Errors
    /// Something is there already, or cannot be written.
    pub fn write(&self, folder: &Path, cases: &Digest) -> Result<(), RecordingError> {
        make(folder)?;
        write(
            &folder.join(LAYOUT),
            b"{\"imageLayoutVersion\":\"1.0.0\"}\n",
        )?;
        make(&folder.join(BLOBS))?;
        for (digest, bytes) in &self.bytes {
            let path = blob(folder, digest);
            if let Some(algorithm) = path.parent().filter(|parent| !parent.is_dir()) {
                make(algorithm)?;
            }
            write(&path, bytes)?;
        }
        if let Some(root) = &self.trusted_root {
            write(&folder.join(TRUSTED_ROOT), root.as_bytes())?;
        }
        write_json(&folder.join(INDEX), &self.answers.index())?;
        // Last: without it the folder is no recording.
        let lookups = self.answers.lookups(Some(cases.clone()));
        write_json(&folder.join(LOOKUPS), &lookups)
    }

    /// Removes the recording in `folder`, if that is all there is in it, and nothing otherwise.
    ///
    /// # Errors
    /// It is none, something else is there too, or it cannot be removed.
    pub fn remove(folder: &Path) -> Result<(), RecordingError> {
        lookups(folder)?;
        let files = parts(folder)?;
        for file in &files {
            fs::remove_file(file).map_err(|source| io_error(file, source))?;
        }
        for algorithm in entries(&folder.join(BLOBS))? {
            fs::remove_dir(&algorithm).map_err(|source| io_error(&algorithm, source))?;
        }
        for path in [&folder.join(BLOBS), folder] {
            fs::remove_dir(path).map_err(|source| io_error(path, source))?;
        }
        Ok(())
    }

    /// The digest of the file of cases that was written with the recording in `folder`.
    ///
    /// # Errors
    /// It is none.
    pub fn cases(folder: &Path) -> Result<Option<Digest>, RecordingError> {
        Ok(lookups(folder)?.cases)
    }
}

/// Reads the answers that are recorded in `folder`.
pub(super) fn answers(folder: &Path) -> Result<Answers, RecordingError> {
    let lookups = lookups(folder)?;
    let index: Index = read_json(folder, INDEX)?;
    Answers::read(index, lookups).map_err(|detail| RecordingError::Malformed {
        path: folder.to_owned(),
        detail,
    })
}

/// The root that was trusted by default, if it is recorded in `folder`.
pub(super) fn trusted_root(folder: &Path) -> Option<PathBuf> {
    Some(folder.join(TRUSTED_ROOT)).filter(|path| path.is_file())
}

/// Where the bytes of a digest are. Only a digest becomes a path, and it has neither a separator nor a dot.
pub(super) fn blob(folder: &Path, digest: &Digest) -> PathBuf {
    let algorithm = folder.join(BLOBS).join(digest.algorithm().as_str());
    algorithm.join(digest.hex())
}

fn lookups(folder: &Path) -> Result<Lookups, RecordingError> {
    let lookups: Lookups = read_json(folder, LOOKUPS)?;
    if lookups.schema == SCHEMA {
        return Ok(lookups);
    }
    Err(RecordingError::Malformed {
        path: folder.join(LOOKUPS),
        detail: format!(
            "its schema is {:?}, and this version reads {SCHEMA}",
            lookups.schema
        ),
    })
}

/// Every file of a recording; an error when there is anything else.
fn parts(folder: &Path) -> Result<Vec<PathBuf>, RecordingError> {
    let mut files = Vec::new();
    for path in entries(folder)? {
        match path.file_name().and_then(|name| name.to_str()) {
            Some(LAYOUT | INDEX | LOOKUPS | TRUSTED_ROOT) => files.push(path),
            Some(BLOBS) => {}
            _ => return Err(RecordingError::Stranger { path }),
        }
    }
    for algorithm in entries(&folder.join(BLOBS))? {
        for path in entries(&algorithm)? {
            let name = |path: &Path| Some(path.file_name()?.to_str()?.to_owned());
            let digest = name(&algorithm)
                .zip(name(&path))
                .and_then(|(algorithm, hex)| format!("{algorithm}:{hex}").parse::<Digest>().ok());
            if digest.is_none() {
                return Err(RecordingError::Stranger { path });
            }
            files.push(path);
        }
    }
    Ok(files)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, RecordingError> {
    let read = fs::read_dir(folder).and_then(|entries| {
        entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<PathBuf>>>()
    });
    let mut entries = read.map_err(|source| io_error(folder, source))?;
    entries.sort();
    Ok(entries)
}

fn read_json<T: DeserializeOwned>(folder: &Path, name: &'static str) -> Result<T, RecordingError> {
    let path = folder.join(name);
    // Opening anything else, such as a pipe, could wait for ever.
    if !path.is_file() {
        return Err(RecordingError::Missing {
            folder: folder.to_owned(),
            missing: name,
        });
    }
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(MAX_DOCUMENT_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|source| io_error(&path, source))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_DOCUMENT_BYTES {
        return Err(RecordingError::TooLarge {
            path,
            limit: MAX_DOCUMENT_BYTES,
        });
    }
    serde_json::from_slice(&bytes).map_err(|error| RecordingError::Malformed {
        path,
        detail: error.to_string(),
    })
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), RecordingError> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| io_error(path, io::Error::other(error)))?;
    text.push('\n');
    write(path, text.as_bytes())
}

/// Writes a new file; one that is there is not replaced.
fn write(path: &Path, bytes: &[u8]) -> Result<(), RecordingError> {
    File::create_new(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|source| io_error(path, source))
}

fn make(folder: &Path) -> Result<(), RecordingError> {
    fs::create_dir(folder).map_err(|source| io_error(folder, source))
}

fn io_error(path: &Path, source: io::Error) -> RecordingError {
    RecordingError::Io {
        path: path.to_owned(),
        source,
    }
}
