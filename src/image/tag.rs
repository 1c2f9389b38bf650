//! Tags: labels in a repository that can be moved to other bytes at any time.
//!
//! In comes a string, out comes a label by the grammar of `distribution/reference`: `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`.
//! A valid tag can stand in a registry's URL as it is.

use std::fmt;
use std::str::FromStr;

use super::InvalidReference;

/// Longest piece of a refused tag that is repeated in an error, in characters.
const QUOTED_CHARS: usize = 160;

/// A tag, at most 128 ASCII characters. It says what somebody claimed, never which bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(String);

// === impl Tag ===

impl Tag {
    /// The longest tag, in characters.
    pub const MAX_CHARS: usize = 128;

    /// The tag that a reference without tag and digest means.
    pub fn latest() -> Self {
        Self("latest".to_owned())
    }

    /// The tag as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let within = (1..=Self::MAX_CHARS).contains(&text.len());
        let starts_well = !text.starts_with(['.', '-']);
        let known_characters = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if within && starts_well && known_characters {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidReference::InvalidTag {
                found: text.chars().take(QUOTED_CHARS).collect(),
            })
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
