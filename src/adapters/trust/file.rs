//! `--trusted-root FILE`: a `trusted_root.json` that somebody else keeps fresh.
//!
//! It is looked at again and again and compared by content, as a mounted ConfigMap needs it. What is not a trusted root changes
//! nothing: the last good one stays, and requests in flight keep theirs whatever happens.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::trust::{InvalidTrustRoot, TrustMaterial};

/// The most that is read, in bytes.
const BYTES: u64 = (1 << 20) + 1;

/// The file.
#[derive(Clone, Debug)]
pub struct TrustedRootFile {
    path: PathBuf,
    /// The digest of what was read last, or what stood in the way, so that each state is told once.
    seen: Result<[u8; 32], String>,
}

/// Why a file gives no trust.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("the trusted root {path} cannot be read")]
    Read {
        /// The file.
        path: String,
        /// What happened.
        source: std::io::Error,
    },
    /// It is no trusted root.
    #[error("the trusted root {path} cannot be used")]
    Invalid {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: InvalidTrustRoot,
    },
}

// === impl TrustedRootFile ===

impl TrustedRootFile {
    /// Reads the file.
    pub fn open(path: PathBuf) -> Result<(Self, Arc<TrustMaterial>), FileError> {
        let bytes = read(&path)?;
        let trust = parse(&path, &bytes)?;
        let seen = Ok(Sha256::digest(&bytes).into());
        Ok((Self { path, seen }, trust))
    }

    /// Hands over what the file holds whenever that changes, looking every `interval`, until `stop`.
    pub async fn watch(
        mut self,
        interval: Duration,
        stop: CancellationToken,
        on_change: impl Fn(Result<Arc<TrustMaterial>, FileError>) + Send,
    ) {
        while stop
            .run_until_cancelled(tokio::time::sleep(interval))
            .await
            .is_some()
        {
            let path = self.path.clone();
            let Ok(read) = tokio::task::spawn_blocking(move || read(&path)).await else {
                tracing::error!("the trusted root could not be looked at");
                continue;
            };
            let seen = match &read {
                Ok(bytes) => Ok(Sha256::digest(bytes).into()),
                Err(FileError::Read { source, .. }) => Err(source.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if seen == self.seen {
                continue;
            }
            self.seen = seen;
            on_change(read.and_then(|bytes| parse(&self.path, &bytes)));
        }
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Arc<TrustMaterial>, FileError> {
    let trust = TrustMaterial::from_trusted_root_json(bytes);
    trust.map(Arc::new).map_err(|source| FileError::Invalid {
        path: path.display().to_string(),
        source,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let fail = |source| FileError::Read {
        path: path.display().to_string(),
        source,
    };
    let file = File::open(path).map_err(fail)?;
    let mut bytes = Vec::new();
    file.take(BYTES).read_to_end(&mut bytes).map_err(fail)?;
    Ok(bytes)
}
