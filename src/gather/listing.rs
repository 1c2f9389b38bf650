//! What a registry lists as evidence about an image, for a short while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;

use super::keychain::KeychainId;
use super::registry::{Access, FetchError, ManifestReference, Registry};
use super::shared;
use crate::evidence::{EvidenceLayer, Format, manifest};
use crate::image::{Repository, Tag};

/// How long a listing with something in it is used again. A signature over a digest does not rot; what is added is seen after this.
const FOUND: Duration = Duration::from_mins(1);
/// How long "there is none" is used again: long enough for a storm of retries, short enough for *sign, then try again*.
const ABSENT: Duration = Duration::from_secs(5);
/// What all listings that are kept may take, in bytes. One listing can be as large as a manifest may be.
const BYTES: u64 = 32 << 20;
/// What a listing takes beside its layers: its key.
const ENTRY_BYTES: usize = 512;

/// Everything that the layers of a listing depend on: where it was asked, for what, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    repository: Repository,
    tag: Tag,
    format: Format,
    keychain: KeychainId,
}

type Layers = Arc<Vec<EvidenceLayer>>;

/// Listings, each fetched once.
pub(super) struct Listings {
    registry: Arc<dyn Registry>,
    kept: Cache<Key, Layers>,
}

struct Freshness;

impl Listings {
    pub(super) fn new(registry: Arc<dyn Registry>) -> Self {
        Self {
            registry,
            kept: Cache::builder()
                .max_capacity(BYTES)
                .weigher(weight)
                .expire_after(Freshness)
                .build(),
        }
    }

    /// The layers under this tag; none when the registry says 404.
    pub(super) async fn layers(
        &self,
        format: Format,
        repository: &Repository,
        tag: &Tag,
        access: &Access,
    ) -> Result<Layers, FetchError> {
        let key = Key {
            repository: repository.clone(),
            tag: tag.clone(),
            format,
            keychain: access.keychain.id(),
        };
        shared(access, || {
            self.kept
                .try_get_with(key.clone(), self.fetch(format, repository, tag, access))
        })
        .await
    }

    async fn fetch(
        &self,
        format: Format,
        repository: &Repository,
        tag: &Tag,
        access: &Access,
    ) -> Result<Layers, FetchError> {
        let reference = ManifestReference::Tag(tag.clone());
        let Some(found) = self
            .registry
            .manifest(repository, &reference, access)
            .await?
        else {
            return Ok(Arc::default());
        };
        let layers =
            manifest::layers(format, &found.bytes).map_err(|error| FetchError::Malformed {
                registry: repository.registry().to_owned(),
                what: format!("manifest {tag} of {}", repository.path()),
                detail: error.to_string(),
            })?;
        Ok(Arc::new(layers))
    }
}

/// What a kept listing takes, in bytes.
fn weight(_: &Key, layers: &Layers) -> u32 {
    let layers = layers.iter().map(EvidenceLayer::weight);
    u32::try_from(layers.fold(ENTRY_BYTES, usize::saturating_add)).unwrap_or(u32::MAX)
}

impl Expiry<Key, Layers> for Freshness {
    fn expire_after_create(&self, _: &Key, layers: &Layers, _: Instant) -> Option<Duration> {
        Some(if layers.is_empty() { ABSENT } else { FOUND })
    }
}
