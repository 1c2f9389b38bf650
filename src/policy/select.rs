//! Which objects a policy is about: `match[]` by group, version, resource and labels.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

/// What `match[]` may ask of the object under review.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectFacts {
    /// API group, empty for core.
    pub group: String,
    /// API version.
    pub version: String,
    /// Plural, lower case.
    pub resource: String,
    /// The labels of the object itself, not of its Pod template.
    pub labels: BTreeMap<String, String>,
}

/// One entry of `match[]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// API group, compared exactly.
    pub group: String,
    /// API version, or `*`.
    pub version: String,
    /// Plural, compared exactly.
    pub resource: String,
    /// Labels that the object must carry.
    pub labels: Option<LabelSelector>,
}

/// What is wrong with a label selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operator:?} is not a valid label selector operator")]
pub(super) struct InvalidOperator {
    operator: String,
}

impl Selector {
    /// Whether the object is one that the entry is about.
    pub fn selects(&self, object: &ObjectFacts) -> bool {
        self.resource == object.resource
            && self.group == object.group
            && (self.version == "*" || self.version == object.version)
            && self
                .labels
                .as_ref()
                .is_none_or(|selector| labels_match(selector, &object.labels))
    }
}

/// Refuses operators that Kubernetes does not know.
pub(super) fn check(selector: &LabelSelector) -> Result<(), InvalidOperator> {
    let is_unknown = |e: &&LabelSelectorRequirement| {
        !["In", "NotIn", "Exists", "DoesNotExist"].contains(&e.operator.as_str())
    };
    match selector.match_expressions.iter().flatten().find(is_unknown) {
        Some(unknown) => Err(InvalidOperator {
            operator: unknown.operator.clone(),
        }),
        None => Ok(()),
    }
}

fn labels_match(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    selector
        .match_labels
        .iter()
        .flatten()
        .all(|(key, value)| labels.get(key) == Some(value))
        && selector
            .match_expressions
            .iter()
            .flatten()
            .all(|expression| expression_holds(expression, labels))
}

fn expression_holds(
    expression: &LabelSelectorRequirement,
    labels: &BTreeMap<String, String>,
) -> bool {
    let value = labels.get(&expression.key);
    let among = |value: &String| expression.values.iter().flatten().any(|v| v == value);
    match expression.operator.as_str() {
        "In" => value.is_some_and(among),
        "NotIn" => !value.is_some_and(among),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        // Refused by `check` when the policy is compiled. A policy that selects too much is the safe side.
        _ => true,
    }
}
