//! Reads files again when they change.
//!
//! By content, not by events: a kubelet swaps the `..data` symlink of a mounted ConfigMap, which
//! neither the modification time nor the inode of a watched file shows reliably.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::snapshot::{Fingerprint, Snapshot};
use super::{Documents, LoadError, parse};

/// Looks at the files every `interval` and hands over what they hold whenever that has changed,
/// until `cancel` fires.
///
/// `known` is the fingerprint of what the caller has already; without one, the first reading
/// counts as a change. An error is handed over once, not at every look; what to keep meanwhile is
/// the caller's decision. Reading takes place off the async threads, and the next look waits until
/// what was handed over is done with.
pub async fn watch<F: Future<Output = ()> + Send>(
    paths: Vec<PathBuf>,
    known: Option<Fingerprint>,
    interval: Duration,
    cancel: CancellationToken,
    on_change: impl Fn(Result<Documents, LoadError>) -> F + Send + 'static,
) {
    let paths: Arc<[PathBuf]> = paths.into();
    let mut known = known;
    while cancel
        .run_until_cancelled(tokio::time::sleep(interval))
        .await
        .is_some()
    {
        let paths = Arc::clone(&paths);
        let read = tokio::task::spawn_blocking(move || changed(&paths, known));
        match read.await {
            Ok(Some((fingerprint, documents))) => {
                known = Some(fingerprint);
                on_change(documents).await;
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "the policy files could not be looked at"),
        }
    }
}

type Change = (Fingerprint, Result<Documents, LoadError>);

/// What the files hold, if it is not what is known.
fn changed(paths: &[PathBuf], known: Option<Fingerprint>) -> Option<Change> {
    let first = Snapshot::take(paths);
    if known == Some(first.fingerprint) {
        return None;
    }
    let settled = Snapshot::settled(paths);
    (known != Some(settled.fingerprint)).then(|| (settled.fingerprint, parse(&settled)))
}
