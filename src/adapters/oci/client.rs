//! The three questions that gathering asks, and what counts as an answer to each.
//!
//! Bytes asked for by digest are hashed before anybody sees them (T-51, CVE-2023-33959). A digest that a registry claims beside
//! bytes must be theirs (T-05, CVE-2023-47630).

#![expect(
    clippy::result_large_err,
    reason = "the error of the trait names both digests of a mismatch"
)]

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

use super::ask::{Ask, Asking, Fetched, malformed};
use super::hosts::RegistryHosts;
use super::manifest;
use super::mirrors::Read;
use super::observe::RequestClass;
use super::referrers;
use super::{OciSettings, OciSettingsError};
use crate::gather::registry::{
    Access, BlobReference, FetchError, FetchedManifest, FetchedReferrers, ManifestReference,
    ReferrersPage, Registry,
};
use crate::image::media_type::IMAGE_INDEX;
use crate::image::{Digest, Repository, Tag};

/// The header in which a registry says which digest it answers with.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// All registries, over the network. Cheap to clone; clones share connections, tokens and bounds.
#[derive(Clone)]
pub struct OciRegistry {
    settings: Arc<OciSettings>,
    /// How hosts are asked now. Taken once per question.
    asking: Arc<ArcSwap<Asking>>,
}

// === impl OciRegistry ===

impl OciRegistry {
    /// A client with these settings. It makes no connection yet.
    pub fn new(settings: &OciSettings) -> Result<Self, OciSettingsError> {
        let asking = Asking::new(settings, settings.hosts.clone())?;
        Ok(Self {
            settings: Arc::new(settings.clone()),
            asking: Arc::new(ArcSwap::from_pointee(asking)),
        })
    }

    /// Asks hosts in this way from now on. Nothing that was learned in the old way is kept: no connection, token or challenge.
    ///
    /// # Errors
    /// No client can be made of that; the old way stays.
    pub fn replace_hosts(&self, hosts: RegistryHosts) -> Result<(), OciSettingsError> {
        let asking = Asking::new(&self.settings, hosts)?;
        self.asking.store(Arc::new(asking));
        Ok(())
    }

    async fn head(
        &self,
        repository: &Repository,
        tag: &Tag,
        access: &Access,
    ) -> Result<Option<Digest>, FetchError> {
        let ask = Ask {
            repository,
            access,
            class: RequestClass::ManifestHead,
            path: format!("manifests/{tag}"),
            by_digest: false,
            begun_at: None,
            accept: Some(manifest::ACCEPT.as_str()),
            limit: 0,
            what: format!("tag {tag} of {}", repository.path()),
        };
        let claimed = |ask: &Ask<'_>, fetched: Fetched| {
            claimed_digest(ask, &fetched.headers).map(Read::Something)
        };
        match self.asking.load_full().ask(&ask, claimed).await? {
            None => Ok(None),
            Some(Some(digest)) => Ok(Some(digest)),
            Some(None) => {
                let reference = ManifestReference::Tag(tag.clone());
                let fetched = self.get_manifest(repository, &reference, access).await?;
                Ok(fetched.map(|manifest| manifest.digest))
            }
        }
    }

    async fn get_manifest(
        &self,
        repository: &Repository,
        reference: &ManifestReference,
        access: &Access,
    ) -> Result<Option<FetchedManifest>, FetchError> {
        let (name, expected) = match reference {
            ManifestReference::Tag(tag) => (tag.to_string(), None),
            ManifestReference::Digest(digest) => (digest.to_string(), Some(digest)),
        };
        let ask = Ask {
            repository,
            access,
            class: RequestClass::ManifestGet,
            path: format!("manifests/{name}"),
            by_digest: expected.is_some(),
            begun_at: None,
            accept: Some(manifest::ACCEPT.as_str()),
            limit: self.settings.limits.manifest_bytes,
            what: format!("manifest {name} of {}", repository.path()),
        };
        let read = |ask: &Ask<'_>, Fetched { headers, bytes }: Fetched| {
            let claimed = claimed_digest(ask, &headers)?;
            let digest = own_digest(ask, &bytes, expected, claimed.as_ref())?;
            let media_type = manifest::media_type(headers.get(CONTENT_TYPE), &bytes)
                .map_err(|detail| malformed(ask, detail))?;
            Ok(Read::Something(FetchedManifest {
                bytes,
                media_type,
                digest,
            }))
        };
        self.asking.load_full().ask(&ask, read).await
    }

    async fn get_blob(
        &self,
        repository: &Repository,
        blob: &BlobReference,
        limit: usize,
        access: &Access,
    ) -> Result<Option<Bytes>, FetchError> {
        let what = format!("blob {} of {}", blob.digest, repository.path());
        let size = usize::try_from(blob.size)
            .ok()
            .filter(|size| *size <= limit);
        let Some(size) = size else {
            return Err(FetchError::TooLarge { what, limit });
        };
        let ask = Ask {
            repository,
            access,
            class: RequestClass::BlobGet,
            path: format!("blobs/{}", blob.digest),
            by_digest: true,
            begun_at: None,
            accept: None,
            limit: size,
            what,
        };
        let read = |ask: &Ask<'_>, Fetched { bytes, .. }: Fetched| {
            own_digest(ask, &bytes, Some(&blob.digest), None)?;
            if bytes.len() != size {
                let detail = format!("{} bytes, its manifest claims {size}", bytes.len());
                return Err(malformed(ask, detail));
            }
            Ok(Read::Something(bytes))
        };
        match self.asking.load_full().ask(&ask, read).await {
            // Read up to the claimed size only, so it is the claim that is wrong.
            Err(FetchError::TooLarge { what, .. }) if what == ask.what => {
                let detail = format!("more than the {size} bytes that its manifest claims");
                Err(malformed(&ask, detail))
            }
            answer => answer,
        }
    }

    async fn get_referrers(
        &self,
        repository: &Repository,
        page: &ReferrersPage,
        access: &Access,
    ) -> Result<Option<FetchedReferrers>, FetchError> {
        let ask = Ask {
            repository,
            access,
            class: RequestClass::Referrers,
            path: referrers::path(page),
            by_digest: false,
            begun_at: page.from.as_ref().map(|from| &from.listed_by),
            accept: Some(IMAGE_INDEX),
            limit: self.settings.limits.referrers_page_bytes,
            what: format!("the referrers of {}@{}", repository.path(), page.subject),
        };
        let read = |ask: &Ask<'_>, Fetched { headers, bytes }: Fetched| {
            let next = referrers::next(&headers, ask.repository, page)
                .map_err(|detail| malformed(ask, detail))?;
            let is_empty = next.is_none() && referrers::is_empty(&bytes);
            let page = FetchedReferrers {
                bytes,
                filtered: referrers::filtered(&headers),
                next,
            };
            Ok(if is_empty {
                Read::Nothing(page)
            } else {
                Read::Something(page)
            })
        };
        self.asking.load_full().ask(&ask, read).await
    }
}

impl Registry for OciRegistry {
    fn tag_digest<'a>(
        &'a self,
        repository: &'a Repository,
        tag: &'a Tag,
        access: &'a Access,
    ) -> BoxFuture<'a, Result<Option<Digest>, FetchError>> {
        self.head(repository, tag, access).boxed()
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

/// The digest that the registry claims; an error when it claims something that is none (T-54).
fn claimed_digest(ask: &Ask<'_>, headers: &HeaderMap) -> Result<Option<Digest>, FetchError> {
    let Some(value) = headers.get(CONTENT_DIGEST) else {
        return Ok(None);
    };
    let digest = value.to_str().ok().and_then(|text| text.parse().ok());
    digest
        .map(Some)
        .ok_or_else(|| malformed(ask, "Docker-Content-Digest is not a digest"))
}

/// The digest of `bytes`, which must be the one asked for and the one claimed.
fn own_digest(
    ask: &Ask<'_>,
    bytes: &[u8],
    expected: Option<&Digest>,
    claimed: Option<&Digest>,
) -> Result<Digest, FetchError> {
    let mut digest = None;
    for expected in expected.into_iter().chain(claimed) {
        let found = Digest::of(expected.algorithm(), bytes);
        if found != *expected {
            return Err(FetchError::DigestMismatch {
                registry: ask.repository.registry().to_owned(),
                what: ask.what.clone(),
                expected: expected.clone(),
                found,
            });
        }
        digest.get_or_insert(found);
    }
    Ok(digest.unwrap_or_else(|| Digest::sha256_of(bytes)))
}
