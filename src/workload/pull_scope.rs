//! Whose credentials may fetch the images of a workload.

use serde_json::Value;

use super::kinds::Kind;

/// The identity under which the kubelet would pull: namespace, service account, and the Pod's own pull secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PullScope {
    /// The namespace of the workload; empty on the command line.
    pub namespace: String,
    /// The service account, `default` where none is named.
    pub service_account: String,
    /// Names of `imagePullSecrets`, in order.
    pub pull_secrets: Vec<String>,
}

impl PullScope {
    /// The scope of an object of this kind in `namespace`.
    pub fn of(kind: &Kind, object: &Value, namespace: &str) -> Self {
        let spec = kind
            .pod_spec
            .iter()
            .try_fold(object, |value, key| value.get(key))
            .unwrap_or(&Value::Null);
        let text = |value: Option<&Value>| {
            value
                .and_then(Value::as_str)
                .filter(|s| !s.is_empty())
                .map(str::to_owned)
        };
        let secrets = spec
            .get("imagePullSecrets")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        Self {
            namespace: namespace.to_owned(),
            service_account: text(spec.get("serviceAccountName"))
                .unwrap_or_else(|| "default".to_owned()),
            pull_secrets: secrets
                .filter_map(|secret| text(secret.get("name")))
                .collect(),
        }
    }
}
