use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// A folder as kubelet mounts a Secret: `tls.crt -> ..data/tls.crt`, `..data -> ..N`.
struct Mount {
    folder: TempDir,
    turns: u32,
}

impl Mount {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["tls.crt", "tls.key"] {
            symlink(Path::new("..data").join(name), folder.path().join(name)).unwrap();
        }
        Self { folder, turns: 0 }
    }

    /// Writes a folder of its own and turns the link to it, as kubelet does.
    fn swap(&mut self, certificate: &str, key: &str) {
        self.turns += 1;
        let name = format!("..{}", self.turns);
        let version = self.folder.path().join(&name);
        fs::create_dir(&version).unwrap();
        fs::write(version.join("tls.crt"), certificate).unwrap();
        fs::write(version.join("tls.key"), key).unwrap();
        let next = self.folder.path().join("..data_tmp");
        symlink(name, &next).unwrap();
        fs::rename(next, self.folder.path().join("..data")).unwrap();
    }

    fn files(&self) -> CertificateFiles {
        CertificateFiles {
            certificate: self.folder.path().join("tls.crt"),
            key: self.folder.path().join("tls.key"),
        }
    }

    async fn load(&self) -> Result<(Arc<ServingCertificate>, FileWatch), CertificateError> {
        self.files().load(Arc::new(Metrics::new())).await
    }
}

/// A self-signed certificate of its own key, valid until the end of `year`.
fn pem(year: i32) -> (String, String) {
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(year, 12, 31);
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn year(serving: &ServingCertificate) -> i16 {
    serving
        .not_after()
        .unwrap()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .year()
}

#[tokio::test]
async fn serves_the_new_pair_after_kubelet_turned_its_link() {
    let mut mount = Mount::new();
    let ((old, old_key), (new, new_key)) = (pem(2090), pem(2091));
    mount.swap(&old, &old_key);
    let (serving, mut watch) = mount.load().await.unwrap();
    assert_eq!(year(&serving), 2090);
    watch.look(Timestamp::now()).await;
    assert_eq!(year(&serving), 2090);
    mount.swap(&new, &new_key);
    watch.look(Timestamp::now()).await;
    assert_eq!(year(&serving), 2091);
}

#[tokio::test]
async fn keeps_the_last_good_pair_through_every_bad_state_and_takes_the_next_good_one() {
    let mut mount = Mount::new();
    let ((old, old_key), (new, new_key)) = (pem(2090), pem(2091));
    let (expired, expired_key) = pem(2001);
    mount.swap(&old, &old_key);
    let (serving, mut watch) = mount.load().await.unwrap();
    let bad = [
        (new.as_str(), old_key.as_str()),
        (new.split_at(300).0, new_key.as_str()),
        ("", new_key.as_str()),
        (new.as_str(), ""),
        (expired.as_str(), expired_key.as_str()),
    ];
    for (certificate, key) in bad {
        mount.swap(certificate, key);
        watch.look(Timestamp::now()).await;
        assert_eq!(year(&serving), 2090);
    }
    fs::remove_file(mount.folder.path().join("..data")).unwrap();
    watch.look(Timestamp::now()).await;
    assert_eq!(year(&serving), 2090);
    mount.swap(&new, &new_key);
    watch.look(Timestamp::now()).await;
    assert_eq!(year(&serving), 2091);
}

#[tokio::test]
async fn says_at_the_start_what_is_wrong() {
    let mut mount = Mount::new();
    assert!(matches!(
        mount.load().await,
        Err(CertificateError::Read { .. })
    ));
    let ((one, _), (_, other_key)) = (pem(2090), pem(2090));
    mount.swap(&one, &other_key);
    assert!(matches!(
        mount.load().await,
        Err(CertificateError::Mismatch { .. })
    ));
    mount.swap("hello", &other_key);
    assert!(matches!(
        mount.load().await,
        Err(CertificateError::NoCertificate)
    ));
    mount.swap(&one, "hello");
    assert!(matches!(
        mount.load().await,
        Err(CertificateError::Pem {
            wanted: "private key",
            ..
        })
    ));
    let (expired, key) = pem(2001);
    mount.swap(&expired, &key);
    assert!(matches!(
        mount.load().await,
        Err(CertificateError::Expired { .. })
    ));
    mount.swap(&"x".repeat(2 << 20), &key);
    assert!(matches!(
        mount.load().await,
        Err(CertificateError::TooLarge { .. })
    ));
}
