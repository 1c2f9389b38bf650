//! How single hosts are spoken to: what an operator wrote in `registries.yaml`.
//!
//! *In*: the file (`file`), and again whenever it or a file that it names changes (`watch`). *Out*: [`RegistryHosts`], which knows for
//! every host what is different there from all others. A host is a host: the same settings hold whether it is spoken to as the
//! registry of an image, as a mirror of one, as a token service or as the storage that a redirect leads to. So there is one place
//! where a credential says where it may go (T-16, T-53).

mod file;
mod key;
mod watch;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use reqwest::Url;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub use file::{Fingerprint, LoadedRegistries, RegistriesError, load_registries};
pub use watch::watch_registries;

use crate::gather::keychain::KeychainEntry;
use crate::image::Repository;
use key::{HostKey, HostPattern};

/// What is different about some hosts. The default is nothing.
#[derive(Clone, Debug, Default)]
pub struct RegistryHosts {
    exact: BTreeMap<HostKey, Arc<HostSettings>>,
    /// The longest suffix first.
    below: Vec<(HostPattern, Arc<HostSettings>)>,
}

/// What is different about one host.
#[derive(Clone, Debug, Default)]
pub(super) struct HostSettings {
    /// The number of its entry in the file, which tells it from the others.
    pub(super) number: usize,
    /// Certificate authorities that are trusted for it, beside those that are trusted for every host.
    pub(super) authorities: Vec<CertificateDer<'static>>,
    /// Who we are to it.
    pub(super) client_certificate: Option<Arc<ClientCertificate>>,
    /// Whether it speaks plain HTTP, where that is said.
    pub(super) plain_http: Option<bool>,
    /// Where its repositories are looked for first.
    pub(super) mirrors: Vec<Mirror>,
    /// How it is reached.
    pub(super) proxy: ProxyChoice,
    /// Our own credentials for it, tried after those of the workload.
    pub(super) credentials: Vec<KeychainEntry>,
}

/// A certificate with its chain, and its key.
#[derive(Debug)]
pub(super) struct ClientCertificate {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// A place that holds repositories of another registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mirror {
    /// Host and port.
    pub(super) host: String,
    /// The path before that of the repository, without slashes around it; may be empty.
    pub(super) prefix: String,
    /// Whether its "there is none" is as good as that of the registry itself.
    pub(super) authoritative: bool,
    /// Whether it is asked only for what has a digest.
    pub(super) digest_only: bool,
}

/// Through which proxy a host is reached.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) enum ProxyChoice {
    /// The one that the environment names, if it does.
    #[default]
    Environment,
    /// None.
    Direct,
    /// This one.
    Through(Url),
}

// === impl RegistryHosts ===

impl RegistryHosts {
    /// What is different about the host of `url`: the entry of exactly this host and port, else the longest `*.suffix`.
    pub(super) fn of(&self, url: &Url) -> Option<&Arc<HostSettings>> {
        let keys = HostKey::all_of(url);
        let exact = keys.iter().find_map(|key| self.exact.get(key));
        let below = || {
            let mut all = self.below.iter();
            all.find(|(pattern, _)| keys.iter().any(|key| pattern.applies(key)))
                .map(|(_, settings)| settings)
        };
        exact.or_else(below)
    }

    /// The host names of all proxies that are named.
    pub(super) fn proxies(&self) -> impl Iterator<Item = String> {
        let all = self.exact.values().chain(self.below.iter().map(|(_, s)| s));
        all.filter_map(|settings| match &settings.proxy {
            ProxyChoice::Through(proxy) => proxy.host_str().map(str::to_ascii_lowercase),
            ProxyChoice::Environment | ProxyChoice::Direct => None,
        })
    }

    /// All settings that there are.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<HostSettings>> {
        self.exact.values().chain(self.below.iter().map(|(_, s)| s))
    }

    /// The number of hosts and suffixes.
    pub fn len(&self) -> usize {
        self.exact.len().saturating_add(self.below.len())
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

// === impl HostSettings ===

impl HostSettings {
    /// Whether a connection to it is made in another way than to every host.
    pub(super) fn has_own_connections(&self) -> bool {
        !self.authorities.is_empty()
            || self.client_certificate.is_some()
            || self.proxy != ProxyChoice::Environment
    }
}

// === impl Mirror ===

impl Mirror {
    /// The repository that holds what `repository` holds; `None` where the two paths together are none.
    pub(super) fn of(&self, repository: &Repository) -> Option<Repository> {
        let path = repository.path();
        let name = if self.prefix.is_empty() {
            format!("{}/{path}", self.host)
        } else {
            format!("{}/{}/{path}", self.host, self.prefix)
        };
        Repository::parse(&name).ok()
    }
}

/// For messages: as it is written.
impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix.as_str() {
            "" => f.write_str(&self.host),
            prefix => write!(f, "{}/{prefix}", self.host),
        }
    }
}

// === impl ProxyChoice ===

/// Without its user and password.
impl fmt::Debug for ProxyChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("Environment"),
            Self::Direct => f.write_str("Direct"),
            Self::Through(url) => write!(f, "Through({})", url.host_str().unwrap_or_default()),
        }
    }
}
