//! Gathering: what is fetched about an image, in which order, and once.
//!
//! *In*: a digest, where its evidence is kept, and what is wanted. *Out*: [`Candidate`]s, untrusted, or a [`FetchError`] that means
//! *could not judge*. Asynchronous, and only through the trait [`Registry`].
//!
//! Where evidence is looked for, and in which order, is [`search`]'s plan. Each place is one list, and then the documents on it that
//! may be what is wanted, by digest and in parallel. What says of itself that it is something else is not fetched: skipping can only
//! deny. Only a 404 is the answer "there is none".
//!
//! Each document is one request, as is the question which digest a tag names, and each is made once however many containers,
//! authorities, policies or reviews want it at that moment (*single flight*). What is kept afterwards is bytes, never a conclusion:
//! listings for a minute (for five seconds where nothing is there, or not what was wanted), documents by digest until they are pushed out;
//! and the place where a repository had evidence last. An error is handed to everybody who waits for it and is never kept.

mod config;
pub mod keychain;
mod listing;
mod places;
pub mod registry;
pub mod search;
mod tags;
mod wanted;

use std::collections::BTreeSet;
use std::iter;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::evidence::{
    Candidate, EvidenceLayer, Format, Referrer, attestation, bundle, simple_signing,
};
use crate::image::{Digest, ImageReference, Repository};
use crate::limits::Limits;
use crate::workload::PullScope;

pub use config::ConfigFiles;
pub use keychain::{Credential, Keychain, KeychainEntry, KeychainId};
pub use registry::{
    Access, BlobReference, FetchError, FetchedManifest, FetchedReferrers, ManifestReference,
    PageToken, ReferrersPage, Registry,
};
pub use search::{Gathered, Search, Sought};
pub use wanted::WantedEvidence;

use config::KeptConfigs;
use listing::Listings;
use places::Places;
use tags::Tags;

/// Which credentials a workload's images are fetched with.
pub trait Credentials: Send + Sync {
    /// The keychain of this scope for these registries (hosts as references have them). Secrets that are not there are passed
    /// over, as the kubelet does; those that could not be read leave a keychain that says so ([`Keychain::unread`]).
    fn keychain<'a>(
        &'a self,
        scope: &'a PullScope,
        registries: &'a BTreeSet<String>,
    ) -> BoxFuture<'a, Result<Arc<Keychain>, FetchError>>;

    /// The keychain of these Secrets of a namespace, and of nothing else: what a policy names for its source. One that is not there,
    /// or could not be read, leaves a keychain that says so.
    fn secrets<'a>(
        &'a self,
        namespace: &'a str,
        names: &'a [String],
    ) -> BoxFuture<'a, Result<Arc<Keychain>, FetchError>>;
}

/// Fetches evidence, each piece once.
pub struct Gatherer {
    registry: Arc<dyn Registry>,
    tags: Tags,
    listings: Listings,
    places: Places,
    /// Bytes of evidence and of the manifests that hold it, by their digest, weighed in bytes. Which digests may be asked for is
    /// decided by a listing, and listings are kept apart by credentials.
    blobs: moka::future::Cache<Digest, Bytes>,
    /// Config files of images.
    configs: KeptConfigs,
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
            listings: Listings::new(Arc::clone(&registry), limits),
            places: Places::new(),
            registry,
            blobs,
            configs: config::kept(),
            in_flight: Arc::new(Semaphore::new(kib(limits.in_flight.evidence_bytes))),
            limits: limits.clone(),
        }
    }

    /// The same, which looks everywhere in the order of [`search`]'s table, whatever was found before: what it asks depends on the
    /// answers alone. So a recording of one run holds everything that the next one asks.
    #[must_use]
    pub fn in_fixed_order(self) -> Self {
        Self {
            places: Places::none(),
            ..self
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

    /// A search for evidence. Nothing is asked before its first step.
    pub fn search<'a>(&'a self, sought: Sought<'a>, access: &'a Access) -> Search<'a> {
        Search::new(self, sought, access, self.places.known(sought))
    }

    /// The bytes of a manifest that refers to an image.
    async fn referring(
        &self,
        repository: &Repository,
        referrer: &Referrer,
        access: &Access,
    ) -> Result<Bytes, FetchError> {
        shared(access, || {
            self.blobs.try_get_with(
                referrer.digest.clone(),
                self.fetch_referring(repository, referrer, access),
            )
        })
        .await
    }

    async fn fetch_referring(
        &self,
        repository: &Repository,
        referrer: &Referrer,
        access: &Access,
    ) -> Result<Bytes, FetchError> {
        let what = || format!("manifest {} of {repository}", referrer.digest);
        let limit = self.limits.registry.manifest_bytes;
        if usize::try_from(referrer.size).unwrap_or(usize::MAX) > limit {
            let what = what();
            return Err(FetchError::TooLarge { what, limit });
        }
        // What is claimed decides how many are fetched at a time, and what comes is held to the claim below.
        let _room = self
            .room(iter::once(referrer.size), repository, access)
            .await?;
        let reference = ManifestReference::Digest(referrer.digest.clone());
        let found = self
            .registry
            .manifest(repository, &reference, access)
            .await?;
        let bytes = found.ok_or_else(|| lost(repository, what()))?.bytes;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > referrer.size {
            return Err(FetchError::Malformed {
                registry: repository.registry().to_owned(),
                what: what(),
                detail: format!("larger than the {} bytes that are claimed", referrer.size),
            });
        }
        Ok(bytes)
    }

    /// Room for documents of these claimed sizes at once, since they are held together: many that are each within their bound must not
    /// be held beyond the one of the process.
    async fn room(
        &self,
        sizes: impl Iterator<Item = u64>,
        repository: &Repository,
        access: &Access,
    ) -> Result<OwnedSemaphorePermit, FetchError> {
        let limit = self.limits.in_flight.evidence_bytes;
        let size = usize::try_from(sizes.fold(0, u64::saturating_add)).unwrap_or(usize::MAX);
        if size > limit {
            let what = format!("evidence of {repository} that is looked at together");
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

    /// The largest layer of this format that is read, in bytes.
    fn limit(&self, format: Format) -> usize {
        match format {
            Format::SignatureTag | Format::SignatureReferrer => {
                self.limits.evidence.signature_payload_bytes
            }
            Format::AttestationTag | Format::AttestationReferrer | Format::Bundle => {
                self.limits.evidence.attestation_bytes
            }
        }
    }

    async fn candidate(
        &self,
        repository: &Repository,
        layer: &EvidenceLayer,
        access: &Access,
    ) -> Result<Candidate, FetchError> {
        let limit = self.limit(layer.format);
        let bytes = self.blob(repository, layer, limit, access).await?;
        Ok(match layer.format {
            Format::SignatureTag | Format::SignatureReferrer => {
                simple_signing::decode(layer, bytes)
            }
            Format::AttestationTag | Format::AttestationReferrer => {
                attestation::decode(layer, &bytes)
            }
            Format::Bundle => bundle::decode(layer, &bytes),
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
        let what = format!("blob {} of {repository}", blob.digest);
        if usize::try_from(blob.size).unwrap_or(usize::MAX) > limit {
            return Err(FetchError::TooLarge { what, limit });
        }
        let found = self.registry.blob(repository, blob, limit, access).await?;
        found.ok_or_else(|| lost(repository, what))
    }
}

/// A list names it: a registry that cannot show it has lost something, which is not the same as absence.
fn lost(repository: &Repository, what: String) -> FetchError {
    FetchError::Malformed {
        registry: repository.registry().to_owned(),
        what,
        detail: "a manifest or index lists it, and it is not there".to_owned(),
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
