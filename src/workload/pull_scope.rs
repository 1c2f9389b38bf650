//! Whose credentials may fetch the images of a workload.

use serde_json::Value;

use super::kinds::Kind;
use super::pattern::Pattern;

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
    /// The scope of an object of this kind in `namespace`: of a kind with several Pod specs the first service account, and the pull
    /// secrets of all.
    pub fn of(kind: &Kind, object: &Value, namespace: &str) -> Self {
        let specs = all(&kind.pod_specs, object);
        let own_account = all(kind.service_account.as_slice(), object);
        let own_secrets = all(&kind.pull_secrets, object);
        let account = specs
            .iter()
            .filter_map(|spec| spec.get("serviceAccountName"))
            .chain(own_account)
            .find_map(|name| text(Some(name)));
        let lists = specs
            .iter()
            .filter_map(|spec| spec.get("imagePullSecrets"))
            .chain(own_secrets);
        let mut pull_secrets = Vec::new();
        for secret in lists.filter_map(Value::as_array).flatten() {
            if let Some(name) = text(secret.get("name"))
                && !pull_secrets.contains(&name)
            {
                pull_secrets.push(name);
            }
        }
        Self {
            namespace: namespace.to_owned(),
            service_account: account.unwrap_or_else(|| "default".to_owned()),
            pull_secrets,
        }
    }
}

/// What is there. What is of another type names no credentials.
fn all<'a>(patterns: &[Pattern], object: &'a Value) -> Vec<&'a Value> {
    let found = patterns
        .iter()
        .filter_map(|pattern| pattern.find(object).ok());
    found.flatten().map(|(_, value)| value).collect()
}

fn text(value: Option<&Value>) -> Option<String> {
    value
        .and_then(Value::as_str)
        .filter(|s| !s.is_empty())
        .map(str::to_owned)
}
