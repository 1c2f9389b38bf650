//! The config files of an image: what it would run, by platform (`fetchConfigFile`).
//!
//! *In*: a digest. *Out*: the config file of each platform: of the manifest itself, or of every manifest that an index holds,
//! indexes in it included. All or nothing: a platform that could not be read could be the one that is pulled. Manifests and files
//! together are bounded in number and bytes, and everything has the digest by which it is named, the image's own first.

use std::collections::{BTreeMap, HashSet};
use std::iter;
use std::sync::Arc;

use futures::future::try_join_all;
use moka::future::Cache;

use super::keychain::KeychainId;
use super::registry::{Access, BlobReference, FetchError, FetchedManifest, ManifestReference};
use super::{Gatherer, lost, shared, within};
use crate::evidence::{ConfigFile, ImageDocument, MalformedManifest, Named};
use crate::image::{Digest, Repository};

/// What all config files that are kept may take, in bytes.
const KEPT: u64 = 16 << 20;
/// Indexes within indexes.
const LEVELS: usize = 4;

/// The config files of one image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigFiles(BTreeMap<String, String>);

/// Config files by digest. They are kept apart by credentials: who may not pull an image is not told what is in it.
pub(super) type KeptConfigs = Cache<(Repository, Digest, KeychainId), Arc<ConfigFiles>>;

/// What may still be read of one image, in bytes.
struct Budget {
    left: u64,
    limit: usize,
}

pub(super) fn kept() -> KeptConfigs {
    Cache::builder()
        .max_capacity(KEPT)
        .weigher(|_, configs: &Arc<ConfigFiles>| configs.weight())
        .build()
}

impl Gatherer {
    /// The config files of this image, fetched once.
    pub async fn config_files(
        &self,
        repository: &Repository,
        image: &Digest,
        access: &Access,
    ) -> Result<Arc<ConfigFiles>, FetchError> {
        let key = (repository.clone(), image.clone(), access.keychain.id());
        let fetched = shared(access, || {
            let fetch = self.fetch_config_files(repository, image, access);
            self.configs
                .try_get_with(key.clone(), async { fetch.await.map(Arc::new) })
        });
        within(access, repository, fetched).await
    }

    async fn fetch_config_files(
        &self,
        repository: &Repository,
        image: &Digest,
        access: &Access,
    ) -> Result<ConfigFiles, FetchError> {
        let limit = self.limits.evidence.config_files_bytes;
        let mut budget = Budget {
            left: u64::try_from(limit).unwrap_or(u64::MAX),
            limit,
        };
        // Taken once for all of it: taking more while some is held could wait for itself.
        let _room = self
            .room(iter::once(budget.left), repository, access)
            .await?;
        let (mut level, mut seen) = (vec![image.clone()], HashSet::from([image.clone()]));
        let mut named = Vec::new();
        for _ in 0..LEVELS {
            let manifests = level
                .iter()
                .map(|digest| self.image_manifest(repository, digest, access));
            let manifests = try_join_all(manifests).await?;
            let mut next = Vec::new();
            for (digest, manifest) in level.iter().zip(manifests) {
                budget.spend(manifest.bytes.len(), repository)?;
                match read(repository, digest, &manifest)? {
                    ImageDocument::Manifest(config) => named.push(config),
                    ImageDocument::Index(members) => next.extend(members),
                }
            }
            next.retain(|member: &Named| seen.insert(member.digest.clone()));
            self.within_platforms(seen.len().saturating_sub(1), repository, image)?;
            if next.is_empty() {
                return self
                    .read_config_files(repository, named, budget, access)
                    .await;
            }
            level = next.into_iter().map(|member| member.digest).collect();
        }
        Err(FetchError::TooMany {
            what: format!("indexes within indexes of {repository}@{image}"),
            found: LEVELS.saturating_add(1),
            limit: LEVELS,
        })
    }

    async fn image_manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
        access: &Access,
    ) -> Result<FetchedManifest, FetchError> {
        let reference = ManifestReference::Digest(digest.clone());
        let found = self
            .registry
            .manifest(repository, &reference, access)
            .await?;
        found.ok_or_else(|| lost(repository, format!("manifest {digest} of {repository}")))
    }

    async fn read_config_files(
        &self,
        repository: &Repository,
        named: Vec<Named>,
        mut budget: Budget,
        access: &Access,
    ) -> Result<ConfigFiles, FetchError> {
        for config in &named {
            let size = usize::try_from(config.size).unwrap_or(usize::MAX);
            budget.spend(size, repository)?;
        }
        let limit = budget.limit;
        let blobs = named.iter().map(|config| async move {
            let blob = BlobReference {
                digest: config.digest.clone(),
                size: config.size,
            };
            let found = self.registry.blob(repository, &blob, limit, access).await?;
            found.ok_or_else(|| {
                lost(
                    repository,
                    format!("blob {} of {repository}", config.digest),
                )
            })
        });
        let mut files = BTreeMap::new();
        for (config, bytes) in named.iter().zip(try_join_all(blobs).await?) {
            let what = || format!("config file {} of {repository}", config.digest);
            let file = ConfigFile::parse(&bytes).map_err(|e| malformed(repository, what(), e))?;
            // Of two manifests for one platform, container runtimes take the first.
            files.entry(file.platform).or_insert(file.json);
        }
        Ok(ConfigFiles(files))
    }

    #[expect(
        clippy::result_large_err,
        reason = "the error of the trait names both digests of a mismatch"
    )]
    fn within_platforms(
        &self,
        found: usize,
        repository: &Repository,
        image: &Digest,
    ) -> Result<(), FetchError> {
        let limit = self.limits.evidence.platforms;
        if found <= limit {
            return Ok(());
        }
        let what = format!("manifests of {repository}@{image}");
        Err(FetchError::TooMany { what, found, limit })
    }
}

#[expect(
    clippy::result_large_err,
    reason = "the error of the trait names both digests of a mismatch"
)]
fn read(
    repository: &Repository,
    digest: &Digest,
    manifest: &FetchedManifest,
) -> Result<ImageDocument, FetchError> {
    let what = || format!("manifest {digest} of {repository}");
    ImageDocument::parse(&manifest.media_type, &manifest.bytes)
        .map_err(|error| malformed(repository, what(), error))
}

fn malformed(repository: &Repository, what: String, error: MalformedManifest) -> FetchError {
    FetchError::Malformed {
        registry: repository.registry().to_owned(),
        what,
        detail: error.detail,
    }
}

// === impl Budget ===

impl Budget {
    #[expect(
        clippy::result_large_err,
        reason = "the error of the trait names both digests of a mismatch"
    )]
    fn spend(&mut self, bytes: usize, repository: &Repository) -> Result<(), FetchError> {
        let left = u64::try_from(bytes)
            .ok()
            .and_then(|bytes| self.left.checked_sub(bytes));
        self.left = left.ok_or_else(|| FetchError::TooLarge {
            what: format!("all config files of an image in {repository}"),
            limit: self.limit,
        })?;
        Ok(())
    }
}

// === impl ConfigFiles ===

impl ConfigFiles {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One object: platform → config file, each as it came.
    pub fn json(&self) -> String {
        let members = self.0.iter();
        let members: Vec<String> = members
            .map(|(platform, file)| {
                format!("{}:{file}", serde_json::Value::from(platform.as_str()))
            })
            .collect();
        format!("{{{}}}", members.join(","))
    }

    fn weight(&self) -> u32 {
        let bytes = self
            .0
            .iter()
            .map(|(key, file)| key.len().saturating_add(file.len()));
        u32::try_from(bytes.fold(1024, usize::saturating_add)).unwrap_or(u32::MAX)
    }
}
