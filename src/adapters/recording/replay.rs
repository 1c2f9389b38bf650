//! A registry that answers what was recorded, and nothing else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::io::AsyncReadExt as _;

use super::answers::{Answers, ReferrersKey};
use super::folder::{self, RecordingError};
use crate::gather::registry::{
    Access, BlobReference, FetchError, FetchedManifest, FetchedReferrers, ManifestReference,
    PageToken, ReferrersPage, Registry,
};
use crate::image::{Digest, Repository, Tag};
use crate::limits::RegistryLimits;

/// Answers from a folder. Without a folder it holds no answer at all.
pub struct Replay {
    folder: Option<PathBuf>,
    answers: Answers,
    limits: RegistryLimits,
    complaints: Mutex<BTreeSet<String>>,
}

// === impl Replay ===

impl Replay {
    /// The recording in `folder`.
    pub fn open(folder: &Path, limits: &RegistryLimits) -> Result<Self, RecordingError> {
        Ok(Self {
            folder: Some(folder.to_owned()),
            answers: folder::answers(folder)?,
            ..Self::empty(limits)
        })
    }

    /// No recording: whatever is asked, there is no answer.
    pub fn empty(limits: &RegistryLimits) -> Self {
        Self {
            folder: None,
            answers: Answers::default(),
            limits: limits.clone(),
            complaints: Mutex::default(),
        }
    }

    /// The root that was trusted by default, where it was recorded.
    pub fn trusted_root(&self) -> Option<PathBuf> {
        self.folder.as_deref().and_then(folder::trusted_root)
    }

    /// What was asked and could not be told again, in words: it is not recorded, or it was edited since. Whatever was decided with
    /// one of these in the way says nothing about the image.
    pub fn complaints(&self) -> Vec<String> {
        let complaints = self.complaints.lock();
        let complaints = complaints.unwrap_or_else(PoisonError::into_inner);
        complaints.iter().cloned().collect()
    }

    fn complain(&self, what: String) {
        let complaints = self.complaints.lock();
        let mut complaints = complaints.unwrap_or_else(PoisonError::into_inner);
        complaints.insert(what);
    }

    /// A question that the recording does not answer. It means that the registry cannot be asked, never that something is absent.
    fn unanswered(&self, repository: &Repository, what: &str) -> FetchError {
        let complaint = match self.folder {
            Some(_) => format!("{what} was not asked when this was recorded"),
            None => format!("{what} is asked, and no evidence is recorded"),
        };
        self.complain(complaint);
        FetchError::Unreachable {
            registry: repository.registry().to_owned(),
            detail: "it is not recorded".to_owned(),
        }
    }

    #[expect(
        clippy::result_large_err,
        reason = "the error of the trait names both digests of a mismatch"
    )]
    fn tag(&self, repository: &Repository, tag: &Tag) -> Result<Option<Digest>, FetchError> {
        let key = (repository.clone(), tag.clone());
        match self.answers.tags.get(&key) {
            Some(answer) => Ok(answer.clone()),
            None => Err(self.unanswered(repository, &format!("tag {tag} of {repository}"))),
        }
    }

    async fn get_manifest(
        &self,
        repository: &Repository,
        reference: &ManifestReference,
    ) -> Result<Option<FetchedManifest>, FetchError> {
        let digest = match reference {
            ManifestReference::Digest(digest) => digest.clone(),
            ManifestReference::Tag(tag) => match self.tag(repository, tag)? {
                Some(digest) => digest,
                None => return Ok(None),
            },
        };
        if self
            .answers
            .absent_manifests
            .contains(&(repository.clone(), digest.clone()))
        {
            return Ok(None);
        }
        let what = format!("manifest {digest} of {repository}");
        let Some(kind) = self.answers.manifests.get(&digest) else {
            return Err(self.unanswered(repository, &what));
        };
        let limit = self.limits.manifest_bytes;
        let bytes = self.read(repository, &digest, limit, &what).await?;
        Ok(Some(FetchedManifest {
            bytes,
            media_type: kind.media_type.clone(),
            digest,
        }))
    }

    async fn get_blob(
        &self,
        repository: &Repository,
        blob: &BlobReference,
        limit: usize,
    ) -> Result<Option<Bytes>, FetchError> {
        let absent = (repository.clone(), blob.digest.clone());
        if self.answers.absent_blobs.contains(&absent) {
            return Ok(None);
        }
        let what = format!("blob {} of {repository}", blob.digest);
        let bytes = self.read(repository, &blob.digest, limit, &what).await?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) == blob.size {
            return Ok(Some(bytes));
        }
        Err(FetchError::Malformed {
            registry: repository.registry().to_owned(),
            what,
            detail: format!("{} bytes, its manifest claims {}", bytes.len(), blob.size),
        })
    }

    async fn get_referrers(
        &self,
        repository: &Repository,
        page: &ReferrersPage,
    ) -> Result<Option<FetchedReferrers>, FetchError> {
        let what = match page.artifact_type {
            Some(wanted) => format!(
                "the list of referrers of {repository}@{} with the artifact type {wanted}",
                page.subject
            ),
            None => format!("the list of referrers of {repository}@{}", page.subject),
        };
        let key = ReferrersKey {
            repository: repository.clone(),
            subject: page.subject.clone(),
            artifact_type: page.artifact_type.map(str::to_owned),
        };
        let list = match self.answers.referrers.get(&key) {
            Some(Some(list)) => list,
            Some(None) => return Ok(None),
            None => return Err(self.unanswered(repository, &what)),
        };
        let index = match &page.from {
            None => 0,
            Some(PageToken { query, .. }) => query.parse().unwrap_or(usize::MAX),
        };
        let Some(found) = list.pages.get(index) else {
            return Err(self.unanswered(
                repository,
                &format!("page {} of {what}", index.saturating_add(1)),
            ));
        };
        let following = index.saturating_add(1);
        let goes_on = following < list.pages.len() || list.more;
        let limit = self.limits.referrers_page_bytes;
        Ok(Some(FetchedReferrers {
            bytes: self.read(repository, &found.digest, limit, &what).await?,
            filtered: found.filtered,
            next: goes_on.then(|| PageToken {
                query: following.to_string(),
                listed_by: repository.clone(),
            }),
        }))
    }

    /// The bytes of this digest, at most `limit`. What has another digest now is refused, and never handed on (T-51).
    async fn read(
        &self,
        repository: &Repository,
        digest: &Digest,
        limit: usize,
        what: &str,
    ) -> Result<Bytes, FetchError> {
        let Some(folder) = &self.folder else {
            return Err(self.unanswered(repository, what));
        };
        let path = folder::blob(folder, digest);
        // Opening anything else, such as a pipe, could wait for ever.
        let is_file = tokio::fs::metadata(&path)
            .await
            .is_ok_and(|found| found.is_file());
        if !is_file {
            return Err(self.unanswered(repository, what));
        }
        let bytes = match bounded(&path, limit).await {
            Ok(bytes) => bytes,
            Err(error) => {
                self.complain(format!("{} cannot be read: {error}", path.display()));
                return Err(FetchError::Unreachable {
                    registry: repository.registry().to_owned(),
                    detail: "its recording cannot be read".to_owned(),
                });
            }
        };
        let found = Digest::of(digest.algorithm(), &bytes);
        if found == *digest {
            return Ok(bytes);
        }
        self.complain(format!(
            "{} was edited: its digest is {found}",
            path.display()
        ));
        Err(FetchError::DigestMismatch {
            registry: repository.registry().to_owned(),
            what: what.to_owned(),
            expected: digest.clone(),
            found,
        })
    }
}

/// At most one byte more than the bound, so that what is larger has another digest.
async fn bounded(path: &Path, limit: usize) -> std::io::Result<Bytes> {
    let mut bytes = Vec::new();
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let file = tokio::fs::File::open(path).await?;
    file.take(bound).read_to_end(&mut bytes).await?;
    Ok(Bytes::from(bytes))
}

impl Registry for Replay {
    fn tag_digest<'a>(
        &'a self,
        repository: &'a Repository,
        tag: &'a Tag,
        _: &'a Access,
    ) -> BoxFuture<'a, Result<Option<Digest>, FetchError>> {
        async { self.tag(repository, tag) }.boxed()
    }

    fn manifest<'a>(
        &'a self,
        repository: &'a Repository,
        reference: &'a ManifestReference,
        _: &'a Access,
    ) -> BoxFuture<'a, Result<Option<FetchedManifest>, FetchError>> {
        self.get_manifest(repository, reference).boxed()
    }

    fn blob<'a>(
        &'a self,
        repository: &'a Repository,
        blob: &'a BlobReference,
        limit: usize,
        _: &'a Access,
    ) -> BoxFuture<'a, Result<Option<Bytes>, FetchError>> {
        self.get_blob(repository, blob, limit).boxed()
    }

    fn referrers<'a>(
        &'a self,
        repository: &'a Repository,
        page: &'a ReferrersPage,
        _: &'a Access,
    ) -> BoxFuture<'a, Result<Option<FetchedReferrers>, FetchError>> {
        self.get_referrers(repository, page).boxed()
    }
}
