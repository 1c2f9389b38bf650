//! Credentials for registries, as a value: which host gets which, and an identity for cache keys.
//!
//! A keychain holds the entries of docker configs in the order in which they are tried. It never prints a secret, and it answers
//! only for the registry and repository that an entry names (look-alike hosts get nothing: CVE-2025-27403).

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::image::Repository;

pub mod docker;
mod matching;

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
    /// An `OAuth2` refresh token (`identitytoken` in a docker config).
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
    unread: Option<Arc<str>>,
}

/// An identity of a keychain's content: equal content, equal identity. It keys what one tenant's credentials made visible.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeychainId([u8; 32]);

/// An identity of one credential and where it may go: equal content, equal identity. It keys what this credential made visible.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialId([u8; 32]);

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
            entry.hash_into(&mut hash);
        }
        let id = if entries.is_empty() {
            KeychainId::default()
        } else {
            KeychainId(hash.finalize().into())
        };
        Self {
            entries,
            id,
            unread: None,
        }
    }

    /// The same, of which it is known that something is missing: credentials that belong here and could not be read, in words without any
    /// secret. What it opens is open; what it does not see may be there all the same.
    #[must_use]
    pub fn without(mut self, unread: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.id.0);
        hash.update(b"unread");
        self.id = KeychainId(hash.finalize().into());
        self.unread = Some(Arc::from(unread));
        self
    }

    /// What could not be read, where something is missing.
    pub fn unread(&self) -> Option<&str> {
        self.unread.as_deref()
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
        most_specific_first(&self.entries, |entry| {
            matching::specificity(&entry.pattern, repository)
        })
    }
}

/// Of entries that are all for the registry of `repository`, those that apply to its path, the most specific first.
pub fn for_path<'a>(
    entries: &'a [KeychainEntry],
    repository: &Repository,
) -> Vec<&'a KeychainEntry> {
    most_specific_first(entries, |entry| {
        matching::path_specificity(&entry.pattern, repository)
    })
}

fn most_specific_first(
    entries: &[KeychainEntry],
    specificity: impl Fn(&KeychainEntry) -> Option<usize>,
) -> Vec<&KeychainEntry> {
    let applying = entries
        .iter()
        .filter_map(|entry| specificity(entry).map(|s| (s, entry)));
    let mut found: Vec<(usize, &KeychainEntry)> = applying.collect();
    found.sort_by_key(|(specificity, _)| std::cmp::Reverse(*specificity));
    found.into_iter().map(|(_, entry)| entry).collect()
}

// === impl KeychainEntry ===

impl KeychainEntry {
    /// The identity of its credential and of where that may go.
    pub fn id(&self) -> CredentialId {
        let mut hash = Sha256::new();
        self.hash_into(&mut hash);
        CredentialId(hash.finalize().into())
    }

    /// Each part goes in with its length, so that no two entries look alike.
    fn hash_into(&self, hash: &mut Sha256) {
        for part in self.identity() {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part.as_bytes());
        }
    }

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

// === impl KeychainId, CredentialId ===

impl fmt::Debug for KeychainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        abbreviated("KeychainId", self.0, f)
    }
}

impl fmt::Debug for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        abbreviated("CredentialId", self.0, f)
    }
}

/// Its beginning, which is enough to tell two apart in a log.
fn abbreviated(name: &str, id: [u8; 32], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let [first, second, third, fourth, ..] = id;
    write!(f, "{name}({first:02x}{second:02x}{third:02x}{fourth:02x}…)")
}
