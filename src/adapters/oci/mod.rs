//! Registries over the network: the [`Registry`](crate::gather::registry::Registry) that talks to real ones.
//!
//! In comes a repository and what is wanted of it; out come bytes that have the digest they were asked for by, *absent* (404 and
//! nothing else), or a [`FetchError`](crate::gather::registry::FetchError). Implements the pull part of the OCI distribution
//! specification 1.1 and the token protocol of the distribution project. A registry is taken to be hostile:
//!
//! | file | what it holds back |
//! |---|---|
//! | `client` | other bytes than asked for (T-05, T-51), wrong sizes, digests that are none (T-54) |
//! | `manifest` | documents that can be read in two ways (T-50) |
//! | `referrers` | lists that lead elsewhere (T-53) |
//! | `mirrors` | a mirror that hides evidence, or serves other bytes |
//! | `ask`, `host` | too many requests at once, endless retries; only 404 means absent (T-52) |
//! | `authorize`, `token` | one tenant's credentials used for another, tokens that break out of their header |
//! | `challenge` | `WWW-Authenticate` of any shape |
//! | `transport` | redirects that take credentials along (T-53) |
//! | `answer` | endless and slow bodies (T-06), errors that repeat secrets |
//! | `fence`, `address`, `lookup`, `insecure` | where a registry may lead us at all (T-53), by name and by address; plain HTTP |
//! | `retry` | waits that do not fit into the deadline |
//! | `web` | what a policy's URL leads to; not a registry, behind the same fence |
//! | `hosts` | settings of one host that are used for another (T-16): `registries.yaml` |
//! | `docker_config`, `helper` | credentials on disk (T-16) |

pub(in crate::adapters) mod address;
mod answer;
mod ask;
mod authorize;
mod challenge;
mod client;
mod docker_config;
pub(in crate::adapters) mod fence;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod helper;
mod host;
mod hosts;
mod insecure;
mod lookup;
mod manifest;
mod mirrors;
mod observe;
mod referrers;
mod retry;
pub(in crate::adapters) mod tls;
mod token;
mod transport;
mod web;

use std::sync::Arc;

pub use crate::gather::keychain::docker::{entries_from_dockercfg, entries_from_dockerconfigjson};
pub use client::OciRegistry;
pub use docker_config::{DockerConfig, DockerConfigError};
pub use hosts::{
    Fingerprint, LoadedRegistries, RegistriesError, RegistryHosts, load_registries,
    watch_registries,
};
pub use insecure::{InsecureHosts, InvalidInsecureHost};
pub use lookup::{Lookup, SystemLookup};
pub use observe::{RequestClass, RequestObserver, RequestOutcome};
pub use web::WebClient;

use crate::limits::{Limits, RegistryLimits};

/// What an [`OciRegistry`] is made of. `Default` trusts the system's roots and names, and speaks plain HTTP with loopback only.
#[derive(Clone)]
pub struct OciSettings {
    /// The bounds.
    pub limits: RegistryLimits,
    /// Hosts that are spoken to over plain HTTP, beside loopback.
    pub insecure: InsecureHosts,
    /// PEM of certificates that are trusted beside those of the system.
    pub extra_ca: Option<Vec<u8>>,
    /// The `User-Agent`.
    pub user_agent: String,
    /// Pairs of registry host and host of its token service (both without port) where credentials may go, beside the same host
    /// and hosts of the same registrable domain (T-53).
    pub token_realms: Vec<(String, String)>,
    /// What is different about single hosts.
    pub hosts: RegistryHosts,
    /// How host names become addresses. Whatever it answers is still fenced.
    pub lookup: Arc<dyn Lookup>,
    /// Who counts the requests.
    pub observer: Arc<dyn RequestObserver>,
}

/// Settings that no client can be made of.
#[derive(Debug, thiserror::Error)]
pub enum OciSettingsError {
    /// The extra certificates are not PEM.
    #[error("extra CA certificates cannot be read as PEM")]
    ExtraCa {
        /// What is wrong with it.
        source: rustls_pki_types::pem::Error,
    },
    /// The extra certificates are PEM without a certificate.
    #[error("extra CA certificates: there is no certificate in the PEM")]
    EmptyExtraCa,
    /// The trust anchors cannot be used, or there are none.
    #[error("no TLS towards registries: the trusted root certificates cannot be used")]
    Tls {
        /// What is wrong with them.
        source: rustls::Error,
    },
    /// The HTTP client cannot be made, e.g. because of a user agent that no header can carry.
    #[error("the HTTP client for registries cannot be made")]
    Client {
        /// What is wrong.
        source: reqwest::Error,
    },
}

// === impl Default ===

impl Default for OciSettings {
    fn default() -> Self {
        Self {
            limits: Limits::default().registry,
            insecure: InsecureHosts::default(),
            extra_ca: None,
            user_agent: concat!("vouchsafe/", env!("CARGO_PKG_VERSION")).to_owned(),
            token_realms: Vec::new(),
            hosts: RegistryHosts::default(),
            lookup: Arc::new(SystemLookup),
            observer: Arc::new(()),
        }
    }
}
