//! In-toto statements: what an attestation says, and about which artifacts.
//!
//! *In*: the payload of an envelope, as signed. *Out*: a [`Statement`] whose `_type` is known and whose subjects are readable. The
//! text is kept as it was signed, because that is what predicate policies are given ([in-toto attestation framework, v0.1 and v1]).
//!
//! A statement proves nothing by itself: `verify` alone says who signed it.
//!
//! [in-toto attestation framework, v0.1 and v1]: https://github.com/in-toto/attestation/tree/main/spec

mod predicate_type;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

pub use predicate_type::PredicateType;

use crate::image::Digest;
use crate::limits::EvidenceLimits;
use crate::limits::json::{JsonError, brief, parse_strict};

/// A statement as signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    version: StatementVersion,
    predicate_type: String,
    subjects: Vec<Subject>,
    text: Arc<str>,
}

/// The `_type` of a statement. Others are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementVersion {
    /// `https://in-toto.io/Statement/v0.1`, as Tekton Chains and cosign write it.
    V01,
    /// `https://in-toto.io/Statement/v1`.
    V1,
}

/// What a statement is about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Subject {
    /// A name that the producer chose. It is never compared with anything: digests decide.
    #[serde(default)]
    pub name: String,
    /// Algorithm to lower-case hexadecimal.
    #[serde(default)]
    pub digest: BTreeMap<String, String>,
    /// What the producer says of it: an object, by the specification.
    #[serde(default)]
    pub annotations: Value,
}

/// Why a payload is no statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedStatement {
    /// Not JSON as we accept it: syntax, duplicate keys, depth.
    #[error("unmarshal in-toto statement: {0}")]
    Json(#[from] JsonError),
    /// JSON, but not of the shape of a statement.
    #[error("unmarshal in-toto statement: {0}")]
    Shape(String),
    /// An `_type` that we do not know.
    #[error("statement has the type {found:?}, which is neither in-toto Statement v0.1 nor v1")]
    Version {
        /// What stands there.
        found: String,
    },
    /// No subject: a statement about nothing (TOB-SIGSTORE finding on empty subjects).
    #[error("statement names no subject")]
    NoSubject,
    /// More subjects than we read.
    #[error("statement names {found} subjects, {limit} are read")]
    TooManySubjects {
        /// How many there are.
        found: usize,
        /// The bound.
        limit: usize,
    },
}

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "_type")]
    version: String,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    subject: Option<Vec<Subject>>,
}

// === impl Statement ===

impl Statement {
    /// Reads a payload.
    ///
    /// # Errors
    /// See [`MalformedStatement`]. A statement that cannot be read never counts as one that says nothing (CVE-2026-39395).
    pub fn parse(payload: &[u8], limits: &EvidenceLimits) -> Result<Self, MalformedStatement> {
        let value = parse_strict(payload, limits.json_depth)?;
        let text = std::str::from_utf8(payload).map_err(|e| JsonError::Syntax(brief(&e)))?;
        let wire: Wire =
            serde_json::from_value(value).map_err(|e| MalformedStatement::Shape(brief(&e)))?;
        let version =
            StatementVersion::from_uri(&wire.version).ok_or(MalformedStatement::Version {
                found: wire.version,
            })?;
        let subjects = wire.subject.unwrap_or_default();
        if subjects.is_empty() {
            return Err(MalformedStatement::NoSubject);
        }
        if subjects.len() > limits.subjects {
            return Err(MalformedStatement::TooManySubjects {
                found: subjects.len(),
                limit: limits.subjects,
            });
        }
        Ok(Self {
            version,
            predicate_type: wire.predicate_type,
            subjects,
            text: Arc::from(text),
        })
    }

    /// Its version.
    pub fn version(&self) -> StatementVersion {
        self.version
    }

    /// Its predicate type, as written.
    pub fn predicate_type(&self) -> &str {
        &self.predicate_type
    }

    /// What it is about.
    pub fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    /// Whether one of its subjects is the artifact with this digest. Names do not count.
    pub fn is_about(&self, digest: &Digest) -> bool {
        self.subject(digest).is_some()
    }

    /// The first of its subjects that is the artifact with this digest.
    pub fn subject(&self, digest: &Digest) -> Option<&Subject> {
        let (algorithm, hex) = (digest.algorithm().as_str(), digest.hex());
        self.subjects.iter().find(|subject| {
            subject
                .digest
                .get(algorithm)
                .is_some_and(|found| *found == hex)
        })
    }

    /// The statement as it was signed, byte for byte.
    pub fn json(&self) -> &Arc<str> {
        &self.text
    }
}

// === impl StatementVersion ===

impl StatementVersion {
    fn from_uri(uri: &str) -> Option<Self> {
        match uri {
            "https://in-toto.io/Statement/v0.1" => Some(Self::V01),
            "https://in-toto.io/Statement/v1" => Some(Self::V1),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    fn parse(text: &str) -> Result<Statement, MalformedStatement> {
        Statement::parse(text.as_bytes(), &Limits::default().evidence)
    }

    const HEX: &str = "4afdc0eb5a1c9d8e7f60718293a4b5c6d7e8f90123456789abcdef0123456789";

    fn statement(version: &str, subject: &str) -> String {
        format!(
            r#"{{"_type":"https://in-toto.io/Statement/{version}","predicateType":"p","subject":{subject},"predicate":{{}}}}"#
        )
    }

    #[test]
    fn both_versions_are_read_and_bound_by_digest_alone() {
        for version in ["v0.1", "v1"] {
            let found = parse(&statement(
                version,
                &format!(r#"[{{"name":"x","digest":{{"sha256":"{HEX}"}}}}]"#),
            ))
            .unwrap();
            assert!(found.is_about(&format!("sha256:{HEX}").parse().unwrap()));
            assert!(!found.is_about(&format!("sha256:{}", HEX.replace('4', "5")).parse().unwrap()));
        }
    }

    #[test]
    fn a_subject_in_upper_case_or_under_another_algorithm_is_not_the_artifact() {
        let digest: Digest = format!("sha256:{HEX}").parse().unwrap();
        for subject in [
            format!(r#"[{{"digest":{{"sha256":"{}"}}}}]"#, HEX.to_uppercase()),
            format!(r#"[{{"digest":{{"sha512":"{HEX}"}}}}]"#),
        ] {
            assert!(!parse(&statement("v1", &subject)).unwrap().is_about(&digest));
        }
    }

    #[test]
    fn statements_about_nothing_or_of_unknown_type_are_refused() {
        assert_eq!(
            parse(&statement("v1", "[]")),
            Err(MalformedStatement::NoSubject)
        );
        assert_eq!(
            parse(&statement("v1", "null")),
            Err(MalformedStatement::NoSubject)
        );
        assert!(matches!(
            parse(&statement("v2", "[{}]")),
            Err(MalformedStatement::Version { .. })
        ));
        assert!(matches!(parse("{}"), Err(MalformedStatement::Shape(_))));
        assert!(matches!(
            parse(&statement("v1", "[{}],\"subject\":[{}]")),
            Err(MalformedStatement::Json(_))
        ));
    }
}
