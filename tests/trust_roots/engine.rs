//! What policies get to refer to, behind the flags and resources that say where it comes from.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Parser;
use serde_json::{Value, json};
use sigstore_trust_root::{SIGSTORE_PRODUCTION_TRUSTED_ROOT, SIGSTORE_STAGING_TRUSTED_ROOT};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use vouchsafe::adapters::files;
use vouchsafe::app::engine::Engine;
use vouchsafe::config::JudgeArgs;
use vouchsafe::limits::Limits;
use vouchsafe::policy::Referents;
use vouchsafe::trust::TrustMaterial;

use super::mirror::{Served, repository};

/// `serve` and `verify`, as far as they are the same.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    judge: JudgeArgs,
}

/// A folder for policies and whatever else.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self {
            folder: TempDir::new().unwrap(),
        };
        std::fs::create_dir(desk.policies()).unwrap();
        desk
    }

    fn policies(&self) -> PathBuf {
        self.folder.path().join("policies")
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    fn trust_root(&self, name: &str, spec: &Value) {
        let document = json!({
            "apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot", "metadata": {"name": name}, "spec": spec,
        });
        let path = self.policies().join(format!("{name}.json"));
        std::fs::write(path, document.to_string()).unwrap();
    }

    fn engine(&self, flags: &[&str]) -> Engine {
        let policies = self.policies().display().to_string();
        let fixed = ["vouchsafe", "--policies", &policies];
        let arguments = Arguments::parse_from(fixed.into_iter().chain(flags.iter().copied()));
        Engine::new(&arguments.judge, &Limits::default(), Arc::new(())).unwrap()
    }

    /// Puts what is in the folder in force, as a webhook does it.
    async fn put_in_force(&self, engine: &Engine) -> Arc<Referents> {
        let objects = files::load(&[self.policies()]).unwrap().objects();
        engine.prepare(&objects).await;
        engine.replace(objects).unwrap();
        engine.referents()
    }

    async fn referents(&self, flags: &[&str]) -> Arc<Referents> {
        self.put_in_force(&self.engine(flags)).await
    }
}

fn material(json: &str) -> TrustMaterial {
    TrustMaterial::from_trusted_root_json(json.as_bytes()).unwrap()
}

fn public() -> TrustMaterial {
    material(SIGSTORE_PRODUCTION_TRUSTED_ROOT)
}

fn staging() -> TrustMaterial {
    material(SIGSTORE_STAGING_TRUSTED_ROOT)
}

fn default(referents: &Referents) -> Option<TrustMaterial> {
    referents.default_trust.as_deref().cloned()
}

/// A mirror of the staging root.
async fn mirror() -> (Served, Vec<u8>) {
    let repository = repository(SIGSTORE_STAGING_TRUSTED_ROOT.as_bytes());
    (Served::start(&repository).await, repository.root())
}

fn remote(mirror: &Served, root: &[u8]) -> Value {
    json!({"remote": {"mirror": mirror.url, "root": STANDARD.encode(root)}})
}

#[tokio::test]
async fn without_a_flag_the_public_root_in_the_program_is_trusted() {
    assert_eq!(default(&*Desk::new().referents(&[]).await), Some(public()));
}

#[tokio::test]
async fn a_file_takes_its_place() {
    let desk = Desk::new();
    let file = desk.file("root.json", SIGSTORE_STAGING_TRUSTED_ROOT);
    let referents = desk.referents(&["--trusted-root", &file]).await;
    assert_eq!(default(&referents), Some(staging()));
}

/// What the engine trusts by default, once it is this.
async fn becomes(engine: &Engine, wanted: &TrustMaterial) -> bool {
    for _ in 0..200 {
        engine.refresh().await.unwrap();
        if default(&engine.referents()).as_ref() == Some(wanted) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn the_file_is_read_again_and_what_is_no_root_changes_nothing() {
    let desk = Desk::new();
    let file = desk.file("root.json", SIGSTORE_STAGING_TRUSTED_ROOT);
    let engine = Arc::new(desk.engine(&["--trusted-root", &file]));
    let before = desk.put_in_force(&engine).await;
    let stop = CancellationToken::new();
    let (watched, until) = (Arc::clone(&engine), stop.clone());
    let watch = tokio::spawn(async move {
        watched
            .watch_trusted_root(Duration::from_millis(5), until, |_| ())
            .await;
    });
    desk.file("root.json", "{");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(becomes(&engine, &staging()).await);
    desk.file("root.json", SIGSTORE_PRODUCTION_TRUSTED_ROOT);
    assert!(becomes(&engine, &public()).await);
    // Whoever has taken what was in force before keeps it.
    assert_eq!(default(&before), Some(staging()));
    stop.cancel();
    watch.await.unwrap();
}

#[tokio::test]
async fn a_mirror_of_ones_own_gives_the_default_and_never_the_public_root_in_its_place() {
    let desk = Desk::new();
    let (mirror, root) = mirror().await;
    let root = desk.file("root.json", root);
    let flags = ["--tuf-mirror", &mirror.url, "--tuf-root", &root];
    assert_eq!(default(&*desk.referents(&flags).await), Some(staging()));
    mirror.is_down();
    assert_eq!(default(&*desk.referents(&flags).await), None);
}

#[tokio::test]
async fn the_public_root_in_the_program_serves_until_the_public_mirror_answers() {
    let (mirror, _) = mirror().await;
    // Not the public one, so what it has is not signed by the public root.
    let referents = Desk::new().referents(&["--tuf-mirror", &mirror.url]).await;
    assert_eq!(default(&referents), Some(public()));
}

#[tokio::test]
async fn what_a_mirror_gave_is_kept_while_it_is_down_and_over_a_restart_with_a_folder() {
    let desk = Desk::new();
    let (mirror, root) = mirror().await;
    let root = desk.file("root.json", root);
    let state = desk.folder.path().join("state").display().to_string();
    let flags = [
        "--tuf-mirror",
        &mirror.url,
        "--tuf-root",
        &root,
        "--state-dir",
        &state,
    ];
    let engine = desk.engine(&flags);
    desk.put_in_force(&engine).await;
    mirror.is_down();
    assert_eq!(default(&*desk.put_in_force(&engine).await), Some(staging()));
    assert_eq!(default(&*desk.referents(&flags).await), Some(staging()));
    assert_eq!(default(&*desk.referents(&flags[..4]).await), None);
}

#[tokio::test]
async fn a_trust_root_of_each_shape_is_there_by_its_name() {
    let desk = Desk::new();
    let (mirror, root) = mirror().await;
    desk.trust_root("remote", &remote(&mirror, &root));
    let repository = repository(SIGSTORE_STAGING_TRUSTED_ROOT.as_bytes());
    desk.trust_root("repository", &json!({"repository": {
        "root": STANDARD.encode(repository.root()), "mirrorFS": STANDARD.encode(repository.archive()),
    }}));
    let key = rcgen::KeyPair::generate().unwrap().public_key_pem();
    desk.trust_root("keys", &json!({"sigstoreKeys": {
        "certificateAuthorities": [{
            "subject": {"organization": "o", "commonName": "c"}, "uri": "https://u", "certChain": STANDARD.encode(certificate()),
        }],
        "tLogs": [{"baseURL": "https://l", "hashAlgorithm": "sha-256", "publicKey": STANDARD.encode(key)}],
    }}));
    let referents = desk.referents(&[]).await;
    let root = |name: &str| referents.trust_roots[name].as_deref().cloned();
    assert_eq!(root("remote"), Ok(staging()));
    assert_eq!(root("repository"), Ok(staging()));
    let keys = root("keys").unwrap();
    assert!(keys.has_certificate_authorities() && keys.has_logs());
}

fn certificate() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["ca".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.self_signed(&key).unwrap().pem()
}

#[tokio::test]
async fn a_trust_root_that_cannot_be_used_says_why_and_takes_no_other_with_it() {
    let desk = Desk::new();
    let (good, root) = mirror().await;
    let (down, _) = mirror().await;
    down.is_down();
    desk.trust_root("good", &remote(&good, &root));
    desk.trust_root("down", &remote(&down, &root));
    desk.trust_root("none", &json!({}));
    desk.trust_root("archive", &json!({"repository": {"root": STANDARD.encode(&root), "mirrorFS": STANDARD.encode([0x1f, 0x8b])}}));
    let referents = desk.referents(&[]).await;
    assert!(referents.trust_roots["good"].is_ok());
    let why = |name: &str| referents.trust_roots[name].as_ref().unwrap_err().clone();
    assert!(
        why("down").contains("could not be fetched: the TUF repository cannot be used: "),
        "{}",
        why("down")
    );
    assert!(
        why("none").contains("expected exactly one, got neither"),
        "{}",
        why("none")
    );
    assert!(why("archive").contains("mirrorFS"), "{}", why("archive"));
}

/// The root that a resource names begins trust in its mirror: another root, and what the mirror gave before is not an answer.
#[tokio::test]
async fn a_trust_root_that_was_changed_is_another_one() {
    let desk = Desk::new();
    let (mirror, root) = mirror().await;
    desk.trust_root("r", &remote(&mirror, &root));
    let engine = desk.engine(&[]);
    assert!(desk.put_in_force(&engine).await.trust_roots["r"].is_ok());
    let mut other = repository(SIGSTORE_STAGING_TRUSTED_ROOT.as_bytes());
    other.key = 2;
    desk.trust_root("r", &remote(&mirror, &other.root()));
    let changed = desk.put_in_force(&engine).await;
    assert!(changed.trust_roots["r"].is_err());
}
