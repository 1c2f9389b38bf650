//! What a demo registry holds: manifests, tags and blobs by repository.
//!
//! In come bytes, out comes their digest; what is asked for by digest has that digest. Shared by all clones, safe to change while
//! it is served.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;

use crate::image::Digest;

/// The content of a registry. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Store(Arc<RwLock<Contents>>);

/// A manifest as it was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredManifest {
    /// The digest of `bytes`.
    pub digest: Digest,
    /// What it was pushed as; sent as `Content-Type`.
    pub media_type: String,
    /// The bytes, as they were pushed.
    pub bytes: Bytes,
}

#[derive(Debug, Default)]
struct Contents {
    repositories: BTreeMap<String, RepositoryContents>,
    hides_referrers: bool,
    referrers_per_page: Option<usize>,
    ignores_filters: bool,
}

#[derive(Debug, Default)]
struct RepositoryContents {
    manifests: BTreeMap<Digest, StoredManifest>,
    tags: BTreeMap<String, Digest>,
    blobs: BTreeMap<Digest, Bytes>,
}

// === impl Store ===

impl Store {
    /// An empty store, with the referrers API switched on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores a manifest in `repository` (a path such as `shop/cart`) and lets `tag`, where given, name it.
    ///
    /// Neither the bytes nor the media type are looked at: a test may push what no client would.
    pub fn push_manifest(
        &self,
        repository: &str,
        tag: Option<&str>,
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::sha256_of(&bytes);
        let manifest = StoredManifest {
            digest: digest.clone(),
            media_type: media_type.to_owned(),
            bytes,
        };
        let mut contents = self.write();
        let stored = contents.repository(repository);
        stored.manifests.insert(digest.clone(), manifest);
        if let Some(tag) = tag {
            stored.tags.insert(tag.to_owned(), digest.clone());
        }
        digest
    }

    /// Stores a blob in `repository`.
    pub fn push_blob(&self, repository: &str, bytes: impl Into<Bytes>) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::sha256_of(&bytes);
        self.write()
            .repository(repository)
            .blobs
            .insert(digest.clone(), bytes);
        digest
    }

    /// Lets `tag` name `digest` from now on, whether such a manifest is there or not.
    pub fn retag(&self, repository: &str, tag: &str, digest: &Digest) {
        self.write()
            .repository(repository)
            .tags
            .insert(tag.to_owned(), digest.clone());
    }

    /// Forgets a tag; the manifest stays. Whether there was one.
    pub fn remove_tag(&self, repository: &str, tag: &str) -> bool {
        self.write()
            .repository(repository)
            .tags
            .remove(tag)
            .is_some()
    }

    /// Forgets a blob. Whether there was one.
    pub fn remove_blob(&self, repository: &str, digest: &Digest) -> bool {
        self.write()
            .repository(repository)
            .blobs
            .remove(digest)
            .is_some()
    }

    /// Switches the referrers API on or off; off, its endpoint answers 404, as a registry of distribution 1.0 does.
    pub fn serve_referrers(&self, served: bool) {
        self.write().hides_referrers = !served;
    }

    /// Whether the referrers API is on.
    pub fn serves_referrers(&self) -> bool {
        !self.read().hides_referrers
    }

    /// Answers referrers in pages of this many entries, with a `Link` to the next one; at once where it is `None`.
    pub fn page_referrers(&self, entries: Option<usize>) {
        self.write().referrers_per_page = entries.map(|entries| entries.max(1));
    }

    /// How many entries a page of referrers has.
    pub fn referrers_per_page(&self) -> Option<usize> {
        self.read().referrers_per_page
    }

    /// Whether the referrers API takes `artifactType` for a filter, which a registry need not do.
    pub fn filter_referrers(&self, filtered: bool) {
        self.write().ignores_filters = !filtered;
    }

    /// Whether `artifactType` is a filter.
    pub fn filters_referrers(&self) -> bool {
        !self.read().ignores_filters
    }

    /// The digest that `tag` names.
    pub fn tag_digest(&self, repository: &str, tag: &str) -> Option<Digest> {
        self.read()
            .repositories
            .get(repository)?
            .tags
            .get(tag)
            .cloned()
    }

    /// A manifest by tag or by digest.
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<StoredManifest> {
        let contents = self.read();
        let stored = contents.repositories.get(repository)?;
        let by_digest: Option<Digest> = reference.parse().ok();
        let digest = match &by_digest {
            Some(digest) => digest,
            None => stored.tags.get(reference)?,
        };
        stored.manifests.get(digest).cloned()
    }

    /// A blob by its digest.
    pub fn blob(&self, repository: &str, digest: &Digest) -> Option<Bytes> {
        self.read()
            .repositories
            .get(repository)?
            .blobs
            .get(digest)
            .cloned()
    }

    /// Every manifest of `repository`, in the order of their digests.
    pub fn manifests(&self, repository: &str) -> Vec<StoredManifest> {
        self.read()
            .repositories
            .get(repository)
            .map(|stored| stored.manifests.values().cloned().collect())
            .unwrap_or_default()
    }

    /// Whether anything was ever stored in `repository`.
    pub fn has_repository(&self, repository: &str) -> bool {
        self.read().repositories.contains_key(repository)
    }

    // A panic elsewhere while the lock was held leaves whole entries behind, because each change is one insertion or removal.
    fn read(&self) -> RwLockReadGuard<'_, Contents> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Contents> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Contents ===

impl Contents {
    fn repository(&mut self, name: &str) -> &mut RepositoryContents {
        self.repositories.entry(name.to_owned()).or_default()
    }
}
