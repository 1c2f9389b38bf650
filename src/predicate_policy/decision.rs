//! What the value of `isCompliant` means, read as policy-controller reads it, in its words.
//!
//! A boolean decides. A set or array of `{result, error, warning}` objects is read in order: the
//! first with `result: true` decides, otherwise the `error` of the last one is told. Anything
//! else, and undefined, is not compliant.

use regorus::Value;

/// The query in upstream's words; scripts grep for it.
const QUERY: &str = "isCompliant = data.sigstore.isCompliant";

/// What a policy says about one input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Compliant.
    Pass,
    /// Compliant with a warning. policy-controller counts this as a failure of an enforcing
    /// policy; the caller decides. Never empty.
    Warn(Vec<String>),
    /// Not compliant. The pieces of upstream's text: the headline, then the detail if there is
    /// one. Never empty.
    Fail(Vec<String>),
}

impl Decision {
    /// The text as upstream renders it; `None` for [`Decision::Pass`].
    pub fn message(&self) -> Option<String> {
        match self {
            Self::Pass => None,
            Self::Warn(pieces) | Self::Fail(pieces) => Some(pieces.join(" ")),
        }
    }

    /// Reads the value of the rule.
    pub(super) fn read(value: &Value) -> Self {
        match value {
            Value::Bool(true) => Self::Pass,
            Value::Array(elements) => Self::read_all(elements.iter()),
            Value::Set(elements) => Self::read_all(elements.iter_sorted()),
            Value::Bool(false)
            | Value::Null
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_)
            | Value::Undefined => Self::Fail(vec![headline()]),
        }
    }

    fn read_all<'a>(elements: impl Iterator<Item = &'a Value>) -> Self {
        // Upstream quotes the query differently when there was nothing to read.
        let mut verdict = Self::Fail(vec![format!("policy is not compliant for query {QUERY:?}")]);
        for element in elements {
            match Outcome::read(element) {
                Err(why) => {
                    return Self::Fail(vec![headline(), format!("due to parsing errors: {why}")]);
                }
                Ok(outcome) if outcome.result && outcome.warning.is_empty() => return Self::Pass,
                Ok(outcome) if outcome.result => {
                    return Self::Warn(vec![format!("warning: {}", outcome.warning)]);
                }
                Ok(outcome) => {
                    verdict =
                        Self::Fail(vec![headline(), format!("with errors: {}", outcome.error)]);
                }
            }
        }
        verdict
    }
}

fn headline() -> String {
    format!("policy is not compliant for query '{QUERY}'")
}

/// One element of a set or array result.
#[derive(Default)]
struct Outcome {
    result: bool,
    error: String,
    warning: String,
}

impl Outcome {
    /// Field names match without regard to case and `null` counts as absent, as in Go.
    fn read(element: &Value) -> Result<Self, String> {
        let Value::Object(fields) = element else {
            return Err(format!("element is {}, expected an object", kind(element)));
        };
        let mut outcome = Self::default();
        for (key, value) in fields.iter_sorted() {
            let Value::String(key) = key else {
                return Err(format!("field name is {}, expected a string", kind(key)));
            };
            match (key.to_ascii_lowercase().as_str(), value) {
                ("result", Value::Bool(result)) => outcome.result = *result,
                ("error", Value::String(text)) => outcome.error = text.to_string(),
                ("warning", Value::String(text)) => outcome.warning = text.to_string(),
                ("result" | "error" | "warning", Value::Null) => {}
                ("result", other) => {
                    return Err(format!(
                        "field result is {}, expected a boolean",
                        kind(other)
                    ));
                }
                (name @ ("error" | "warning"), other) => {
                    return Err(format!(
                        "field {name} is {}, expected a string",
                        kind(other)
                    ));
                }
                _ => {}
            }
        }
        Ok(outcome)
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Set(_) => "a set",
        Value::Object(_) => "an object",
        Value::Undefined => "undefined",
    }
}
