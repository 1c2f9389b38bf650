//! What a recorder makes of registries that contradict themselves, and that what it kept is told again.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::{Recorder, Replay};
use crate::gather::Keychain;
use crate::gather::registry::{
    Access, BlobReference, FetchError, FetchedManifest, FetchedReferrers, ManifestReference,
    PageToken, ReferrersPage, Registry,
};
use crate::image::{Algorithm, Digest, Repository, Tag};
use crate::limits::Limits;

/// A page and the token of the next one.
type ScriptedPage = (&'static str, Option<&'static str>);

/// A registry that gives these answers, one after the other.
#[derive(Default)]
struct Script {
    tags: Mutex<VecDeque<Option<Digest>>>,
    manifests: Mutex<VecDeque<Option<&'static str>>>,
    pages: Mutex<VecDeque<Option<ScriptedPage>>>,
}

type Answer<'a, T> = BoxFuture<'a, Result<Option<T>, FetchError>>;

/// The next answer, or a failure when there is none.
#[expect(
    clippy::result_large_err,
    reason = "the error of the trait names both digests of a mismatch"
)]
fn next<T: Send>(answers: &Mutex<VecDeque<Option<T>>>) -> Result<Option<T>, FetchError> {
    answers
        .lock()
        .unwrap()
        .pop_front()
        .ok_or(FetchError::Deadline {
            registry: "registry.example.com".to_owned(),
        })
}

impl Registry for Script {
    fn tag_digest<'a>(
        &'a self,
        _: &'a Repository,
        _: &'a Tag,
        _: &'a Access,
    ) -> Answer<'a, Digest> {
        Box::pin(async { next(&self.tags) })
    }

    fn manifest<'a>(
        &'a self,
        _: &'a Repository,
        _: &'a ManifestReference,
        _: &'a Access,
    ) -> Answer<'a, FetchedManifest> {
        Box::pin(async {
            let found = next(&self.manifests)?;
            Ok(found.map(|text| FetchedManifest {
                bytes: Bytes::from_static(text.as_bytes()),
                media_type: "a/b".to_owned(),
                digest: Digest::sha256_of(text.as_bytes()),
            }))
        })
    }

    fn blob<'a>(
        &'a self,
        _: &'a Repository,
        _: &'a BlobReference,
        _: usize,
        _: &'a Access,
    ) -> Answer<'a, Bytes> {
        Box::pin(async { Ok(None) })
    }

    fn referrers<'a>(
        &'a self,
        _: &'a Repository,
        _: &'a ReferrersPage,
        _: &'a Access,
    ) -> Answer<'a, FetchedReferrers> {
        Box::pin(async {
            let found = next(&self.pages)?;
            Ok(found.map(|(text, token)| FetchedReferrers {
                bytes: Bytes::from_static(text.as_bytes()),
                filtered: false,
                next: token.map(token_of),
            }))
        })
    }
}

fn repository() -> Repository {
    Repository::parse("registry.example.com/shop/cart").unwrap()
}

fn tag() -> Tag {
    "1.4".parse().unwrap()
}

fn access() -> Access {
    Access {
        keychain: Arc::new(Keychain::anonymous()),
        deadline: Instant::now() + Duration::from_secs(10),
        dry_run: false,
    }
}

fn token_of(query: &str) -> PageToken {
    PageToken {
        query: query.to_owned(),
        listed_by: repository(),
    }
}

fn page(from: Option<&str>) -> ReferrersPage {
    ReferrersPage {
        subject: Digest::sha256_of(b"image"),
        artifact_type: None,
        from: from.map(token_of),
    }
}

fn recorder(script: Script) -> Recorder {
    Recorder::new(Arc::new(script))
}

/// The only reason why there is no recording.
fn reason(recorder: &Recorder) -> String {
    let reasons = recorder.recording().unwrap_err().reasons;
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    reasons[0].clone()
}

/// What was recorded, opened in `folder`.
fn replay(recorder: &Recorder, folder: &Path) -> Replay {
    let folder = folder.join("evidence");
    let recording = recorder.recording().unwrap();
    recording
        .write(&folder, &Digest::sha256_of(b"cases"))
        .unwrap();
    Replay::open(&folder, &Limits::default().registry).unwrap()
}

/// T-71
#[tokio::test]
async fn a_tag_that_moves_meanwhile_is_not_recorded() {
    let script = Script {
        tags: Mutex::new([Some(Digest::sha256_of(b"one"))].into()),
        manifests: Mutex::new([Some("one"), Some("two")].into()),
        ..Script::default()
    };
    let recorder = recorder(script);
    recorder
        .tag_digest(&repository(), &tag(), &access())
        .await
        .unwrap();
    assert!(recorder.recording().is_ok());
    let reference = ManifestReference::Tag(tag());
    recorder
        .manifest(&repository(), &reference, &access())
        .await
        .unwrap();
    assert!(reason(&recorder).contains("tag 1.4 of registry.example.com/shop/cart was changed"));
}

#[tokio::test]
async fn a_tag_of_something_that_is_not_there_is_not_recorded() {
    let script = Script {
        tags: Mutex::new([Some(Digest::sha256_of(b"one"))].into()),
        manifests: Mutex::new([None].into()),
        ..Script::default()
    };
    let recorder = recorder(script);
    let answer = recorder.tag_digest(&repository(), &tag(), &access()).await;
    assert_eq!(
        answer,
        Ok(Some(Digest::sha256_of(b"one"))),
        "it is handed on all the same"
    );
    assert!(reason(&recorder).contains("which the registry does not hold"));
}

#[tokio::test]
async fn a_failure_is_handed_on_and_is_no_recording() {
    let recorder = recorder(Script::default());
    let answer = recorder.tag_digest(&repository(), &tag(), &access()).await;
    assert!(matches!(answer, Err(FetchError::Deadline { .. })));
    assert!(reason(&recorder).contains("no answer from registry registry.example.com in time"));
}

#[tokio::test]
async fn pages_are_told_again_in_their_order_and_without_the_registrys_tokens() {
    let pages = [
        ("one", Some("secret-a")),
        ("two", Some("secret-b")),
        ("three", None),
    ];
    let script = Script {
        pages: Mutex::new(pages.map(Some).into()),
        ..Script::default()
    };
    let recorder = recorder(script);
    for from in [None, Some("secret-a"), Some("secret-b")] {
        recorder
            .referrers(&repository(), &page(from), &access())
            .await
            .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let replay = replay(&recorder, folder.path());
    let (mut told, mut asked) = (Vec::new(), page(None));
    loop {
        let found = replay
            .referrers(&repository(), &asked, &access())
            .await
            .unwrap()
            .unwrap();
        told.push(found.bytes);
        asked.from = found.next;
        let Some(PageToken { query: token, .. }) = &asked.from else {
            break;
        };
        assert!(!token.contains("secret"));
    }
    assert_eq!(told, ["one", "two", "three"]);
    assert!(replay.complaints().is_empty());
}

#[tokio::test]
async fn a_list_that_was_not_read_to_its_end_does_not_end_there() {
    let script = Script {
        pages: Mutex::new([Some(("one", Some("next")))].into()),
        ..Script::default()
    };
    let recorder = recorder(script);
    recorder
        .referrers(&repository(), &page(None), &access())
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let replay = replay(&recorder, folder.path());
    let first = replay
        .referrers(&repository(), &page(None), &access())
        .await
        .unwrap()
        .unwrap();
    let mut second = page(None);
    second.from = first.next;
    assert!(second.from.is_some());
    assert!(
        replay
            .referrers(&repository(), &second, &access())
            .await
            .is_err()
    );
    assert!(
        replay.complaints()[0].contains("page 2 of"),
        "{:?}",
        replay.complaints()
    );
}

#[tokio::test]
async fn a_page_that_is_named_and_not_there_is_not_recorded() {
    let script = Script {
        pages: Mutex::new([Some(("one", Some("next"))), None].into()),
        ..Script::default()
    };
    let recorder = recorder(script);
    for from in [None, Some("next")] {
        recorder
            .referrers(&repository(), &page(from), &access())
            .await
            .unwrap();
    }
    assert!(reason(&recorder).contains("names a page that is not there"));
}

/// What is 404 in one repository may be there in another, and the algorithm of a digest is kept.
#[tokio::test]
async fn a_manifest_is_told_again_by_the_digest_it_was_asked_for_by() {
    let digest = Digest::of(Algorithm::Sha512, b"one");
    let script = Script {
        manifests: Mutex::new([Some("one"), None].into()),
        ..Script::default()
    };
    let recorder = recorder(script);
    let other = Repository::parse("registry.example.com/shop/other").unwrap();
    let reference = ManifestReference::Digest(digest.clone());
    for repository in [repository(), other.clone()] {
        recorder
            .manifest(&repository, &reference, &access())
            .await
            .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let replay = replay(&recorder, folder.path());
    let found = replay
        .manifest(&repository(), &reference, &access())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((found.bytes.as_ref(), found.digest), (&b"one"[..], digest));
    assert_eq!(
        replay.manifest(&other, &reference, &access()).await,
        Ok(None)
    );
    assert!(folder.path().join("evidence/blobs/sha512").is_dir());
}
