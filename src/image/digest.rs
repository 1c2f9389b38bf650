//! Digests: the identity of bytes.
//!
//! In comes `algorithm:hex` from a reference, a manifest or a signed document; out comes an algorithm from a closed list with
//! exactly as many bytes as it has. Grammar: OCI image specification, "Digests", narrowed to registered algorithms
//! (a digest that is malformed is never used: CVE-2024-3727).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::{InvalidReference, Tag};

/// Longest piece of a refused digest that is repeated in an error, in characters.
const QUOTED_CHARS: usize = 32;

/// The hash functions a digest may name. Anything else is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, 32 bytes: what registries and signers use.
    Sha256,
    /// SHA-384, 48 bytes.
    Sha384,
    /// SHA-512, 64 bytes.
    Sha512,
}

/// The digest of some bytes: an algorithm and exactly as many bytes as it has.
///
/// Written `sha256:<64 lower-case hex>` (`Display`, `Debug`, serde). Two digests of different algorithms are never equal.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(Value);

/// One variant for each algorithm, so that a wrong length cannot be written down.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Value {
    Sha256([u8; 32]),
    Sha384([u8; 48]),
    Sha512([u8; 64]),
}

/// Why a string is not a digest. The text that was found is shortened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidDigest {
    /// There is no `:` between an algorithm and its hex.
    #[error("digest {found:?} has no \":\" after its algorithm")]
    NoSeparator {
        /// The string, shortened.
        found: String,
    },
    /// The algorithm is not in the list.
    #[error("digest algorithm {found:?} is none of sha256, sha384, sha512")]
    UnknownAlgorithm {
        /// The name that was given, shortened.
        found: String,
    },
    /// A character other than `0-9` and `a-f`: upper case is refused, too.
    #[error(
        "{algorithm} digest has {found:?} at position {position}, where only 0-9 and a-f may stand"
    )]
    NotLowerHex {
        /// The algorithm that was named.
        algorithm: Algorithm,
        /// Offset of the character in the hex part, in bytes.
        position: usize,
        /// The character.
        found: char,
    },
    /// The hex part is too short or too long.
    #[error("{algorithm} digest has {found} hex characters, expected {expected}")]
    WrongLength {
        /// The algorithm that was named.
        algorithm: Algorithm,
        /// How many hex characters it has.
        expected: usize,
        /// How many there were.
        found: usize,
    },
}

// === impl Algorithm ===

impl Algorithm {
    /// The name in digests: `sha256`, `sha384`, `sha512`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// How many hex characters its digests have.
    pub fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = InvalidDigest;

    fn from_str(name: &str) -> Result<Self, InvalidDigest> {
        match name {
            "sha256" => Ok(Self::Sha256),
            "sha384" => Ok(Self::Sha384),
            "sha512" => Ok(Self::Sha512),
            _ => Err(InvalidDigest::UnknownAlgorithm {
                found: shortened(name),
            }),
        }
    }
}

// === impl Digest ===

impl Digest {
    /// The SHA-256 digest of `bytes`.
    pub fn sha256_of(bytes: &[u8]) -> Self {
        Self::of(Algorithm::Sha256, bytes)
    }

    /// The digest of `bytes` by `algorithm`.
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => Value::Sha256(Sha256::digest(bytes).into()),
            Algorithm::Sha384 => Value::Sha384(Sha384::digest(bytes).into()),
            Algorithm::Sha512 => Value::Sha512(Sha512::digest(bytes).into()),
        })
    }

    /// Which hash function it is of.
    pub fn algorithm(&self) -> Algorithm {
        match &self.0 {
            Value::Sha256(_) => Algorithm::Sha256,
            Value::Sha384(_) => Algorithm::Sha384,
            Value::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// The hash itself: 32, 48 or 64 bytes, as the algorithm has.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Value::Sha256(bytes) => bytes,
            Value::Sha384(bytes) => bytes,
            Value::Sha512(bytes) => bytes,
        }
    }

    /// The hash in lower-case hex, without the algorithm.
    pub fn hex(&self) -> String {
        hex::encode(self.as_bytes())
    }

    /// Whether `bytes` are the bytes this digest stands for.
    pub fn is_digest_of(&self, bytes: &[u8]) -> bool {
        Self::of(self.algorithm(), bytes) == *self
    }

    /// The form for people: `sha256:4afdc0eb…3016478`, the first eight and the last seven hex characters.
    /// Never compared and never parsed.
    pub fn short(&self) -> String {
        let hex = self.hex();
        let first = hex.get(..8).unwrap_or_default();
        let last = hex.get(hex.len().saturating_sub(7)..).unwrap_or_default();
        format!("{}:{first}…{last}", self.algorithm())
    }

    /// The tag under which cosign keeps documents about this digest: `<prefix>sha256-<hex>.<suffix>`.
    ///
    /// `prefix` is a policy's `tagPrefix` or empty, and is joined without a separator, as cosign does. `suffix` is `sig`, `att` or
    /// `sbom`, with or without its dot; an empty one gives the bare `sha256-<hex>`, the fallback tag of the referrers API.
    ///
    /// # Errors
    /// [`InvalidReference::InvalidTag`] when the result is no tag: `tagPrefix` is a user's text (`../x`), and a tag has at most 128
    /// characters, which a SHA-512 digest alone exceeds.
    pub fn tag_with_suffix(&self, prefix: &str, suffix: &str) -> Result<Tag, InvalidReference> {
        let (algorithm, hex) = (self.algorithm(), self.hex());
        match suffix.strip_prefix('.').unwrap_or(suffix) {
            "" => format!("{prefix}{algorithm}-{hex}").parse(),
            suffix => format!("{prefix}{algorithm}-{hex}.{suffix}").parse(),
        }
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let (algorithm, hex) = text
            .split_once(':')
            .ok_or_else(|| InvalidDigest::NoSeparator {
                found: shortened(text),
            })?;
        let algorithm: Algorithm = algorithm.parse()?;
        let value = match algorithm {
            Algorithm::Sha256 => Value::Sha256(decoded(algorithm, hex)?),
            Algorithm::Sha384 => Value::Sha384(decoded(algorithm, hex)?),
            Algorithm::Sha512 => Value::Sha512(decoded(algorithm, hex)?),
        };
        Ok(Self(value))
    }
}

impl TryFrom<String> for Digest {
    type Error = InvalidDigest;

    fn try_from(text: String) -> Result<Self, InvalidDigest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Exactly `N` bytes from lower-case hex. The length is looked at first, so a long text costs nothing.
fn decoded<const N: usize>(algorithm: Algorithm, text: &str) -> Result<[u8; N], InvalidDigest> {
    let wrong_length = InvalidDigest::WrongLength {
        algorithm,
        expected: algorithm.hex_len(),
        found: text.len(),
    };
    if text.len() != algorithm.hex_len() {
        return Err(wrong_length);
    }
    if let Some((position, found)) = text
        .char_indices()
        .find(|(_, c)| !matches!(c, '0'..='9' | 'a'..='f'))
    {
        return Err(InvalidDigest::NotLowerHex {
            algorithm,
            position,
            found,
        });
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| wrong_length)?;
    Ok(bytes)
}

/// The beginning of a refused text, so that an error stays short whatever was sent.
fn shortened(text: &str) -> String {
    text.chars().take(QUOTED_CHARS).collect()
}

#[cfg(test)]
mod tests;
