//! What a Secret holds for registries.

use k8s_openapi::api::core::v1::Secret;

use crate::gather::KeychainEntry;
use crate::gather::keychain::docker::{entries_from_dockercfg, entries_from_dockerconfigjson};

/// The entries of a pull secret; `source` names it in messages. One that cannot be read has none, as for the kubelet.
pub(in crate::adapters) fn entries(source: &str, secret: &Secret) -> Vec<KeychainEntry> {
    let data = |key: &str| secret.data.as_ref().and_then(|data| data.get(key));
    let read = match (data(".dockerconfigjson"), data(".dockercfg")) {
        (Some(json), _) => entries_from_dockerconfigjson(&json.0, source),
        (None, Some(json)) => entries_from_dockercfg(&json.0, source),
        (None, None) => Ok(Vec::new()),
    };
    read.unwrap_or_else(|error| {
        tracing::warn!(source, %error, "a pull secret cannot be read");
        Vec::new()
    })
}

/// How a pull secret is called in messages.
pub(in crate::adapters) fn source(namespace: &str, name: &str) -> String {
    format!("secret {namespace}/{name}")
}
