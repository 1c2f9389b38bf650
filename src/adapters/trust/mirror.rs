//! A TUF repository behind a URL.
//!
//! Every refresh walks from the root that the operator gave: root by root, then timestamp, snapshot, targets, and at last the trusted
//! root. A mirror can be down, or hold back what is new: then nothing changes, until what was good last is too old. It cannot go back
//! behind a version that was seen, mix states, or exchange a file (T-39). A refresh that fails leaves nothing behind.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use reqwest::Url;
use sigstore_tuf::transport::{FetchFuture, Repository};
use sigstore_tuf::{StoreRepository, Updater};

use super::kept::Kept;
use crate::adapters::outbound::{Ask, Outbound, Reach};
use crate::api;
use crate::trust::archive::DEFAULT_TARGETS;
use crate::trust::tuf::{self, MAX_STALE, TufError, TufRoot};

/// A repository, and what is kept of it.
#[derive(Debug)]
pub struct Mirror {
    outbound: Outbound,
    base: Url,
    targets: String,
    target: String,
    root: Vec<u8>,
    /// What the last good refresh left, here or in an earlier run.
    kept: Mutex<Kept>,
    /// Whether [`Mirror::restore`] was called.
    restored: AtomicBool,
    /// Where that is written; `None`: nowhere.
    path: Option<PathBuf>,
}

/// Why a mirror gives no trusted root.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// Its address cannot be used.
    #[error("the mirror {mirror:?} is no http or https address")]
    Address {
        /// As it is written.
        mirror: String,
    },
    /// What it gave cannot be used.
    #[error(transparent)]
    Tuf(#[from] TufError),
    /// What was kept cannot be read or written.
    #[error("what is kept of the mirror in {path}: {source}")]
    Kept {
        /// The file.
        path: String,
        /// What happened.
        source: io::Error,
    },
    /// What was kept is not from the past, or from too long ago.
    #[error(
        "what is kept of the mirror was good at {refreshed}, which is too long ago or in the future"
    )]
    Age {
        /// When it was good.
        refreshed: Timestamp,
    },
}

// === impl Mirror ===

impl Mirror {
    /// The repository that a TrustRoot names. With a folder, what is good is kept there over restarts.
    pub fn new(
        remote: &api::RemoteRoot,
        outbound: Outbound,
        folder: Option<&Path>,
    ) -> Result<Self, MirrorError> {
        let address = || MirrorError::Address {
            mirror: remote.mirror.chars().take(200).collect(),
        };
        let mut base = Url::parse(&remote.mirror).map_err(|_| address())?;
        if !matches!(base.scheme(), "http" | "https") || base.query().is_some() {
            return Err(address());
        }
        base.set_fragment(None);
        let targets = match remote.targets.trim_matches('/') {
            "" => DEFAULT_TARGETS,
            given => given,
        };
        Ok(Self {
            outbound,
            targets: targets.to_owned(),
            target: remote.trusted_root_target.clone(),
            kept: Mutex::default(),
            restored: AtomicBool::new(false),
            path: folder.map(|folder| Kept::path(folder, base.as_str(), &remote.root.0)),
            root: remote.root.0.clone(),
            base,
        })
    }

    /// Whether what was kept by an earlier run was looked at.
    pub fn is_restored(&self) -> bool {
        self.restored.load(Ordering::Relaxed)
    }

    /// What was kept by an earlier run, verified anew as of the time when it was good, with that time. `None`: nothing is there.
    pub async fn restore(
        &self,
        now: Timestamp,
    ) -> Result<Option<(TufRoot, Timestamp)>, MirrorError> {
        self.restored.store(true, Ordering::Relaxed);
        let Some(path) = &self.path else {
            return Ok(None);
        };
        let found = Kept::read(path).map_err(|source| self.kept_error(source))?;
        let Some((kept, refreshed)) = found else {
            return Ok(None);
        };
        if refreshed > now || now.duration_since(refreshed) >= MAX_STALE {
            // What it says about versions holds all the same.
            self.keep(kept);
            return Err(MirrorError::Age { refreshed });
        }
        let repository = StoreRepository::new(kept.apart());
        let mut updater = Updater::new(repository, &self.root)
            .map_err(TufError::from)?
            .with_config(tuf::bounds())
            .with_store(kept.apart());
        let root = tuf::trusted_root(&mut updater, &self.target, refreshed).await?;
        self.keep(kept);
        Ok(Some((root, refreshed)))
    }

    /// Refreshes. What is good is kept; what is not leaves everything as it was.
    pub async fn refresh(&self, now: Timestamp) -> Result<TufRoot, MirrorError> {
        let kept = self.kept().apart();
        let files = Files {
            outbound: self.outbound.clone(),
            base: self.base.clone(),
            targets: self.targets.clone(),
        };
        let mut updater = Updater::new(files, &self.root)
            .map_err(TufError::from)?
            .with_config(tuf::bounds())
            .with_store(kept.clone());
        let root = tuf::trusted_root(&mut updater, &self.target, now).await?;
        if let Some(path) = &self.path
            && let Err(error) = kept.write(path, now)
        {
            // The root is good all the same; it will only not be there after a restart.
            tracing::warn!(error = %self.kept_error(error), "trust that was refreshed cannot be kept");
        }
        self.keep(kept);
        Ok(root)
    }

    fn kept(&self) -> Kept {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clone()
    }

    fn keep(&self, kept: Kept) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }

    fn kept_error(&self, source: io::Error) -> MirrorError {
        let path = self.path.as_deref().unwrap_or(Path::new(""));
        MirrorError::Kept {
            path: path.display().to_string(),
            source,
        }
    }
}

/// The files of a repository, by HTTP.
struct Files {
    outbound: Outbound,
    base: Url,
    targets: String,
}

impl Files {
    fn get(&self, url: Option<Url>, limit: u64) -> FetchFuture<'_> {
        Box::pin(async move {
            let url = url.ok_or_else(|| {
                sigstore_tuf::Error::transport("a name leads out of the repository")
            })?;
            let ask = Ask {
                method: Method::GET,
                url,
                headers: HeaderMap::new(),
                body: Bytes::new(),
                reach: Reach::Signed,
                limit: usize::try_from(limit).unwrap_or(usize::MAX),
            };
            let answer = self
                .outbound
                .send(ask)
                .await
                .map_err(|error| sigstore_tuf::Error::transport(error.to_string()))?;
            match answer.status {
                // Object stores answer 403 where there is nothing and listing is not allowed.
                StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Ok(None),
                status if status.is_success() => Ok(Some(answer.body.to_vec())),
                status if status.is_redirection() => Err(sigstore_tuf::Error::transport(format!(
                    "the mirror redirects ({status}), which is not followed: name the address that it leads to"
                ))),
                status => Err(sigstore_tuf::Error::transport(format!(
                    "the mirror answered {status}"
                ))),
            }
        })
    }

    /// The address of metadata, whose names are encoded already.
    fn metadata(&self, name: &str) -> Option<Url> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.~%".contains(c);
        if !name.chars().all(is_plain) || name.starts_with('.') {
            return None;
        }
        let base = self.base.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}/{name}")).ok()
    }

    /// The address of a target, below the folder of targets whatever its name spells (T-38).
    fn target(&self, path: &str) -> Option<Url> {
        let segments = self.targets.split('/').chain(path.split('/'));
        let segments: Vec<&str> = segments.filter(|segment| !segment.is_empty()).collect();
        if segments
            .iter()
            .any(|segment| matches!(*segment, "." | ".."))
        {
            return None;
        }
        let mut url = self.base.clone();
        url.path_segments_mut()
            .ok()?
            .pop_if_empty()
            .extend(segments);
        Some(url)
    }
}

impl Repository for Files {
    fn fetch_metadata<'a>(&'a self, name: &'a str, max_length: u64) -> FetchFuture<'a> {
        self.get(self.metadata(name), max_length)
    }

    fn fetch_target<'a>(&'a self, path: &'a str, max_length: u64) -> FetchFuture<'a> {
        self.get(self.target(path), max_length)
    }
}
