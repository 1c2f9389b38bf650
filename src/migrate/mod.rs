//! What changes when Vouchsafe takes the place of sigstore/policy-controller: its policies and settings, and what holds them in the
//! cluster.
//!
//! *In*: the objects of an installation as JSON, from files or from the API server. *Out*: [`Finding`]s, each with what is to be done.
//! Pure: nothing is fetched, and nothing is changed.
//!
//! | file | what it looks at |
//! |---|---|
//! | `policies` | one ClusterImagePolicy: what is judged otherwise, and what cannot be judged |
//! | `globs` | which globs could match anything there |
//! | `roots` | one TrustRoot |
//! | `installation` | definitions, webhook configurations, namespaces, settings, Leases |
//!
//! What holds for everybody who changes over is in docs/differences.md and not repeated here: a finding is about an object that is
//! there.

mod globs;
mod installation;
mod policies;
mod roots;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::api;
use crate::policy::Referents;

/// What a finding means for the way over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Images would be denied that are admitted now, or policies would be lost: decide before enforcing.
    Blocks,
    /// Something is judged otherwise than it was.
    Changes,
    /// Good to know.
    Note,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it means.
    pub severity: Severity,
    /// Which one it is: a word that stays the same, such as `cue`.
    pub code: &'static str,
    /// The object's kind.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// The field, such as `spec.images[0].glob`; empty where it is the object.
    pub field: String,
    /// What differs.
    pub message: String,
    /// What to do, one step a line.
    pub action: Vec<String>,
}

/// Where Vouchsafe will stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its namespace: the one of policy-controller, whose Secrets and ConfigMaps policies refer to.
    pub namespace: String,
    /// The name of its Helm release, after which its objects are called.
    pub release: String,
}

/// How many objects of each kind were looked at.
pub type Counts = BTreeMap<String, usize>;

/// The object that findings are about.
#[derive(Clone, Debug)]
struct Subject {
    kind: String,
    name: String,
}

/// What is known beside one object.
struct Known<'a> {
    target: &'a Target,
    referents: Referents,
    /// The `TrustRoot`s by name; `None` where none was among the objects, so that nothing is said about those that are missing.
    roots: Option<BTreeSet<String>>,
    /// `fail-on-empty-authorities` of policy-controller.
    empty_authorities_fail: bool,
}

/// Looks at all objects. Findings come in the order of their severity, then of their objects.
pub fn check(objects: &[Value], target: &Target) -> (Vec<Finding>, Counts) {
    let known = Known::new(objects, target);
    let mut counts = Counts::new();
    let mut findings = Vec::new();
    for object in objects {
        let subject = Subject::of(object);
        *counts.entry(subject.kind.clone()).or_default() += 1;
        findings.extend(one(&subject, object, &known));
    }
    findings.extend(installation::together(objects, target));
    findings.sort_by(|a, b| a.order().cmp(&b.order()));
    findings.dedup();
    (findings, counts)
}

fn one(subject: &Subject, object: &Value, known: &Known<'_>) -> Vec<Finding> {
    let group = text(object, "/apiVersion").split('/').next();
    match (group.unwrap_or_default(), subject.kind.as_str()) {
        (api::GROUP, "ClusterImagePolicy") => {
            let mut found = held(subject, object);
            match api::decode_cluster_image_policy(object.clone()) {
                Ok(policy) => found.extend(policies::check(subject, object, &policy, known)),
                Err(error) => found.push(unreadable(subject, &error)),
            }
            found
        }
        (api::GROUP, "TrustRoot") => {
            let mut found = held(subject, object);
            match api::decode_trust_root(object.clone()) {
                Ok(root) => found.extend(roots::check(subject, &root)),
                Err(error) => found.push(unreadable(subject, &error)),
            }
            found
        }
        _ => installation::check(subject, object, known.target),
    }
}

/// A resource with fields that nobody knows.
fn unreadable(subject: &Subject, error: &api::DecodeError) -> Finding {
    subject.finding(
        Severity::Blocks,
        "unreadable",
        "",
        format!("it cannot be read: {error}"),
        ["correct it; a policy that cannot be read denies what it matches"],
    )
}

/// What keeps a resource from going, or makes it go.
fn held(subject: &Subject, object: &Value) -> Vec<Finding> {
    let mut found = Vec::new();
    if object.pointer("/metadata/deletionTimestamp").is_some() {
        found.push(subject.finding(
            Severity::Changes,
            "being-deleted",
            "metadata.deletionTimestamp",
            "it was deleted and waits for policy-controller's finalizer: it goes when Vouchsafe takes that away".to_owned(),
            ["apply it again afterwards if it is still wanted"],
        ));
    }
    let finalizers = object
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array);
    let theirs = finalizers
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .any(|name| name.ends_with(".policy.sigstore.dev"));
    if theirs {
        found.push(subject.finding(
            Severity::Note,
            "finalizer",
            "metadata.finalizers",
            "it has policy-controller's finalizer, which nobody would take off once that is gone, so that it could never be deleted; Vouchsafe does".to_owned(),
            [],
        ));
    }
    found
}

// === impl Finding ===

impl Finding {
    fn order(&self) -> (Severity, &str, &str, &str, &str) {
        let Self {
            severity,
            code,
            kind,
            name,
            field,
            ..
        } = self;
        (*severity, kind, name, field, code)
    }
}

// === impl Subject ===

impl Subject {
    fn of(object: &Value) -> Self {
        Self {
            kind: text(object, "/kind").to_owned(),
            name: text(object, "/metadata/name").to_owned(),
        }
    }

    fn finding<const STEPS: usize>(
        &self,
        severity: Severity,
        code: &'static str,
        field: impl Into<String>,
        message: String,
        action: [&str; STEPS],
    ) -> Finding {
        Finding {
            severity,
            code,
            kind: self.kind.clone(),
            name: self.name.clone(),
            field: field.into(),
            message,
            action: action.iter().map(|step| (*step).to_owned()).collect(),
        }
    }
}

// === impl Known ===

impl<'a> Known<'a> {
    fn new(objects: &[Value], target: &'a Target) -> Self {
        let of_kind = |kind: &'static str| {
            objects
                .iter()
                .filter(move |object| text(object, "/kind") == kind)
        };
        let roots: BTreeSet<String> = of_kind("TrustRoot")
            .map(|root| text(root, "/metadata/name").to_owned())
            .collect();
        let maps = of_kind("ConfigMap").filter_map(|map| {
            let data = serde_json::from_value(map.get("data")?.clone()).ok()?;
            Some((text(map, "/metadata/name").to_owned(), data))
        });
        let settings = of_kind("ConfigMap")
            .find(|map| text(map, "/metadata/name") == api::CONTROLS_CONFIG_MAP)
            .map(|map| text(map, "/data/fail-on-empty-authorities"));
        Self {
            target,
            referents: Referents {
                namespace: target.namespace.clone(),
                config_maps: maps.collect(),
                ..Referents::default()
            },
            roots: (!roots.is_empty()).then_some(roots),
            empty_authorities_fail: settings != Some("false"),
        }
    }
}

/// The text at a JSON pointer; empty where there is none.
fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
