//! What can be wrong with files, each with its place and what to do about it.

use std::fmt;
use std::path::PathBuf;

use super::Origin;
use super::tree::Position;
use crate::api::DecodeError;

/// Nothing was loaded, for all of these reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// Every problem of every file, in the order of files and lines; never empty.
    pub problems: Vec<Problem>,
}

impl std::error::Error for LoadError {}

/// One problem per line.
impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

/// One problem: `FILE:LINE:COLUMN: document N: why`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file or folder.
    pub file: PathBuf,
    /// Where in the file, if it is a matter of what stands there.
    pub position: Option<Position>,
    /// In which document, from 1, empty ones not counted, if it could be told apart.
    pub document: Option<usize>,
    /// What is wrong.
    pub cause: Cause,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        if let Some(document) = self.document {
            write!(f, ": document {document}")?;
        }
        write!(f, ": {}", self.cause)
    }
}

/// What is wrong with a file or a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The operating system did not let us read it.
    #[error("cannot be read: {found}; check that it exists and who may read it")]
    Unreadable {
        /// What the operating system said.
        found: String,
    },
    /// Neither a file nor a folder.
    #[error("is neither a regular file nor a folder; name a file or a folder of policies")]
    NotAFile,
    /// More bytes in one file than [`super::MAX_FILE_BYTES`].
    #[error("is larger than {limit} bytes; split it")]
    TooLarge {
        /// The bound, in bytes.
        limit: u64,
    },
    /// More files than [`super::MAX_FILES`], or more of something else that is bounded.
    #[error("more than {limit} {of}; name a smaller folder")]
    TooMany {
        /// The bound.
        limit: u64,
        /// What is counted.
        of: &'static str,
    },
    /// The files changed each time while they were read.
    #[error("the files keep changing while they are read; try again when they are written")]
    Unsettled,
    /// Bytes that are no text.
    #[error("is not UTF-8 text (byte {offset})")]
    NotText {
        /// The first byte that is not, from 0.
        offset: usize,
    },
    /// Text that is neither YAML nor JSON, or exceeds the bounds of a document.
    #[error("not valid YAML: {found}")]
    Syntax {
        /// What the parser said.
        found: String,
    },
    /// A document that is a list or a scalar.
    #[error("is not a Kubernetes object; each document needs apiVersion, kind and metadata")]
    NotAnObject,
    /// An object of a kind that has no place here.
    #[error(
        "kind {kind:?} of {api_version:?} is none of ClusterImagePolicy, TrustRoot, Secret, ConfigMap, Namespace; keep it elsewhere (data of cases: in a file that ends in .statement or .input)"
    )]
    UnknownKind {
        /// The object's `apiVersion`.
        api_version: String,
        /// The object's `kind`.
        kind: String,
    },
    /// An object that nothing could refer to.
    #[error(
        "{kind} has no usable metadata.name (found {found:?}); names are lower-case letters, digits, '-' and '.'"
    )]
    BadName {
        /// The object's kind.
        kind: &'static str,
        /// The name found; empty when there is none.
        found: String,
    },
    /// An object whose content is not that of its kind.
    #[error("{kind} {name:?}: {error}")]
    Decode {
        /// The object's kind.
        kind: &'static str,
        /// The object's name.
        name: String,
        /// Why it is not.
        error: DecodeError,
    },
    /// Two objects of one kind and name: which one counts would depend on the order of files.
    #[error("{kind} {name:?} is already defined at {first}; rename or remove one of the two")]
    Duplicate {
        /// The kind of both.
        kind: &'static str,
        /// The name of both, with the namespace where there is one.
        name: String,
        /// Where the other one stands.
        first: Origin,
    },
}
