//! What holds policies in the cluster: definitions, webhook configurations, namespaces, settings, Leases.

use serde_json::{Value, json};

use super::{Finding, Severity, Subject, Target, text};
use crate::api::CONTROLS_CONFIG_MAP;

/// policy-controller's webhook configurations.
const CONFIGURATIONS: [&str; 3] = [
    "policy.sigstore.dev",
    "defaulting.clusterimagepolicy.sigstore.dev",
    "validating.clusterimagepolicy.sigstore.dev",
];
/// The definitions of both kinds.
const DEFINITIONS: [&str; 2] = [
    "clusterimagepolicies.policy.sigstore.dev",
    "trustroots.policy.sigstore.dev",
];
/// The label by which namespaces are chosen.
const INCLUDE: &str = "policy.sigstore.dev/include";
/// How many names are listed.
const NAMES: usize = 10;

const RELEASE_NAME: &str = "/metadata/annotations/meta.helm.sh~1release-name";
const RELEASE_NAMESPACE: &str = "/metadata/annotations/meta.helm.sh~1release-namespace";
const RESOURCE_POLICY: &str = "/metadata/annotations/helm.sh~1resource-policy";

/// What is found in one object.
pub(super) fn check(subject: &Subject, object: &Value, target: &Target) -> Vec<Finding> {
    match subject.kind.as_str() {
        "CustomResourceDefinition" if DEFINITIONS.contains(&subject.name.as_str()) => {
            definition(subject, object, target)
        }
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => {
            configuration(subject, object, target)
        }
        "ConfigMap" if subject.name == CONTROLS_CONFIG_MAP => settings(subject, object, target),
        _ => Vec::new(),
    }
}

/// What is found in several objects together.
pub(super) fn together(objects: &[Value], target: &Target) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(namespaces(objects));
    found.extend(leases(objects, target));
    found
}

/// Who owns the definition, and so all policies with it.
fn definition(subject: &Subject, object: &Value, target: &Target) -> Vec<Finding> {
    let (release, namespace) = (text(object, RELEASE_NAME), text(object, RELEASE_NAMESPACE));
    let name = &subject.name;
    let keep = format!("kubectl annotate crd {name} helm.sh/resource-policy=keep --overwrite");
    let adopt = format!(
        "kubectl annotate crd {name} meta.helm.sh/release-name={} meta.helm.sh/release-namespace={} --overwrite && kubectl label crd {name} app.kubernetes.io/managed-by=Helm --overwrite",
        target.release, target.namespace
    );
    let is_kept = text(object, RESOURCE_POLICY) == "keep";
    let mut found = Vec::new();
    if release.is_empty() {
        found.push(subject.finding(
            Severity::Changes,
            "definition-owner",
            "metadata.annotations",
            "it belongs to no Helm release: whoever deletes the manifests that it was applied from deletes every policy with it".to_owned(),
            [
                "leave it out when policy-controller is removed",
                &keep,
                &adopt,
            ],
        ));
    } else if release != target.release && !is_kept {
        let upgrade = format!(
            "helm upgrade {release} sigstore/policy-controller --version VERSION --namespace {namespace} --reuse-values --set installCRDs=false"
        );
        found.push(subject.finding(
            Severity::Blocks,
            "definition-owner",
            "metadata.annotations",
            format!("helm uninstall {release} would delete it, and every policy with it. What counts then is what the release holds, not what is annotated here: the release must let go of it first"),
            [&keep, &upgrade, &adopt],
        ));
    } else if release != target.release {
        let look = format!(
            "helm get manifest {release} --namespace {namespace} | grep -c 'kind: CustomResourceDefinition' must say 0 before helm uninstall {release}"
        );
        found.push(subject.finding(
            Severity::Changes,
            "definition-owner",
            "metadata.annotations",
            format!("it still names release {release} as its owner, so that the chart of Vouchsafe does not take it over"),
            [&look, &adopt],
        ));
    }
    if text(object, "/spec/conversion/strategy") == "Webhook" {
        found.push(subject.finding(
            Severity::Changes,
            "conversion",
            "spec.conversion",
            "versions are converted by policy-controller's Service: without it no policy can be read in the other version".to_owned(),
            ["install Vouchsafe's definitions before policy-controller goes; they convert nothing, and both versions are the same"],
        ));
    }
    found
}

fn configuration(subject: &Subject, object: &Value, target: &Target) -> Vec<Finding> {
    let name = subject.name.as_str();
    let ours = [
        target.release.clone(),
        format!("{}-policies", target.release),
    ];
    if ours.iter().any(|ours| ours == name) && text(object, RELEASE_NAME) != target.release {
        return vec![subject.finding(
            Severity::Blocks,
            "name-taken",
            "metadata.name",
            format!("a release {} would make a webhook configuration of this name, and somebody else's is there", target.release),
            ["install under another name (fullnameOverride), or remove it"],
        )];
    }
    if !CONFIGURATIONS.contains(&name) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let webhooks = object.get("webhooks").and_then(Value::as_array);
    for (index, webhook) in webhooks.into_iter().flatten().enumerate() {
        found.extend(registration(
            subject,
            webhook,
            &format!("webhooks[{index}]"),
        ));
    }
    if text(object, RELEASE_NAME).is_empty() {
        let kind = subject.kind.to_lowercase();
        found.push(subject.finding(
            Severity::Note,
            "webhook-owner",
            "metadata.annotations",
            "it belongs to no Helm release; left behind without its Service it denies everything it is asked about".to_owned(),
            [&format!("when policy-controller is removed: kubectl delete {kind} {name}")],
        ));
    }
    found
}

/// One webhook of policy-controller about workloads, whose scope has to be given to our chart.
fn registration(subject: &Subject, webhook: &Value, path: &str) -> Vec<Finding> {
    if subject.name != "policy.sigstore.dev" {
        return Vec::new();
    }
    let mut found = Vec::new();
    let usual = json!({"key": INCLUDE, "operator": "In", "values": ["true"]});
    let selector = webhook.get("namespaceSelector");
    let expressions = selector
        .and_then(|selector| selector.get("matchExpressions"))
        .and_then(Value::as_array);
    let own = expressions
        .into_iter()
        .flatten()
        .filter(|expression| text(expression, "/key") != "webhooks.knative.dev/exclude");
    let labels = selector.and_then(|selector| selector.get("matchLabels"));
    if own.collect::<Vec<_>>() != [&usual] || labels.is_some() {
        found.push(subject.finding(
            Severity::Changes,
            "selector",
            format!("{path}.namespaceSelector"),
            "namespaces are chosen otherwise than by the label policy.sigstore.dev/include=true, which is the chart's default".to_owned(),
            ["choose the same namespaces by scope and webhooks.namespaceSelector of the chart"],
        ));
    }
    let objects = webhook.get("objectSelector");
    if objects.is_some_and(|selector| *selector != json!({})) {
        found.push(subject.finding(
            Severity::Changes,
            "selector",
            format!("{path}.objectSelector"),
            "only some objects are judged".to_owned(),
            ["judge them all, or give the chart a condition (webhooks.matchConditions)"],
        ));
    }
    if text(webhook, "/failurePolicy") == "Ignore" && subject.kind.starts_with("Validating") {
        found.push(subject.finding(
            Severity::Changes,
            "failure-policy",
            format!("{path}.failurePolicy"),
            "what cannot be asked is admitted now; the chart of Vouchsafe sets Fail".to_owned(),
            ["know that new Pods wait while no replica answers"],
        ));
    }
    found
}

fn settings(subject: &Subject, object: &Value, target: &Target) -> Vec<Finding> {
    let mut found = Vec::new();
    let value = text(object, "/data/no-match-policy");
    if !["", "deny", "allow", "warn"].contains(&value) {
        found.push(subject.finding(
            Severity::Changes,
            "setting",
            "data.no-match-policy",
            format!("{value:?} means deny to policy-controller; here it is no value, and --no-match-policy holds"),
            ["write deny, allow or warn"],
        ));
    }
    if text(object, "/data/enable-oci11") == "true" {
        found.push(subject.finding(
            Severity::Changes,
            "referrers",
            "data.enable-oci11",
            "what refers to an image always counts here, and only when its signature is verified; there attestations among referrers are not verified".to_owned(),
            ["see in shadow that they are signed by whom the policies name"],
        ));
    }
    let release = text(object, RELEASE_NAME);
    if !release.is_empty() && release != target.release {
        found.push(subject.finding(
            Severity::Changes,
            "settings-owner",
            "metadata.annotations",
            format!("Vouchsafe reads it as well, and it goes with release {release}; then the flags hold"),
            ["give the chart of Vouchsafe the same settings before policy-controller is removed"],
        ));
    }
    found
}

/// Which namespaces are judged.
fn namespaces(objects: &[Value]) -> Option<Finding> {
    let all: Vec<&Value> = objects
        .iter()
        .filter(|object| text(object, "/kind") == "Namespace")
        .collect();
    let included: Vec<&str> = all
        .iter()
        .filter(|namespace| {
            let labels = namespace.pointer("/metadata/labels");
            labels.and_then(|labels| labels.get(INCLUDE)) == Some(&json!("true"))
        })
        .map(|namespace| text(namespace, "/metadata/name"))
        .collect();
    if included.is_empty() {
        return None;
    }
    let listed: Vec<&str> = included.iter().copied().take(NAMES).collect();
    let more = match included.len().saturating_sub(NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let subject = Subject {
        kind: "Namespace".to_owned(),
        name: listed.join(", ") + &more,
    };
    Some(subject.finding(
        Severity::Note,
        "namespaces",
        "",
        format!(
            "labelled {INCLUDE}=true, so that both judge what runs there ({} in all)",
            included.len()
        ),
        [],
    ))
}

/// policy-controller's Leases, which say whether it still runs.
fn leases(objects: &[Value], target: &Target) -> Option<Finding> {
    let lease = objects.iter().find(|object| {
        text(object, "/kind") == "Lease"
            && text(object, "/metadata/name").starts_with("policy-controller")
    })?;
    Some(Subject::of(lease).finding(
        Severity::Note,
        "leases",
        "",
        format!("as long as policy-controller renews its Leases it writes the status of policies, and Vouchsafe does not. Its uninstall deletes every Lease in {}; Vouchsafe makes its own again", target.namespace),
        [],
    ))
}
