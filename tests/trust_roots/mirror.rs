//! `remote`: a TUF repository behind a mirror that may be down, stale or hostile.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use tempfile::TempDir;
use tokio::net::TcpListener;
use vouchsafe::adapters::outbound::Outbound;
use vouchsafe::adapters::trust::{Mirror, MirrorError};
use vouchsafe::api::{Base64Bytes, RemoteRoot};
use vouchsafe::trust::tuf::{MAX_STALE, TufError};

use crate::support::tuf::{FAR, TufRepository};
use crate::support::vectors::vectors;

const OLD: &[u8] = b"{\"state\": \"old\"}";
const NEW: &[u8] = b"{\"state\": \"new\"}";

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

/// What a mirror serves, by path.
type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A mirror whose files can be exchanged.
pub(crate) struct Served {
    pub(crate) url: String,
    files: Files,
}

impl Served {
    pub(crate) async fn start(repository: &TufRepository) -> Self {
        Self::of(repository.files()).await
    }

    pub(crate) async fn of(files: BTreeMap<String, Vec<u8>>) -> Self {
        let files: Files = Arc::new(Mutex::new(files));
        let router = Router::new().fallback(serve).with_state(Arc::clone(&files));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/tuf", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, files }
    }

    fn now_has(&self, files: BTreeMap<String, Vec<u8>>) {
        *self.files.lock().unwrap() = files;
    }

    pub(crate) fn is_down(&self) {
        self.now_has(BTreeMap::new());
    }

    fn mirror(&self, root: Vec<u8>, folder: Option<&TempDir>) -> Mirror {
        let remote = RemoteRoot {
            root: Base64Bytes(root),
            mirror: self.url.clone(),
            ..RemoteRoot::default()
        };
        Mirror::new(&remote, outbound(), folder.map(TempDir::path)).unwrap()
    }
}

async fn serve(State(files): State<Files>, request: Request) -> Response {
    let path = request
        .uri()
        .path()
        .strip_prefix("/tuf/")
        .unwrap_or_default()
        .to_owned();
    let found = files.lock().unwrap().get(&path).cloned();
    match found {
        Some(bytes) if bytes == b"away" => Redirect::temporary("/elsewhere").into_response(),
        Some(bytes) => bytes.into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn outbound() -> Outbound {
    Outbound::new(None, Duration::from_secs(5)).unwrap()
}

pub(crate) fn repository(content: &[u8]) -> TufRepository {
    TufRepository::new("trusted_root.json", content)
}

async fn error_of(mirror: &Mirror, now: Timestamp) -> String {
    mirror.refresh(now).await.unwrap_err().to_string()
}

#[tokio::test]
async fn what_is_published_is_there_after_the_next_refresh() {
    let repository_before = repository(OLD);
    let served = Served::start(&repository_before).await;
    let mirror = served.mirror(repository_before.root(), None);
    let found = mirror.refresh(now()).await.unwrap();
    assert_eq!(
        (found.json.as_slice(), found.expires),
        (OLD, FAR.parse().unwrap())
    );
    let mut after = repository(NEW).published_again();
    after.versions[0] = 2;
    served.now_has(after.files());
    assert_eq!(mirror.refresh(now()).await.unwrap().json, NEW);
}

#[tokio::test]
async fn t39_a_mirror_cannot_go_back() {
    let (before, after) = (repository(OLD), repository(NEW).published_again());
    let served = Served::start(&after).await;
    let mirror = served.mirror(after.root(), None);
    mirror.refresh(now()).await.unwrap();
    served.now_has(before.files());
    let error = error_of(&mirror, now()).await;
    assert!(error.contains("rollback detected for timestamp"), "{error}");
    served.now_has(after.files());
    assert_eq!(mirror.refresh(now()).await.unwrap().json, NEW);
}

#[rstest]
#[case::timestamp(1)]
#[case::snapshot(2)]
#[case::targets(3)]
#[case::root(0)]
#[tokio::test]
async fn t39_a_mirror_that_is_held_back_is_refused_when_its_metadata_expires(#[case] role: usize) {
    let mut repository = repository(OLD);
    repository.expires[role] = "2026-06-08T00:00:00Z";
    let served = Served::start(&repository).await;
    let mirror = served.mirror(repository.root(), None);
    let found = mirror.refresh(now()).await.unwrap();
    assert_eq!(found.expires, "2026-06-08T00:00:00Z".parse().unwrap());
    let later = mirror.refresh(now() + days(8)).await;
    assert!(
        matches!(later, Err(MirrorError::Tuf(TufError::Expired { .. }))),
        "{later:?}"
    );
}

#[tokio::test]
async fn t39_states_cannot_be_mixed_and_files_not_exchanged() {
    let (before, after) = (repository(OLD), repository(NEW).published_again());
    let served = Served::start(&before).await;
    let (old, new) = (before.files(), after.files());
    // The new timestamp with the old snapshot under its name.
    let mut mixed = new.clone();
    mixed.insert("2.snapshot.json".to_owned(), old["1.snapshot.json"].clone());
    // The new snapshot with the old targets under their name.
    let mut other_targets = new.clone();
    other_targets.insert("2.targets.json".to_owned(), old["1.targets.json"].clone());
    // The target that is listed, with other bytes.
    let mut exchanged = new.clone();
    let path = new
        .keys()
        .find(|path| path.starts_with("targets/"))
        .unwrap();
    exchanged.insert(path.clone(), OLD.to_vec());
    // Signed by somebody else altogether.
    let mut other = repository(NEW).published_again();
    other.key = 2;
    for files in [mixed, other_targets, exchanged, other.files()] {
        served.now_has(old.clone());
        let mirror = served.mirror(before.root(), None);
        mirror.refresh(now()).await.unwrap();
        served.now_has(files);
        let error = error_of(&mirror, now()).await;
        assert!(
            error.starts_with("the TUF repository cannot be used: "),
            "{error}"
        );
        // A refresh that failed leaves nothing behind: what is good is still taken.
        served.now_has(new.clone());
        assert_eq!(mirror.refresh(now()).await.unwrap().json, NEW);
    }
}

#[tokio::test]
async fn answers_without_end_and_redirects_are_refused() {
    let repository = repository(OLD);
    let served = Served::start(&repository).await;
    for (path, bytes, said) in [
        (
            "timestamp.json",
            vec![b' '; 20_000],
            "answered with more than 16384 bytes",
        ),
        (
            "2.root.json",
            vec![b' '; 600_000],
            "answered with more than 512000 bytes",
        ),
        (
            "timestamp.json",
            b"away".to_vec(),
            "name the address that it leads to",
        ),
    ] {
        let mut files = repository.files();
        files.insert(path.to_owned(), bytes);
        served.now_has(files);
        let error = error_of(&served.mirror(repository.root(), None), now()).await;
        assert!(error.contains(said), "{error}");
    }
}

#[tokio::test]
async fn what_was_good_is_there_after_a_restart_while_the_mirror_is_down() {
    let folder = TempDir::new().unwrap();
    let mut repository = repository(OLD);
    repository.expires[1] = "2026-06-08T00:00:00Z";
    let served = Served::start(&repository).await;
    let first = served.mirror(repository.root(), Some(&folder));
    assert!(first.restore(now()).await.unwrap().is_none());
    first.refresh(now()).await.unwrap();
    served.is_down();
    let second = served.mirror(repository.root(), Some(&folder));
    let restored = second.restore(now() + days(29)).await.unwrap().unwrap();
    assert_eq!((restored.0.json.as_slice(), restored.1), (OLD, now()));
    assert!(second.refresh(now() + days(29)).await.is_err());
}

/// T-43.
#[rstest]
#[case::too_old(days(30))]
#[case::from_the_future(days(-1))]
#[tokio::test]
async fn t43_what_was_kept_is_not_used_for_ever(#[case] later: SignedDuration) {
    let folder = TempDir::new().unwrap();
    let (before, after) = (repository(OLD), repository(NEW).published_again());
    let served = Served::start(&after).await;
    served
        .mirror(after.root(), Some(&folder))
        .refresh(now())
        .await
        .unwrap();
    let second = served.mirror(after.root(), Some(&folder));
    let restored = second.restore(now() + later).await;
    assert!(
        matches!(restored, Err(MirrorError::Age { .. })),
        "{restored:?}"
    );
    assert_eq!(MAX_STALE, days(30));
    // What it says about versions holds all the same.
    served.now_has(before.files());
    let error = error_of(&second, now() + later).await;
    assert!(error.contains("rollback"), "{error}");
}

#[tokio::test]
async fn t39_a_mirror_cannot_go_back_over_a_restart() {
    let folder = TempDir::new().unwrap();
    let (before, after) = (repository(OLD), repository(NEW).published_again());
    let served = Served::start(&after).await;
    served
        .mirror(after.root(), Some(&folder))
        .refresh(now())
        .await
        .unwrap();
    served.now_has(before.files());
    let second = served.mirror(after.root(), Some(&folder));
    second.restore(now()).await.unwrap().unwrap();
    let error = error_of(&second, now()).await;
    assert!(error.contains("rollback"), "{error}");
}

fn kept(folder: &Path) -> std::path::PathBuf {
    let mut entries = std::fs::read_dir(folder).unwrap();
    let entry = entries.next().unwrap().unwrap().path();
    assert!(entries.next().is_none(), "more than one file");
    entry
}

/// T-43: what was fetched is good, whether or not it can be kept.
#[tokio::test]
async fn t43_what_cannot_be_kept_is_used_all_the_same() {
    let folder = TempDir::new().unwrap();
    let repository = repository(OLD);
    let served = Served::start(&repository).await;
    let root = repository.root();
    served
        .mirror(root.clone(), Some(&folder))
        .refresh(now())
        .await
        .unwrap();
    // A folder stands where the file would.
    let file = kept(folder.path());
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let second = served.mirror(root, Some(&folder));
    let restored = second.restore(now()).await;
    assert!(
        matches!(restored, Err(MirrorError::Kept { .. })),
        "{restored:?}"
    );
    assert_eq!(second.refresh(now()).await.unwrap().json, OLD);
}

#[tokio::test]
async fn t38_what_is_kept_is_one_file_whatever_names_a_repository_has() {
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("state");
    let mut repository = repository(OLD);
    let climbing = "../../escaped".to_owned();
    repository
        .targets
        .insert(climbing.clone(), (NEW.to_vec(), serde_json::Value::Null));
    let served = Served::start(&repository).await;
    for target in ["", climbing.as_str()] {
        let remote = RemoteRoot {
            root: Base64Bytes(repository.root()),
            mirror: served.url.clone(),
            trusted_root_target: target.to_owned(),
            ..RemoteRoot::default()
        };
        let mirror = Mirror::new(&remote, outbound(), Some(&state)).unwrap();
        let found = mirror.refresh(now()).await;
        assert_eq!(found.is_ok(), target.is_empty());
    }
    kept(&state);
    assert!(!folder.path().join("escaped").exists());
}

#[tokio::test]
async fn what_is_kept_is_verified_anew() {
    let folder = TempDir::new().unwrap();
    let good = repository(OLD);
    let served = Served::start(&good).await;
    served
        .mirror(good.root(), Some(&folder))
        .refresh(now())
        .await
        .unwrap();
    let path = kept(folder.path());
    let text = std::fs::read_to_string(&path).unwrap();
    served.is_down();
    let restored = async |text: &str| {
        std::fs::write(&path, text).unwrap();
        let mirror = served.mirror(good.root(), Some(&folder));
        mirror
            .restore(now())
            .await
            .map(|found| found.map(|(root, _)| root.json))
    };
    let encode =
        |bytes: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
    assert_eq!(restored(&text).await.unwrap().as_deref(), Some(OLD));
    for tampered in [
        text.replace(&encode(OLD), &encode(NEW)),
        "{}".to_owned(),
        String::new(),
    ] {
        assert!(restored(&tampered).await.is_err(), "{tampered}");
    }
    // And by somebody who has the folder and a key of his own, but not that of the root.
    let mut other = repository(NEW);
    other.key = 2;
    let elsewhere = TempDir::new().unwrap();
    let theirs = Served::start(&other).await;
    theirs
        .mirror(other.root(), Some(&elsewhere))
        .refresh(now())
        .await
        .unwrap();
    let forged = std::fs::read_to_string(kept(elsewhere.path())).unwrap();
    assert!(restored(&forged).await.is_err());
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_stands_in_the_way_of_nothing() {
    let folder = TempDir::new().unwrap();
    let blocked = folder.path().join("file");
    std::fs::write(&blocked, "").unwrap();
    let repository = repository(OLD);
    let served = Served::start(&repository).await;
    let remote = RemoteRoot {
        root: Base64Bytes(repository.root()),
        mirror: served.url.clone(),
        ..RemoteRoot::default()
    };
    let mirror = Mirror::new(&remote, outbound(), Some(&blocked)).unwrap();
    assert_eq!(mirror.refresh(now()).await.unwrap().json, OLD);
}

#[test]
fn a_mirror_is_an_http_address() {
    for mirror in ["", "tuf.example", "file:///etc", "https://tuf.example/?x=1"] {
        let remote = RemoteRoot {
            mirror: mirror.to_owned(),
            ..RemoteRoot::default()
        };
        let refused = Mirror::new(&remote, outbound(), None);
        assert!(
            matches!(refused, Err(MirrorError::Address { .. })),
            "{mirror}"
        );
    }
}

#[tokio::test]
async fn the_mirror_of_a_private_sigstore_is_read_over_http() {
    let Some(vectors) = vectors() else { return };
    let folder = vectors.join("conforma/tuf-mirror");
    let mut files = BTreeMap::new();
    for (name, below) in [("metadata", ""), ("targets", "targets/")] {
        for entry in std::fs::read_dir(folder.join(name)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            files.insert(format!("{below}{name}"), std::fs::read(&path).unwrap());
        }
    }
    let served = Served::start(&repository(OLD)).await;
    served.now_has(files);
    let root = std::fs::read(folder.join("initial_root.json")).unwrap();
    let mirror = served.mirror(root, None);
    let found = mirror
        .refresh("2036-05-05T15:34:09Z".parse().unwrap())
        .await
        .unwrap();
    let found: serde_json::Value = serde_json::from_slice(&found.json).unwrap();
    let wanted = std::fs::read(vectors.join("conforma/trusted_root.json")).unwrap();
    assert_eq!(
        found,
        serde_json::from_slice::<serde_json::Value>(&wanted).unwrap()
    );
}
