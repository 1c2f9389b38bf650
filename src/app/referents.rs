//! What objects hold for policies to refer to, and what among the documents of files nobody can refer to.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::adapters::enforced::Objects;
use crate::adapters::files::{Documents, Origin};
use crate::policy::{Referents, RemotePolicy, remote_policies};

/// What objects hold for policies to refer to: nothing that would have to be fetched.
pub fn referents(objects: &Objects, namespace: &str) -> Referents {
    let ours = objects.config_maps.iter();
    let ours = ours.filter(|map| is_in(&map.metadata, namespace));
    let config_maps = ours.map(|map| {
        let name = map.metadata.name.clone().unwrap_or_default();
        (name, map.data.clone().unwrap_or_default())
    });
    let ours = objects.secrets.iter();
    let ours = ours.filter(|secret| is_in(&secret.metadata, namespace));
    let secrets = ours.filter_map(|secret| {
        let data = secret.data.iter().flatten();
        let data = data.map(|(key, bytes)| (key.clone(), bytes.0.clone()));
        Some((secret.metadata.name.clone()?, data.collect()))
    });
    Referents {
        namespace: namespace.to_owned(),
        config_maps: config_maps.collect(),
        secrets: secrets.collect(),
        ..Referents::default()
    }
}

/// The texts behind URLs that these objects refer to.
pub(super) fn remote_texts(objects: &[&Objects]) -> BTreeSet<RemotePolicy> {
    let policies = objects.iter().flat_map(|objects| &objects.policies);
    policies
        .flat_map(|policy| remote_policies(policy))
        .collect()
}

/// Whether something is in this namespace, which is that of whatever names none.
pub(super) fn is_in(metadata: &ObjectMeta, namespace: &str) -> bool {
    let own = metadata.namespace.as_deref().unwrap_or_default();
    own.is_empty() || own == namespace
}

/// Documents that were read and mean nothing to this version, each in words: nobody shall believe that they are in force.
pub fn unused(documents: &Documents, namespace: &str) -> Vec<String> {
    let line = |kind: &str, name: Option<&String>, origin: &Origin| {
        let name = name.map_or("", String::as_str);
        format!(
            "{}: {kind} {name} is not used by this version",
            origin.file.display()
        )
    };
    let foreign = documents
        .config_maps
        .iter()
        .filter(|d| !is_in(&d.value.metadata, namespace));
    let maps = foreign.map(|d| {
        let name = d.value.metadata.name.as_deref().unwrap_or_default();
        format!(
            "{}: ConfigMap {name} is not used: policies refer to those of namespace {namespace}",
            d.origin.file.display()
        )
    });
    let namespaces = documents
        .namespaces
        .iter()
        .map(|d| line("Namespace", d.value.metadata.name.as_ref(), &d.origin));
    maps.chain(namespaces).collect()
}
