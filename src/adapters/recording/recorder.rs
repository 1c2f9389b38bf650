//! A registry that remembers what it answered.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::answers::{Answers, ManifestKind, Page, Pages, ReferrersKey};
use super::folder::{MAX_ANSWERS, MAX_BYTES, Recording};
use crate::gather::registry::{
    Access, BlobReference, FetchError, FetchedManifest, FetchedReferrers, ManifestReference,
    PageToken, ReferrersPage, Registry,
};
use crate::image::{Digest, Repository, Tag};

/// Asks another registry, hands on its answers unchanged, and keeps them.
pub struct Recorder {
    inner: Arc<dyn Registry>,
    kept: Mutex<Kept>,
}

/// Why there is no recording of a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Incomplete {
    /// Each thing that was asked and not answered, or that cannot be kept.
    pub reasons: Vec<String>,
}

/// One reason a line.
impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reasons.join("\n"))
    }
}

#[derive(Default)]
struct Kept {
    answers: Answers,
    bytes: BTreeMap<Digest, Bytes>,
    size: usize,
    /// For each list, where its last page that was seen says that it goes on. What a registry writes there may be a secret of that
    /// session, so pages are kept by their order.
    next: BTreeMap<ReferrersKey, Option<PageToken>>,
    /// Why this is no recording.
    reasons: Vec<String>,
}

// === impl Recorder ===

impl Recorder {
    /// Keeps what this registry answers from now on.
    pub fn new(inner: Arc<dyn Registry>) -> Self {
        Self {
            inner,
            kept: Mutex::default(),
        }
    }

    /// Everything that was answered.
    ///
    /// # Errors
    /// Something was not answered, or was answered in two ways, or it is too much.
    pub fn recording(&self) -> Result<Recording, Incomplete> {
        let kept = self.kept();
        if kept.reasons.is_empty() {
            return Ok(Recording::new(kept.answers.clone(), kept.bytes.clone()));
        }
        let mut reasons = kept.reasons.clone();
        reasons.sort();
        reasons.dedup();
        Err(Incomplete { reasons })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn tag(
        &self,
        repository: &Repository,
        tag: &Tag,
        access: &Access,
    ) -> Result<Option<Digest>, FetchError> {
        let answer = self.inner.tag_digest(repository, tag, access).await;
        match &answer {
            Ok(found) => {
                if let Some(digest) = found {
                    self.complete(repository, tag, digest, access).await;
                }
                self.kept().tag(repository, tag, found.as_ref());
            }
            Err(error) => self.kept().failed(error),
        }
        answer
    }

    /// A layout lists a manifest with its size and media type, which a `HEAD` does not tell.
    async fn complete(&self, repository: &Repository, tag: &Tag, digest: &Digest, access: &Access) {
        if self.kept().bytes.contains_key(digest) {
            return;
        }
        let reference = ManifestReference::Digest(digest.clone());
        match self.inner.manifest(repository, &reference, access).await {
            Ok(Some(manifest)) => self.kept().manifest(digest, &manifest),
            Ok(None) => self.kept().reasons.push(format!(
                "tag {tag} of {repository} names {digest}, which the registry does not hold"
            )),
            Err(error) => self.kept().failed(&error),
        }
    }

    async fn get_manifest(
        &self,
        repository: &Repository,
        reference: &ManifestReference,
        access: &Access,
    ) -> Result<Option<FetchedManifest>, FetchError> {
        let answer = self.inner.manifest(repository, reference, access).await;
        let mut kept = self.kept();
        match (&answer, reference) {
            (Err(error), _) => kept.failed(error),
            (Ok(Some(manifest)), ManifestReference::Tag(tag)) => {
                kept.manifest(&manifest.digest, manifest);
                kept.tag(repository, tag, Some(&manifest.digest));
            }
            (Ok(None), ManifestReference::Tag(tag)) => kept.tag(repository, tag, None),
            // Kept under the digest that was asked for, which may be of another algorithm than the one computed.
            (Ok(Some(manifest)), ManifestReference::Digest(digest)) => {
                kept.manifest(digest, manifest);
            }
            (Ok(None), ManifestReference::Digest(digest)) => {
                let absent = (repository.clone(), digest.clone());
                kept.answers.absent_manifests.insert(absent);
            }
        }
        drop(kept);
        answer
    }

    async fn get_blob(
        &self,
        repository: &Repository,
        blob: &BlobReference,
        limit: usize,
        access: &Access,
    ) -> Result<Option<Bytes>, FetchError> {
        let answer = self.inner.blob(repository, blob, limit, access).await;
        let mut kept = self.kept();
        match &answer {
            Ok(Some(bytes)) => kept.keep(&blob.digest, bytes),
            Ok(None) => {
                let absent = (repository.clone(), blob.digest.clone());
                kept.answers.absent_blobs.insert(absent);
            }
            Err(error) => kept.failed(error),
        }
        drop(kept);
        answer
    }

    async fn get_referrers(
        &self,
        repository: &Repository,
        page: &ReferrersPage,
        access: &Access,
    ) -> Result<Option<FetchedReferrers>, FetchError> {
        let answer = self.inner.referrers(repository, page, access).await;
        let key = ReferrersKey {
            repository: repository.clone(),
            subject: page.subject.clone(),
            artifact_type: page.artifact_type.map(str::to_owned),
        };
        match &answer {
            Ok(found) => self.kept().page(key, page.from.as_ref(), found.as_ref()),
            Err(error) => self.kept().failed(error),
        }
        answer
    }
}

// === impl Kept ===

impl Kept {
    /// A failure is no answer, and cannot be told again.
    fn failed(&mut self, error: &FetchError) {
        self.reasons.push(error.to_string());
    }

    fn keep(&mut self, digest: &Digest, bytes: &Bytes) {
        if self.bytes.contains_key(digest) {
            return;
        }
        self.size = self.size.saturating_add(bytes.len());
        if self.size > MAX_BYTES || self.answers.len() > MAX_ANSWERS {
            self.reasons.push(format!(
                "a recording holds at most {MAX_ANSWERS} answers and {MAX_BYTES} bytes; record fewer images at a time"
            ));
            return;
        }
        self.bytes.insert(digest.clone(), bytes.clone());
    }

    fn manifest(&mut self, digest: &Digest, manifest: &FetchedManifest) {
        self.keep(digest, &manifest.bytes);
        let kind = ManifestKind {
            media_type: manifest.media_type.clone(),
            size: u64::try_from(manifest.bytes.len()).unwrap_or(u64::MAX),
        };
        self.answers.manifests.insert(digest.clone(), kind);
    }

    fn tag(&mut self, repository: &Repository, tag: &Tag, digest: Option<&Digest>) {
        let key = (repository.clone(), tag.clone());
        let before = self.answers.tags.insert(key, digest.cloned());
        if before.is_some_and(|before| before.as_ref() != digest) {
            self.moved(&format!("tag {tag} of {repository}"));
        }
    }

    /// Takes a page: the first of a list, or the one that the last one named.
    fn page(
        &mut self,
        key: ReferrersKey,
        from: Option<&PageToken>,
        found: Option<&FetchedReferrers>,
    ) {
        let what = format!(
            "the list of referrers of {}@{}",
            key.repository, key.subject
        );
        if from.is_none() {
            if self.answers.referrers.contains_key(&key) {
                // Asked once more, because whoever asked first ran out of time: its pages are counted anew.
                self.next.remove(&key);
                self.answers.referrers.remove(&key);
            }
        } else if self.next.get(&key).and_then(Option::as_ref) != from {
            return self.moved(&what);
        }
        let Some(found) = found else {
            if from.is_none() {
                self.answers.referrers.insert(key, None);
            } else {
                self.reasons
                    .push(format!("{what} names a page that is not there"));
            }
            return;
        };
        let digest = Digest::sha256_of(&found.bytes);
        self.keep(&digest, &found.bytes);
        self.next.insert(key.clone(), found.next.clone());
        let list = self.answers.referrers.entry(key).or_default();
        let list = list.get_or_insert_with(Pages::default);
        list.more = found.next.is_some();
        list.pages.push(Page {
            digest,
            filtered: found.filtered,
        });
    }

    fn moved(&mut self, what: &str) {
        self.reasons.push(format!(
            "{what} was changed while it was recorded; try again"
        ));
    }
}

impl Registry for Recorder {
    fn tag_digest<'a>(
        &'a self,
        repository: &'a Repository,
        tag: &'a Tag,
        access: &'a Access,
    ) -> BoxFuture<'a, Result<Option<Digest>, FetchError>> {
        self.tag(repository, tag, access).boxed()
    }

    fn manifest<'a>(
        &'a self,
        repository: &'a Repository,
        reference: &'a ManifestReference,
        access: &'a Access,
    ) -> BoxFuture<'a, Result<Option<FetchedManifest>, FetchError>> {
        self.get_manifest(repository, reference, access).boxed()
    }

    fn blob<'a>(
        &'a self,
        repository: &'a Repository,
        blob: &'a BlobReference,
        limit: usize,
        access: &'a Access,
    ) -> BoxFuture<'a, Result<Option<Bytes>, FetchError>> {
        self.get_blob(repository, blob, limit, access).boxed()
    }

    fn referrers<'a>(
        &'a self,
        repository: &'a Repository,
        page: &'a ReferrersPage,
        access: &'a Access,
    ) -> BoxFuture<'a, Result<Option<FetchedReferrers>, FetchError>> {
        self.get_referrers(repository, page, access).boxed()
    }
}
