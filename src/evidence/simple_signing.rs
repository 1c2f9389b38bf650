//! Simple signing: a small JSON payload that names a digest, and a signature over its bytes in an annotation.
//!
//! [Specification](https://github.com/containers/image/blob/main/docs/containers-signature.5.md); cosign's profile keeps the payload
//! in a layer and the signature in `dev.cosignproject.cosign/signature`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::{Candidate, DecodeError, Evidence, EvidenceLayer, Material};
use crate::limits::json::{brief, parse_strict};

/// The annotation that carries the signature.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// A payload and a signature over its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimpleSigning {
    /// The payload as it came.
    pub payload: Bytes,
    /// The signature over it.
    pub signature: Vec<u8>,
}

/// What a payload claims. Read only from payloads whose signature was verified. Where it claims the image to lie is not read, as in
/// policy-controller: the digest decides (T-63).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// `critical.type`.
    pub kind: String,
    /// `critical.image.docker-manifest-digest`.
    pub manifest_digest: String,
    /// `optional`: the annotations that the signer added.
    pub annotations: BTreeMap<String, Value>,
}

/// Reads one `.sig` layer.
pub fn decode(layer: &EvidenceLayer, payload: Bytes) -> Candidate {
    let decoded = signature_of(layer)
        .map(|signature| Evidence::Signature(SimpleSigning { payload, signature }));
    Candidate {
        format: layer.format,
        digest: layer.digest.clone(),
        decoded,
        material: Material::of_layer(layer),
    }
}

fn signature_of(layer: &EvidenceLayer) -> Result<Vec<u8>, DecodeError> {
    let encoded = layer
        .annotations
        .get(SIGNATURE)
        .filter(|s| !s.is_empty())
        .ok_or(DecodeError::NoSignature {
            annotation: SIGNATURE,
        })?;
    STANDARD
        .decode(encoded)
        .map_err(|e| DecodeError::SignatureEncoding { detail: brief(&e) })
}

// === impl Claim ===

#[derive(Deserialize)]
struct WirePayload {
    critical: WireCritical,
    #[serde(default)]
    optional: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
struct WireCritical {
    image: WireImage,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct WireImage {
    #[serde(rename = "docker-manifest-digest")]
    docker_manifest_digest: String,
}

impl Claim {
    /// Reads a payload, refusing duplicate keys and nesting beyond `depth`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(payload: &[u8], depth: usize) -> Result<Self, String> {
        let value = parse_strict(payload, depth).map_err(|e| brief(&e))?;
        let wire: WirePayload = serde_json::from_value(value).map_err(|e| brief(&e))?;
        Ok(Self {
            kind: wire.critical.kind,
            manifest_digest: wire.critical.image.docker_manifest_digest,
            annotations: wire.optional.unwrap_or_default(),
        })
    }
}
