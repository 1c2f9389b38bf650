//! What gathering needs of a registry: the trait, and the ways in which a registry can fail us.
//!
//! The trait is implemented once over the network (`adapters::oci`) and once per test. Nothing that comes out of it is trusted:
//! bytes asked for by digest have that digest, and that is all.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::keychain::Keychain;
use crate::image::{Digest, Repository, Tag};

/// A registry, or rather all of them: the repository names the host.
pub trait Registry: Send + Sync {
    /// The digest that `tag` names now, by `HEAD`; `None` when the registry says 404.
    ///
    /// The answer is a *claim of which digest to judge*. It is sound to use because that same digest is judged, pinned and
    /// pulled. Without the header the manifest is fetched and hashed.
    fn tag_digest<'a>(
        &'a self,
        repository: &'a Repository,
        tag: &'a Tag,
        access: &'a Access,
    ) -> BoxFuture<'a, Result<Option<Digest>, FetchError>>;

    /// A manifest by tag or digest; `None` when the registry says 404. Asked for by digest, the bytes have that digest.
    fn manifest<'a>(
        &'a self,
        repository: &'a Repository,
        reference: &'a ManifestReference,
        access: &'a Access,
    ) -> BoxFuture<'a, Result<Option<FetchedManifest>, FetchError>>;

    /// A blob of exactly this size and digest; `None` when the registry says 404.
    ///
    /// The claimed size is a bound, never an allocation; a size above `limit` bytes is refused before a request is made.
    fn blob<'a>(
        &'a self,
        repository: &'a Repository,
        blob: &'a BlobReference,
        limit: usize,
        access: &'a Access,
    ) -> BoxFuture<'a, Result<Option<Bytes>, FetchError>>;

    /// One page of the manifests that refer to another; `None` when the registry says 404, which for the first page means that it
    /// has no referrers API.
    fn referrers<'a>(
        &'a self,
        repository: &'a Repository,
        page: &'a ReferrersPage,
        access: &'a Access,
    ) -> BoxFuture<'a, Result<Option<FetchedReferrers>, FetchError>>;
}

/// Under whose name and until when a registry is asked.
#[derive(Clone, Debug)]
pub struct Access {
    /// The credentials that may be used, for the registries they name.
    pub keychain: Arc<Keychain>,
    /// When the answer is of no use any more. Retries end before it.
    pub deadline: Instant,
    /// Whether it is asked for a rehearsal (`kubectl --dry-run=server`), which may leave nothing behind that a later answer depends
    /// on: an absence is not remembered.
    pub dry_run: bool,
}

/// How a manifest is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ManifestReference {
    /// By a tag: what the registry answers is what it claims the tag to be.
    Tag(Tag),
    /// By its digest.
    Digest(Digest),
}

/// A blob as its manifest describes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BlobReference {
    /// The digest that the bytes must have.
    pub digest: Digest,
    /// The number of bytes that the manifest claims.
    pub size: u64,
}

/// A page of a list of referrers: the first one, or the one that the page before it named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferrersPage {
    /// The manifest that is referred to.
    pub subject: Digest,
    /// The only artifact type that is wanted; a registry may ignore that.
    pub artifact_type: Option<&'static str>,
    /// Where to go on; `None` asks for the first page.
    pub from: Option<PageToken>,
}

/// Where a list goes on. It never names another path than that of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageToken {
    /// The query of the next page, as the registry wrote it.
    pub query: String,
    /// The repository whose list it is: that of the image, or the one of a mirror that answered in its place.
    pub listed_by: Repository,
}

/// A page of a list of referrers, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedReferrers {
    /// The bytes of an index.
    pub bytes: Bytes,
    /// Whether the registry says that it left out other artifact types.
    pub filtered: bool,
    /// The next page, if there is one.
    pub next: Option<PageToken>,
}

/// The bytes of a manifest, as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedManifest {
    /// The bytes.
    pub bytes: Bytes,
    /// The `Content-Type` of the answer, without parameters.
    pub media_type: String,
    /// The digest of `bytes`, computed here.
    pub digest: Digest,
}

/// Why a registry could not tell us. Every variant means *could not judge*; none of them means *absent*.
///
/// `Clone`, because one fetch may answer several waiting requests.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// No connection, a broken one, or answers 5xx until the attempts were used up.
    #[error("registry {registry} cannot be reached: {detail}")]
    Unreachable {
        /// Host and port.
        registry: String,
        /// What happened, in the words of the transport.
        detail: String,
    },
    /// 401 or 403 after the credentials at hand were tried, or a token service that refused.
    #[error("registry {registry} refuses access to {repository}: {detail}")]
    Auth {
        /// Host and port.
        registry: String,
        /// The repository's path.
        repository: String,
        /// What was tried, without any secret.
        detail: String,
    },
    /// It refused, or has nothing for us, and credentials that it may want could not be read.
    #[error("registry {registry} shows nothing without credentials that are not known: {detail}")]
    Credentials {
        /// Host and port.
        registry: String,
        /// Which, and why; without any secret.
        detail: String,
    },
    /// 429, and the wait that it asks for does not fit into the deadline.
    #[error("registry {registry} asks us to slow down")]
    Throttled {
        /// Host and port.
        registry: String,
        /// How long it asks to wait, if it said so.
        retry_after: Option<Duration>,
    },
    /// An answer that is not what the specification allows.
    #[error("registry {registry} sent something unreadable for {what}: {detail}")]
    Malformed {
        /// Host and port.
        registry: String,
        /// What was asked for, e.g. `manifest sha256-….sig of shop/cart`.
        what: String,
        /// What is wrong with it.
        detail: String,
    },
    /// Bytes that do not have the digest they were asked for by (CVE-2023-33959 and kin).
    #[error(
        "registry {registry} sent other bytes than asked for {what}: expected {expected}, found {found}"
    )]
    DigestMismatch {
        /// Host and port.
        registry: String,
        /// What was asked for.
        what: String,
        /// The digest asked for.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// More than a bound allows.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What was asked for.
        what: String,
        /// The bound, in bytes.
        limit: usize,
    },
    /// More candidates than a bound allows.
    #[error("{what}: {found} found, {limit} allowed")]
    TooMany {
        /// What there is too much of.
        what: String,
        /// How many there are.
        found: usize,
        /// The bound.
        limit: usize,
    },
    /// An address, redirect or token service that we do not talk to (SSRF, plain HTTP, credentials leaving their host).
    #[error("registry {registry}: refused to follow it to {target}: {detail}")]
    Refused {
        /// Host and port.
        registry: String,
        /// Where it pointed.
        target: String,
        /// Which rule forbids that.
        detail: String,
    },
    /// The time of the review was over.
    #[error("no answer from registry {registry} in time")]
    Deadline {
        /// Host and port.
        registry: String,
    },
    /// Too much is in flight already, and nothing became free in time.
    #[error("too many requests in flight to answer in time ({what})")]
    Overloaded {
        /// The bound that was met.
        what: String,
    },
}

// === impl FetchError ===

impl FetchError {
    /// Whether it is about one document, so that others may still be read: what is broken or too large may have been put there by
    /// somebody who may write. The registry as such can be asked on.
    pub fn is_about_one_document(&self) -> bool {
        match self {
            Self::Malformed { .. }
            | Self::DigestMismatch { .. }
            | Self::TooLarge { .. }
            | Self::TooMany { .. } => true,
            Self::Unreachable { .. }
            | Self::Auth { .. }
            | Self::Credentials { .. }
            | Self::Throttled { .. }
            | Self::Refused { .. }
            | Self::Deadline { .. }
            | Self::Overloaded { .. } => false,
        }
    }
}
