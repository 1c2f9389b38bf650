//! Gathering: what is fetched about an image, in which order, and once.
//!
//! *In*: a digest, where its evidence is kept, and what is wanted. *Out*: [`Candidate`]s, untrusted, or a [`FetchError`] that means
//! *could not judge*. Asynchronous, and only through the trait [`Registry`].
//!
//! The plan for signatures and attestations under tags:
//!
//! 1. the manifest `<repository>:[prefix]sha256-<hex>.sig` (or `.att`), by tag; a 404 is the answer "there is none";
//! 2. the layers that are wanted, by digest, in parallel. `.att` layers that name another predicate type are not fetched: skipping
//!    can only deny.
//!
//! Each is one request, as is the question which digest a tag names, and each is made once however many containers, authorities,
//! policies or reviews want it at that moment (*single flight*). What is kept afterwards is bytes, never a conclusion: listings for a minute, blobs by digest until they are
//! pushed out. An error is handed to everybody who waits for it and is never kept.

pub mod keychain;
pub mod listing;
pub mod registry;
mod tags;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::{BoxFuture, try_join_all};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::evidence::{Candidate, EvidenceLayer, Format, attestation, simple_signing};
use crate::image::{Digest, ImageReference, Repository};
use crate::limits::Limits;
use crate::workload::PullScope;

pub use keychain::{Credential, Keychain, KeychainEntry, KeychainId};
pub use registry::{
    Access, BlobReference, FetchError, FetchedManifest, ManifestReference, Registry,
};

use listing::Listings;
use tags::Tags;

/// Which credentials a workload's images are fetched with.
pub trait Credentials: Send + Sync {
    /// The keychain of this scope for these registries (hosts as references have them). Secrets that are not there are passed
    /// over, as the kubelet does.
    fn keychain<'a>(
        &'a self,
        scope: &'a PullScope,
        registries: &'a BTreeSet<String>,
    ) -> BoxFuture<'a, Result<Arc<Keychain>, FetchError>>;
}

/// What is wanted of the evidence about an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantedEvidence {
    /// Signatures.
    Signatures,
    /// Attestations of these predicate types (URIs).
    Attestations(Vec<String>),
}

/// What was found. Its evidence counts as in flight until this is dropped.
#[derive(Debug)]
pub struct Gathered {
    /// Everything that may be what is wanted.
    pub candidates: Vec<Candidate>,
    /// Predicate types that layers claimed and that were not wanted, so that the answer can name them.
    pub passed_over: Vec<String>,
    /// Where it was looked.
    pub looked: Vec<Format>,
    _room: OwnedSemaphorePermit,
}

/// Fetches evidence, each piece once.
pub struct Gatherer {
    registry: Arc<dyn Registry>,
    tags: Tags,
    listings: Listings,
    /// Bytes of evidence by their digest, weighed in bytes. Which digests may be asked for is decided by a listing, and listings
    /// are kept apart by credentials.
    blobs: moka::future::Cache<Digest, Bytes>,
    /// Evidence being fetched and looked at, in KiB.
    in_flight: Arc<Semaphore>,
    limits: Limits,
}

// === impl Gatherer ===

impl Gatherer {
    /// A gatherer over these registries.
    pub fn new(registry: Arc<dyn Registry>, limits: &Limits) -> Self {
        let capacity = u64::try_from(limits.in_flight.cached_evidence_bytes).unwrap_or(u64::MAX);
        let blobs = moka::future::Cache::builder()
            .max_capacity(capacity)
            .weigher(|_, bytes: &Bytes| {
                u32::try_from(bytes.len().saturating_add(128)).unwrap_or(u32::MAX)
            })
            .build();
        Self {
            tags: Tags::new(Arc::clone(&registry)),
            listings: Listings::new(Arc::clone(&registry)),
            registry,
            blobs,
            in_flight: Arc::new(Semaphore::new(kib(limits.in_flight.evidence_bytes))),
            limits: limits.clone(),
        }
    }

    /// The digest that a reference's tag names now; `None` when the registry does not know the tag.
    pub async fn resolve(
        &self,
        reference: &ImageReference,
        access: &Access,
    ) -> Result<Option<Digest>, FetchError> {
        let tag = reference.tag_or_latest();
        let answer = self.tags.digest(reference.repository(), &tag, access);
        within(access, reference.repository(), answer).await
    }

    /// Everything under the image's `.sig` or `.att` tag that may be what is wanted.
    pub async fn evidence(
        &self,
        repository: &Repository,
        tag_prefix: &str,
        image: &Digest,
        wanted: &WantedEvidence,
        access: &Access,
    ) -> Result<Gathered, FetchError> {
        let format = wanted.format();
        let tag = image
            .tag_with_suffix(tag_prefix, format.tag_suffix())
            .map_err(|e| FetchError::Malformed {
                registry: repository.registry().to_owned(),
                what: format!("the tag of {format} with the prefix {tag_prefix:?}"),
                detail: e.to_string(),
            })?;
        let listed = within(
            access,
            repository,
            self.listings.layers(format, repository, &tag, access),
        )
        .await?;
        let (layers, passed_over) = wanted.pick(&listed);
        if layers.len() > self.limits.evidence.candidates {
            let what = format!("{format} layers of {repository}@{image}");
            return Err(FetchError::TooMany {
                what,
                found: layers.len(),
                limit: self.limits.evidence.candidates,
            });
        }
        let room = self.room(&layers, repository, image, access).await?;
        let fetched = layers
            .iter()
            .map(|layer| self.candidate(repository, layer, access));
        let candidates = within(access, repository, try_join_all(fetched)).await?;
        Ok(Gathered {
            candidates,
            passed_over,
            looked: vec![format],
            _room: room,
        })
    }

    /// Room for all of these layers at once, since they are looked at together: many that are each within their bound must not be
    /// held beyond the one of the process.
    async fn room(
        &self,
        layers: &[&EvidenceLayer],
        repository: &Repository,
        image: &Digest,
        access: &Access,
    ) -> Result<OwnedSemaphorePermit, FetchError> {
        let limit = self.limits.in_flight.evidence_bytes;
        let sizes = layers.iter().map(|layer| layer.size);
        let size = usize::try_from(sizes.fold(0, u64::saturating_add)).unwrap_or(usize::MAX);
        if size > limit {
            let what = format!("all evidence of {repository}@{image} together");
            return Err(FetchError::TooLarge { what, limit });
        }
        let permits = u32::try_from(kib(size)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.in_flight).acquire_many_owned(permits);
        match timeout_at(access.deadline, room).await {
            Ok(Ok(room)) => Ok(room),
            Ok(Err(_)) | Err(_) => Err(FetchError::Overloaded {
                what: "evidence in flight".to_owned(),
            }),
        }
    }

    async fn candidate(
        &self,
        repository: &Repository,
        layer: &EvidenceLayer,
        access: &Access,
    ) -> Result<Candidate, FetchError> {
        let limit = match layer.format {
            Format::SignatureTag => self.limits.evidence.signature_payload_bytes,
            Format::AttestationTag => self.limits.evidence.attestation_bytes,
        };
        let bytes = self.blob(repository, layer, limit, access).await?;
        Ok(match layer.format {
            Format::SignatureTag => simple_signing::decode(layer, bytes),
            Format::AttestationTag => attestation::decode(layer, &bytes),
        })
    }

    async fn blob(
        &self,
        repository: &Repository,
        layer: &EvidenceLayer,
        limit: usize,
        access: &Access,
    ) -> Result<Bytes, FetchError> {
        let blob = BlobReference {
            digest: layer.digest.clone(),
            size: layer.size,
        };
        shared(access, || {
            self.blobs.try_get_with(
                layer.digest.clone(),
                self.fetch(repository, &blob, limit, access),
            )
        })
        .await
    }

    async fn fetch(
        &self,
        repository: &Repository,
        blob: &BlobReference,
        limit: usize,
        access: &Access,
    ) -> Result<Bytes, FetchError> {
        let what = || format!("blob {} of {repository}", blob.digest);
        let size = usize::try_from(blob.size).unwrap_or(usize::MAX);
        if size > limit {
            return Err(FetchError::TooLarge {
                what: what(),
                limit,
            });
        }
        match self.registry.blob(repository, blob, limit, access).await? {
            Some(bytes) => Ok(bytes),
            // Its manifest lists it: a registry that cannot show it has lost something, which is not the same as absence.
            None => Err(FetchError::Malformed {
                registry: repository.registry().to_owned(),
                what: what(),
                detail: "its manifest lists it, and it is not there".to_owned(),
            }),
        }
    }
}

// === impl WantedEvidence ===

impl WantedEvidence {
    fn format(&self) -> Format {
        match self {
            Self::Signatures => Format::SignatureTag,
            Self::Attestations(_) => Format::AttestationTag,
        }
    }

    /// The layers to fetch, and the predicate types of those that are not.
    fn pick<'a>(&self, layers: &'a [EvidenceLayer]) -> (Vec<&'a EvidenceLayer>, Vec<String>) {
        let Self::Attestations(types) = self else {
            return (layers.iter().collect(), Vec::new());
        };
        let (mut picked, mut passed_over) = (Vec::new(), Vec::new());
        for layer in layers {
            match layer.claimed_predicate_type() {
                Some(claimed) if !types.iter().any(|wanted| wanted == claimed) => {
                    passed_over.push(claimed.to_owned());
                }
                _ => picked.push(layer),
            }
        }
        passed_over.sort();
        passed_over.dedup();
        (picked, passed_over)
    }
}

/// Whatever a registry does, the caller's time ends at its deadline.
async fn within<T>(
    access: &Access,
    repository: &Repository,
    fetch: impl Future<Output = Result<T, FetchError>>,
) -> Result<T, FetchError> {
    match timeout_at(access.deadline, fetch).await {
        Ok(answer) => answer,
        Err(_) => Err(FetchError::Deadline {
            registry: repository.registry().to_owned(),
        }),
    }
}

/// Waits for a fetch that several may share. Whoever started it may have had less time than we have: then it is started again.
async fn shared<T, F>(access: &Access, fetch: impl Fn() -> F) -> Result<T, FetchError>
where
    F: Future<Output = Result<T, Arc<FetchError>>>,
{
    const RESTARTS: usize = 3;
    for _ in 0..RESTARTS {
        match fetch().await {
            Err(error)
                if matches!(*error, FetchError::Deadline { .. })
                    && Instant::now() < access.deadline => {}
            answer => return answer.map_err(Arc::unwrap_or_clone),
        }
    }
    fetch().await.map_err(Arc::unwrap_or_clone)
}

/// Bytes as permits of one KiB, at least one.
fn kib(bytes: usize) -> usize {
    (bytes >> 10).saturating_add(1)
}
