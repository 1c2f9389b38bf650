//! The manifests in which cosign keeps evidence: one layer for each signature or attestation, appended.
//!
//! In comes a layer, out comes the manifest with it, under the same tag. Field order and the empty config are cosign's, so that
//! the bytes differ from a real one in nothing but their content.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::SigningError;
use crate::demo::registry::{IMAGE_CONFIG, IMAGE_MANIFEST, Store};
use crate::image::{Digest, Tag};

/// The time that cosign writes into configs.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// What was attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The tag that names the manifest.
    pub tag: Tag,
    /// The manifest, as it is now.
    pub manifest: Digest,
    /// The layer that was appended.
    pub layer: Digest,
}

/// A layer to append.
pub(super) struct Layer {
    pub(super) media_type: String,
    pub(super) bytes: Vec<u8>,
    pub(super) annotations: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u8,
    media_type: String,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    size: usize,
    digest: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Config<'a> {
    architecture: &'a str,
    created: &'a str,
    history: Vec<History<'a>>,
    os: &'a str,
    rootfs: RootFs<'a>,
    #[serde(rename = "config")]
    settings: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct History<'a> {
    created: &'a str,
}

#[derive(Serialize)]
struct RootFs<'a> {
    r#type: &'a str,
    diff_ids: Vec<&'a str>,
}

/// Appends `layer` to the manifest that `tag` names, or begins one.
pub(super) fn append(
    store: &Store,
    repository: &str,
    tag: Tag,
    layer: Layer,
) -> Result<Attached, SigningError> {
    let mut layers = layers_under(store, repository, &tag)?;
    let size = layer.bytes.len();
    let pushed = store.push_blob(repository, layer.bytes);
    layers.push(Descriptor {
        media_type: layer.media_type,
        size,
        digest: pushed.to_string(),
        annotations: layer.annotations,
    });
    let config = push_config(store, repository, &layers)?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: IMAGE_MANIFEST.to_owned(),
        config,
        layers,
    };
    let bytes = written(&manifest, "the manifest")?;
    let manifest = store.push_manifest(repository, Some(tag.as_str()), IMAGE_MANIFEST, bytes);
    Ok(Attached {
        tag,
        manifest,
        layer: pushed,
    })
}

/// `document` as compact JSON.
pub(super) fn written(document: &impl Serialize, what: &str) -> Result<Vec<u8>, SigningError> {
    serde_json::to_vec(document).map_err(|source| SigningError::Document {
        what: what.to_owned(),
        source,
    })
}

fn layers_under(
    store: &Store,
    repository: &str,
    tag: &Tag,
) -> Result<Vec<Descriptor>, SigningError> {
    let Some(existing) = store.manifest(repository, tag.as_str()) else {
        return Ok(Vec::new());
    };
    let manifest: Manifest =
        serde_json::from_slice(&existing.bytes).map_err(|source| SigningError::Document {
            what: format!("manifest {tag} of {repository}"),
            source,
        })?;
    Ok(manifest.layers)
}

/// The config that goes with these layers.
fn push_config(
    store: &Store,
    repository: &str,
    layers: &[Descriptor],
) -> Result<Descriptor, SigningError> {
    let config = Config {
        architecture: "",
        created: NO_TIME,
        history: layers
            .iter()
            .map(|_| History { created: NO_TIME })
            .collect(),
        os: "",
        rootfs: RootFs {
            r#type: "layers",
            diff_ids: layers.iter().map(|layer| layer.digest.as_str()).collect(),
        },
        settings: BTreeMap::new(),
    };
    let bytes = written(&config, "the config")?;
    let size = bytes.len();
    let digest = store.push_blob(repository, bytes);
    Ok(Descriptor {
        media_type: IMAGE_CONFIG.to_owned(),
        size,
        digest: digest.to_string(),
        annotations: BTreeMap::new(),
    })
}
