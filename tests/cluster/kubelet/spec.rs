//! What a container's specification says, with everything looked up that it refers to.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{list, name_of, text};
use crate::api::{Api, is_absent};
use crate::control_plane::PORT;
use crate::network::HOST;

/// The environment of a container. An error says what is not there yet.
pub(super) async fn environment(
    api: &Api,
    pod: &Value,
    container: &Value,
) -> Result<BTreeMap<String, String>, String> {
    let mut known = BTreeMap::from([
        (
            "PATH".to_owned(),
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        ),
        ("HOSTNAME".to_owned(), name_of(pod).1.to_owned()),
        ("KUBERNETES_SERVICE_HOST".to_owned(), HOST.to_string()),
        ("KUBERNETES_SERVICE_PORT".to_owned(), PORT.to_string()),
    ]);
    for source in list(&container["envFrom"]) {
        let prefix = text(&source["prefix"]);
        for (field, kind) in [("configMapRef", "configmaps"), ("secretRef", "secrets")] {
            if !source[field].is_object() {
                continue;
            }
            for (key, bytes) in data(api, pod, kind, &source[field])
                .await?
                .unwrap_or_default()
            {
                let value = String::from_utf8_lossy(&bytes).into_owned();
                known.insert(format!("{prefix}{key}"), value);
            }
        }
    }
    for entry in list(&container["env"]) {
        let name = text(&entry["name"]).to_owned();
        let value = match &entry["valueFrom"] {
            Value::Null => Some(expand(text(&entry["value"]), &known)),
            from => looked_up(api, pod, container, from).await?,
        };
        if let Some(value) = value {
            known.insert(name, value);
        }
    }
    Ok(known)
}

/// The arguments of a container, with `$(NAME)` replaced. Its entry point is the program, unless it names a command.
pub(super) fn command_line(
    container: &Value,
    program: &str,
    environment: &BTreeMap<String, String>,
) -> Vec<String> {
    let expanded = |field: &str| -> Vec<String> {
        let parts = list(&container[field]).iter();
        parts.map(|part| expand(text(part), environment)).collect()
    };
    let mut line = expanded("command");
    if line.is_empty() {
        line.push(program.to_owned());
    }
    line.extend(expanded("args"));
    line
}

/// What a field of the Pod says (`fieldRef`).
pub(super) fn field(pod: &Value, path: &str) -> String {
    if let Some((map, key)) = path.split_once('[') {
        let key = key.trim_matches(|c: char| matches!(c, '\'' | '"' | ']'));
        let map = map.replace('.', "/");
        let entries = pod.pointer(&format!("/{map}"));
        return entries.map_or("", |entries| text(&entries[key])).to_owned();
    }
    match path {
        "status.hostIP" => HOST.to_string(),
        "status.podIPs" => field(pod, "status.podIP"),
        _ => {
            let value = pod.pointer(&format!("/{}", path.replace('.', "/")));
            value.map_or("", text).to_owned()
        }
    }
}

/// The data of a Secret or ConfigMap that is referred to; `None` when it is optional and not there.
pub(super) async fn data(
    api: &Api,
    pod: &Value,
    kind: &str,
    reference: &Value,
) -> Result<Option<BTreeMap<String, Vec<u8>>>, String> {
    let namespace = name_of(pod).0;
    let named = [&reference["name"], &reference["secretName"]];
    let name = named
        .iter()
        .find_map(|name| name.as_str())
        .unwrap_or_default();
    let path = format!("/api/v1/namespaces/{namespace}/{kind}/{name}");
    let object = match api.get(&path).await {
        Ok(object) => object,
        Err(error) if is_absent(&error) && reference["optional"] == true => return Ok(None),
        Err(error) => return Err(format!("{kind} {name}: {error}")),
    };
    let mut data = BTreeMap::new();
    let entries = |field: &str| object[field].as_object().cloned().unwrap_or_default();
    for (key, value) in entries("data") {
        let bytes = match kind {
            "secrets" => STANDARD.decode(text(&value)).unwrap(),
            _ => text(&value).as_bytes().to_vec(),
        };
        data.insert(key, bytes);
    }
    for (key, value) in entries("binaryData") {
        data.insert(key, STANDARD.decode(text(&value)).unwrap());
    }
    Ok(Some(data))
}

async fn looked_up(
    api: &Api,
    pod: &Value,
    container: &Value,
    from: &Value,
) -> Result<Option<String>, String> {
    if let Some(path) = from["fieldRef"]["fieldPath"].as_str() {
        return Ok(Some(field(pod, path)));
    }
    if let Some(resource) = from["resourceFieldRef"]["resource"].as_str() {
        let path = format!("/resources/{}", resource.replace('.', "/"));
        let quantity = container.pointer(&path).map_or("", text);
        return Ok(Some(bytes_of(quantity).to_string()));
    }
    for (field, kind) in [
        ("configMapKeyRef", "configmaps"),
        ("secretKeyRef", "secrets"),
    ] {
        let reference = &from[field];
        if !reference.is_object() {
            continue;
        }
        let key = text(&reference["key"]);
        let found = data(api, pod, kind, reference).await?;
        return match found.and_then(|mut data| data.remove(key)) {
            Some(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            None if reference["optional"] == true => Ok(None),
            None => Err(format!("no key {key} in {reference}")),
        };
    }
    Err(format!("the stand-in cannot look up {from}"))
}

/// A quantity of memory in bytes, or of processors in whole ones.
fn bytes_of(quantity: &str) -> u64 {
    let digits: String = quantity.chars().take_while(char::is_ascii_digit).collect();
    let number: u64 = digits.parse().unwrap_or_default();
    match quantity.trim_start_matches(|c: char| c.is_ascii_digit()) {
        "Ki" => number << 10,
        "Mi" => number << 20,
        "Gi" => number << 30,
        "m" => number.div_ceil(1000),
        _ => number,
    }
}

/// `$(NAME)` is replaced where the name is known, and `$$` is a dollar.
fn expand(text: &str, known: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let reference = after
            .strip_prefix('(')
            .and_then(|inner| inner.split_once(')'));
        rest = if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            after
        } else if let Some((value, after)) =
            reference.and_then(|(name, after)| Some((known.get(name)?, after)))
        {
            out.push_str(value);
            after
        } else {
            out.push('$');
            after
        };
    }
    out + rest
}
