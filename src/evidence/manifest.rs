//! The manifest under a `.sig` or `.att` tag: one layer for each signature or attestation.

use std::collections::HashMap;

use oci_spec::image::ImageManifest;

use super::Format;
use crate::image::Digest;
use crate::limits::json::{brief, parse_small};

/// The annotation with which cosign and Tekton Chains say which predicate a `.att` layer carries.
const PREDICATE_TYPE: &str = "predicateType";

/// Nesting of a manifest. Real ones need five levels.
const DEPTH: usize = 32;
/// Values in a manifest. Real ones need ten for each layer.
const VALUES: usize = 100_000;

/// One layer that holds evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceLayer {
    /// How it was found.
    pub format: Format,
    /// The digest that its bytes must have.
    pub digest: Digest,
    /// The size that its bytes must have.
    pub size: u64,
    /// Its annotations, among them the signature of a simple-signing layer.
    pub annotations: HashMap<String, String>,
}

/// Why a manifest is not one that lists evidence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct MalformedManifest {
    /// What is wrong with it.
    pub detail: String,
}

/// Reads the layers of a manifest found under a `.sig` or `.att` tag. Layers of other media types are passed over.
///
/// # Errors
/// Not a manifest, or a layer whose digest cannot be one.
pub fn layers(format: Format, manifest: &[u8]) -> Result<Vec<EvidenceLayer>, MalformedManifest> {
    let malformed = |detail: String| MalformedManifest { detail };
    let value = parse_small(manifest, DEPTH, VALUES).map_err(|e| malformed(brief(&e)))?;
    let manifest: ImageManifest =
        serde_json::from_value(value).map_err(|e| malformed(brief(&e)))?;
    let mut found = Vec::new();
    for layer in manifest.layers() {
        if !carries(format, layer.media_type().as_ref()) {
            continue;
        }
        let digest = layer
            .digest()
            .to_string()
            .parse()
            .map_err(|e| malformed(format!("layer {}: {e}", layer.digest())))?;
        found.push(EvidenceLayer {
            format,
            digest,
            size: layer.size(),
            annotations: layer.annotations().clone().unwrap_or_default(),
        });
    }
    Ok(found)
}

/// Which media types a layer of this format may have. Producers differ in old versions; what a layer *is* is decided by its bytes.
fn carries(format: Format, media_type: &str) -> bool {
    match format {
        Format::SignatureTag => media_type == "application/vnd.dev.cosign.simplesigning.v1+json",
        Format::AttestationTag => media_type == "application/vnd.dsse.envelope.v1+json",
    }
}

impl EvidenceLayer {
    /// About how much memory it takes, in bytes.
    pub fn weight(&self) -> usize {
        const FIXED: usize = 256;
        let text = self.annotations.iter();
        let text =
            text.map(|(key, value)| FIXED.saturating_add(key.len()).saturating_add(value.len()));
        text.fold(FIXED, usize::saturating_add)
    }

    /// The predicate type that the layer claims, if it claims one. It is a hint for what not to fetch, and can only deny.
    pub fn claimed_predicate_type(&self) -> Option<&str> {
        self.annotations
            .get(PREDICATE_TYPE)
            .map(String::as_str)
            .filter(|claimed| !claimed.is_empty())
    }
}
