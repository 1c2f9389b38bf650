//! An OCI registry in memory: filled by calls, read over HTTP.
//!
//! In come manifests and blobs through [`Store`]; out come the read endpoints of the OCI distribution specification 1.1
//! ("Pull", "Content Discovery": `end-1`, `end-2`, `end-3`, `end-12a`): `/v2/`, manifests by tag or digest, blobs, referrers.
//! Nothing can be written over HTTP. A store may be changed while it is served.

mod routes;
mod sample;
mod serve;
mod store;

use std::net::SocketAddr;

pub use routes::router;
pub use sample::{SampleIndex, image, index};
pub use serve::{BoxError, Server};
pub use store::{Store, StoredManifest};

pub use crate::image::media_type::{IMAGE_INDEX, IMAGE_MANIFEST};

/// Media type of an OCI image configuration.
pub const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// The way to start a registry.
#[derive(Clone, Copy, Debug)]
pub struct Registry;

/// A registry that answers until it is stopped or dropped.
#[derive(Debug)]
pub struct RunningRegistry {
    store: Store,
    server: Server,
}

// === impl Registry ===

impl Registry {
    /// Serves `store` on `address`; port 0 takes a free one (`127.0.0.1:0`).
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(store: Store, address: &str) -> std::io::Result<RunningRegistry> {
        let server = Server::bind(router(store.clone()), address).await?;
        Ok(RunningRegistry { store, server })
    }
}

// === impl RunningRegistry ===

impl RunningRegistry {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// The registry part of references to it: `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.addr().to_string()
    }

    /// What it serves. Changes are seen by the next request.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Closes the port and every open connection, and returns when that is done.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}
