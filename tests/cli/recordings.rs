//! `verify --record`, and the same verdict again from the recording, when the registry is gone.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use insta::assert_snapshot;
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;
use vouchsafe::demo::registry::{Store, image, index};
use vouchsafe::demo::signer::{
    BundleOptions, ReferrerOptions, SLSA_PROVENANCE_V02, SigningKey, attach_bundle_attestation,
    attach_bundle_signature, attach_document, slsa_v02,
};

use crate::desk::{Desk, release, stranger};
use crate::support::command::{Ended, Run, verify, vouchsafe};
use crate::support::policies::{Policy, yaml};
use crate::support::policy_text::{built_by_chains, signed_by, warns_unless_signed_by};
use crate::support::registry::{Fault, FaultyRegistry, Match, TokenAuth, User};

/// `verify --record FOLDER`.
fn recording(folder: &Path, policies: &Path, rest: &[&str]) -> Run {
    let flag = ["--record".into(), folder.as_os_str().to_owned()];
    let rest = rest.iter().map(Into::into);
    verify(policies, flag.into_iter().chain(rest))
}

/// `test FOLDER`, with nobody to ask.
fn replayed(folder: &Path) -> Ended {
    vouchsafe(["test".as_ref(), folder.as_os_str()]).end()
}

fn assert_replays(folder: &Path, cases: usize) {
    let ended = replayed(folder);
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (0, ""),
        "{}",
        ended.stdout
    );
    assert!(
        ended.stdout.contains(&format!("{cases} passed")),
        "{ended:?}"
    );
}

/// Every file of a recording.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut found, mut left) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                found.push((path, bytes));
            }
        }
    }
    found
}

#[rstest]
#[case::by_tag(Desk::image)]
#[case::by_digest(Desk::pinned)]
#[tokio::test(flavor = "multi_thread")]
async fn what_was_judged_is_judged_the_same_without_the_registry(
    #[case] reference: fn(&Desk, &str) -> String,
) {
    let desk = Desk::new().await;
    let cases = [
        "annotated",
        "att-only",
        "sig-only",
        "signed",
        "stranger",
        "two-attestations",
        "unsigned",
        "wrong-builder",
    ];
    let policy = desk.file(
        "both.yaml",
        format!(
            "{}\n{}\n{}",
            signed_by("signed", &release()),
            built_by_chains("built", &release()),
            warns_unless_signed_by("soft", &stranger())
        ),
    );
    let images: Vec<String> = cases.iter().map(|case| reference(&desk, case)).collect();
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    let folder = desk.folder().join("recorded/cases");
    let ended = recording(&folder, &policy, &images).end();
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("recorded: run it with vouchsafe test"),
        "{ended:?}"
    );
    // Though it is still there, it is not asked.
    desk.registry.reset_counts();
    assert_replays(&folder, 8);
    assert!(desk.registry.requests().is_empty());
    let (registry, _folder) = desk.apart();
    registry.stop().await;
    assert_replays(&folder, 8);
}

/// A registry with images of every form of evidence that the demo's signer makes.
struct Forms {
    registry: FaultyRegistry,
    folder: TempDir,
    policy: PathBuf,
}

impl Forms {
    async fn new() -> Self {
        let store = Store::new();
        let (key, other) = (
            SigningKey::generate().unwrap(),
            SigningKey::generate().unwrap(),
        );
        let options = BundleOptions::default();
        let signed = image(&store, "t/bundle", "v1", "bundle");
        attach_bundle_signature(&store, "t/bundle", &signed, &key, &options).unwrap();
        let predicate = slsa_v02(
            "https://tekton.dev/chains/v2",
            "https://git.example",
            "c0ffee",
        );
        let platforms = index(&store, "t/platforms", "v1", "platforms");
        for signer in [&other, &key] {
            let repository = "t/platforms";
            attach_bundle_signature(&store, repository, &platforms.index, signer, &options)
                .unwrap();
            attach_bundle_attestation(
                &store,
                repository,
                &platforms.index,
                signer,
                SLSA_PROVENANCE_V02,
                &predicate,
                &options,
            )
            .unwrap();
        }
        for number in 0..3_u8 {
            let options = ReferrerOptions::default();
            let document = [number];
            let kind = "application/spdx+json";
            attach_document(
                &store,
                "t/platforms",
                &platforms.index,
                kind,
                &document,
                &options,
            )
            .unwrap();
        }
        image(&store, "t/none", "v1", "none");
        // Under the fallback tag, as where there is no referrers API.
        store.serve_referrers(false);
        let fallback = image(&store, "t/fallback", "v1", "fallback");
        attach_bundle_signature(&store, "t/fallback", &fallback, &key, &options).unwrap();
        store.serve_referrers(true);
        let folder = TempDir::new().unwrap();
        let policy = folder.path().join("policy.yaml");
        let signed = Policy::new("signed").key("release", &key);
        let attested = Policy::new("attested").mode("warn").attested(
            "release",
            &key,
            SLSA_PROVENANCE_V02,
            None,
        );
        std::fs::write(&policy, yaml(&[signed, attested])).unwrap();
        Self {
            registry: FaultyRegistry::start(store).await,
            folder,
            policy,
        }
    }

    fn record(&self, images: &[&str]) -> PathBuf {
        let images: Vec<String> = images
            .iter()
            .map(|name| format!("{}/t/{name}:v1", self.registry.host()))
            .collect();
        let images: Vec<&str> = images.iter().map(String::as_str).collect();
        let folder = self.folder.path().join("recorded");
        let ended = recording(&folder, &self.policy, &images).end();
        assert!(ended.stderr.contains("recorded: "), "{ended:?}");
        folder
    }
}

#[rstest]
#[case::referrers(true, None, true)]
#[case::pages(true, Some(1), true)]
#[case::a_registry_that_does_not_filter(true, Some(2), false)]
#[case::no_referrers_api(false, None, true)]
#[tokio::test(flavor = "multi_thread")]
async fn bundles_and_indexes_are_replayed_however_they_were_found(
    #[case] api: bool,
    #[case] per_page: Option<usize>,
    #[case] filters: bool,
) {
    let forms = Forms::new().await;
    let store = forms.registry.store();
    store.serve_referrers(api);
    store.page_referrers(per_page);
    store.filter_referrers(filters);
    let images = ["bundle", "platforms", "none", "fallback", "nowhere"];
    let folder = forms.record(&images);
    forms.registry.stop().await;
    assert_replays(&folder, images.len());
}

// === credentials ===

const PASSWORD: &str = "correct-horse-battery-staple";
const ROBOT: &str = "robot-of-the-shop";

#[rstest]
#[case::basic(false)]
#[case::tokens(true)]
#[tokio::test(flavor = "multi_thread")]
async fn no_credential_and_no_token_is_part_of_a_recording(#[case] tokens: bool) {
    let desk = Desk::new().await;
    if tokens {
        let user = User {
            name: ROBOT.to_owned(),
            password: PASSWORD.to_owned(),
            repositories: Vec::new(),
        };
        desk.registry.require_token(TokenAuth {
            users: vec![user],
            ..TokenAuth::default()
        });
    } else {
        desk.registry.require_basic(ROBOT, PASSWORD);
    }
    desk.registry.store().page_referrers(Some(1));
    let basic = STANDARD.encode(format!("{ROBOT}:{PASSWORD}"));
    let auths = json!({"auths": {desk.registry.host(): {"auth": basic}}}).to_string();
    // Once as the user's own, and once as a pull secret among the policies.
    let docker = desk.folder().join("docker");
    std::fs::create_dir(&docker).unwrap();
    std::fs::write(docker.join("config.json"), &auths).unwrap();
    let encoded = STANDARD.encode(&auths);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": "regcred", "namespace": "shop"},
        "data": {".dockerconfigjson": encoded},
    });
    let policies = desk.folder().join("policies");
    std::fs::create_dir(&policies).unwrap();
    std::fs::write(
        policies.join("signed.yaml"),
        signed_by("signed", &release()),
    )
    .unwrap();
    std::fs::write(policies.join("secret.json"), secret.to_string()).unwrap();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "cart", "namespace": "shop", "annotations": {"note": "keep-me-out"}},
        "spec": {
            "imagePullSecrets": [{"name": "regcred"}],
            "containers": [
                {"name": "a", "image": desk.image("signed"), "env": [{"name": "PASSWORD", "value": PASSWORD}]},
                {"name": "b", "image": desk.image("unsigned")},
            ],
        },
    });
    let pod = desk.file("pod.json", pod.to_string());
    let folder = desk.folder().join("recorded");
    let ended = recording(&folder, &policies, &["-f", pod.to_str().unwrap()])
        .env("DOCKER_CONFIG", &docker)
        .end();
    assert_eq!(ended.code, 1, "{ended:?}");
    let all = files(&folder);
    assert!(all.len() > 5, "{all:?}");
    let secrets = [
        PASSWORD,
        ROBOT,
        &basic,
        &encoded,
        "Bearer",
        "token",
        "Authorization",
        "regcred",
        "keep-me-out",
    ];
    for (path, bytes) in &all {
        let text = String::from_utf8_lossy(bytes);
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} is in {}", path.display());
        }
    }
    let (registry, _kept) = desk.apart();
    registry.stop().await;
    assert_replays(&folder, 2);
}

// === what is written where ===

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_replaced_by_a_newer_one_and_nothing_else_is() {
    let desk = Desk::new().await;
    let policy = desk.signed_by_release();
    let (signed, unsigned) = (desk.image("signed"), desk.image("unsigned"));
    let folder = desk.folder().join("recorded");
    let record = |image: &str| recording(&folder, &policy, &[image]).end();
    assert_eq!(record(&unsigned).code, 1);
    let first = files(&folder);
    assert_eq!(record(&signed).code, 0);
    assert!(files(&folder).len() > first.len());
    assert_replays(&folder, 1);

    // An edited file of cases is somebody's work.
    let cases = folder.join("vouchsafe-test.yaml");
    let text = std::fs::read_to_string(&cases).unwrap();
    std::fs::write(&cases, text.replace("is admitted", "is fine")).unwrap();
    let refused = record(&unsigned);
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
    assert!(
        refused.stderr.contains("was edited since it was recorded"),
        "{refused:?}"
    );
    std::fs::write(&cases, text).unwrap();

    for stranger in [
        "notes.txt",
        "vouchsafe-evidence/notes.txt",
        "vouchsafe-evidence/blobs/sha256/notes",
    ] {
        let stranger = folder.join(stranger);
        std::fs::write(&stranger, "mine").unwrap();
        let refused = record(&unsigned);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert_eq!(std::fs::read_to_string(&stranger).unwrap(), "mine");
        assert_replays(&folder, 1);
        std::fs::remove_file(&stranger).unwrap();
    }
    assert_eq!(record(&unsigned).code, 1);
    assert_replays(&folder, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_with_other_things_in_it_is_refused_before_anything_is_asked() {
    let desk = Desk::new().await;
    let policy = desk.signed_by_release();
    let ended = recording(desk.folder(), &policy, &[&desk.image("signed")]).end();
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
    assert!(
        ended.stderr.contains("name a folder of its own"),
        "{ended:?}"
    );
    assert!(desk.registry.requests().is_empty());
}

/// Policies are named and not copied, so that a case is about the policy as it is then.
#[tokio::test(flavor = "multi_thread")]
async fn the_cases_that_are_written_read_well() {
    let desk = Desk::new().await;
    desk.signed_by_release();
    let folder = desk.folder().join("a/recorded");
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "cart", "namespace": "shop", "labels": {"app": "cart"}},
        "spec": {"template": {"spec": {"containers": [{"name": "a", "image": desk.image("signed")}]}}},
    });
    let file = desk.file("deployment.json", deployment.to_string());
    let policy = desk.folder().join("signed.yaml");
    let rest = [&desk.image("stranger"), "-f", file.to_str().unwrap()];
    assert_eq!(recording(&folder, &policy, &rest).end().code, 1);
    let text = std::fs::read_to_string(folder.join("vouchsafe-test.yaml")).unwrap();
    let at = |line: &str| line.trim_start().starts_with("at: ");
    let lines: Vec<&str> = text.lines().filter(|line| !at(line)).collect();
    assert_eq!(text.lines().count() - lines.len(), 2);
    assert_snapshot!("recorded_cases", desk.redacted(&lines.join("\n")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_selects_objects_is_replayed_for_the_object() {
    let desk = Desk::new().await;
    let selects = signed_by("picky", &stranger()).replace(
        "\nspec:\n",
        "\nspec:\n  match:\n    - {group: apps, version: v1, resource: deployments, selector: {matchLabels: {tier: front}}}\n",
    );
    let policy = desk.file("picky.yaml", selects);
    let object = |name: &str, tier: &str| {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": "shop", "labels": {"tier": tier}},
            "spec": {"template": {"spec": {"containers": [{"name": "a", "image": desk.image("stranger")}]}}},
        })
    };
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [object("a", "front"), object("b", "back")]});
    let file = desk.file("list.json", list.to_string());
    let folder = desk.folder().join("recorded");
    let rest = ["--no-match-policy", "warn", "-f", file.to_str().unwrap()];
    let ended = recording(&folder, &policy, &rest).end();
    assert_eq!(ended.code, 0, "{ended:?}");
    let text = std::fs::read_to_string(folder.join("vouchsafe-test.yaml")).unwrap();
    for phrase in [
        "verdict: admit",
        "verdict: warn",
        "noMatchPolicy: warn",
        "tier: front",
    ] {
        assert!(text.contains(phrase), "{phrase} is not in {text}");
    }
    assert_replays(&folder, 2);
}

// === failures are not recorded ===

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_cannot_be_asked_is_not_recorded() {
    let desk = Desk::new().await;
    let policy = desk.signed_by_release();
    let folder = desk.folder().join("recorded");
    desk.registry.on(
        Match::any(),
        Fault::Status(500, Vec::new(), bytes::Bytes::new()),
    );
    let ended = recording(&folder, &policy, &[&desk.image("signed")]).end();
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stdout.contains("registry-unreachable"), "{ended:?}");
    assert!(ended.stderr.contains("nothing is recorded"), "{ended:?}");
    assert!(!folder.exists());
}

/// One authority is satisfied, and the other could not ask: the verdict stands, and cannot be told again.
#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_beside_a_failure_is_not_recorded() {
    let desk = Desk::new().await;
    let two = signed_by("two", &release());
    let lost = "    - name: elsewhere\n      source: [{oci: 127.0.0.1:1/lost}]\n      key:\n        data: |\n";
    let key: String = release()
        .lines()
        .map(|line| format!("          {line}\n"))
        .collect::<Vec<_>>()
        .concat();
    let policy = desk.file("two.yaml", format!("{two}{lost}{key}"));
    let folder = desk.folder().join("recorded");
    let ended = recording(&folder, &policy, &[&desk.image("signed")]).end();
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stdout.contains("ADMITTED"), "{ended:?}");
    assert!(ended.stderr.contains("127.0.0.1:1"), "{ended:?}");
    assert!(!folder.exists());
}

// === what is replayed ===

/// A recording of the signed image, and its policy.
async fn recorded_once() -> (TempDir, PathBuf, PathBuf) {
    let desk = Desk::new().await;
    let policy = desk.signed_by_release();
    let folder = desk.folder().join("recorded");
    let image = desk.image("signed");
    assert_eq!(recording(&folder, &policy, &[&image]).end().code, 0);
    let (registry, root) = desk.apart();
    registry.stop().await;
    (root, folder, policy)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_blob_is_refused() {
    let (_root, folder, _) = recorded_once().await;
    let blobs = folder.join("vouchsafe-evidence/blobs/sha256");
    let mut refused = 0;
    for (path, bytes) in files(&blobs) {
        for edited in [[&bytes[..], b" "].concat(), Vec::new(), vec![b'x'; 5 << 20]] {
            std::fs::write(&path, edited).unwrap();
            let ended = replayed(&folder);
            if ended.code == 1 {
                assert!(ended.stdout.contains("was edited"), "{}", ended.stdout);
                refused += 1;
            } else {
                // The image's own manifest, of which only the digest is looked at.
                assert_eq!(ended.code, 0, "{}", ended.stdout);
            }
        }
        std::fs::write(&path, bytes).unwrap();
    }
    assert_eq!(refused, 6, "the manifest and the layer of the signature");
    assert_replays(&folder, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_asked_is_not_taken_for_absent() {
    let (_root, folder, policy) = recorded_once().await;
    // The policy asks for something else now.
    std::fs::write(&policy, built_by_chains("built", &release())).unwrap();
    let ended = replayed(&folder);
    assert_eq!(ended.code, 1);
    for phrase in [
        ".att of",
        "was not asked when this was recorded",
        "record it anew",
        "found unknown",
    ] {
        assert!(
            ended.stdout.contains(phrase),
            "{phrase} is not in {}",
            ended.stdout
        );
    }
    assert!(
        !ended.stdout.contains("no matching attestations"),
        "{}",
        ended.stdout
    );

    // A blob that is gone is no absence either.
    let (_root, folder, _) = recorded_once().await;
    std::fs::remove_dir_all(folder.join("vouchsafe-evidence/blobs/sha256")).unwrap();
    let ended = replayed(&folder);
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.contains("was not asked"), "{}", ended.stdout);
}

/// T-38: whatever a recording is made to say, only digests become paths.
#[rstest]
#[case::digest("index.json", "sha256:", "sha256:../")]
#[case::name("index.json", "/t/signed:v1", "/../signed:v1")]
#[case::schema("recording.json", "vouchsafe.recording/v1", "vouchsafe.recording/v2")]
#[case::unknown_field("recording.json", "\"schema\"", "\"surprise\": 1,\n  \"schema\"")]
#[case::no_json("recording.json", "{", "[")]
#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_is_none_cannot_be_used(
    #[case] file: &str,
    #[case] from: &str,
    #[case] to: &str,
) {
    let (_root, folder, _) = recorded_once().await;
    let path = folder.join("vouchsafe-evidence").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(&path, text.replace(from, to)).unwrap();
    let ended = replayed(&folder);
    assert_eq!(ended.code, 2, "{}", ended.stdout);
    assert!(
        ended.stdout.contains("vouchsafe-evidence"),
        "{}",
        ended.stdout
    );
}

/// Files are plain OCI: another tool finds the tags in `index.json`.
#[tokio::test(flavor = "multi_thread")]
async fn the_evidence_is_an_oci_image_layout() {
    let (_root, folder, _) = recorded_once().await;
    let layout = folder.join("vouchsafe-evidence");
    let read = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(layout.join(name)).unwrap()).unwrap()
    };
    assert_eq!(read("oci-layout")["imageLayoutVersion"], "1.0.0");
    let index = read("index.json");
    assert_eq!(index["schemaVersion"], 2);
    let names: Vec<&str> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| {
            let digest = found["digest"].as_str().unwrap().replace(':', "/");
            let size = std::fs::metadata(layout.join("blobs").join(digest))
                .unwrap()
                .len();
            assert_eq!(found["size"], size);
            found["annotations"]["org.opencontainers.image.ref.name"]
                .as_str()
                .unwrap()
        })
        .collect();
    assert!(
        names.iter().any(|name| name.ends_with("/t/signed:v1")),
        "{names:?}"
    );
    assert!(names.iter().any(|name| name.contains(".sig")), "{names:?}");
}
