//! What stands behind `/validate-policy`: the checks of `lint`, with what the webhook knows of everything that a policy refers to.

use std::sync::Arc;

use crate::adapters::metrics::Metrics;
use crate::api::{self, DecodeError};
use crate::apply::{self, Finding, Severity, Surroundings};
use crate::explain::{Enforcement, printable_line};
use crate::server::{PolicyAnswer, ValidatePolicy};
use crate::workload::{Operation, Request};

use crate::app::engine::Engine;

/// A refusal as a whole, in bytes, and a line of it. A key that cannot be read is repeated, as policy-controller does.
const REFUSAL: usize = 8 << 10;
const LINE: usize = 4 << 10;
/// What the API server hands on of warnings, in bytes: of each, and of all.
const WARNING: usize = 256;
const WARNINGS: usize = 4 << 10;

/// Checks policies as they are applied.
pub(super) struct PolicyReviewer {
    engine: Arc<Engine>,
    metrics: Arc<Metrics>,
    enforcement: Enforcement,
}

impl PolicyReviewer {
    pub(super) fn new(
        engine: Arc<Engine>,
        metrics: Arc<Metrics>,
        enforcement: Enforcement,
    ) -> Self {
        Self {
            engine,
            metrics,
            enforcement,
        }
    }

    fn check(&self, request: &Request) -> PolicyAnswer {
        if !changes_the_spec(request) {
            return PolicyAnswer::default();
        }
        let findings = match self.findings(request) {
            Ok(findings) => findings,
            Err(refusal) => {
                return PolicyAnswer {
                    refusal: Some(refusal),
                    warnings: Vec::new(),
                };
            }
        };
        PolicyAnswer {
            refusal: apply::refusal(&findings).map(|text| lines(&text)),
            warnings: warnings(&findings),
        }
    }

    fn findings(&self, request: &Request) -> Result<Vec<Finding>, String> {
        let Request {
            group,
            version,
            kind,
            ..
        } = request;
        let object = request.object.clone();
        let undecodable = |error: DecodeError| lines(&apply::undecodable(&error));
        match (group.as_str(), kind.as_str()) {
            (api::GROUP, "ClusterImagePolicy")
                if api::CLUSTER_IMAGE_POLICY_VERSIONS.contains(&version.as_str()) =>
            {
                let policy = api::decode_cluster_image_policy(object).map_err(undecodable)?;
                let referents = self.engine.referents();
                let around = Surroundings::Wholly(&referents);
                let controls = self.engine.in_force().controls;
                let check = if controls.fail_on_empty_authorities {
                    apply::check_policy
                } else {
                    apply::check_policy_without_authorities
                };
                Ok(check(&policy, self.engine.namespace(), around))
            }
            (api::GROUP, "TrustRoot") if api::TRUST_ROOT_VERSIONS.contains(&version.as_str()) => {
                let root = api::decode_trust_root(object).map_err(undecodable)?;
                Ok(apply::check_trust_root(&root))
            }
            _ => Err(lines(&format!(
                "unhandled kind: {group}/{version}, Kind={kind}"
            ))),
        }
    }
}

impl ValidatePolicy for PolicyReviewer {
    fn validate_policy(&self, request: &Request) -> PolicyAnswer {
        let answer = self.check(request);
        self.metrics.policy_reviewed(answer.refusal.is_none());
        match self.enforcement {
            Enforcement::Enforce => answer,
            Enforcement::Shadow => in_shadow(answer),
        }
    }
}

/// Beside another controller the policies are that one's to refuse: what would be refused here is a warning.
fn in_shadow(answer: PolicyAnswer) -> PolicyAnswer {
    let PolicyAnswer { refusal, warnings } = answer;
    let refusal = refusal.unwrap_or_default();
    let refused = refusal
        .lines()
        .map(|line| printable_line(&format!("would be refused: {line}"), WARNING));
    PolicyAnswer {
        refusal: None,
        warnings: bounded(refused.chain(warnings)),
    }
}

/// Whether there is anything to check: what is deleted, or changes in its status or metadata alone, passes whatever is wrong with it;
/// a policy that was stored before must not keep its finalizers for ever.
fn changes_the_spec(request: &Request) -> bool {
    let spec = |object: &serde_json::Value| object.get("spec").cloned();
    match request.operation {
        _ if !request.subresource.is_empty() => false,
        Operation::Create => true,
        Operation::Update => {
            let old = request.old_object.as_ref();
            old.is_none_or(|old| spec(old) != spec(&request.object))
        }
        Operation::Delete | Operation::Connect => false,
    }
}

/// The text with its lines made fit for a terminal, and cut.
fn lines(text: &str) -> String {
    let mut shown = String::new();
    for line in text.lines() {
        let line = printable_line(line, LINE);
        if shown.len() + line.len() > REFUSAL {
            shown.push_str("\n…");
            break;
        }
        if !shown.is_empty() {
            shown.push('\n');
        }
        shown.push_str(&line);
    }
    shown
}

/// One warning for each line, as policy-controller gives them.
fn warnings(findings: &[Finding]) -> Vec<String> {
    let warned = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Warning);
    let texts: Vec<String> = warned.map(|finding| finding.problem.to_string()).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    bounded(lines.map(|line| printable_line(line, WARNING)))
}

/// As many lines as the API server hands on.
fn bounded(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut room = WARNINGS;
    let mut shown = Vec::new();
    for line in lines {
        let Some(left) = room.checked_sub(line.len()) else {
            break;
        };
        room = left;
        shown.push(line);
    }
    shown
}
