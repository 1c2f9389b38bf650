//! The read endpoints of a registry over a [`Store`].
//!
//! In comes a path below `/v2/`, out come bytes with their `Docker-Content-Digest`, or the error document of the distribution
//! specification ("Error Codes"). `HEAD` is `GET` without its body.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{IMAGE_INDEX, Store, StoredManifest};
use crate::image::Digest;

/// The header that names the digest of a manifest or blob.
const CONTENT_DIGEST: &str = "Docker-Content-Digest";

/// The registry's endpoints over `store`, for a server of one's own or to be wrapped.
pub fn router(store: Store) -> Router {
    Router::new()
        .route("/v2/", get(version_check))
        .route("/v2", get(version_check))
        .route("/v2/{*path}", get(content))
        .fallback(no_such_endpoint)
        .with_state(store)
}

/// What a path below `/v2/` asks for. A repository has any number of components, so the path is read from its end.
enum Target<'a> {
    Manifest {
        repository: &'a str,
        reference: &'a str,
    },
    Blob {
        repository: &'a str,
        digest: &'a str,
    },
    Referrers {
        repository: &'a str,
        digest: &'a str,
    },
}

/// The query of the referrers endpoint.
#[derive(Deserialize)]
struct ReferrersQuery {
    #[serde(rename = "artifactType")]
    artifact_type: Option<String>,
    /// How many entries came on the pages before.
    #[serde(default)]
    after: usize,
}

/// The error codes of the specification that a read can meet.
#[derive(Clone, Copy)]
enum ErrorCode {
    BlobUnknown,
    DigestInvalid,
    ManifestUnknown,
    NameUnknown,
    Unsupported,
}

// === impl Target ===

impl<'a> Target<'a> {
    fn parse(path: &'a str) -> Option<Self> {
        let (rest, last) = path.rsplit_once('/')?;
        let (repository, kind) = rest.rsplit_once('/')?;
        match kind {
            "manifests" => Some(Self::Manifest {
                repository,
                reference: last,
            }),
            "blobs" => Some(Self::Blob {
                repository,
                digest: last,
            }),
            "referrers" => Some(Self::Referrers {
                repository,
                digest: last,
            }),
            _ => None,
        }
    }
}

// === impl ErrorCode ===

impl ErrorCode {
    fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::Unsupported => "UNSUPPORTED",
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::BlobUnknown => "blob unknown to registry",
            Self::DigestInvalid => "provided digest is no digest",
            Self::ManifestUnknown => "manifest unknown",
            Self::NameUnknown => "repository name not known to registry",
            Self::Unsupported => "the operation is unsupported",
        }
    }

    fn answer(self, status: StatusCode, about: &str) -> Response {
        let document = json!({"errors": [{
            "code": self.as_str(),
            "message": self.message(),
            "detail": about,
        }]});
        (status, axum::Json(document)).into_response()
    }
}

async fn version_check() -> Response {
    axum::Json(json!({})).into_response()
}

async fn no_such_endpoint() -> Response {
    ErrorCode::Unsupported.answer(StatusCode::NOT_FOUND, "no such endpoint")
}

async fn content(
    State(store): State<Store>,
    Path(path): Path<String>,
    Query(query): Query<ReferrersQuery>,
) -> Response {
    match Target::parse(&path) {
        Some(Target::Manifest {
            repository,
            reference,
        }) => manifest(&store, repository, reference),
        Some(Target::Blob { repository, digest }) => blob(&store, repository, digest),
        Some(Target::Referrers { repository, digest }) if store.serves_referrers() => {
            referrers(&store, repository, digest, &query)
        }
        Some(Target::Referrers { .. }) | None => no_such_endpoint().await,
    }
}

fn manifest(store: &Store, repository: &str, reference: &str) -> Response {
    if !store.has_repository(repository) {
        return ErrorCode::NameUnknown.answer(StatusCode::NOT_FOUND, repository);
    }
    match store.manifest(repository, reference) {
        Some(found) => bytes_of(&found.digest, &found.media_type, found.bytes),
        None => ErrorCode::ManifestUnknown.answer(StatusCode::NOT_FOUND, reference),
    }
}

fn blob(store: &Store, repository: &str, digest: &str) -> Response {
    let Ok(parsed) = digest.parse::<Digest>() else {
        return ErrorCode::DigestInvalid.answer(StatusCode::BAD_REQUEST, digest);
    };
    match store.blob(repository, &parsed) {
        Some(bytes) => bytes_of(&parsed, "application/octet-stream", bytes),
        None => ErrorCode::BlobUnknown.answer(StatusCode::NOT_FOUND, digest),
    }
}

fn bytes_of(digest: &Digest, media_type: &str, bytes: impl Into<Body>) -> Response {
    let headers = [
        (header::CONTENT_TYPE.as_str(), media_type),
        (CONTENT_DIGEST, &digest.to_string()),
    ];
    (headers, bytes.into()).into_response()
}

/// The referrers of `digest`: an index of every manifest whose `subject` it is. Empty when there are none, as the specification
/// wants it.
fn referrers(store: &Store, repository: &str, digest: &str, query: &ReferrersQuery) -> Response {
    let Ok(subject) = digest.parse::<Digest>() else {
        return ErrorCode::DigestInvalid.answer(StatusCode::BAD_REQUEST, digest);
    };
    let filter = query
        .artifact_type
        .as_deref()
        .filter(|_| store.filters_referrers());
    let mut found = store
        .manifests(repository)
        .iter()
        .filter_map(|manifest| referrer(manifest, &subject))
        .filter(|descriptor| {
            filter.is_none_or(|wanted| {
                descriptor.get("artifactType").and_then(Value::as_str) == Some(wanted)
            })
        })
        .skip(query.after)
        .collect::<Vec<Value>>();
    let page = store.referrers_per_page().unwrap_or(usize::MAX);
    let goes_on = found.len() > page;
    found.truncate(page);
    let index = json!({"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": found});
    let mut response = ([(header::CONTENT_TYPE, IMAGE_INDEX)], index.to_string()).into_response();
    let headers = response.headers_mut();
    if filter.is_some() {
        headers.insert(
            "OCI-Filters-Applied",
            http::HeaderValue::from_static("artifactType"),
        );
    }
    if goes_on {
        let after = query.after.saturating_add(page);
        let mut next = format!("after={after}");
        if let Some(wanted) = &query.artifact_type {
            next = url::form_urlencoded::Serializer::new(next)
                .append_pair("artifactType", wanted)
                .finish();
        }
        let link = format!("</v2/{repository}/referrers/{digest}?{next}>; rel=\"next\"");
        if let Ok(link) = http::HeaderValue::try_from(link) {
            headers.insert(header::LINK, link);
        }
    }
    response
}

/// The descriptor of `manifest` when its `subject` is `subject`. Without an artifact type of its own its config's media type
/// stands for it.
fn referrer(manifest: &StoredManifest, subject: &Digest) -> Option<Value> {
    let document: Map<String, Value> = serde_json::from_slice(&manifest.bytes).ok()?;
    let named = document.get("subject")?.get("digest")?.as_str()?;
    if named != subject.to_string() {
        return None;
    }
    let artifact_type = document
        .get("artifactType")
        .or_else(|| document.get("config")?.get("mediaType"));
    let mut descriptor = Map::from_iter([
        ("mediaType".to_owned(), json!(manifest.media_type)),
        ("digest".to_owned(), json!(manifest.digest)),
        ("size".to_owned(), json!(manifest.bytes.len())),
    ]);
    if let Some(artifact_type) = artifact_type {
        descriptor.insert("artifactType".to_owned(), artifact_type.clone());
    }
    if let Some(annotations) = document.get("annotations") {
        descriptor.insert("annotations".to_owned(), annotations.clone());
    }
    Some(Value::Object(descriptor))
}
