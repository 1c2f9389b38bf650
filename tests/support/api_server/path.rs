//! Paths of the API: which resource, which object, which part of it.

use std::collections::BTreeMap;

use serde_json::Value;

/// One object's place in the store. Versions of a group share their objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) group: String,
    pub(crate) plural: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// What a path names. `key.name` is empty for a whole resource, `key.namespace` for one of no or of every namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) key: Key,
    pub(crate) version: String,
    pub(crate) subresource: String,
}

/// What a path names; `None` for one that is no path of objects.
pub(crate) fn parse(path: &str) -> Option<Target> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return None,
    };
    let (namespace, rest) = match rest {
        ["namespaces", _, "status" | "finalize"] | ["namespaces"] | ["namespaces", _] => ("", rest),
        ["namespaces", namespace, rest @ ..] => (*namespace, rest),
        rest => ("", rest),
    };
    let (plural, name, subresource) = match rest {
        [plural] => (*plural, "", String::new()),
        [plural, name] => (*plural, *name, String::new()),
        [plural, name, subresource @ ..] => (*plural, *name, subresource.join("/")),
        [] => return None,
    };
    Some(Target {
        key: Key {
            group: group.to_owned(),
            plural: plural.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        },
        version: version.to_owned(),
        subresource,
    })
}

/// The key of an object's path.
pub(crate) fn key(path: &str) -> Key {
    let target = parse(path).expect("a path of the API");
    assert!(!target.key.name.is_empty(), "{path} names no object");
    target.key
}

/// Where an object is stored that says what it is.
pub(crate) fn key_of(object: &Value) -> Key {
    let text = |pointer: &str| {
        let found = object.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    let (api_version, kind) = (text("/apiVersion"), text("/kind"));
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    Key {
        group: group.to_owned(),
        plural: plural(&kind),
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name"),
    }
}

/// `ClusterImagePolicy` → `clusterimagepolicies`.
fn plural(kind: &str) -> String {
    let kind = kind.to_lowercase();
    match kind.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{kind}s"),
    }
}

/// The parameters of a query, decoded.
pub(crate) fn query(query: Option<&str>) -> BTreeMap<String, String> {
    let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}
