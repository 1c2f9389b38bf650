//! Identities: who a policy trusts to sign with a certificate, and whether a certificate names one of them.
//!
//! *In*: issuers and subjects, exact or as regular expressions in Go's dialect. *Out*: whether what a certificate says of its holder
//! ([`Holder`]) matches. Both sides must match on one and the same identity; every subject of the certificate is tried, whatever its
//! type, as in policy-controller.

use std::fmt;

use super::Holder;
use crate::go_regexp::{GoRegexp, InvalidPattern};

/// An identity that a policy names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who must vouch for the subject.
    pub issuer: Expected,
    /// Whom the certificate must name.
    pub subject: Expected,
}

/// A text that is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// This one, to the letter.
    Exact(String),
    /// One in which this is found.
    Pattern(Pattern),
}

/// A regular expression, in Go's dialect. Two are equal when they are written alike.
#[derive(Clone, Debug)]
pub struct Pattern {
    written: String,
    regexp: GoRegexp,
}

// === impl Identity ===

impl Identity {
    /// Whether this is the identity of the holder of a certificate.
    pub fn is(&self, holder: &Holder) -> bool {
        let issuer = holder.issuer.as_deref();
        let by_issuer = match (&self.issuer, issuer) {
            (expected, Some(issuer)) => expected.matches(issuer),
            // A certificate authority of one's own need not name an issuer: nothing but a pattern for anything fits that.
            (Expected::Exact(_), None) => false,
            (expected @ Expected::Pattern(_), None) => expected.matches(""),
        };
        by_issuer
            && holder
                .subjects
                .iter()
                .any(|subject| self.subject.matches(subject.as_str()))
    }
}

/// `subject "a@example.com", issuer matching "^https://.*$"`
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "subject {}, issuer {}", self.subject, self.issuer)
    }
}

// === impl Expected ===

impl Expected {
    fn matches(&self, found: &str) -> bool {
        match self {
            Self::Exact(expected) => expected == found,
            Self::Pattern(pattern) => pattern.is_match(found),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(expected) => write!(f, "{expected:?}"),
            Self::Pattern(pattern) => write!(f, "matching {:?}", pattern.written),
        }
    }
}

// === impl Pattern ===

impl Pattern {
    /// Reads one.
    ///
    /// # Errors
    /// See [`InvalidPattern`]: what cannot be matched as its author meant it is refused.
    pub fn new(pattern: &str) -> Result<Self, InvalidPattern> {
        Ok(Self {
            written: pattern.to_owned(),
            regexp: GoRegexp::new(pattern)?,
        })
    }

    fn is_match(&self, text: &str) -> bool {
        self.regexp.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Pattern {}

#[cfg(test)]
mod tests;
