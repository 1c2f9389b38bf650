//! Which request meets which fault.

use axum::body::Body;
use http::{Method, Request};

use super::fault::Fault;
use super::log::Class;

/// A description of requests: all of what is given must hold.
#[derive(Clone, Debug, Default)]
pub struct Match {
    method: Option<Method>,
    class: Option<Class>,
    path: String,
}

/// All rules, oldest first.
#[derive(Debug, Default)]
pub(super) struct Rules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    matching: Match,
    fault: Fault,
    calls: usize,
}

/// What happens to one request: simple faults in the order in which they apply.
pub(super) struct Effects(pub(super) Vec<Fault>);

// === impl Match ===

impl Match {
    /// Every request.
    pub fn any() -> Self {
        Self::default()
    }

    /// Requests of `class`.
    pub fn class(class: Class) -> Self {
        Self {
            class: Some(class),
            ..Self::default()
        }
    }

    /// Manifests.
    pub fn manifest() -> Self {
        Self::class(Class::Manifest)
    }

    /// Blobs.
    pub fn blob() -> Self {
        Self::class(Class::Blob)
    }

    /// Tokens.
    pub fn token() -> Self {
        Self::class(Class::Token)
    }

    /// Referrers.
    pub fn referrers() -> Self {
        Self::class(Class::Referrers)
    }

    /// Of them, those with this method.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Of them, those whose path (without the query) contains `part`.
    #[must_use]
    pub fn path(mut self, part: &str) -> Self {
        part.clone_into(&mut self.path);
        self
    }

    fn describes(&self, class: Class, request: &Request<Body>) -> bool {
        self.method
            .as_ref()
            .is_none_or(|method| method == request.method())
            && self.class.is_none_or(|wanted| wanted == class)
            && request.uri().path().contains(&self.path)
    }
}

// === impl Rules ===

impl Rules {
    pub(super) fn add(&mut self, matching: Match, fault: Fault) {
        self.0.push(Rule {
            matching,
            fault,
            calls: 0,
        });
    }

    /// The effects of the newest rule that describes the request and still has something to do.
    pub(super) fn effects(&mut self, class: Class, request: &Request<Body>) -> Effects {
        for rule in self.0.iter_mut().rev() {
            if !rule.matching.describes(class, request) {
                continue;
            }
            let call = rule.calls;
            rule.calls += 1;
            if let Some(effects) = rule.fault.at(call) {
                return Effects(effects);
            }
        }
        Effects(Vec::new())
    }
}
