//! Which digest a tag names now: asked once for everybody who wants to know at that moment, and never remembered.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use super::keychain::KeychainId;
use super::registry::{Access, FetchError, Registry};
use super::shared;
use crate::image::{Digest, Repository, Tag};

/// An answer is over when it is given: who asks later asks the registry.
const KEPT: Duration = Duration::ZERO;
/// How many tags are asked for at the same moment before answers are no longer shared.
const ENTRIES: u64 = 10_000;

/// Everything that the answer depends on: where it was asked, for what, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    repository: Repository,
    tag: Tag,
    keychain: KeychainId,
}

/// Questions that are being asked. A rollout creates many Pods of one image at once; they are one question.
pub(super) struct Tags {
    registry: Arc<dyn Registry>,
    asking: Cache<Key, Option<Digest>>,
}

impl Tags {
    pub(super) fn new(registry: Arc<dyn Registry>) -> Self {
        let asking = Cache::builder()
            .max_capacity(ENTRIES)
            .time_to_live(KEPT)
            .build();
        Self { registry, asking }
    }

    /// The digest that the tag names now; `None` when the registry does not know the tag.
    pub(super) async fn digest(
        &self,
        repository: &Repository,
        tag: &Tag,
        access: &Access,
    ) -> Result<Option<Digest>, FetchError> {
        let key = Key {
            repository: repository.clone(),
            tag: tag.clone(),
            keychain: access.keychain.id(),
        };
        shared(access, || {
            self.asking.try_get_with(
                key.clone(),
                self.registry.tag_digest(repository, tag, access),
            )
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;
    use futures::future::{BoxFuture, join_all};
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::gather::{
        BlobReference, FetchedManifest, FetchedReferrers, Keychain, ManifestReference,
        ReferrersPage,
    };

    /// A registry whose tag is moved by every look at it.
    #[derive(Default)]
    struct Moving {
        asked: AtomicUsize,
    }

    impl Registry for Moving {
        fn tag_digest<'a>(
            &'a self,
            _: &'a Repository,
            _: &'a Tag,
            _: &'a Access,
        ) -> BoxFuture<'a, Result<Option<Digest>, FetchError>> {
            Box::pin(async {
                let asked = self.asked.fetch_add(1, Ordering::SeqCst);
                sleep(Duration::from_millis(20)).await;
                Ok(Some(Digest::sha256_of(asked.to_string().as_bytes())))
            })
        }

        fn manifest<'a>(
            &'a self,
            _: &'a Repository,
            _: &'a ManifestReference,
            _: &'a Access,
        ) -> BoxFuture<'a, Result<Option<FetchedManifest>, FetchError>> {
            unreachable!("only tags are asked for")
        }

        fn blob<'a>(
            &'a self,
            _: &'a Repository,
            _: &'a BlobReference,
            _: usize,
            _: &'a Access,
        ) -> BoxFuture<'a, Result<Option<Bytes>, FetchError>> {
            unreachable!("only tags are asked for")
        }

        fn referrers<'a>(
            &'a self,
            _: &'a Repository,
            _: &'a ReferrersPage,
            _: &'a Access,
        ) -> BoxFuture<'a, Result<Option<FetchedReferrers>, FetchError>> {
            unreachable!("only tags are asked for")
        }
    }

    #[tokio::test]
    async fn asks_once_for_all_who_want_to_know_now_and_again_for_who_comes_later() {
        let registry = Arc::new(Moving::default());
        let asked: Arc<dyn Registry> = registry.clone();
        let tags = Tags::new(asked);
        let repository = Repository::parse("registry.example.com/shop/cart").unwrap();
        let tag: Tag = "1.4".parse().unwrap();
        let access = Access {
            keychain: Arc::new(Keychain::default()),
            deadline: Instant::now() + Duration::from_secs(10),
            dry_run: false,
        };
        let ask = || tags.digest(&repository, &tag, &access);

        let together = join_all((0..50).map(|_| ask())).await;
        assert_eq!(registry.asked.load(Ordering::SeqCst), 1);
        assert!(together.iter().all(|answer| answer == &together[0]));

        let later = ask().await;
        assert_eq!(registry.asked.load(Ordering::SeqCst), 2);
        assert_ne!(later, together[0], "the tag was moved in between");
    }
}
