//! What is wrong with a policy, in the form that policy-controller's users know.

use std::fmt;

/// One problem: a message, the fields it is about, and details. Printed as `message: field, field`, then the details.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    message: String,
    details: String,
    fields: Vec<String>,
}

impl Problem {
    /// A field that must be there and is not.
    pub fn missing(field: impl Into<String>) -> Self {
        Self {
            message: "missing field(s)".to_owned(),
            details: String::new(),
            fields: vec![field.into()],
        }
    }

    /// None of several fields is there, where exactly one must be.
    pub fn neither(fields: impl IntoIterator<Item = String>) -> Self {
        Self::one_of("expected exactly one, got neither", fields)
    }

    /// More than one of several fields is there, where exactly one must be.
    pub fn both(fields: impl IntoIterator<Item = String>) -> Self {
        Self::one_of("expected exactly one, got both", fields)
    }

    /// A field that must not be there.
    pub fn disallowed(field: impl Into<String>) -> Self {
        Self {
            message: "must not set the field(s)".to_owned(),
            details: String::new(),
            fields: vec![field.into()],
        }
    }

    /// A value that cannot be used.
    pub fn invalid(
        value: impl fmt::Display,
        field: impl Into<String>,
        details: impl Into<String>,
    ) -> Self {
        Self {
            message: format!("invalid value: {value}"),
            details: details.into(),
            fields: vec![field.into()],
        }
    }

    /// A field whose meaning this version does not implement. The policy is kept and denies what it matches.
    pub fn not_supported(field: impl Into<String>, what: &str) -> Self {
        Self {
            message: "not supported yet".to_owned(),
            details: format!("{what} cannot be verified by this version"),
            fields: vec![field.into()],
        }
    }

    fn one_of(message: &str, fields: impl IntoIterator<Item = String>) -> Self {
        let mut fields: Vec<String> = fields.into_iter().collect();
        fields.sort();
        Self {
            message: message.to_owned(),
            details: String::new(),
            fields,
        }
    }

    /// The fields it is about.
    pub fn fields(&self) -> &[String] {
        &self.fields
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
