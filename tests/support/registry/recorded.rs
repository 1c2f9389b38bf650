//! Evidence that real tools wrote, as a store: one folder for each case (`tests/data/recorded/README.md`).

use std::path::Path;

use serde::Deserialize;
use vouchsafe::demo::registry::Store;
use vouchsafe::image::Digest;

/// A recorded image with its evidence.
#[derive(Clone, Debug)]
pub struct RecordedImage {
    /// A store with nothing else in it.
    pub store: Store,
    /// The repository it is in.
    pub repository: String,
    /// The image's digest.
    pub digest: Digest,
}

/// `registry.json` of a case.
#[derive(Deserialize)]
struct Listing {
    repository: String,
    digest: Digest,
    manifests: Vec<Manifest>,
    blobs: Vec<Blob>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    reference: String,
    media_type: String,
    file: String,
}

#[derive(Deserialize)]
struct Blob {
    digest: Digest,
    file: String,
}

// === impl RecordedImage ===

impl RecordedImage {
    /// Reads the case in `folder`. Every file must have the digest it is listed under.
    pub fn load(folder: impl AsRef<Path>) -> Self {
        Self::load_into(&Store::new(), folder)
    }

    /// As [`Self::load`], into a store that may hold other things.
    pub fn load_into(store: &Store, folder: impl AsRef<Path>) -> Self {
        let folder = folder.as_ref();
        let read = |file: &str| {
            let path = folder.join(file);
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let listing: Listing = serde_json::from_slice(&read("registry.json"))
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for manifest in &listing.manifests {
            push(store, &listing.repository, manifest, read(&manifest.file));
        }
        for blob in &listing.blobs {
            let pushed = store.push_blob(&listing.repository, read(&blob.file));
            assert_eq!(pushed, blob.digest, "{}", blob.file);
        }
        Self {
            store: store.clone(),
            repository: listing.repository,
            digest: listing.digest,
        }
    }
}

/// Stores a manifest under the tag or the digest it is listed under.
fn push(store: &Store, repository: &str, manifest: &Manifest, bytes: Vec<u8>) {
    let listed: Option<Digest> = manifest.reference.parse().ok();
    let tag = match listed {
        Some(_) => None,
        None => Some(manifest.reference.as_str()),
    };
    let pushed = store.push_manifest(repository, tag, &manifest.media_type, bytes);
    if let Some(listed) = listed {
        assert_eq!(pushed, listed, "{}", manifest.file);
    }
}
