//! What a registry lists as evidence about an image, for a short while.
//!
//! Two kinds of lists: the layers under a tag, and the manifests that refer to an image. A list is fetched whole or not at all: one
//! that ends at a bound is an error, because what was not read could be the evidence.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::future::Cache;
use moka::ops::compute::Op;
use moka::{Entry, Expiry};

use super::keychain::KeychainId;
use super::registry::{
    Access, FetchError, FetchedManifest, FetchedReferrers, ManifestReference, ReferrersPage,
    Registry,
};
use super::shared;
use crate::evidence::{EvidenceLayer, Format, MalformedManifest, Referrer, Referrers, manifest};
use crate::image::{Digest, Repository, Tag};
use crate::limits::{EvidenceLimits, Limits};

/// How long a listing with something in it is used again. A signature over a digest does not rot; what is added is seen after this.
const FOUND: Duration = Duration::from_mins(1);
/// How long "there is none" is used again: long enough for a storm of retries, short enough for *sign, then try again*. So is a listing in
/// which somebody did not find what was wanted, from then on.
const ABSENT: Duration = Duration::from_secs(5);
/// What all listings that are kept may take, in bytes. One listing can be as large as a manifest may be.
const BYTES: u64 = 32 << 20;
/// What a listing takes beside its layers: its key.
const ENTRY_BYTES: usize = 512;

/// Everything that a listing depends on: where it was asked, for what, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    repository: Repository,
    asked: Asked,
    keychain: KeychainId,
}

/// What a registry was asked to list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    /// The layers of this format under a tag.
    Tag(Format, Tag),
    /// The manifests that refer to this one, of one artifact type or of all.
    Referrers(Digest, Option<&'static str>),
    /// The index under a fallback tag.
    Fallback(Tag),
}

#[derive(Clone, Debug)]
enum Listed {
    Layers(Arc<Vec<EvidenceLayer>>),
    Referrers(Option<Arc<ReferrerList>>),
}

/// A listing that is kept.
#[derive(Clone, Debug)]
struct Kept {
    listed: Listed,
    /// Whether somebody did not find in it what was wanted.
    is_doubted: bool,
}

/// Manifests that refer to an image.
#[derive(Clone, Debug, Default)]
pub(super) struct ReferrerList {
    pub(super) referrers: Vec<Referrer>,
    /// Whether the registry left out other artifact types.
    pub(super) filtered: bool,
}

/// Listings, each fetched once.
pub(super) struct Listings {
    registry: Arc<dyn Registry>,
    kept: Cache<Key, Kept>,
    limits: EvidenceLimits,
}

struct Freshness;

impl Listings {
    pub(super) fn new(registry: Arc<dyn Registry>, limits: &Limits) -> Self {
        Self {
            registry,
            kept: Cache::builder()
                .max_capacity(BYTES)
                .weigher(weight)
                .expire_after(Freshness)
                .build(),
            limits: limits.evidence.clone(),
        }
    }

    /// The layers under this tag; none when the registry says 404.
    pub(super) async fn layers(
        &self,
        format: Format,
        repository: &Repository,
        tag: &Tag,
        access: &Access,
    ) -> Result<Arc<Vec<EvidenceLayer>>, FetchError> {
        let asked = Asked::Tag(format, tag.clone());
        let fetch = || self.fetch_layers(format, repository, tag, access);
        match self.listed(repository, asked, access, fetch).await? {
            Listed::Layers(layers) => Ok(layers),
            Listed::Referrers(_) => Ok(Arc::default()),
        }
    }

    /// The manifests that refer to `subject`; `None` when the registry has no referrers API.
    pub(super) async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        artifact_type: Option<&'static str>,
        access: &Access,
    ) -> Result<Option<Arc<ReferrerList>>, FetchError> {
        let asked = Asked::Referrers(subject.clone(), artifact_type);
        let fetch = || self.fetch_referrers(repository, subject, artifact_type, access);
        let listed = self.listed(repository, asked, access, fetch).await?;
        Ok(listed.referrers())
    }

    /// The manifests that the index under a fallback tag lists; `None` when the registry says 404.
    pub(super) async fn fallback(
        &self,
        repository: &Repository,
        tag: &Tag,
        access: &Access,
    ) -> Result<Option<Arc<ReferrerList>>, FetchError> {
        let asked = Asked::Fallback(tag.clone());
        let fetch = || self.fetch_fallback(repository, tag, access);
        let listed = self.listed(repository, asked, access, fetch).await?;
        Ok(listed.referrers())
    }

    async fn listed<F>(
        &self,
        repository: &Repository,
        asked: Asked,
        access: &Access,
        fetch: impl Fn() -> F,
    ) -> Result<Listed, FetchError>
    where
        F: Future<Output = Result<Listed, FetchError>>,
    {
        let key = Key {
            repository: repository.clone(),
            asked,
            keychain: access.keychain.id(),
        };
        let fetch = || async {
            let listed = fetch().await?;
            Ok(Kept {
                listed,
                is_doubted: false,
            })
        };
        let kept = shared(access, || self.kept.try_get_with(key.clone(), fetch())).await?;
        let listed = kept.listed;
        // A rehearsal leaves no absence behind (T-76): what is asked for in earnest afterwards is looked for.
        if access.dry_run && listed.is_empty() {
            self.kept.invalidate(&key).await;
        }
        Ok(listed)
    }

    /// What was wanted is in none of these listings, so they are soon asked for anew: whoever then signs what was denied need not wait
    /// for longer than where nothing was there.
    pub(super) async fn doubt(&self, repository: &Repository, asked: Vec<Asked>, access: &Access) {
        for asked in asked {
            let key = Key {
                repository: repository.clone(),
                asked,
                keychain: access.keychain.id(),
            };
            let doubted = |kept: Option<Entry<Key, Kept>>| async move {
                match kept.map(Entry::into_value) {
                    Some(kept) if !kept.is_doubted => Op::Put(Kept {
                        is_doubted: true,
                        ..kept
                    }),
                    _ => Op::Nop,
                }
            };
            self.kept.entry(key).and_compute_with(doubted).await;
        }
    }

    /// The manifest or index under a tag; `None` where there is none.
    async fn tagged(
        &self,
        repository: &Repository,
        tag: &Tag,
        access: &Access,
    ) -> Result<Option<FetchedManifest>, FetchError> {
        let reference = ManifestReference::Tag(tag.clone());
        self.registry.manifest(repository, &reference, access).await
    }

    async fn fetch_layers(
        &self,
        format: Format,
        repository: &Repository,
        tag: &Tag,
        access: &Access,
    ) -> Result<Listed, FetchError> {
        let Some(found) = self.tagged(repository, tag, access).await? else {
            return Ok(Listed::Layers(Arc::default()));
        };
        let what = || format!("manifest {tag} of {}", repository.path());
        let layers = manifest::tagged(format, &found.bytes)
            .map_err(|error| malformed(repository, what(), error))?;
        Ok(Listed::Layers(Arc::new(layers)))
    }

    async fn fetch_fallback(
        &self,
        repository: &Repository,
        tag: &Tag,
        access: &Access,
    ) -> Result<Listed, FetchError> {
        let Some(found) = self.tagged(repository, tag, access).await? else {
            return Ok(Listed::Referrers(None));
        };
        let what = || format!("index {tag} of {}", repository.path());
        let list =
            Referrers::parse(&found.bytes).map_err(|error| malformed(repository, what(), error))?;
        self.within_bound(what, list.count)?;
        Ok(Listed::whole(list.entries, false))
    }

    /// All pages, or an error.
    async fn fetch_referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        artifact_type: Option<&'static str>,
        access: &Access,
    ) -> Result<Listed, FetchError> {
        let what = || format!("referrers of {repository}@{subject}");
        let mut page = ReferrersPage {
            subject: subject.clone(),
            artifact_type,
            from: None,
        };
        let (mut referrers, mut count, mut any_filtered) = (Vec::new(), 0_usize, false);
        for _ in 0..self.limits.referrer_pages {
            let fetched = self.registry.referrers(repository, &page, access).await?;
            let Some(FetchedReferrers {
                bytes,
                filtered,
                next,
            }) = fetched
            else {
                if page.from.is_none() {
                    return Ok(Listed::Referrers(None));
                }
                let detail = "the page before names this one, and it is not there".to_owned();
                return Err(malformed(repository, what(), MalformedManifest { detail }));
            };
            let list =
                Referrers::parse(&bytes).map_err(|error| malformed(repository, what(), error))?;
            count = count.saturating_add(list.count);
            self.within_bound(what, count)?;
            referrers.extend(list.entries);
            any_filtered |= filtered;
            page.from = next;
            if page.from.is_none() {
                return Ok(Listed::whole(referrers, any_filtered));
            }
        }
        Err(FetchError::TooMany {
            what: format!("pages of {}", what()),
            found: self.limits.referrer_pages.saturating_add(1),
            limit: self.limits.referrer_pages,
        })
    }

    #[expect(
        clippy::result_large_err,
        reason = "the error of the trait names both digests of a mismatch"
    )]
    fn within_bound(&self, what: impl Fn() -> String, count: usize) -> Result<(), FetchError> {
        if count <= self.limits.referrers {
            return Ok(());
        }
        Err(FetchError::TooMany {
            what: what(),
            found: count,
            limit: self.limits.referrers,
        })
    }
}

fn malformed(repository: &Repository, what: String, error: MalformedManifest) -> FetchError {
    FetchError::Malformed {
        registry: repository.registry().to_owned(),
        what,
        detail: error.detail,
    }
}

// === impl Listed ===

impl Listed {
    fn whole(referrers: Vec<Referrer>, filtered: bool) -> Self {
        Self::Referrers(Some(Arc::new(ReferrerList {
            referrers,
            filtered,
        })))
    }

    fn referrers(self) -> Option<Arc<ReferrerList>> {
        match self {
            Self::Referrers(list) => list,
            Self::Layers(_) => None,
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Layers(layers) => layers.is_empty(),
            Self::Referrers(list) => list.as_ref().is_none_or(|list| list.referrers.is_empty()),
        }
    }
}

/// What a kept listing takes, in bytes.
fn weight(_: &Key, kept: &Kept) -> u32 {
    let weight = match &kept.listed {
        Listed::Layers(layers) => layers
            .iter()
            .map(EvidenceLayer::weight)
            .fold(ENTRY_BYTES, usize::saturating_add),
        Listed::Referrers(list) => list
            .iter()
            .flat_map(|list| &list.referrers)
            .map(Referrer::weight)
            .fold(ENTRY_BYTES, usize::saturating_add),
    };
    u32::try_from(weight).unwrap_or(u32::MAX)
}

impl Expiry<Key, Kept> for Freshness {
    fn expire_after_create(&self, _: &Key, kept: &Kept, _: Instant) -> Option<Duration> {
        let is_empty = kept.listed.is_empty();
        Some(if is_empty { ABSENT } else { FOUND })
    }

    fn expire_after_update(
        &self,
        key: &Key,
        kept: &Kept,
        now: Instant,
        left: Option<Duration>,
    ) -> Option<Duration> {
        if kept.is_doubted {
            return Some(left.map_or(ABSENT, |left| left.min(ABSENT)));
        }
        self.expire_after_create(key, kept, now)
    }
}
