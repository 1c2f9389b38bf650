//! What goes wrong with a request, and which requests it happens to.

use std::collections::BTreeMap;
use std::time::Duration;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `GET`, `PATCH`, …
    pub method: String,
    /// `/apis/policy.sigstore.dev/v1alpha1/clusterimagepolicies`
    pub path: String,
    /// The parameters, decoded.
    pub query: BTreeMap<String, String>,
    /// `Content-Type`, empty where there is none.
    pub content_type: String,
    /// The body.
    pub body: String,
}

/// What happens instead of an answer, or to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A `Status` of this code.
    Status(u16),
    /// The answer, so much later.
    Delay(Duration),
    /// No answer, ever.
    Hang,
    /// The connection is closed without an answer.
    Drop,
    /// The answer breaks off after so many bytes of its body.
    Cut(usize),
    /// A watch begins, and nothing is ever told.
    Silence,
}

type Rule = Box<dyn FnMut(&Asked) -> Option<Fault> + Send>;

/// The rules.
#[derive(Default)]
pub(crate) struct Rules(Vec<Rule>);

// === impl Asked ===

impl Asked {
    /// Whether it is a list of this resource (`secrets`), in whatever namespace.
    pub fn lists(&self, plural: &str) -> bool {
        self.is_about(plural) && !self.is_watch()
    }

    /// Whether it is a watch of this resource.
    pub fn watches(&self, plural: &str) -> bool {
        self.is_about(plural) && self.is_watch()
    }

    /// A parameter, empty where there is none.
    pub fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    fn is_watch(&self) -> bool {
        ["1", "true"].contains(&self.parameter("watch"))
    }

    fn is_about(&self, plural: &str) -> bool {
        self.method == "GET" && self.path.rsplit('/').next() == Some(plural)
    }
}

// === impl Rules ===

impl Rules {
    pub(crate) fn add(&mut self, rule: Rule) {
        self.0.push(rule);
    }

    pub(crate) fn fault(&mut self, asked: &Asked) -> Option<Fault> {
        self.0.iter_mut().rev().find_map(|rule| rule(asked))
    }
}
