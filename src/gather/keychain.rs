//! Credentials for registries, as a value: which host gets which, and an identity for cache keys.
//!
//! A keychain holds the entries of docker configs in the order in which they are tried. It never prints a secret, and it answers
//! only for the registry and repository that an entry names (look-alike hosts get nothing: CVE-2025-27403).

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::image::Repository;

/// Credentials of one docker config entry.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// User name and password, or a robot account and its token.
    Basic {
        /// The user.
        username: String,
        /// The secret.
        password: String,
    },
    /// An OAuth2 refresh token (`identitytoken` in a docker config).
    IdentityToken(String),
    /// A bearer token that is sent as it is (`registrytoken` in a docker config).
    RegistryToken(String),
}

/// One entry: for which registry, and what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeychainEntry {
    /// The key as it stands in the docker config: host, `host:port`, `host/path`, `*.host`, or a URL of it.
    pub pattern: String,
    /// The credential.
    pub credential: Credential,
    /// Where it came from, for messages (`secret shop/regcred`, `docker config`). Never the secret itself.
    pub source: String,
}

/// Credentials in the order in which they are tried; the anonymous attempt comes last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keychain {
    entries: Vec<KeychainEntry>,
    id: KeychainId,
}

/// An identity of a keychain's content: equal content, equal identity. It keys what one tenant's credentials made visible.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeychainId([u8; 32]);

// === impl Keychain ===

impl Keychain {
    /// No credentials: every request is anonymous.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// A keychain of these entries, tried in this order.
    pub fn new(entries: Vec<KeychainEntry>) -> Self {
        let mut hash = Sha256::new();
        for entry in &entries {
            for part in entry.identity() {
                hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                hash.update(part.as_bytes());
            }
        }
        let id = if entries.is_empty() {
            KeychainId::default()
        } else {
            KeychainId(hash.finalize().into())
        };
        Self { entries, id }
    }

    /// The identity of its content.
    pub fn id(&self) -> KeychainId {
        self.id
    }

    /// All entries, in order.
    pub fn entries(&self) -> &[KeychainEntry] {
        &self.entries
    }

    /// The entries that apply to `repository`: the most specific pattern first, otherwise in order.
    pub fn for_repository(&self, repository: &Repository) -> Vec<&KeychainEntry> {
        let mut found: Vec<(usize, &KeychainEntry)> = self
            .entries
            .iter()
            .filter_map(|entry| {
                matching::specificity(&entry.pattern, repository).map(|s| (s, entry))
            })
            .collect();
        found.sort_by_key(|(specificity, _)| std::cmp::Reverse(*specificity));
        found.into_iter().map(|(_, entry)| entry).collect()
    }
}

// === impl KeychainEntry ===

impl KeychainEntry {
    fn identity(&self) -> [&str; 4] {
        match &self.credential {
            Credential::Basic { username, password } => {
                [&self.pattern, "basic", username, password]
            }
            Credential::IdentityToken(token) => [&self.pattern, "identity", token, ""],
            Credential::RegistryToken(token) => [&self.pattern, "registry", token, ""],
        }
    }
}

// === impl Credential ===

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { username, .. } => {
                write!(f, "Basic {{ username: {username:?}, password: *** }}")
            }
            Self::IdentityToken(_) => f.write_str("IdentityToken(***)"),
            Self::RegistryToken(_) => f.write_str("RegistryToken(***)"),
        }
    }
}

// === impl KeychainId ===

impl fmt::Debug for KeychainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "KeychainId({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// How a pattern of a docker config applies to a repository, as Kubernetes reads `dockerconfigjson`.
mod matching {
    use crate::image::Repository;

    /// The names under which Docker Hub is written in docker configs.
    const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

    /// How specific `pattern` is for `repository` (the longer the path, the more), or `None` when it does not apply.
    pub(super) fn specificity(pattern: &str, repository: &Repository) -> Option<usize> {
        let pattern = pattern
            .strip_prefix("https://")
            .or_else(|| pattern.strip_prefix("http://"))
            .unwrap_or(pattern);
        let (host, path) = pattern.split_once('/').unwrap_or((pattern, ""));
        // `https://index.docker.io/v1/` and `…/v2/` name the registry's API, not a repository.
        let path = match path.trim_end_matches('/') {
            "v1" | "v2" => "",
            path => path,
        };
        (host_applies(host, repository.registry()) && path_applies(path, repository.path()))
            .then_some(path.len())
    }

    fn host_applies(pattern: &str, registry: &str) -> bool {
        if DOCKER_HUB.contains(&pattern) {
            return DOCKER_HUB.contains(&registry);
        }
        let (pattern_host, pattern_port) = split_port(pattern);
        let (host, port) = split_port(registry);
        if pattern_port != port {
            return false;
        }
        let labels = |s: &str| {
            s.split('.')
                .map(str::to_ascii_lowercase)
                .collect::<Vec<_>>()
        };
        let (pattern, host) = (labels(pattern_host), labels(host));
        // A star stands for exactly one label, as in Kubernetes: `*.example.com` is not `a.b.example.com`.
        pattern.len() == host.len() && pattern.iter().zip(&host).all(|(p, h)| p == "*" || p == h)
    }

    fn path_applies(pattern: &str, path: &str) -> bool {
        pattern.is_empty()
            || path
                .strip_prefix(pattern)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn split_port(host: &str) -> (&str, Option<&str>) {
        match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (name, Some(port)),
            _ => (host, None),
        }
    }
}
