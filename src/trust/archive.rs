//! The `repository` of a TrustRoot: a TUF repository that stands in the resource, whole, as a gzipped tar archive.
//!
//! *In*: the archive, the trusted root, and the time. *Out*: a [`TufRoot`]. Nothing is unpacked to a disk: names of entries are keys of
//! a map, and whatever they spell leads nowhere (T-38). Bytes, entries and names are bounded, whatever the archive claims.
//!
//! Who may write the resource is who vouches for it, so an archive cannot be held back from us as a mirror can. It is therefore used
//! for another [`MAX_STALE`] after its metadata expired, so that clusters without a route out have time to bring a new one.

use std::collections::BTreeMap;
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use futures::FutureExt as _;
use jiff::Timestamp;
use sigstore_tuf::Updater;
use sigstore_tuf::transport::{FetchFuture, Repository};
use tar::EntryType;

use super::tuf::{self, MAX_STALE, TufError, TufRoot};
use crate::api;

/// The folder of the archive in which everything stands.
const FOLDER: &str = "repository/";
/// The folder of the targets, where none is given.
pub const DEFAULT_TARGETS: &str = "targets";

/// The most bytes of an archive, unpacked.
const BYTES: u64 = 16 << 20;
/// The most entries of an archive.
const ENTRIES: usize = 1_000;
/// The longest name of an entry, in bytes.
const NAME: usize = 512;

/// The files of an archive.
struct Archive {
    files: BTreeMap<String, Vec<u8>>,
    /// Where targets stand below [`FOLDER`], with a slash at its end.
    targets: String,
}

/// The trusted root that stands in a repository.
pub fn from_archive(repository: &api::RepositoryRoot, now: Timestamp) -> Result<TufRoot, TufError> {
    let archive = || Archive::read(&repository.mirror_fs.0, &repository.targets);
    match verified(archive()?, repository, now) {
        Err(TufError::Expired { .. }) => {
            let earlier = now.checked_sub(MAX_STALE).unwrap_or(Timestamp::MIN);
            verified(archive()?, repository, earlier)
        }
        other => other,
    }
}

fn verified(
    archive: Archive,
    repository: &api::RepositoryRoot,
    at: Timestamp,
) -> Result<TufRoot, TufError> {
    let mut updater = Updater::new(archive, &repository.root.0)?.with_config(tuf::bounds());
    // Every read is of memory, so there is nothing to wait for.
    tuf::trusted_root(&mut updater, &repository.trusted_root_target, at)
        .now_or_never()
        .unwrap_or_else(|| {
            Err(TufError::Unusable {
                detail: "reading the archive did not end".to_owned(),
            })
        })
}

// === impl Archive ===

impl Archive {
    fn read(bytes: &[u8], targets: &str) -> Result<Self, TufError> {
        let unusable = |detail: String| TufError::Unusable {
            detail: format!("mirrorFS: {detail}"),
        };
        let unreadable = |error: io::Error| unusable(error.to_string());
        let bounded = Bounded {
            inner: MultiGzDecoder::new(bytes),
            left: BYTES,
        };
        let mut tar = tar::Archive::new(bounded);
        let mut files = BTreeMap::new();
        for (index, entry) in tar.entries().map_err(unreadable)?.enumerate() {
            if index == ENTRIES {
                return Err(unusable(format!("more than {ENTRIES} entries")));
            }
            let mut entry = entry.map_err(unreadable)?;
            match entry.header().entry_type() {
                EntryType::Regular => {}
                EntryType::Directory | EntryType::XGlobalHeader => continue,
                _ => {
                    return Err(unusable(
                        "an entry is neither a file nor a folder".to_owned(),
                    ));
                }
            }
            let name = name(&entry.path_bytes()).map_err(unusable)?;
            let mut content = Vec::new();
            entry.read_to_end(&mut content).map_err(unreadable)?;
            let Some(name) = name else { continue };
            if files.insert(name, content).is_some() {
                return Err(unusable("two entries have one name".to_owned()));
            }
        }
        if files.is_empty() {
            return Err(unusable(format!("there is no file below {FOLDER}")));
        }
        let targets = match targets.trim_matches('/') {
            "" => DEFAULT_TARGETS,
            given => given,
        };
        Ok(Self {
            files,
            targets: format!("{targets}/"),
        })
    }

    fn get<'a>(&'a self, name: &str, limit: u64) -> FetchFuture<'a> {
        let found = self.files.get(name);
        let is_too_long =
            found.is_some_and(|bytes| !u64::try_from(bytes.len()).is_ok_and(|n| n <= limit));
        let answer = if is_too_long {
            Err(sigstore_tuf::Error::transport(format!(
                "{name} is longer than {limit} bytes"
            )))
        } else {
            Ok(found.cloned())
        };
        Box::pin(std::future::ready(answer))
    }
}

impl Repository for Archive {
    fn fetch_metadata<'a>(&'a self, name: &'a str, max_length: u64) -> FetchFuture<'a> {
        self.get(name, max_length)
    }

    fn fetch_target<'a>(&'a self, path: &'a str, max_length: u64) -> FetchFuture<'a> {
        self.get(&format!("{}{path}", self.targets), max_length)
    }
}

/// The name of an entry below [`FOLDER`]; `None` for what stands elsewhere, which nothing asks for.
fn name(path: &[u8]) -> Result<Option<String>, String> {
    if path.len() > NAME {
        return Err(format!("the name of an entry is longer than {NAME} bytes"));
    }
    let path =
        std::str::from_utf8(path).map_err(|_| "the name of an entry is not text".to_owned())?;
    let path = path.strip_prefix("./").unwrap_or(path);
    Ok(path.strip_prefix(FOLDER).map(str::to_owned))
}

/// A reader that fails where it would give more than it may.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let taken = u64::try_from(read).unwrap_or(u64::MAX);
        self.left = self
            .left
            .checked_sub(taken)
            .ok_or_else(|| io::Error::other(format!("unpacked it is larger than {BYTES} bytes")))?;
        Ok(read)
    }
}
