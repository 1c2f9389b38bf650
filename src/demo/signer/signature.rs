//! Image signatures: simple signing payloads in a `.sig` manifest (cosign's `SIGNATURE_SPEC`).
//!
//! In come an image digest and a key, out comes one more layer whose annotation signs it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Value};

use super::layer::{Layer, append, written};
use super::{Attached, EMPTY_ANNOTATIONS, SIGNATURE_ANNOTATION, SigningError, SigningKey};
use crate::demo::registry::Store;
use crate::image::Digest;

/// Media type of a simple signing payload.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// What a signature says. `Default` is an honest `cosign sign --key`.
#[derive(Clone, Debug, Default)]
pub struct SignatureOptions {
    /// The claim `critical.identity.docker-reference`; the repository's path where absent.
    pub reference: Option<String>,
    /// The claim `critical.image.docker-manifest-digest`, any text; the image's digest where absent.
    pub claimed_digest: Option<String>,
    /// The claim `critical.type`; cosign's where absent.
    pub claimed_type: Option<String>,
    /// The claim `optional` (`cosign sign -a key=value`); `null` where absent.
    pub annotations: Option<Map<String, Value>>,
    /// Signed and stored instead of the simple signing document.
    pub payload: Option<Vec<u8>>,
    /// Stored as the layer instead of what was signed.
    pub stored_payload: Option<Vec<u8>>,
    /// The signature annotation, word for word; the signature in base64 where absent.
    pub signature: Option<String>,
    /// The layer's media type; [`SIMPLE_SIGNING`] where absent.
    pub media_type: Option<String>,
    /// Writes empty certificate and chain annotations, as Tekton Chains does.
    pub as_tekton_chains: bool,
    /// More annotations of the layer; they replace others of the same name.
    pub layer_annotations: BTreeMap<String, String>,
    /// Stands before the tag (a policy's `source[].tagPrefix`).
    pub tag_prefix: String,
}

/// The simple signing document, in cosign's field order.
#[derive(Serialize)]
struct SimpleSigning<'a> {
    critical: Critical<'a>,
    optional: Option<&'a Map<String, Value>>,
}

#[derive(Serialize)]
struct Critical<'a> {
    identity: Identity<'a>,
    image: Image<'a>,
    r#type: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Identity<'a> {
    docker_reference: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Image<'a> {
    docker_manifest_digest: &'a str,
}

/// Signs `image` with `key` and appends the signature to its `.sig` manifest in `repository`.
///
/// # Errors
/// [`SigningError`]: no signature, a tag prefix that makes no tag, something else than a manifest under the tag.
pub fn attach_signature(
    store: &Store,
    repository: &str,
    image: &Digest,
    key: &SigningKey,
    options: &SignatureOptions,
) -> Result<Attached, SigningError> {
    let payload = match &options.payload {
        Some(payload) => payload.clone(),
        None => simple_signing(repository, image, options)?,
    };
    let signature = match &options.signature {
        Some(text) => text.clone(),
        None => STANDARD.encode(key.sign(&payload)?),
    };
    let mut annotations = BTreeMap::from([(SIGNATURE_ANNOTATION.to_owned(), signature)]);
    if options.as_tekton_chains {
        annotations.extend(EMPTY_ANNOTATIONS.map(|name| (name.to_owned(), String::new())));
    }
    annotations.extend(options.layer_annotations.clone());
    let layer = Layer {
        media_type: options
            .media_type
            .clone()
            .unwrap_or_else(|| SIMPLE_SIGNING.to_owned()),
        bytes: options.stored_payload.clone().unwrap_or(payload),
        annotations,
    };
    let tag = image.tag_with_suffix(&options.tag_prefix, "sig")?;
    append(store, repository, tag, layer)
}

fn simple_signing(
    repository: &str,
    image: &Digest,
    options: &SignatureOptions,
) -> Result<Vec<u8>, SigningError> {
    let digest = image.to_string();
    let document = SimpleSigning {
        critical: Critical {
            identity: Identity {
                docker_reference: options.reference.as_deref().unwrap_or(repository),
            },
            image: Image {
                docker_manifest_digest: options.claimed_digest.as_deref().unwrap_or(&digest),
            },
            r#type: options
                .claimed_type
                .as_deref()
                .unwrap_or("cosign container image signature"),
        },
        optional: options.annotations.as_ref(),
    };
    written(&document, "the simple signing document")
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
    use spki::der::Decode as _;
    use spki::der::pem;

    use super::*;
    use crate::demo::registry;

    #[test]
    fn writes_the_payload_that_cosign_writes() {
        let image: Digest = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
        let options = SignatureOptions {
            reference: Some("127.0.0.1:5000/t/signed".to_owned()),
            ..SignatureOptions::default()
        };
        let expected = format!(
            r#"{{"critical":{{"identity":{{"docker-reference":"127.0.0.1:5000/t/signed"}},"image":{{"docker-manifest-digest":"{image}"}},"type":"cosign container image signature"}},"optional":null}}"#
        );
        let written = simple_signing("t/signed", &image, &options).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }

    #[test]
    fn the_annotation_is_a_signature_of_the_stored_layer() {
        let store = Store::new();
        let image = registry::image(&store, "t/app", "v1", "seed");
        let key = SigningKey::generate().unwrap();
        let attached =
            attach_signature(&store, "t/app", &image, &key, &SignatureOptions::default()).unwrap();
        let payload = store.blob("t/app", &attached.layer).unwrap();
        let manifest = store.manifest("t/app", attached.tag.as_str()).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest.bytes).unwrap();
        let annotation = manifest["layers"][0]["annotations"][SIGNATURE_ANNOTATION]
            .as_str()
            .unwrap();
        let (_, spki) = pem::decode_vec(key.public_key_pem().as_bytes()).unwrap();
        let spki = spki::SubjectPublicKeyInfoRef::from_der(&spki).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, spki.subject_public_key.raw_bytes())
            .verify(&payload, &STANDARD.decode(annotation).unwrap())
            .unwrap();
    }

    #[test]
    fn a_second_signature_is_a_second_layer() {
        let store = Store::new();
        let image = registry::image(&store, "t/app", "v1", "seed");
        let options = SignatureOptions::default();
        for _ in 0..2 {
            let key = SigningKey::generate().unwrap();
            attach_signature(&store, "t/app", &image, &key, &options).unwrap();
        }
        let tag = image.tag_with_suffix("", "sig").unwrap();
        let manifest = store.manifest("t/app", tag.as_str()).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest.bytes).unwrap();
        assert_eq!(manifest["layers"].as_array().unwrap().len(), 2);
    }
}
