//! Mirrors: asked first, believed where they have something, and never in what they do not have.

use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::Instant;

use vouchsafe::adapters::oci::{OciRegistry, OciSettings, RegistryHosts, load_registries};
use vouchsafe::gather::registry::{
    Access, FetchError, FetchedReferrers, ReferrersPage, Registry as _,
};
use vouchsafe::image::{Digest, Repository};

use crate::stub::{
    Seen, Stub, access, anonymous, anonymous_for, blob, client, entry, get, get_digest, head,
    manifest, reply,
};

const BODY: &str = r#"{"layers":[]}"#;
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// What this `registries.yaml` says.
pub(crate) fn hosts(text: &str) -> RegistryHosts {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("registries.yaml");
    std::fs::write(folder.path().join("password"), "hunter2\n").unwrap();
    std::fs::write(&file, text).unwrap();
    load_registries(&file).unwrap().hosts
}

fn client_with(text: &str) -> OciRegistry {
    let settings = OciSettings {
        hosts: hosts(text),
        ..OciSettings::default()
    };
    OciRegistry::new(&settings).unwrap()
}

/// A client that asks `mirrors` before `origin`.
fn mirrored(origin: &Stub, mirrors: &[&str]) -> OciRegistry {
    client_with(&format!(
        "registries: [{{host: \"{}\", mirrors: [{}]}}]",
        origin.host(),
        mirrors.join(", ")
    ))
}

fn at(mirror: &Stub) -> String {
    format!("{{host: \"{}/hub\"}}", mirror.host())
}

fn honest(seen: &Seen) -> axum::response::Response {
    let digest = Digest::sha256_of(BODY.as_bytes()).to_string();
    match (seen.method.as_str(), seen.path.contains("/blobs/")) {
        ("HEAD", _) => reply(200, &[("docker-content-digest", &digest)], ""),
        (_, true) => reply(200, &[], "evidence"),
        _ => manifest(BODY),
    }
}

async fn referrers(
    client: &OciRegistry,
    repository: &Repository,
    page: &ReferrersPage,
    access: &Access,
) -> Result<Option<FetchedReferrers>, FetchError> {
    client.referrers(repository, page, access).await
}

fn first_page() -> ReferrersPage {
    ReferrersPage {
        subject: Digest::sha256_of(BODY.as_bytes()),
        artifact_type: None,
        from: None,
    }
}

#[tokio::test]
async fn a_mirror_answers_in_place_of_the_registry_below_its_own_path() {
    let (origin, mirror) = (Stub::start(honest).await, Stub::start(honest).await);
    let client = mirrored(&origin, &[&at(&mirror)]);
    let repository = origin.repository();
    assert!(
        get(&client, &repository, &anonymous())
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        head(&client, &repository, &anonymous())
            .await
            .unwrap()
            .is_some()
    );
    let found = blob(&client, &repository, b"evidence", 8, &anonymous()).await;
    assert!(found.unwrap().is_some());
    assert!(origin.seen().is_empty(), "{:?}", origin.seen());
    let paths: Vec<String> = mirror.seen().into_iter().map(|seen| seen.path).collect();
    assert!(
        paths
            .iter()
            .all(|path| path.starts_with("/v2/hub/shop/cart/")),
        "{paths:?}"
    );
}

/// T-52: nodes pull images through a mirror, and not their signatures.
#[tokio::test]
async fn t52_what_a_mirror_does_not_have_the_registry_is_asked_for() {
    let (origin, mirror) = (
        Stub::start(honest).await,
        Stub::start(|_| reply(404, &[], "{}")).await,
    );
    let client = mirrored(&origin, &[&at(&mirror)]);
    let found = get(&client, &origin.repository(), &anonymous()).await;
    assert!(matches!(found, Ok(Some(_))), "{found:?}");
    assert_eq!(mirror.seen().len(), 1);
}

#[tokio::test]
async fn there_is_none_when_the_registry_says_so_or_a_mirror_that_has_everything() {
    let missing = |_: &Seen| reply(404, &[], "{}");
    let (origin, mirror) = (Stub::start(missing).await, Stub::start(missing).await);
    let client = mirrored(&origin, &[&at(&mirror)]);
    let found = get(&client, &origin.repository(), &anonymous()).await;
    assert_eq!(found, Ok(None));
    assert_eq!((mirror.take().len(), origin.take().len()), (1, 1));

    let full = format!("{{host: \"{}\", authoritative: true}}", mirror.host());
    let client = mirrored(&origin, &[&full]);
    let found = get(&client, &origin.repository(), &anonymous()).await;
    assert_eq!(found, Ok(None));
    assert_eq!((mirror.take().len(), origin.take().len()), (1, 0));
}

/// T-52: that the registry cannot be asked is not its word that there is none.
#[tokio::test]
async fn t52_a_mirror_without_it_and_a_registry_that_is_down_are_no_absence() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = listener.local_addr().unwrap().to_string();
    drop(listener);
    let mirror = Stub::start(|_| reply(404, &[], "{}")).await;
    let client = client_with(&format!(
        "registries: [{{host: \"{origin}\", mirrors: [{{host: \"{}\"}}]}}]",
        mirror.host()
    ));
    let repository = Repository::parse(&format!("{origin}/shop/cart")).unwrap();
    let found = get(&client, &repository, &anonymous_for(Duration::from_secs(2))).await;
    assert!(
        matches!(found, Err(FetchError::Unreachable { .. })),
        "{found:?}"
    );
}

/// T-51: what a mirror serves is hashed like everything else.
#[tokio::test]
async fn t51_other_bytes_from_a_mirror_are_not_taken_and_the_registry_is_asked() {
    let origin = Stub::start(honest).await;
    let mirror = Stub::start(|seen| {
        if seen.path.contains("/blobs/") {
            reply(200, &[], "forged!!")
        } else {
            manifest(r#"{"layers":[{}]}"#)
        }
    })
    .await;
    let client = mirrored(&origin, &[&at(&mirror)]);
    let (repository, digest) = (origin.repository(), Digest::sha256_of(BODY.as_bytes()));
    let found = get_digest(&client, &repository, &digest, &anonymous()).await;
    assert_eq!(found.unwrap().unwrap().bytes, BODY);
    let found = blob(&client, &repository, b"evidence", 8, &anonymous()).await;
    assert_eq!(found.unwrap().unwrap(), "evidence");

    // And from both it is an error.
    let liar = Stub::start(|_| manifest(r#"{"layers":[{}]}"#)).await;
    let client = mirrored(&liar, &[&at(&mirror)]);
    let found = get_digest(&client, &liar.repository(), &digest, &anonymous()).await;
    assert!(
        matches!(&found, Err(FetchError::DigestMismatch { registry, .. }) if *registry == liar.host()),
        "{found:?}"
    );
}

#[tokio::test]
async fn every_way_in_which_a_mirror_fails_leads_to_the_next_and_then_to_the_registry() {
    for status in [400, 401, 403, 418, 429, 500, 503] {
        let origin = Stub::start(honest).await;
        let first = Stub::start(move |_| reply(status, &[], "{}")).await;
        let second = Stub::start(|_| reply(200, &[("content-type", "text/html")], "<html>")).await;
        let client = mirrored(&origin, &[&at(&first), &at(&second)]);
        let digest = Digest::sha256_of(BODY.as_bytes());
        let found = get_digest(&client, &origin.repository(), &digest, &anonymous()).await;
        assert!(matches!(found, Ok(Some(_))), "{status}: {found:?}");
        assert_eq!(
            (first.seen().len(), second.seen().len(), origin.seen().len()),
            (1, 1, 1),
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_mirror_that_hangs_takes_a_part_of_the_time_and_is_then_put_aside() {
    let origin = Stub::start(honest).await;
    // Accepts connections, and never answers.
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = hanging.local_addr().unwrap();
    let client = mirrored(&origin, &[&format!("{{host: \"{host}\"}}")]);
    let access = anonymous_for(Duration::from_secs(4));
    let started = Instant::now();
    let found = get(&client, &origin.repository(), &access).await;
    assert!(matches!(found, Ok(Some(_))), "{found:?}");
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    let again = Instant::now();
    let found = get(&client, &origin.repository(), &anonymous()).await;
    assert!(matches!(found, Ok(Some(_))), "{found:?}");
    assert!(again.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_mirror_that_was_put_aside_is_asked_when_the_registry_is_down() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = listener.local_addr().unwrap().to_string();
    drop(listener);
    let failing = std::sync::atomic::AtomicBool::new(true);
    let mirror = Stub::start(move |seen| {
        if failing.swap(false, std::sync::atomic::Ordering::SeqCst) {
            reply(503, &[], "")
        } else {
            honest(seen)
        }
    })
    .await;
    let client = client_with(&format!(
        "registries: [{{host: \"{origin}\", mirrors: [{{host: \"{}\"}}]}}]",
        mirror.host()
    ));
    let repository = Repository::parse(&format!("{origin}/shop/cart")).unwrap();
    let found = get(&client, &repository, &anonymous_for(Duration::from_secs(2))).await;
    let Err(FetchError::Unreachable { detail, .. }) = &found else {
        panic!("{found:?}")
    };
    assert!(
        detail.contains(&format!("mirror {}", mirror.host())),
        "the mirror is named: {detail}"
    );
    let found = get(&client, &repository, &anonymous_for(Duration::from_secs(2))).await;
    assert!(matches!(found, Ok(Some(_))), "{found:?}");
}

/// T-16, T-53: a mirror is another host, and sees nothing that is for the registry.
#[tokio::test]
async fn t53_the_credentials_of_the_registry_are_not_shown_to_its_mirrors() {
    let challenge = |seen: &Seen| {
        if seen.authorization.is_some() {
            honest(seen)
        } else {
            reply(401, &[("www-authenticate", "Basic realm=\"shop\"")], "{}")
        }
    };
    let (origin, mirror) = (Stub::start(challenge).await, Stub::start(challenge).await);
    let client = client_with(&format!(
        r#"registries:
  - host: "{0}"
    mirrors: [{{host: "{1}"}}]
    credentials: {{username: origin, passwordFile: password}}
"#,
        origin.host(),
        mirror.host()
    ));
    // A Pod's own secrets, even one that names the mirror, are for images of that registry.
    let access = access(vec![
        entry(&origin.host(), "alice"),
        entry(&mirror.host(), "mallory"),
    ]);
    let found = get(&client, &origin.repository(), &access).await;
    assert!(matches!(found, Ok(Some(_))), "{found:?}");
    let shown: Vec<_> = mirror
        .seen()
        .into_iter()
        .filter_map(|seen| seen.authorization)
        .collect();
    assert!(shown.is_empty(), "{shown:?}");
    assert!(
        origin
            .seen()
            .iter()
            .any(|seen| seen.authorization.is_some())
    );
}

/// T-16: the credentials of an entry go to its host, whoever leads there.
#[tokio::test]
async fn t16_a_mirror_has_the_credentials_of_its_own_entry_and_keeps_them() {
    let origin = Stub::start(honest).await;
    let mirror = Stub::start(|seen| {
        if seen.authorization.is_some() {
            reply(404, &[], "{}")
        } else {
            reply(401, &[("www-authenticate", "Basic realm=\"shop\"")], "{}")
        }
    })
    .await;
    let client = client_with(&format!(
        r#"registries:
  - host: "{0}"
    mirrors: [{{host: "{1}"}}]
  - host: "{1}"
    credentials: {{username: robot, passwordFile: password}}
"#,
        origin.host(),
        mirror.host()
    ));
    let found = get(&client, &origin.repository(), &anonymous()).await;
    assert!(matches!(found, Ok(Some(_))), "{found:?}");
    assert!(
        mirror
            .seen()
            .iter()
            .any(|seen| seen.authorization.is_some())
    );
    assert!(
        origin
            .seen()
            .iter()
            .all(|seen| seen.authorization.is_none())
    );
}

/// T-53: a mirror is as little trusted with where it leads as any registry.
#[tokio::test]
async fn t53_a_mirror_leads_nowhere_that_a_registry_may_not_lead() {
    for target in [
        "http://169.254.169.254/latest/meta-data/",
        "https://metadata.google.internal/computeMetadata/v1/",
        "http://registry.example/v2/",
    ] {
        let origin = Stub::start(honest).await;
        let mirror = Stub::start(move |_| reply(307, &[("location", target)], "")).await;
        let client = mirrored(&origin, &[&at(&mirror)]);
        let found = get(&client, &origin.repository(), &anonymous()).await;
        assert!(matches!(found, Ok(Some(_))), "{target}: {found:?}");
        assert_eq!(origin.seen().len(), 1, "{target}");
    }
}

#[tokio::test]
async fn a_mirror_for_digests_alone_is_not_asked_what_a_tag_or_a_list_is() {
    let (origin, mirror) = (Stub::start(honest).await, Stub::start(honest).await);
    let only = format!("{{host: \"{}\", digestOnly: true}}", mirror.host());
    let client = mirrored(&origin, &[&only]);
    let repository = origin.repository();
    head(&client, &repository, &anonymous()).await.unwrap();
    get(&client, &repository, &anonymous()).await.unwrap();
    assert!(mirror.seen().is_empty());
    let digest = Digest::sha256_of(BODY.as_bytes());
    get_digest(&client, &repository, &digest, &anonymous())
        .await
        .unwrap();
    assert_eq!(mirror.seen().len(), 1);
}

/// T-52: an empty list is a way of saying that there is none.
#[tokio::test]
async fn t52_an_empty_list_of_a_mirror_is_not_the_end() {
    let empty = |_: &Seen| {
        reply(
            200,
            &[("content-type", INDEX)],
            r#"{"schemaVersion":2,"manifests":[]}"#,
        )
    };
    let full = |_: &Seen| {
        reply(
            200,
            &[("content-type", INDEX)],
            r#"{"schemaVersion":2,"manifests":[{}]}"#,
        )
    };
    let (origin, mirror) = (Stub::start(full).await, Stub::start(empty).await);
    let client = mirrored(&origin, &[&at(&mirror)]);
    let found = referrers(&client, &origin.repository(), &first_page(), &anonymous()).await;
    let bytes = found.unwrap().unwrap().bytes;
    assert!(String::from_utf8_lossy(&bytes).contains("{}"), "{bytes:?}");
}

#[tokio::test]
async fn a_list_is_read_to_its_end_where_it_began() {
    let paged = |seen: &Seen| {
        let list = r#"{"schemaVersion":2,"manifests":[{}]}"#;
        if seen.query.is_empty() {
            reply(
                200,
                &[("content-type", INDEX), ("link", "<?last=a>; rel=\"next\"")],
                list,
            )
        } else {
            reply(200, &[("content-type", INDEX)], list)
        }
    };
    let (origin, mirror) = (Stub::start(paged).await, Stub::start(paged).await);
    let client = mirrored(&origin, &[&at(&mirror)]);
    let repository = origin.repository();
    let first = referrers(&client, &repository, &first_page(), &anonymous()).await;
    let second = ReferrersPage {
        from: first.unwrap().unwrap().next,
        ..first_page()
    };
    assert!(second.from.is_some());
    let found = referrers(&client, &repository, &second, &anonymous()).await;
    assert!(matches!(found, Ok(Some(_))), "{found:?}");
    assert_eq!((mirror.seen().len(), origin.seen().len()), (2, 0));
}

#[tokio::test]
async fn settings_that_are_replaced_count_from_then_on() {
    let (origin, mirror) = (Stub::start(honest).await, Stub::start(honest).await);
    let client = client();
    get(&client, &origin.repository(), &anonymous())
        .await
        .unwrap();
    assert_eq!((mirror.take().len(), origin.take().len()), (0, 1));
    let text = format!(
        "registries: [{{host: \"{}\", mirrors: [{}]}}]",
        origin.host(),
        at(&mirror)
    );
    client.replace_hosts(hosts(&text)).unwrap();
    get(&client, &origin.repository(), &anonymous())
        .await
        .unwrap();
    assert_eq!((mirror.take().len(), origin.take().len()), (1, 0));
}
