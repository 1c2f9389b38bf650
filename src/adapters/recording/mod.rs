//! Recordings: what registries answered, kept as files, and answered again without a network.
//!
//! *In*: the answers that pass through a [`Recorder`]. *Out*: a folder, which [`Replay`] reads and answers from. The folder is an OCI
//! image layout (image specification 1.1) and one document beside it:
//!
//! | file | what it holds |
//! |---|---|
//! | `blobs/<algorithm>/<hex>` | manifests, blobs and pages of referrers, each byte as it came |
//! | `index.json` | which manifests there are, their media types, and which tag of which repository named them |
//! | `recording.json` | what a layout has no place for: which lookups were answered 404, and the lists of referrers |
//! | `oci-layout` | that it is a layout |
//!
//! A recording holds answers and never failures, so a run in which a registry could not be asked is not recorded. What it does not
//! hold was not asked, and is an error when it is replayed: only a 404 that was seen is "there is none" (T-52). Bytes are hashed when
//! they are read, so an edited file is refused (T-51). No name becomes a path: files are named by digests (T-38). How a registry was
//! asked, credentials among it, is not part of an answer and is not kept.

mod answers;
mod folder;
mod recorder;
mod replay;

pub use folder::{Recording, RecordingError};
pub use recorder::{Incomplete, Recorder};
pub use replay::Replay;

#[cfg(test)]
mod tests;
