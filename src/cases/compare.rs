//! What was expected and what was found.

use super::Expected;
use crate::verdict::{Judgement, Reason};

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The answer.
    pub verdict: Judgement,
    /// Why.
    pub reason: Reason,
    /// Everything that is said about it, in lines.
    pub said: String,
}

/// One thing that is not as it was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `verdict`, `reason` or `message`.
    pub what: &'static str,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
}

impl Expected {
    /// How what was found differs, in the order verdict, reason, message; empty when it does not.
    pub fn differences(&self, found: &Found) -> Vec<Difference> {
        let mut differences = Vec::new();
        if self.verdict != found.verdict {
            differences.push(Difference {
                what: "verdict",
                expected: self.verdict.as_str().to_owned(),
                found: found.verdict.as_str().to_owned(),
            });
        }
        if let Some(reason) = self.reason.filter(|reason| *reason != found.reason) {
            differences.push(Difference {
                what: "reason",
                expected: reason.to_string(),
                found: found.reason.to_string(),
            });
        }
        if let Some(message) = self
            .message
            .as_ref()
            .filter(|part| !found.said.contains(*part))
        {
            differences.push(Difference {
                what: "message",
                expected: format!("{message:?}"),
                found: "what is said below".to_owned(),
            });
        }
        differences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_expected_is_compared() {
        let found = Found {
            verdict: Judgement::Deny,
            reason: Reason::Unsigned,
            said: "no signatures found (looked at .sig)".to_owned(),
        };
        let expected = |verdict, reason, message: Option<&str>| Expected {
            verdict,
            reason,
            message: message.map(str::to_owned),
        };
        let named = |expected: Expected| -> Vec<&'static str> {
            let differences = expected.differences(&found);
            differences
                .iter()
                .map(|difference| difference.what)
                .collect()
        };
        assert!(named(expected(Judgement::Deny, None, None)).is_empty());
        assert!(
            named(expected(
                Judgement::Deny,
                Some(Reason::Unsigned),
                Some("no signatures")
            ))
            .is_empty()
        );
        assert_eq!(
            named(expected(
                Judgement::Admit,
                Some(Reason::Satisfied),
                Some("signed by")
            )),
            ["verdict", "reason", "message"]
        );
        // Could not be judged is not denied, though both deny.
        assert_eq!(named(expected(Judgement::Unknown, None, None)), ["verdict"]);
    }
}
