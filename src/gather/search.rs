//! A search for evidence about one image, in stages, the likeliest place first.
//!
//! *In*: what is [`Sought`]. *Out*: one [`Gathered`] for each place, as long as the caller asks: it stops when it is satisfied.
//!
//! | stage | requests for the list | then |
//! |---|---|---|
//! | tag: `.sig` or `.att` | one | one for each wanted layer |
//! | bundles: the referrers API, filtered | one a page | two for each: manifest and layer |
//! | referrers: all of them, unless the registry did not filter | one a page | the same |
//! | fallback tag, where the referrers API says 404 | one | the same |
//!
//! The order is that of the table, but the stage that last satisfied somebody in this repository comes first. Within a list, manifests
//! that say they hold evidence come before those that say nothing; a fallback tag's index is written by clients and may say anything,
//! so there the rest is read as well. All of it together is bounded: [`EvidenceLimits::candidates`] manifests and as many candidates.
//! One more is an error, and never an absence. Of large documents a part is handed on at a time, so that what is held stays bounded.
//!
//! A document that is broken or too large is handed on as [`Gathered::unread`] and does not end the search, because anybody who may
//! push can put one there. The caller takes it for *could not judge* unless something else proves what is asked.
//!
//! [`EvidenceLimits::candidates`]: crate::limits::EvidenceLimits::candidates

use std::collections::{BTreeSet, VecDeque};

use futures::future::try_join_all;
use tokio::sync::OwnedSemaphorePermit;

use super::listing::{Asked, ReferrerList};
use super::registry::{Access, FetchError};
use super::wanted::{PassedOver, Turn};
use super::{Gatherer, WantedEvidence, within};
use crate::evidence::bundle::ARTIFACT_TYPE;
use crate::evidence::{
    Candidate, EvidenceLayer, Format, Location, MalformedManifest, Referrer, ReferrerKind, manifest,
};
use crate::image::{Digest, Repository, Tag};

/// What is searched for, and where.
#[derive(Clone, Copy, Debug)]
pub struct Sought<'a> {
    /// The repository that keeps the evidence.
    pub repository: &'a Repository,
    /// A prefix of the tags `.sig` and `.att`, usually empty.
    pub tag_prefix: &'a str,
    /// The image.
    pub image: &'a Digest,
    /// What is wanted.
    pub wanted: &'a WantedEvidence,
    /// Whether it counts only as a sigstore bundle.
    pub bundles_only: bool,
}

/// What was found in one place, or a part of it. Its evidence counts as in flight until this is dropped.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Everything that may be what is wanted.
    pub candidates: Vec<Candidate>,
    /// Predicate types that were claimed and not wanted, so that the answer can name them.
    pub passed_over: Vec<String>,
    /// Where it was looked.
    pub looked: Vec<Location>,
    /// The first document that should have been read and could not be.
    pub unread: Option<FetchError>,
    room: Option<OwnedSemaphorePermit>,
}

/// A way to find evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    Tag,
    Bundles,
    Referrers,
    Fallback,
}

/// A search under way.
pub struct Search<'a> {
    gatherer: &'a Gatherer,
    sought: Sought<'a>,
    access: &'a Access,
    stages: VecDeque<Stage>,
    current: Option<Stage>,
    /// Layers that are wanted and were not fetched yet, smallest first.
    waiting: VecDeque<EvidenceLayer>,
    /// Manifests of the current list that do not say what they are, or are not believed.
    untold: Vec<Referrer>,
    /// Manifests that were read.
    read: BTreeSet<Digest>,
    candidates_left: usize,
    reads_left: usize,
    /// Whether the registry has no referrers API.
    no_api: bool,
    /// Whether everything that the referrers API lists was seen.
    listed_all: bool,
    /// What the registry was asked to list.
    asked: Vec<Asked>,
    /// Whether what is sought was found.
    is_satisfied: bool,
}

// === impl Search ===

impl<'a> Search<'a> {
    pub(super) fn new(
        gatherer: &'a Gatherer,
        sought: Sought<'a>,
        access: &'a Access,
        known: Option<Stage>,
    ) -> Self {
        let mut stages: VecDeque<Stage> = known.into_iter().collect();
        let order = [
            Stage::Tag,
            Stage::Bundles,
            Stage::Referrers,
            Stage::Fallback,
        ];
        stages.extend(order.into_iter().filter(|stage| known != Some(*stage)));
        if sought.bundles_only {
            stages.retain(|stage| *stage != Stage::Tag);
        }
        let candidates = gatherer.limits.evidence.candidates;
        Self {
            gatherer,
            sought,
            access,
            stages,
            current: None,
            waiting: VecDeque::new(),
            untold: Vec::new(),
            read: BTreeSet::new(),
            candidates_left: candidates,
            reads_left: candidates,
            no_api: false,
            listed_all: false,
            asked: Vec::new(),
            is_satisfied: false,
        }
    }

    /// What the next place holds; `None` when there is no other place.
    ///
    /// # Errors
    /// The registry as such cannot be asked on.
    pub async fn next(&mut self) -> Result<Option<Gathered>, FetchError> {
        let (access, repository) = (self.access, self.sought.repository);
        if !self.waiting.is_empty() {
            let gathered = within(access, repository, self.batch()).await;
            return settled(gathered).map(Some);
        }
        if !self.untold.is_empty() {
            let untold = std::mem::take(&mut self.untold);
            let gathered = within(access, repository, self.manifests(untold)).await;
            return settled(gathered).map(Some);
        }
        while let Some(stage) = self.stages.pop_front() {
            if self.is_idle(stage) {
                continue;
            }
            self.current = Some(stage);
            let looked = vec![self.location(stage)];
            let gathered = within(access, repository, self.run(stage)).await;
            let gathered = settled(gathered)?;
            return Ok(Some(Gathered { looked, ..gathered }));
        }
        if !self.is_satisfied {
            let asked = std::mem::take(&mut self.asked);
            let listings = &self.gatherer.listings;
            listings.doubt(repository, asked, access).await;
        }
        Ok(None)
    }

    /// What was found last is what was asked for: the next search in this repository begins there.
    pub fn was_right(&mut self) {
        self.is_satisfied = true;
        if let Some(stage) = self.current {
            self.gatherer.places.remember(self.sought, stage);
        }
    }

    /// Whether nothing new can come of a stage.
    fn is_idle(&self, stage: Stage) -> bool {
        match stage {
            Stage::Tag => false,
            Stage::Bundles | Stage::Referrers => self.no_api || self.listed_all,
            Stage::Fallback => !self.no_api && self.current.is_some(),
        }
    }

    fn location(&self, stage: Stage) -> Location {
        match stage {
            Stage::Tag => self.sought.wanted.tag_location(),
            Stage::Bundles | Stage::Referrers => Location::Referrers,
            Stage::Fallback => Location::FallbackTag,
        }
    }

    async fn run(&mut self, stage: Stage) -> Result<Gathered, FetchError> {
        match stage {
            Stage::Tag => self.tagged().await,
            Stage::Bundles => self.referrers(Some(ARTIFACT_TYPE)).await,
            Stage::Referrers => self.referrers(None).await,
            Stage::Fallback => self.fallback().await,
        }
    }

    // --- the places ---

    async fn tagged(&mut self) -> Result<Gathered, FetchError> {
        let Sought {
            repository, wanted, ..
        } = self.sought;
        let format = wanted.tag_format();
        let tag = self.tag(self.sought.tag_prefix, wanted.tag_location().as_str())?;
        self.asked.push(Asked::Tag(format, tag.clone()));
        let listings = &self.gatherer.listings;
        let listed = listings
            .layers(format, repository, &tag, self.access)
            .await?;
        self.layers(listed.iter().cloned().collect()).await
    }

    async fn referrers(
        &mut self,
        artifact_type: Option<&'static str>,
    ) -> Result<Gathered, FetchError> {
        let Sought {
            repository, image, ..
        } = self.sought;
        self.asked
            .push(Asked::Referrers(image.clone(), artifact_type));
        let listings = &self.gatherer.listings;
        let listed = listings.referrers(repository, image, artifact_type, self.access);
        let Some(list) = listed.await? else {
            self.no_api = true;
            return Ok(Gathered::default());
        };
        self.listed_all = artifact_type.is_none() || !list.filtered;
        self.list(&list, |kind| kind == ReferrerKind::Unsaid).await
    }

    async fn fallback(&mut self) -> Result<Gathered, FetchError> {
        let tag = self.tag("", "")?;
        self.asked.push(Asked::Fallback(tag.clone()));
        let listings = &self.gatherer.listings;
        let listed = listings.fallback(self.sought.repository, &tag, self.access);
        match listed.await? {
            Some(list) => self.list(&list, |_| true).await,
            None => Ok(Gathered::default()),
        }
    }

    #[expect(
        clippy::result_large_err,
        reason = "the error of the trait names both digests of a mismatch"
    )]
    fn tag(&self, prefix: &str, suffix: &str) -> Result<Tag, FetchError> {
        let tag = self.sought.image.tag_with_suffix(prefix, suffix);
        tag.map_err(|error| FetchError::Malformed {
            registry: self.sought.repository.registry().to_owned(),
            what: format!("the tag {suffix} with the prefix {prefix:?}"),
            detail: error.to_string(),
        })
    }

    // --- what is in them ---

    /// Reads the manifests of a list that say they hold evidence, and keeps those that `may_be_read_later`.
    async fn list(
        &mut self,
        list: &ReferrerList,
        may_be_read_later: impl Fn(ReferrerKind) -> bool,
    ) -> Result<Gathered, FetchError> {
        let mut notes = Gathered::default();
        let (mut told, mut untold) = (Vec::new(), Vec::new());
        let mut listed = BTreeSet::new();
        for referrer in &list.referrers {
            if self.read.contains(&referrer.digest) || !listed.insert(&referrer.digest) {
                continue;
            }
            match self
                .sought
                .wanted
                .referrer(referrer, self.sought.bundles_only)
            {
                Err(why) => notes.pass_over(why),
                Ok(Turn::Last) => untold.push(referrer.clone()),
                Ok(Turn::First) => match referrer.kind {
                    ReferrerKind::Bundle | ReferrerKind::SimpleSigning => {
                        told.push(referrer.clone());
                    }
                    kind if may_be_read_later(kind) => untold.push(referrer.clone()),
                    ReferrerKind::Unsaid | ReferrerKind::Other => {}
                },
            }
        }
        self.untold = untold;
        notes.add(self.manifests(told).await?);
        Ok(notes)
    }

    /// Reads referring manifests and what is wanted of their layers.
    async fn manifests(&mut self, referrers: Vec<Referrer>) -> Result<Gathered, FetchError> {
        self.reads_left = self.take("manifests", referrers.len(), self.reads_left)?;
        self.read
            .extend(referrers.iter().map(|referrer| referrer.digest.clone()));
        let manifests = referrers.iter().map(|referrer| {
            self.gatherer
                .referring(self.sought.repository, referrer, self.access)
        });
        let (mut notes, mut layers) = (Gathered::default(), Vec::new());
        let manifests = try_join_all(manifests.map(one_document)).await?;
        for (referrer, bytes) in referrers.iter().zip(manifests) {
            match bytes.map(|bytes| manifest::referring(&bytes)) {
                Ok(Ok(found)) => layers.extend(found),
                Ok(Err(malformed)) => notes.malformed(referrer, &malformed),
                Err(error) => notes.unread = notes.unread.take().or(Some(error)),
            }
        }
        notes.add(self.layers(layers).await?);
        Ok(notes)
    }

    /// Chooses the layers that are wanted, and fetches the first of them.
    async fn layers(&mut self, layers: Vec<EvidenceLayer>) -> Result<Gathered, FetchError> {
        let (mut notes, mut wanted) = (Gathered::default(), Vec::new());
        for layer in layers {
            match self.sought.wanted.layer(&layer, self.sought.bundles_only) {
                Ok(()) => wanted.push(layer),
                Err(why) => notes.pass_over(why),
            }
        }
        self.candidates_left = self.take("candidates", wanted.len(), self.candidates_left)?;
        // Large ones, which may be there only to be in the way, come last.
        wanted.sort_by_key(|layer| layer.size);
        self.waiting.extend(wanted);
        notes.add(self.batch().await?);
        Ok(notes)
    }

    /// Fetches as many of the waiting layers as are held at one time: a part of what the process may hold, and at least one.
    async fn batch(&mut self) -> Result<Gathered, FetchError> {
        let room = u64::try_from(self.gatherer.limits.in_flight.evidence_bytes / 4);
        let mut room = room.unwrap_or(u64::MAX);
        let mut batch: Vec<EvidenceLayer> = Vec::new();
        while let Some(layer) = self.waiting.pop_front() {
            if layer.size > room && !batch.is_empty() {
                self.waiting.push_front(layer);
                break;
            }
            room = room.saturating_sub(layer.size);
            batch.push(layer);
        }
        let mut notes = Gathered::default();
        let fits = |layer: &EvidenceLayer| {
            let limit = u64::try_from(self.gatherer.limit(layer.format)).unwrap_or(u64::MAX);
            layer.size <= limit
        };
        let repository = self.sought.repository;
        let sizes = batch.iter().filter(|layer| fits(layer)).map(|l| l.size);
        notes.room = Some(self.gatherer.room(sizes, repository, self.access).await?);
        let fetched = batch
            .iter()
            .map(|layer| self.gatherer.candidate(repository, layer, self.access));
        for candidate in try_join_all(fetched.map(one_document)).await? {
            match candidate {
                Ok(candidate) => notes.candidates.push(candidate),
                Err(error) => notes.unread = notes.unread.take().or(Some(error)),
            }
        }
        Ok(notes)
    }

    /// What is left of a bound after `count` more.
    #[expect(
        clippy::result_large_err,
        reason = "the error of the trait names both digests of a mismatch"
    )]
    fn take(&self, what: &str, count: usize, left: usize) -> Result<usize, FetchError> {
        let limit = self.gatherer.limits.evidence.candidates;
        left.checked_sub(count).ok_or_else(|| FetchError::TooMany {
            what: format!(
                "{what} of evidence about {}@{}",
                self.sought.repository, self.sought.image
            ),
            found: limit.saturating_sub(left).saturating_add(count),
            limit,
        })
    }
}

// === impl Gathered ===

impl Gathered {
    fn add(&mut self, other: Self) {
        self.candidates.extend(other.candidates);
        self.passed_over.extend(other.passed_over);
        self.unread = self.unread.take().or(other.unread);
        self.room = self.room.take().or(other.room);
    }

    fn pass_over(&mut self, why: PassedOver) {
        if let PassedOver::Predicate(claimed) = why {
            self.passed_over.push(claimed);
        }
    }

    /// A manifest that says it holds evidence, and is none that does. One that said nothing is somebody else's document.
    fn malformed(&mut self, referrer: &Referrer, malformed: &MalformedManifest) {
        let format = match referrer.kind {
            ReferrerKind::Bundle => Format::Bundle,
            ReferrerKind::SimpleSigning => Format::SignatureReferrer,
            ReferrerKind::Unsaid | ReferrerKind::Other => return,
        };
        let digest = referrer.digest.clone();
        self.candidates
            .push(Candidate::unreadable(format, digest, malformed));
    }
}

/// A place whose list cannot be read holds nothing that was read.
#[expect(
    clippy::result_large_err,
    reason = "the error of the trait names both digests of a mismatch"
)]
fn settled(gathered: Result<Gathered, FetchError>) -> Result<Gathered, FetchError> {
    match gathered {
        Err(error) if error.is_about_one_document() => Ok(Gathered {
            unread: Some(error),
            ..Gathered::default()
        }),
        gathered => gathered,
    }
}

/// A fetch whose failure ends the others only when it is not about its own document.
async fn one_document<T>(
    fetch: impl Future<Output = Result<T, FetchError>>,
) -> Result<Result<T, FetchError>, FetchError> {
    match fetch.await {
        Err(error) if !error.is_about_one_document() => Err(error),
        own => Ok(own),
    }
}
