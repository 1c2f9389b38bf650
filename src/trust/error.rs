//! Why a document is no trusted root.

use std::fmt;

use crate::limits::json::brief;

/// Why trust material cannot be used. Nothing of it is used then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTrustRoot {
    /// Longer than what is read.
    #[error("trusted root of {found} bytes, {limit} are read")]
    TooLarge {
        /// How long it is.
        found: usize,
        /// The bound.
        limit: usize,
    },
    /// More of something than what is read.
    #[error("trusted root with {found} {what}, {limit} are read")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// The bound.
        limit: usize,
    },
    /// Not the JSON of a trusted root.
    #[error("not a trusted root: {detail}")]
    Malformed {
        /// What is wrong.
        detail: String,
    },
    /// A document of another type, or of a version that is not known.
    #[error("not a trusted root: its mediaType is {found:?}")]
    MediaType {
        /// What stands there.
        found: String,
    },
    /// A window that ends before it starts, a log named twice, a key or certificate that cannot be verified with.
    #[error("trusted root cannot be used: {detail}")]
    Unusable {
        /// What is wrong.
        detail: String,
    },
}

impl InvalidTrustRoot {
    pub(super) fn malformed(detail: &impl fmt::Display) -> Self {
        Self::Malformed {
            detail: brief(detail),
        }
    }

    pub(super) fn unusable(detail: &impl fmt::Display) -> Self {
        Self::Unusable {
            detail: brief(detail),
        }
    }
}
