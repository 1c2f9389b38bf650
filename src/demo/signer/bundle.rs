//! Sigstore bundles and other evidence in manifests that refer to their image, as cosign 3 writes them with a key.
//!
//! In come an image digest and a key, out comes one more manifest whose `subject` is the image. Where the store has no referrers API,
//! the manifest is listed in the index under the fallback tag, as clients do then. Specifications: bundle v0.1 to v0.3, OCI
//! distribution 1.1 ("Pushing manifests with subject", "Referrers Tag Schema").

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use sigstore_types::pae;

use super::layer::written;
use super::{SIGNATURE_ANNOTATION, SIMPLE_SIGNING, SigningError, SigningKey};
use crate::demo::registry::{IMAGE_INDEX, IMAGE_MANIFEST, Store};
use crate::image::Digest;

/// The media type of bundles as cosign 3 writes them, and the artifact type of their manifests.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The predicate type of a bundle that is a signature of an image.
pub const COSIGN_SIGN: &str = "https://sigstore.dev/cosign/sign/v1";
/// The artifact type of a simple-signing manifest that refers to its image.
pub const SIMPLE_SIGNING_ARTIFACT: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";

const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// What a bundle says, and how it is attached. `Default` is an honest `cosign sign --key` or `cosign attest --key`.
#[derive(Clone, Debug, Default)]
pub struct BundleOptions {
    /// The bundle's `mediaType`; [`BUNDLE`] where absent.
    pub version: Option<String>,
    /// The subjects of the statement; one with the image's digest where absent.
    pub subjects: Option<Value>,
    /// The envelope's `payloadType`; it is what is signed, too.
    pub payload_type: Option<String>,
    /// Signed instead of the pre-authentication encoding.
    pub signed_bytes: Option<Vec<u8>>,
    /// More members of `verificationMaterial`, such as `tlogEntries`.
    pub material: Map<String, Value>,
    /// Stored as the layer instead of a bundle.
    pub layer: Option<Vec<u8>>,
    /// How the manifest describes itself.
    pub manifest: ReferrerOptions,
}

/// What a referring manifest, and a list of referrers, say about it.
#[derive(Clone, Debug, Default)]
pub struct ReferrerOptions {
    /// The layer's media type; that of its content where absent.
    pub layer_type: Option<String>,
    /// The manifest's `artifactType`; that of its content where absent, none where empty.
    pub artifact_type: Option<String>,
    /// The `artifactType` in the index under the fallback tag; the manifest's where absent.
    pub listed_artifact_type: Option<String>,
    /// The manifest's annotations; those that cosign writes where absent.
    pub annotations: Option<BTreeMap<String, String>>,
    /// Listed under the fallback tag even where there is a referrers API.
    pub under_fallback_tag: bool,
}

/// A manifest that refers to an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referring {
    /// Its digest.
    pub manifest: Digest,
    /// The digest of its layer.
    pub layer: Digest,
}

/// Signs `image` with `key` as cosign 3 does: a statement of the type [`COSIGN_SIGN`] in a bundle.
///
/// # Errors
/// [`SigningError`]: no signature, or something else than an index under the fallback tag.
pub fn attach_bundle_signature(
    store: &Store,
    repository: &str,
    image: &Digest,
    key: &SigningKey,
    options: &BundleOptions,
) -> Result<Referring, SigningError> {
    attach_bundle_attestation(
        store,
        repository,
        image,
        key,
        COSIGN_SIGN,
        &json!({}),
        options,
    )
}

/// Makes a statement about `image`, signs it with `key`, and attaches it as a bundle.
///
/// # Errors
/// [`SigningError`]: no signature, or something else than an index under the fallback tag.
pub fn attach_bundle_attestation(
    store: &Store,
    repository: &str,
    image: &Digest,
    key: &SigningKey,
    predicate_type: &str,
    predicate: &Value,
    options: &BundleOptions,
) -> Result<Referring, SigningError> {
    let honest = || json!([{"digest": {image.algorithm().as_str(): image.hex()}}]);
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": options.subjects.clone().unwrap_or_else(honest),
        "predicateType": predicate_type,
        "predicate": predicate,
    });
    let statement = written(&statement, "the statement")?;
    let payload_type = options.payload_type.as_deref().unwrap_or(IN_TOTO);
    let signed = match &options.signed_bytes {
        Some(bytes) => bytes.clone(),
        None => pae(payload_type, &statement),
    };
    let envelope = json!({
        "payload": STANDARD.encode(&statement),
        "payloadType": payload_type,
        "signatures": [{"sig": STANDARD.encode(key.sign(&signed)?)}],
    });
    let said = annotations("dsse-envelope", Some(predicate_type));
    let content = bundle("dsseEnvelope", &envelope, said, key, options)?;
    attach(store, repository, image, content, &options.manifest)
}

/// Signs the bytes of the image's manifest, as `cosign sign-blob` does, and attaches that as a bundle.
///
/// # Errors
/// [`SigningError`]: no signature, or something else than an index under the fallback tag.
pub fn attach_message_signature(
    store: &Store,
    repository: &str,
    image: &Digest,
    key: &SigningKey,
    options: &BundleOptions,
) -> Result<Referring, SigningError> {
    let manifest = store.manifest(repository, &image.to_string());
    let bytes = manifest.map(|manifest| manifest.bytes).unwrap_or_default();
    let signed = options.signed_bytes.as_deref().unwrap_or(&bytes);
    let message = json!({
        "messageDigest": {"algorithm": "SHA2_256", "digest": STANDARD.encode(Sha256::digest(signed))},
        "signature": STANDARD.encode(key.sign(signed)?),
    });
    let said = annotations("message-signature", None);
    let content = bundle("messageSignature", &message, said, key, options)?;
    attach(store, repository, image, content, &options.manifest)
}

/// Signs `image` in the older form, a simple-signing payload, and attaches that as a referrer, as
/// `cosign sign --registry-referrers-mode=oci-1-1` does.
///
/// # Errors
/// [`SigningError`]: no signature, or something else than an index under the fallback tag.
pub fn attach_signature_referrer(
    store: &Store,
    repository: &str,
    image: &Digest,
    key: &SigningKey,
    options: &ReferrerOptions,
) -> Result<Referring, SigningError> {
    let payload = json!({"critical": {
        "identity": {"docker-reference": repository},
        "image": {"docker-manifest-digest": image},
        "type": "cosign container image signature",
    }, "optional": null});
    let payload = written(&payload, "the simple signing document")?;
    let signature = STANDARD.encode(key.sign(&payload)?);
    let content = Content {
        bytes: payload,
        layer_type: SIMPLE_SIGNING,
        artifact_type: SIMPLE_SIGNING_ARTIFACT,
        layer_annotations: BTreeMap::from([(SIGNATURE_ANNOTATION.to_owned(), signature)]),
        annotations: BTreeMap::new(),
    };
    attach(store, repository, image, content, options)
}

/// Attaches any document as a referrer: a bill of materials, or junk.
///
/// # Errors
/// [`SigningError::Document`]: something else than an index under the fallback tag.
pub fn attach_document(
    store: &Store,
    repository: &str,
    image: &Digest,
    artifact_type: &str,
    document: &[u8],
    options: &ReferrerOptions,
) -> Result<Referring, SigningError> {
    let content = Content {
        bytes: document.to_vec(),
        layer_type: artifact_type,
        artifact_type,
        layer_annotations: BTreeMap::new(),
        annotations: BTreeMap::new(),
    };
    attach(store, repository, image, content, options)
}

/// What a referring manifest holds.
struct Content<'a> {
    bytes: Vec<u8>,
    layer_type: &'a str,
    artifact_type: &'a str,
    layer_annotations: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

/// A bundle with this content, as what a referring manifest holds.
fn bundle<'a>(
    member: &str,
    content: &Value,
    annotations: BTreeMap<String, String>,
    key: &SigningKey,
    options: &'a BundleOptions,
) -> Result<Content<'a>, SigningError> {
    let version = options.version.as_deref().unwrap_or(BUNDLE);
    let mut material = Map::from_iter([(
        "publicKey".to_owned(),
        json!({"hint": STANDARD.encode(Sha256::digest(key.public_key_pem()))}),
    )]);
    material.extend(options.material.clone());
    let bundle = json!({"mediaType": version, "verificationMaterial": material, member: content});
    let bytes = match &options.layer {
        Some(layer) => layer.clone(),
        None => written(&bundle, "the bundle")?,
    };
    Ok(Content {
        bytes,
        layer_type: version,
        artifact_type: version,
        layer_annotations: BTreeMap::new(),
        annotations,
    })
}

fn annotations(content: &str, predicate_type: Option<&str>) -> BTreeMap<String, String> {
    let pairs = [
        ("dev.sigstore.bundle.content", Some(content)),
        ("dev.sigstore.bundle.predicateType", predicate_type),
    ];
    let pairs = pairs
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn attach(
    store: &Store,
    repository: &str,
    image: &Digest,
    content: Content<'_>,
    options: &ReferrerOptions,
) -> Result<Referring, SigningError> {
    let subject = store.manifest(repository, &image.to_string());
    let subject_size = subject.map_or(0, |subject| subject.bytes.len());
    let size = content.bytes.len();
    let layer = store.push_blob(repository, content.bytes);
    let empty = store.push_blob(repository, b"{}".to_vec());
    let own = content.artifact_type;
    let artifact_type = options.artifact_type.as_deref().unwrap_or(own);
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "config": {"mediaType": EMPTY, "size": 2, "digest": empty},
        "layers": [{
            "mediaType": options.layer_type.as_deref().unwrap_or(content.layer_type),
            "size": size,
            "digest": layer,
            "annotations": content.layer_annotations,
        }],
        "annotations": options.annotations.as_ref().unwrap_or(&content.annotations),
        "subject": {"mediaType": IMAGE_MANIFEST, "size": subject_size, "digest": image},
    });
    if let Some(members) = manifest
        .as_object_mut()
        .filter(|_| !artifact_type.is_empty())
    {
        members.insert("artifactType".to_owned(), json!(artifact_type));
    }
    let bytes = written(&manifest, "the manifest")?;
    let size = bytes.len();
    let manifest = store.push_manifest(repository, None, IMAGE_MANIFEST, bytes);
    if options.under_fallback_tag || !store.serves_referrers() {
        let said = options.listed_artifact_type.as_deref();
        let entry = json!({
            "mediaType": IMAGE_MANIFEST,
            "size": size,
            "digest": manifest,
            "artifactType": said.unwrap_or(artifact_type),
        });
        list_under_fallback_tag(store, repository, image, entry)?;
    }
    Ok(Referring { manifest, layer })
}

fn list_under_fallback_tag(
    store: &Store,
    repository: &str,
    image: &Digest,
    entry: Value,
) -> Result<(), SigningError> {
    let tag = image.tag_with_suffix("", "")?;
    let mut manifests = match store.manifest(repository, tag.as_str()) {
        Some(index) => listed(&index.bytes, tag.as_str())?,
        None => Vec::new(),
    };
    manifests.push(entry);
    let index = json!({"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": manifests});
    let bytes = written(&index, "the index")?;
    store.push_manifest(repository, Some(tag.as_str()), IMAGE_INDEX, bytes);
    Ok(())
}

fn listed(index: &[u8], tag: &str) -> Result<Vec<Value>, SigningError> {
    let index: Map<String, Value> =
        serde_json::from_slice(index).map_err(|source| SigningError::Document {
            what: format!("index {tag}"),
            source,
        })?;
    let manifests = index.get("manifests").and_then(Value::as_array);
    Ok(manifests.cloned().unwrap_or_default())
}
