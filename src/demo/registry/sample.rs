//! Images small enough to make on the spot, and valid enough for any client.
//!
//! In comes a seed, out comes a digest: the same seed gives the same image, another seed gives another one.

use serde_json::{Value, json};

use super::{IMAGE_CONFIG, IMAGE_INDEX, IMAGE_MANIFEST, Store};
use crate::image::Digest;

/// Media type of a layer as almost every image has it.
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// A tar archive without entries: its two closing blocks.
const EMPTY_TAR: [u8; 1024] = [0; 1024];
/// The same, compressed.
const EMPTY_LAYER: [u8; 29] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0xff, 0x63, 0x60, 0x18, 0x05, 0xa3, 0x60,
    0x14, 0x8c, 0x54, 0x00, 0x00, 0x2e, 0xaf, 0xb5, 0xef, 0x00, 0x04, 0x00, 0x00,
];

/// An index and the two images in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleIndex {
    /// The index.
    pub index: Digest,
    /// Its image for linux/amd64.
    pub amd64: Digest,
    /// Its image for linux/arm64.
    pub arm64: Digest,
}

/// Pushes an image for linux/amd64 (a config and one empty layer) and tags it.
pub fn image(store: &Store, repository: &str, tag: &str, seed: &str) -> Digest {
    let (bytes, _) = platform_image(store, repository, seed, "amd64");
    store.push_manifest(repository, Some(tag), IMAGE_MANIFEST, bytes)
}

/// Pushes an index of two images, for linux/amd64 and linux/arm64, and tags the index. The images have no tag.
pub fn index(store: &Store, repository: &str, tag: &str, seed: &str) -> SampleIndex {
    let member = |architecture: &str| {
        let (bytes, size) = platform_image(store, repository, seed, architecture);
        let digest = store.push_manifest(repository, None, IMAGE_MANIFEST, bytes);
        let mut entry = descriptor(IMAGE_MANIFEST, &digest, size);
        if let Some(fields) = entry.as_object_mut() {
            fields.insert(
                "platform".to_owned(),
                json!({"architecture": architecture, "os": "linux"}),
            );
        }
        (digest, entry)
    };
    let (amd64, amd64_entry) = member("amd64");
    let (arm64, arm64_entry) = member("arm64");
    let document = json!({
        "schemaVersion": 2,
        "mediaType": IMAGE_INDEX,
        "manifests": [amd64_entry, arm64_entry],
    });
    let index = store.push_manifest(repository, Some(tag), IMAGE_INDEX, document.to_string());
    SampleIndex {
        index,
        amd64,
        arm64,
    }
}

/// The manifest of a one-layer image and its size in bytes; its blobs are pushed.
fn platform_image(
    store: &Store,
    repository: &str,
    seed: &str,
    architecture: &str,
) -> (String, usize) {
    let layer = store.push_blob(repository, EMPTY_LAYER.to_vec());
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "config": {"Labels": {"seed": seed}},
        "rootfs": {"type": "layers", "diff_ids": [Digest::sha256_of(&EMPTY_TAR)]},
    })
    .to_string();
    let config_size = config.len();
    let config = store.push_blob(repository, config);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "config": descriptor(IMAGE_CONFIG, &config, config_size),
        "layers": [descriptor(LAYER, &layer, EMPTY_LAYER.len())],
    })
    .to_string();
    let size = manifest.len();
    (manifest, size)
}

fn descriptor(media_type: &str, digest: &Digest, size: usize) -> Value {
    json!({"mediaType": media_type, "digest": digest, "size": size})
}
