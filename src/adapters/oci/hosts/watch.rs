//! Reads `registries.yaml` again when it or a file that it names has changed.
//!
//! By content, not by events, because a kubelet swaps whole folders under our hands. What cannot be read changes nothing: the last good
//! settings stay in force.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::RegistryHosts;
use super::file::{self, Fingerprint, LoadedRegistries, RegistriesError};

/// Looks at the file and at those that it names every `interval`, and hands over what they say whenever that has changed, until `cancel`
/// fires. An error is handed over once, not at every look.
pub async fn watch_registries(
    path: PathBuf,
    loaded: Fingerprint,
    interval: Duration,
    cancel: CancellationToken,
    on_change: impl Fn(Result<RegistryHosts, RegistriesError>) + Send + 'static,
) {
    let mut known = loaded;
    while cancel
        .run_until_cancelled(tokio::time::sleep(interval))
        .await
        .is_some()
    {
        let path = path.clone();
        let look = tokio::task::spawn_blocking(move || changed(&path, known));
        match look.await {
            Ok(Some((fingerprint, hosts))) => {
                known = fingerprint;
                on_change(hosts);
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "the registry settings could not be looked at"),
        }
    }
}

/// What the files say, if that is not what is known. Files that are just being written are left to the next look.
fn changed(
    path: &Path,
    known: Fingerprint,
) -> Option<(Fingerprint, Result<RegistryHosts, RegistriesError>)> {
    let (first, _) = file::read(path);
    if first == known {
        return None;
    }
    let (fingerprint, read) = file::read(path);
    let hosts = read.map(|LoadedRegistries { hosts, .. }| hosts);
    (fingerprint == first).then_some((fingerprint, hosts))
}
