//! `repository`: a TUF repository that stands in the resource.

use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use serde_json::json;
use vouchsafe::api::{Base64Bytes, RepositoryRoot};
use vouchsafe::trust::archive::from_archive;
use vouchsafe::trust::tuf::{MAX_STALE, TufError, TufRoot};

use crate::support::tuf::{FAR, TufRepository, archive, gzip};
use crate::support::vectors::vectors;

const CONTENT: &[u8] = b"{\"the\": \"root\"}";
const SOON: &str = "2026-06-08T00:00:00Z";

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

fn repository() -> TufRepository {
    TufRepository::new("trusted_root.json", CONTENT)
}

fn resource(root: Vec<u8>, mirror_fs: Vec<u8>) -> RepositoryRoot {
    RepositoryRoot {
        root: Base64Bytes(root),
        mirror_fs: Base64Bytes(mirror_fs),
        ..RepositoryRoot::default()
    }
}

fn read(of: &TufRepository, now: Timestamp) -> Result<TufRoot, TufError> {
    from_archive(&resource(of.root(), of.archive()), now)
}

/// What is said about an archive of these files, with the root of a good repository.
fn refused(files: Vec<(&str, Vec<u8>)>) -> String {
    let files = files
        .into_iter()
        .map(|(name, content)| (name.to_owned(), content));
    refused_bytes(archive(files))
}

fn refused_bytes(bytes: Vec<u8>) -> String {
    let result = from_archive(&resource(repository().root(), bytes), now());
    result.expect_err("a refusal").to_string()
}

#[test]
fn the_target_of_a_good_repository_is_the_root() {
    let found = read(&repository(), now()).unwrap();
    assert_eq!(found.json, CONTENT);
    assert_eq!(found.expires, FAR.parse().unwrap());
}

#[test]
fn target_and_folder_may_have_other_names() {
    let files = TufRepository::new("deep/mine.json", CONTENT).files();
    let moved = files.into_iter().map(|(path, content)| {
        let path = path.replace("targets/deep", "elsewhere/deep");
        (format!("./repository/{path}"), content)
    });
    let mut resource = resource(repository().root(), archive(moved));
    resource.targets = "elsewhere/".to_owned();
    resource.trusted_root_target = "deep/mine.json".to_owned();
    assert_eq!(from_archive(&resource, now()).unwrap().json, CONTENT);
    resource.trusted_root_target = "other.json".to_owned();
    let error = from_archive(&resource, now()).unwrap_err().to_string();
    assert!(error.contains("other.json"), "{error}");
}

#[test]
fn the_root_may_have_been_rotated() {
    let mut rotated = repository();
    rotated.versions[0] = 3;
    assert_eq!(read(&rotated, now()).unwrap().json, CONTENT);
}

#[rstest]
#[case::timestamp(1)]
#[case::snapshot(2)]
#[case::targets(3)]
#[case::root(0)]
fn an_archive_is_used_for_thirty_days_after_it_expired(#[case] role: usize) {
    let mut repository = repository();
    repository.expires[role] = SOON;
    let expires: Timestamp = SOON.parse().unwrap();
    let last = expires + MAX_STALE - SignedDuration::from_secs(1);
    assert_eq!(read(&repository, last).unwrap().expires, expires);
    let error = read(&repository, last + SignedDuration::from_secs(2)).unwrap_err();
    assert!(matches!(error, TufError::Expired { .. }), "{error}");
}

#[test]
fn t39_what_is_not_signed_by_the_root_is_refused() {
    let good = repository();
    let mut other = repository();
    other.key = 2;
    let error = from_archive(&resource(good.root(), other.archive()), now()).unwrap_err();
    assert!(error.to_string().contains("threshold"), "{error}");
    let mut rotated = repository();
    rotated.versions[0] = 2;
    rotated.next_root_signed_by = Some(2);
    let error = read(&rotated, now()).unwrap_err().to_string();
    assert!(error.contains("threshold"), "{error}");
}

#[test]
fn t39_a_target_that_was_exchanged_is_refused() {
    let mut files = repository().files();
    let target = files
        .iter_mut()
        .find(|(path, _)| path.starts_with("targets/"))
        .unwrap();
    *target.1 = target.1.to_ascii_uppercase();
    let files = files
        .into_iter()
        .map(|(path, content)| (format!("repository/{path}"), content));
    let error = refused_bytes(archive(files));
    assert!(error.contains("integrity"), "{error}");
}

#[test]
fn t38_names_that_lead_elsewhere_are_names_of_nothing() {
    let mut files: Vec<(String, Vec<u8>)> = vec![
        (
            "repository/../../../tmp/vouchsafe-escaped".to_owned(),
            b"x".to_vec(),
        ),
        ("/tmp/vouchsafe-escaped".to_owned(), b"x".to_vec()),
    ];
    let good = repository().files().into_iter();
    files.extend(good.map(|(path, content)| (format!("repository/{path}"), content)));
    let found = from_archive(&resource(repository().root(), archive(files)), now()).unwrap();
    assert_eq!(found.json, CONTENT);
    assert!(!std::path::Path::new("/tmp/vouchsafe-escaped").exists());
    // A target whose name climbs is looked for by that name in memory, and found nowhere else.
    let climbing = TufRepository::new("../a", CONTENT);
    let short = climbing.files().into_iter().map(|(path, content)| {
        let path = if path.starts_with("targets/") {
            "targets/../a".to_owned()
        } else {
            path
        };
        (format!("repository/{path}"), content)
    });
    let mut resource = resource(climbing.root(), archive(short));
    resource.trusted_root_target = "../a".to_owned();
    let error = from_archive(&resource, now()).unwrap_err().to_string();
    assert!(error.contains("not found"), "{error}");
}

#[test]
fn archives_that_are_none_or_too_much_are_refused_in_words() {
    assert!(refused_bytes(b"no archive".to_vec()).contains("mirrorFS"));
    assert!(
        refused(vec![("elsewhere/a", Vec::new())]).contains("there is no file below repository/")
    );
    assert!(refused(vec![("repository/a", Vec::new()); 2]).contains("two entries have one name"));
    let many = (0..1_001).map(|n| (format!("repository/{n}"), Vec::new()));
    assert!(refused_bytes(archive(many)).contains("more than 1000 entries"));
    // 64 MiB that take 64 KiB on the wire.
    let bomb = archive([("repository/a".to_owned(), vec![0; 64 << 20])]);
    assert!(bomb.len() < 128 << 10);
    assert!(refused_bytes(bomb).contains("larger than 16777216 bytes"));
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    header.set_path("repository/timestamp.json").unwrap();
    header.set_link_name("/etc/hostname").unwrap();
    header.set_cksum();
    let mut tar = tar::Builder::new(Vec::new());
    tar.append(&header, &[][..]).unwrap();
    let linked = gzip(&tar.into_inner().unwrap());
    assert!(refused_bytes(linked).contains("neither a file nor a folder"));
}

#[test]
fn a_claimed_size_is_no_allocation() {
    let mut header = tar::Header::new_gnu();
    header.set_path("repository/a").unwrap();
    header.set_size(1 << 40);
    header.set_cksum();
    let error = refused_bytes(gzip(header.as_bytes()));
    assert!(error.contains("mirrorFS"), "{error}");
}

#[test]
fn a_repository_of_the_old_kind_lists_keys_by_their_usage() {
    let Some(vectors) = vectors() else { return };
    let pem = |name: &str| std::fs::read(vectors.join("roots/public-good-pem").join(name)).unwrap();
    let usage = |usage: &str, name: &str| {
        let custom = json!({"sigstore": {"usage": usage, "status": "Active", "uri": "https://u"}});
        (name.to_owned(), (pem(name), custom))
    };
    let mut repository = repository();
    repository.targets = [
        usage("Fulcio", "fulcio_v1.crt.pem"),
        usage("Rekor", "rekor.pub"),
        usage("CTFE", "ctfe.pub"),
        usage("CTFE", "ctfe_2022.pub"),
    ]
    .into();
    let found = read(&repository, now()).unwrap();
    let root: serde_json::Value = serde_json::from_slice(&found.json).unwrap();
    let count = |list: &str| root[list].as_array().unwrap().len();
    assert_eq!(
        (
            count("certificateAuthorities"),
            count("tlogs"),
            count("ctlogs")
        ),
        (1, 1, 2)
    );
    repository.targets.remove("fulcio_v1.crt.pem");
    let error = read(&repository, now()).unwrap_err().to_string();
    assert!(
        error.contains("neither the target trusted_root.json nor"),
        "{error}"
    );
}

#[test]
fn the_mirror_of_a_private_sigstore_is_read_from_an_archive() {
    let Some(vectors) = vectors() else { return };
    let mirror = vectors.join("conforma/tuf-mirror");
    let mut files = Vec::new();
    for (folder, below) in [("metadata", ""), ("targets", "targets/")] {
        for entry in std::fs::read_dir(mirror.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            files.push((
                format!("repository/{below}{name}"),
                std::fs::read(&path).unwrap(),
            ));
        }
    }
    let root = std::fs::read(mirror.join("initial_root.json")).unwrap();
    let bytes = archive(files);
    let found = from_archive(
        &resource(root, bytes),
        "2036-05-05T15:34:09Z".parse().unwrap(),
    )
    .unwrap();
    let wanted = std::fs::read(vectors.join("conforma/trusted_root.json")).unwrap();
    let (found, wanted): (serde_json::Value, serde_json::Value) = (
        serde_json::from_slice(&found.json).unwrap(),
        serde_json::from_slice(&wanted).unwrap(),
    );
    assert_eq!(found, wanted);
}
