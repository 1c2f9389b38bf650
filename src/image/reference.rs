//! Image references: what the container runtime would pull.
//!
//! In comes the text of an image field; out come repository, tag and digest, or why the runtime could not pull it. Specification:
//! `distribution/reference` as containerd, CRI-O and Docker use it; `tests/references.rs` holds this parser to its recorded
//! answers (references that two parsers read differently have hidden an image from its policy before).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use super::{Algorithm, Digest, InvalidDigest, Repository, Tag};

/// A parsed image reference.
///
/// `Display` is the canonical form, with the tag that is meant: `docker.io/library/nginx:latest`. Two references are equal when
/// they name the same thing, however they were written. [`ImageReference::written`] keeps the user's spelling for messages.
#[derive(Clone, Debug)]
pub struct ImageReference {
    written: String,
    repository: Repository,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

/// Why a text is no image reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidReference {
    /// There is no text.
    #[error("image reference is empty")]
    Empty,
    /// More bytes than any reference needs.
    #[error("image reference has {found} bytes, at most {max} are read")]
    TooLong {
        /// How many there were.
        found: usize,
        /// How many are read.
        max: usize,
    },
    /// A character that no part of a reference may have: a space, a line break, a letter that only looks like a Latin one.
    #[error(
        "image reference has {found:?} at position {position}, which no part of a reference may contain"
    )]
    InvalidCharacter {
        /// Offset in the text, in bytes.
        position: usize,
        /// The character.
        found: char,
    },
    /// 64 hex characters alone: a runtime takes them for a local image identifier.
    #[error(
        "image reference is 64 hex characters, which is an image identifier and not a repository"
    )]
    Identifier,
    /// The registry host does not follow its grammar.
    #[error("registry {found:?} is not a host name or address with an optional port")]
    InvalidHost {
        /// The host.
        found: String,
    },
    /// The path has an upper-case letter.
    #[error("repository path {found:?} must be lower case")]
    UpperCaseRepository {
        /// The path.
        found: String,
    },
    /// A component of the path does not follow its grammar.
    #[error(
        "component {component:?} of repository path {path:?} is not lower-case letters and digits joined by \".\", \"_\", \"__\" or \"-\""
    )]
    InvalidPath {
        /// The first component that is wrong; may be empty (`a//b`).
        component: String,
        /// The path.
        path: String,
    },
    /// The path is longer than a registry takes.
    #[error("repository path has {found} bytes, at most {max} are allowed")]
    PathTooLong {
        /// How many there were.
        found: usize,
        /// How many are allowed.
        max: usize,
    },
    /// What follows `:` is no tag.
    #[error(
        "tag {found:?} is not 1 to 128 letters, digits, \"_\", \".\" and \"-\" that begin with a letter, a digit or \"_\""
    )]
    InvalidTag {
        /// The tag, shortened.
        found: String,
    },
    /// What follows `@` is no digest.
    #[error("image reference has an invalid digest")]
    InvalidDigest {
        /// What is wrong with it.
        #[source]
        source: InvalidDigest,
    },
    /// A digest that is well-formed, but not of the algorithm that images are pulled by.
    #[error("image reference has a {found} digest, expected {expected}")]
    UnsupportedDigest {
        /// The algorithm images are pulled by.
        expected: Algorithm,
        /// The algorithm that was written.
        found: Algorithm,
    },
    /// A tag or a digest where a repository is wanted.
    #[error("{found:?} has a tag or a digest, expected a repository alone")]
    NotARepository {
        /// The text.
        found: String,
    },
}

// === impl ImageReference ===

impl ImageReference {
    /// The longest text that is read, in bytes.
    pub const MAX_BYTES: usize = 512;

    /// The user's spelling, for messages and patches. Never compared.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Registry and path.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The tag that was written. Beside a digest it is only a claim: the runtime ignores it.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The digest that was written: what the runtime pulls.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The tag that was written, else `latest`.
    pub fn tag_or_latest(&self) -> Tag {
        self.tag.clone().unwrap_or_else(Tag::latest)
    }

    /// The name that globs are matched against, as go-containerregistry writes it: `repository@digest` where there is a digest
    /// (a tag beside it is dropped), else `repository:tag` with `latest` as the default. Docker Hub is `index.docker.io`.
    pub fn matching_name(&self) -> String {
        let repository = self.repository.matching_name();
        match &self.digest {
            Some(digest) => format!("{repository}@{digest}"),
            None => format!("{repository}:{}", self.tag_or_latest()),
        }
    }

    /// `repository:tag` as in [`ImageReference::matching_name`], when a tag was written or none is needed to mean `latest`;
    /// nothing for a digest alone, which says nothing about tags.
    pub fn matching_name_with_tag(&self) -> Option<String> {
        self.meant_tag()
            .map(|tag| format!("{}:{tag}", self.repository.matching_name()))
    }

    /// This reference pinned to `digest` in the user's own spelling: `:latest` is added where no tag was written, then
    /// `@digest`. A reference that has a digest stays as it is, so pinning twice changes nothing.
    pub fn pinned_spelling(&self, digest: &Digest) -> String {
        match (&self.digest, &self.tag) {
            (Some(_), _) => self.written.clone(),
            (None, Some(_)) => format!("{}@{digest}", self.written),
            (None, None) => format!("{}:latest@{digest}", self.written),
        }
    }

    /// This reference as it would stand in a Pod that is pinned to `digest`. One that has a digest stays as it is.
    ///
    /// It may be longer than what is read from outside: it is matched, not read again.
    #[must_use]
    pub fn with_digest(&self, digest: &Digest) -> Self {
        Self {
            written: self.pinned_spelling(digest),
            repository: self.repository.clone(),
            tag: Some(self.tag_or_latest())
                .filter(|_| self.digest.is_none())
                .or_else(|| self.tag.clone()),
            digest: self.digest.clone().or_else(|| Some(digest.clone())),
        }
    }

    /// The same reference under the plain name of its host, where it is written in another way ([`Repository`]'s rule).
    pub(super) fn by_plain_host(&self) -> Option<Self> {
        let repository = self.repository.by_plain_host()?;
        let tag = self
            .tag
            .as_ref()
            .map(|tag| format!(":{tag}"))
            .unwrap_or_default();
        let digest = self
            .digest
            .as_ref()
            .map(|digest| format!("@{digest}"))
            .unwrap_or_default();
        Some(Self {
            written: format!("{repository}{tag}{digest}"),
            repository,
            tag: self.tag.clone(),
            digest: self.digest.clone(),
        })
    }

    /// The user's spelling without the tag that stands beside a digest; nothing where there are not both.
    pub(super) fn written_without_claimed_tag(&self) -> Option<String> {
        let (tag, digest) = (self.tag.as_ref()?, self.digest.as_ref()?);
        let name = self.written.strip_suffix(&format!(":{tag}@{digest}"))?;
        Some(format!("{name}@{digest}"))
    }

    /// The tag that is meant: the one written, `latest` without a digest, none with a digest alone.
    fn meant_tag(&self) -> Option<&str> {
        match (&self.tag, &self.digest) {
            (Some(tag), _) => Some(tag.as_str()),
            (None, None) => Some("latest"),
            (None, Some(_)) => None,
        }
    }
}

impl FromStr for ImageReference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        check_text(text)?;
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(pullable(digest)?)),
            None => (text, None),
        };
        let (repository, tag) = Repository::split(name)?;
        let tag = tag.map(str::parse).transpose()?;
        Ok(Self {
            written: text.to_owned(),
            repository,
            tag,
            digest,
        })
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        if let Some(tag) = self.meant_tag() {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl PartialEq for ImageReference {
    fn eq(&self, other: &Self) -> bool {
        self.repository == other.repository
            && self.meant_tag() == other.meant_tag()
            && self.digest == other.digest
    }
}

impl Eq for ImageReference {}

impl Hash for ImageReference {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.repository, self.meant_tag(), &self.digest).hash(state);
    }
}

/// Checks what can be said about the text before it is taken apart: its length, its characters, and that it is no identifier.
fn check_text(text: &str) -> Result<(), InvalidReference> {
    if text.is_empty() {
        return Err(InvalidReference::Empty);
    }
    if text.len() > ImageReference::MAX_BYTES {
        return Err(InvalidReference::TooLong {
            found: text.len(),
            max: ImageReference::MAX_BYTES,
        });
    }
    let known = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@' | '[' | ']')
    };
    if let Some((position, found)) = text.char_indices().find(|(_, c)| !known(*c)) {
        return Err(InvalidReference::InvalidCharacter { position, found });
    }
    if text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(InvalidReference::Identifier);
    }
    Ok(())
}

/// A digest that images are pulled by: SHA-256, as the recorded answers of both parsers have it.
fn pullable(text: &str) -> Result<Digest, InvalidReference> {
    let digest: Digest = text
        .parse()
        .map_err(|source| InvalidReference::InvalidDigest { source })?;
    match digest.algorithm() {
        Algorithm::Sha256 => Ok(digest),
        found @ (Algorithm::Sha384 | Algorithm::Sha512) => {
            Err(InvalidReference::UnsupportedDigest {
                expected: Algorithm::Sha256,
                found,
            })
        }
    }
}

#[cfg(test)]
mod tests;
