//! What is kept of a TUF repository after a good refresh: every file of it that was verified, and when.
//!
//! It is one document, written whole and put in place by a rename, so that no mixture of two refreshes is ever read. Names of files
//! are keys in it and never paths (T-38). What is read back is not believed: it is verified again, from the root that the operator gave,
//! and counts as the lowest versions that a mirror may offer from then on (T-39). Only the time of the refresh is taken from it, and a
//! time that is not past is refused.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sigstore_tuf::MetadataStore;

/// The largest document, in bytes. That of the public Sigstore has 100 KiB.
const BYTES: u64 = 32 << 20;

/// Files of a repository that were verified. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    refreshed: Timestamp,
    /// Name → base64.
    files: BTreeMap<String, String>,
}

impl Kept {
    /// A copy that does not share what is stored in it from now on.
    pub(super) fn apart(&self) -> Self {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        Self {
            files: Arc::new(Mutex::new(files.clone())),
        }
    }

    /// Where the repository behind `mirror` is kept in a folder, as far as trust in it begins with `root`.
    pub(super) fn path(folder: &Path, mirror: &str, root: &[u8]) -> PathBuf {
        let mut hash = Sha256::new();
        for part in [mirror.as_bytes(), root] {
            hash.update(part.len().to_string());
            hash.update(b":");
            hash.update(part);
        }
        folder.join(format!("tuf-{}.json", hex::encode(hash.finalize())))
    }

    /// Reads what was kept, and when it was good. `None`: nothing is there.
    pub(super) fn read(path: &Path) -> io::Result<Option<(Self, Timestamp)>> {
        use std::io::Read as _;
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(BYTES).read_to_end(&mut bytes)?;
        let document: Document = serde_json::from_slice(&bytes).map_err(io::Error::other)?;
        let decode = |(name, text): (String, String)| Some((name, STANDARD.decode(text).ok()?));
        let files: Option<BTreeMap<String, Vec<u8>>> =
            document.files.into_iter().map(decode).collect();
        let files = files.ok_or_else(|| io::Error::other("a file in it is not base64"))?;
        let kept = Self {
            files: Arc::new(Mutex::new(files)),
        };
        Ok(Some((kept, document.refreshed)))
    }

    /// Writes it.
    pub(super) fn write(&self, path: &Path, refreshed: Timestamp) -> io::Result<()> {
        let files = {
            let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            let encode =
                |(name, bytes): (&String, &Vec<u8>)| (name.clone(), STANDARD.encode(bytes));
            files.iter().map(encode).collect()
        };
        let text = serde_json::to_vec(&Document { refreshed, files }).map_err(io::Error::other)?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let unfinished = path.with_extension("unfinished");
        let mut file = std::fs::File::create(&unfinished)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, path)
    }
}

impl MetadataStore for Kept {
    fn load(&self, name: &str) -> sigstore_tuf::Result<Option<Vec<u8>>> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(files.get(name).cloned())
    }

    fn store(&self, name: &str, bytes: &[u8]) -> sigstore_tuf::Result<()> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }
}
