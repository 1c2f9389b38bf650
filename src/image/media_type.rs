//! The media types of what an image is: manifests and indexes, in OCI's words and in Docker's older ones.

/// An OCI image manifest.
pub const IMAGE_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An OCI image index.
pub const IMAGE_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker's manifest.
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's index.
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Every manifest that is read.
pub const MANIFESTS: [&str; 2] = [IMAGE_MANIFEST, DOCKER_MANIFEST];
/// Every index that is read.
pub const INDEXES: [&str; 2] = [IMAGE_INDEX, DOCKER_LIST];
