//! The manifests that hold evidence: one layer for each signature, attestation or bundle.
//!
//! There are two kinds: those under the tags `.sig` and `.att`, and those that refer to an image. Of the second kind nothing is
//! known before they are read: the media types of their layers say what they hold, whatever a list said about them.

use std::collections::HashMap;

use oci_spec::image::ImageManifest;

use super::{Format, bundle};
use crate::image::Digest;
use crate::limits::json::{brief, parse_small};

/// The annotation with which cosign and Tekton Chains say which predicate a `.att` layer carries.
const PREDICATE_TYPE: &str = "predicateType";
/// The annotation with which a referring manifest says which predicate its bundle carries.
pub(super) const BUNDLE_PREDICATE_TYPE: &str = "dev.sigstore.bundle.predicateType";
/// The annotation with which a referring manifest says what kind of signature its bundle is.
pub(super) const BUNDLE_CONTENT: &str = "dev.sigstore.bundle.content";
/// What [`BUNDLE_CONTENT`] says of a signature over bytes.
pub(super) const MESSAGE_SIGNATURE: &str = "message-signature";

/// The media type of a simple-signing payload.
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The media type of a DSSE envelope.
const DSSE_ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";

/// Nesting of a manifest. Real ones need five levels.
const DEPTH: usize = 32;
/// Values in a manifest. Real ones need ten for each layer.
const VALUES: usize = 100_000;

/// One layer that holds evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceLayer {
    /// What it is, and how it was found.
    pub format: Format,
    /// The digest that its bytes must have.
    pub digest: Digest,
    /// The size that its bytes must have.
    pub size: u64,
    /// Its annotations, among them the signature of a simple-signing layer; those of a bundle are its manifest's too.
    pub annotations: HashMap<String, String>,
}

/// What evidence is said to carry, before it is read. It is a hint for what not to fetch, and can only deny.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// The predicate type, where one is claimed.
    pub predicate_type: Option<String>,
    /// Whether it is said to be a signature over bytes, which has no predicate.
    pub message: bool,
}

/// Why a document is not one that lists evidence.
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
pub fn tagged(format: Format, manifest: &[u8]) -> Result<Vec<EvidenceLayer>, MalformedManifest> {
    let wanted = match format {
        Format::SignatureTag | Format::SignatureReferrer => SIMPLE_SIGNING,
        Format::AttestationTag | Format::AttestationReferrer => DSSE_ENVELOPE,
        Format::Bundle => bundle::ARTIFACT_TYPE,
    };
    layers(manifest, |found| (found == wanted).then_some(format)).map(|(layers, _)| layers)
}

/// Reads the layers of a manifest that refers to an image. What they are is said by their media types.
///
/// # Errors
/// Not a manifest, or a layer whose digest cannot be one.
pub fn referring(manifest: &[u8]) -> Result<Vec<EvidenceLayer>, MalformedManifest> {
    let format = |found: &str| match found {
        SIMPLE_SIGNING => Some(Format::SignatureReferrer),
        DSSE_ENVELOPE => Some(Format::AttestationReferrer),
        found if bundle::is_bundle(found) => Some(Format::Bundle),
        _ => None,
    };
    let (mut layers, said) = layers(manifest, format)?;
    for layer in layers.iter_mut().filter(|l| l.format == Format::Bundle) {
        for name in [BUNDLE_PREDICATE_TYPE, BUNDLE_CONTENT] {
            if let Some(value) = said.get(name) {
                layer.annotations.insert(name.to_owned(), value.clone());
            }
        }
    }
    Ok(layers)
}

type Annotations = HashMap<String, String>;

/// The layers to which `format` gives a format, and the manifest's own annotations.
fn layers(
    manifest: &[u8],
    format: impl Fn(&str) -> Option<Format>,
) -> Result<(Vec<EvidenceLayer>, Annotations), MalformedManifest> {
    let malformed = |detail: String| MalformedManifest { detail };
    let value = parse_small(manifest, DEPTH, VALUES).map_err(|e| malformed(brief(&e)))?;
    let manifest: ImageManifest =
        serde_json::from_value(value).map_err(|e| malformed(brief(&e)))?;
    let mut found = Vec::new();
    for layer in manifest.layers() {
        let Some(format) = format(layer.media_type().as_ref()) else {
            continue;
        };
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
    Ok((found, manifest.annotations().clone().unwrap_or_default()))
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

    /// What it is said to carry.
    pub fn claims(&self) -> Claims {
        let said = |name: &str| self.annotations.get(name).filter(|said| !said.is_empty());
        let predicate_type = match self.format {
            Format::SignatureTag | Format::SignatureReferrer => None,
            Format::AttestationTag | Format::AttestationReferrer => said(PREDICATE_TYPE),
            Format::Bundle => said(BUNDLE_PREDICATE_TYPE),
        };
        Claims {
            predicate_type: predicate_type.cloned(),
            message: self.format == Format::Bundle
                && said(BUNDLE_CONTENT).is_some_and(|content| content == MESSAGE_SIGNATURE),
        }
    }
}
