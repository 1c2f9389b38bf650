//! What counts as an answer: digests, sizes, kinds of document, absence.

use std::sync::{Arc, atomic::AtomicUsize, atomic::Ordering};

use vouchsafe::gather::registry::FetchError;
use vouchsafe::image::Digest;

use crate::stub::{
    MANIFEST, Stub, anonymous, blob, client, get, get_digest, head, manifest, reply,
};

const BODY: &str = r#"{"schemaVersion":2,"layers":[]}"#;

#[tokio::test]
async fn a_tag_is_resolved_by_one_head() {
    let digest = Digest::sha256_of(BODY.as_bytes());
    let header = digest.to_string();
    let stub = Stub::start(move |_| reply(200, &[("docker-content-digest", &header)], "")).await;
    let found = head(&client(), &stub.repository(), &anonymous()).await;
    assert_eq!(found, Ok(Some(digest)));
    let seen = stub.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].method.as_str(), seen[0].path.as_str()),
        ("HEAD", "/v2/shop/cart/manifests/1.4")
    );
}

#[tokio::test]
async fn without_the_header_the_manifest_is_fetched_and_hashed() {
    for head_status in [200, 405] {
        let stub = Stub::start(move |seen| match seen.method.as_str() {
            "HEAD" => reply(head_status, &[], ""),
            _ => manifest(BODY),
        })
        .await;
        let found = head(&client(), &stub.repository(), &anonymous()).await;
        assert_eq!(found, Ok(Some(Digest::sha256_of(BODY.as_bytes()))));
    }
}

#[tokio::test]
async fn a_tag_that_is_404_is_absent_and_nothing_else_is() {
    for status in [401, 403, 404, 400, 410, 429, 500, 503, 204, 206, 302, 304] {
        let stub = Stub::start(move |_| reply(status, &[], "")).await;
        let found = head(&client(), &stub.repository(), &anonymous()).await;
        assert_eq!(found == Ok(None), status == 404, "{status}: {found:?}");
        let found = get(&client(), &stub.repository(), &anonymous()).await;
        assert_eq!(found == Ok(None), status == 404, "{status}: {found:?}");
        let found = blob(&client(), &stub.repository(), b"x", 1, &anonymous()).await;
        assert_eq!(found == Ok(None), status == 404, "{status}: {found:?}");
    }
}

/// T-54.
#[tokio::test]
async fn refuses_a_digest_header_that_is_no_digest() {
    for header in [
        "",
        "sha256:",
        "sha256:abc",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "SHA256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855/../x",
    ] {
        let stub = Stub::start(move |_| reply(200, &[("docker-content-digest", header)], "")).await;
        let found = head(&client(), &stub.repository(), &anonymous()).await;
        assert!(
            matches!(found, Err(FetchError::Malformed { .. })),
            "{header:?}: {found:?}"
        );
    }
}

/// T-05: the header says one digest, the bytes have another.
#[tokio::test]
async fn denies_bytes_that_differ_from_the_digest_beside_them() {
    let other = Digest::sha256_of(b"something else").to_string();
    let headers = move || {
        [
            ("content-type", MANIFEST.to_owned()),
            ("docker-content-digest", other.clone()),
        ]
    };
    let stub = Stub::start(move |_| {
        let headers = headers();
        let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        reply(200, &headers, BODY)
    })
    .await;
    let expected = Digest::sha256_of(BODY.as_bytes());
    for found in [
        get(&client(), &stub.repository(), &anonymous()).await,
        get_digest(&client(), &stub.repository(), &expected, &anonymous()).await,
    ] {
        assert!(
            matches!(found, Err(FetchError::DigestMismatch { .. })),
            "{found:?}"
        );
    }
}

/// T-51: whatever digest is asked for, the same bytes come.
#[tokio::test]
async fn denies_other_bytes_than_asked_for_by_digest() {
    let stub = Stub::start(|_| manifest(BODY)).await;
    let wanted = Digest::sha256_of(b"what was asked for");
    let found = get_digest(&client(), &stub.repository(), &wanted, &anonymous()).await;
    let Err(FetchError::DigestMismatch {
        expected, found, ..
    }) = found
    else {
        panic!("{found:?}")
    };
    assert_eq!(expected, wanted);
    assert_eq!(found, Digest::sha256_of(BODY.as_bytes()));

    let found = blob(
        &client(),
        &stub.repository(),
        b"what was asked for",
        BODY.len().try_into().unwrap(),
        &anonymous(),
    )
    .await;
    assert!(
        matches!(found, Err(FetchError::DigestMismatch { .. })),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_manifest_comes_with_its_own_digest_and_type() {
    let stub = Stub::start(|_| manifest(BODY)).await;
    let found = get(&client(), &stub.repository(), &anonymous())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.bytes, BODY);
    assert_eq!(found.media_type, MANIFEST);
    assert_eq!(found.digest, Digest::sha256_of(BODY.as_bytes()));
}

/// T-50.
#[tokio::test]
async fn denies_documents_that_are_manifest_and_index_at_once() {
    for body in [
        r#"{"layers":[],"manifests":[]}"#,
        r#"{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#,
        r#"{"manifests":[]}"#,
        "<html>hello</html>",
        "\u{feff}{}",
        "",
    ] {
        let stub = Stub::start(move |_| manifest(body)).await;
        let found = get(&client(), &stub.repository(), &anonymous()).await;
        assert!(
            matches!(found, Err(FetchError::Malformed { .. })),
            "{body}: {found:?}"
        );
    }
}

#[tokio::test]
async fn a_blob_has_exactly_the_size_and_digest_that_its_manifest_claims() {
    let stub = Stub::start(|_| reply(200, &[], "evidence")).await;
    let repository = stub.repository();
    let found = blob(&client(), &repository, b"evidence", 8, &anonymous()).await;
    assert_eq!(found.unwrap().unwrap(), "evidence");
    for claimed in [0, 7, 9, 1024] {
        let found = blob(&client(), &repository, b"evidence", claimed, &anonymous()).await;
        assert!(
            matches!(found, Err(FetchError::Malformed { .. })),
            "{claimed}: {found:?}"
        );
    }
}

#[tokio::test]
async fn a_blob_that_claims_to_be_too_large_is_not_asked_for() {
    let stub = Stub::start(|_| reply(200, &[], "evidence")).await;
    for claimed in [1025, u64::MAX] {
        let found = blob(
            &client(),
            &stub.repository(),
            b"evidence",
            claimed,
            &anonymous(),
        )
        .await;
        assert!(
            matches!(found, Err(FetchError::TooLarge { limit: 1024, .. })),
            "{found:?}"
        );
    }
    assert!(stub.seen().is_empty());
}

/// T-03: between two calls the registry changes its mind; each answer is true to its own bytes.
#[tokio::test]
async fn each_answer_of_a_changing_registry_has_the_digest_of_its_own_bytes() {
    let calls = Arc::new(AtomicUsize::new(0));
    let stub = Stub::start(move |_| {
        let call = calls.fetch_add(1, Ordering::SeqCst);
        manifest(&format!(r#"{{"layers":[],"call":{call}}}"#))
    })
    .await;
    let client = client();
    for _ in 0..3 {
        let found = get(&client, &stub.repository(), &anonymous())
            .await
            .unwrap()
            .unwrap();
        assert!(found.digest.is_digest_of(&found.bytes));
    }
}
