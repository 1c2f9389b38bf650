//! The hash that a policy may fix for a key (`key.hashAlgorithm`).

use std::fmt;
use std::str::FromStr;

/// The hash that signatures by a key must be made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HashAlgorithm {
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// A name that is none of the hashes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sha224, sha256, sha384 and sha512 are hashes")]
pub struct UnknownHash;

// === impl HashAlgorithm ===

impl HashAlgorithm {
    /// Every hash that a policy can name.
    pub const ALL: [Self; 4] = [Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha224 => "sha224",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }
}

impl FromStr for HashAlgorithm {
    type Err = UnknownHash;

    /// Reads a name as policy-controller does: space around it and upper case do not matter.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let name = name.trim();
        Self::ALL
            .into_iter()
            .find(|hash| name.eq_ignore_ascii_case(hash.as_str()))
            .ok_or(UnknownHash)
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
