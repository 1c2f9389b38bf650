//! What is wrong with a policy, in the form that policy-controller's users know.
//!
//! In come single findings, each with the field it is about. Out come entries as policy-controller writes them: those that say the
//! same are one entry with all their fields, and the entries stand in a fixed order.

use std::collections::BTreeMap;
use std::fmt;

/// One problem: a message, the fields it is about, and details. Printed as `message: field, field`, then the details.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    message: String,
    details: String,
    fields: Vec<String>,
}

/// The message of everything that this version does not implement.
const NOT_SUPPORTED: &str = "not supported yet by this version";
/// The message of every reference to something that is not there.
const UNRESOLVED: &str = "cannot be resolved";
/// The message of every reference to something that is there and cannot be used.
const ELSEWHERE: &str = "what it refers to cannot be used";

impl Problem {
    /// A message of our own about one field. `details` may be empty.
    pub fn new(
        message: impl Into<String>,
        field: impl Into<String>,
        details: impl Into<String>,
    ) -> Self {
        Self {
            message: message.into(),
            details: details.into(),
            fields: vec![field.into()],
        }
    }

    /// A field that must be there and is not.
    pub fn missing(field: impl Into<String>) -> Self {
        Self::new("missing field(s)", field, "")
    }

    /// None of several fields is there, where exactly one must be.
    pub fn neither(fields: impl IntoIterator<Item = String>) -> Self {
        Self::about("expected exactly one, got neither", fields)
    }

    /// More than one of several fields is there, where exactly one must be.
    pub fn both(fields: impl IntoIterator<Item = String>) -> Self {
        Self::about("expected exactly one, got both", fields)
    }

    /// None of several fields is there, in the words that policy-controller has for policies.
    pub fn all_missing(fields: impl IntoIterator<Item = String>) -> Self {
        Self::about("missing field(s)", fields)
    }

    /// A field that must not be there.
    pub fn disallowed(field: impl Into<String>) -> Self {
        Self::new("must not set the field(s)", field, "")
    }

    /// A value that cannot be used.
    pub fn invalid(
        value: impl fmt::Display,
        field: impl Into<String>,
        details: impl Into<String>,
    ) -> Self {
        Self::new(format!("invalid value: {value}"), field, details)
    }

    /// A field whose meaning this version does not implement. The policy is kept and denies what it matches.
    pub fn not_supported(field: impl Into<String>, what: &str) -> Self {
        let details =
            format!("{what} cannot be verified: images that the policy matches are denied");
        Self::new(NOT_SUPPORTED, field, details)
    }

    /// A reference to something that is not there. The policy is kept and denies what it matches.
    pub fn unresolved(field: impl Into<String>, details: impl Into<String>) -> Self {
        Self::new(UNRESOLVED, field, details)
    }

    /// A reference to something that is there and cannot be used. The policy is kept and denies what it matches.
    pub fn elsewhere(field: impl Into<String>, details: impl Into<String>) -> Self {
        Self::new(ELSEWHERE, field, details)
    }

    fn about(message: &str, fields: impl IntoIterator<Item = String>) -> Self {
        let mut fields: Vec<String> = fields.into_iter().collect();
        fields.sort();
        Self {
            message: message.to_owned(),
            details: String::new(),
            fields,
        }
    }

    /// What is wrong, without fields and details.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What else there is to say; may be empty, may have several lines.
    pub fn details(&self) -> &str {
        &self.details
    }

    /// The fields it is about.
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// Whether the policy is well-formed as far as this goes, and only asks for what this version does not implement.
    pub fn is_not_supported(&self) -> bool {
        self.message == NOT_SUPPORTED
    }

    /// Whether it refers to something that is not there. The policy itself may be as it should be.
    pub fn is_unresolved(&self) -> bool {
        self.message == UNRESOLVED
    }

    /// Whether what is wrong stands outside of the policy.
    pub fn is_elsewhere(&self) -> bool {
        self.message == ELSEWHERE
    }

    /// As policy-controller lists problems: entries that say the same are one, with their fields sorted and named once; entries are
    /// in the order of their messages, then of their details.
    pub fn merged(problems: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut entries: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for problem in problems {
            let fields = entries
                .entry((problem.message, problem.details))
                .or_default();
            fields.extend(problem.fields);
        }
        let merge = |((message, details), mut fields): (_, Vec<String>)| {
            fields.sort();
            fields.dedup();
            Self {
                message,
                details,
                fields,
            }
        };
        entries.into_iter().map(merge).collect()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.message, self.fields.join(", "))?;
        if !self.details.is_empty() {
            write!(f, "\n{}", self.details)?;
        }
        Ok(())
    }
}
