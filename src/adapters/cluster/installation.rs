//! What a cluster holds of sigstore/policy-controller, read with the rights of whoever asks: for a look at what changes when Vouchsafe
//! takes its place.
//!
//! Nothing is changed. What may not be read is said and not passed over.

use std::time::Duration;

use kube::api::{DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Error};
use serde_json::Value;
use tokio::time::timeout;

use super::Cluster;

/// How long one kind may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Objects of one answer.
const PAGE: u32 = 500;
/// Objects of one kind.
const MOST: usize = 20_000;

/// What is looked at: group, version, kind, plural, and whether only in our namespace.
const KINDS: [(&str, &str, &str, &str, bool); 8] = [
    (
        "policy.sigstore.dev",
        "v1alpha1",
        "ClusterImagePolicy",
        "clusterimagepolicies",
        false,
    ),
    (
        "policy.sigstore.dev",
        "v1alpha1",
        "TrustRoot",
        "trustroots",
        false,
    ),
    (
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        false,
    ),
    (
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        false,
    ),
    (
        "admissionregistration.k8s.io",
        "v1",
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        false,
    ),
    ("", "v1", "Namespace", "namespaces", false),
    ("", "v1", "ConfigMap", "configmaps", true),
    ("coordination.k8s.io", "v1", "Lease", "leases", true),
];

/// The group of the definitions that are looked at; others are left out.
const GROUP: &str = ".policy.sigstore.dev";

/// What was read, and what could not be.
#[derive(Debug, Default)]
pub struct Installation {
    /// The objects, each with its `apiVersion` and `kind`.
    pub objects: Vec<Value>,
    /// Each kind that could not be read, and why.
    pub unread: Vec<Unread>,
}

/// A kind that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{plural} cannot be read: {found}; who asks needs the right to list them")]
pub struct Unread {
    /// Its plural, as it stands in a role.
    pub plural: &'static str,
    /// What the API server says.
    pub found: String,
}

impl Cluster {
    /// Everything of policy-controller that there is, and what stands in the way of what comes after it.
    pub async fn installation(&self) -> Installation {
        let mut installation = Installation::default();
        for (group, version, kind, plural, ours) in KINDS {
            let resource = ApiResource::from_gvk_with_plural(
                &GroupVersionKind::gvk(group, version, kind),
                plural,
            );
            let api: Api<DynamicObject> = if ours {
                Api::namespaced_with(self.client(), self.namespace(), &resource)
            } else {
                Api::all_with(self.client(), &resource)
            };
            let read = timeout(PATIENCE, all(&api)).await;
            let read =
                read.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())));
            match read {
                Ok(objects) => {
                    let objects = objects.into_iter().map(|object| typed(object, &resource));
                    installation
                        .objects
                        .extend(objects.filter(|object| is_wanted(object, kind)));
                }
                Err(found) => installation.unread.push(Unread { plural, found }),
            }
        }
        installation
    }
}

/// All objects of a kind, page by page; none where the kind is not served.
async fn all(api: &Api<DynamicObject>) -> Result<Vec<DynamicObject>, String> {
    let mut objects = Vec::new();
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let list = match api.list(&page).await {
            Ok(list) => list,
            Err(Error::Api(status)) if status.is_not_found() => return Ok(objects),
            Err(Error::Api(status)) => return Err(status.message.clone()),
            Err(error) => return Err(error.to_string()),
        };
        objects.extend(list.items);
        if objects.len() > MOST {
            return Err(format!("there are more than {MOST}"));
        }
        match list.metadata.continue_ {
            Some(token) if !token.is_empty() => page = page.continue_token(&token),
            _ => return Ok(objects),
        }
    }
}

/// As it would be written: items of a list do not say what they are.
fn typed(object: DynamicObject, resource: &ApiResource) -> Value {
    let mut object = serde_json::to_value(object).unwrap_or_default();
    if let Some(fields) = object.as_object_mut() {
        fields.insert(
            "apiVersion".to_owned(),
            Value::String(resource.api_version.clone()),
        );
        fields.insert("kind".to_owned(), Value::String(resource.kind.clone()));
    }
    object
}

/// Of the definitions only those of policies.
fn is_wanted(object: &Value, kind: &str) -> bool {
    let name = object.pointer("/metadata/name").and_then(Value::as_str);
    kind != "CustomResourceDefinition" || name.is_some_and(|name| name.ends_with(GROUP))
}
