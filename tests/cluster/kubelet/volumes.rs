//! The volumes of a Pod as folders: Secrets, ConfigMaps, tokens, empty folders.
//!
//! Files are exchanged as the kubelet does it: a new folder, then the link `..data` is turned to it, so that a program sees the old files
//! or the new ones and never a mixture.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{list, name_of, spec, text};
use crate::api::Api;

/// Files by their paths in a volume.
type Files = BTreeMap<String, Vec<u8>>;

/// The volumes of one Pod.
pub(super) struct Volumes {
    volumes: Vec<Volume>,
}

struct Volume {
    name: String,
    specification: Value,
    folder: PathBuf,
    /// What lies there now; `None` where it is the program's own.
    files: Option<Files>,
    /// Tokens that were asked for, by their path.
    tokens: Files,
    turns: u32,
}

// === impl Volumes ===

impl Volumes {
    /// The volumes of that Pod in `folder`, empty as yet.
    pub(super) fn of(pod: &Value, folder: &Path) -> Self {
        let volume = |specification: &Value| Volume {
            name: text(&specification["name"]).to_owned(),
            folder: folder.join(text(&specification["name"])),
            specification: specification.clone(),
            files: None,
            tokens: Files::new(),
            turns: 0,
        };
        let volumes = list(&pod["spec"]["volumes"]);
        Self {
            volumes: volumes.iter().map(volume).collect(),
        }
    }

    /// Lays out what they hold now. An error says what is not there; what was laid out before stays.
    pub(super) async fn lay_out(&mut self, api: &Api, pod: &Value) -> Result<(), String> {
        for volume in &mut self.volumes {
            volume.lay_out(api, pod).await?;
        }
        Ok(())
    }

    /// Where the volume of that name is.
    pub(super) fn folder(&self, name: &str) -> &Path {
        let volume = self.volumes.iter().find(|volume| volume.name == name);
        &volume.unwrap_or_else(|| panic!("no volume {name}")).folder
    }
}

// === impl Volume ===

impl Volume {
    async fn lay_out(&mut self, api: &Api, pod: &Value) -> Result<(), String> {
        if self.specification["emptyDir"].is_object() {
            if !self.folder.is_dir() {
                std::fs::create_dir_all(&self.folder).unwrap();
                let everybody = std::fs::Permissions::from_mode(0o777);
                std::fs::set_permissions(&self.folder, everybody).unwrap();
            }
            return Ok(());
        }
        let files = self.read(api, pod).await?;
        if self.files.as_ref() != Some(&files) {
            let mode = self.mode();
            let group = pod.pointer("/spec/securityContext/fsGroup");
            let group = group
                .and_then(Value::as_u64)
                .map(|group| u32::try_from(group).unwrap());
            self.turns += 1;
            turn(&self.folder, &files, self.turns, mode, group);
            self.files = Some(files);
        }
        Ok(())
    }

    fn mode(&self) -> u32 {
        let sources = ["secret", "configMap", "projected", "downwardAPI"];
        let mode = sources
            .iter()
            .find_map(|source| self.specification[source]["defaultMode"].as_u64());
        mode.map_or(0o644, |mode| u32::try_from(mode).unwrap())
    }

    async fn read(&mut self, api: &Api, pod: &Value) -> Result<Files, String> {
        let sources = match &self.specification["projected"]["sources"] {
            Value::Array(sources) => sources.clone(),
            _ => vec![self.specification.clone()],
        };
        let mut files = Files::new();
        for source in &sources {
            if let Value::Object(token) = &source["serviceAccountToken"] {
                let path = token.get("path").map_or("token", text).to_owned();
                if !self.tokens.contains_key(&path) {
                    let asked = token_for(api, pod, &source["serviceAccountToken"]).await?;
                    self.tokens.insert(path.clone(), asked.into_bytes());
                }
                files.insert(path.clone(), self.tokens[&path].clone());
            }
            for item in list(&source["downwardAPI"]["items"]) {
                let value = spec::field(pod, text(&item["fieldRef"]["fieldPath"]));
                files.insert(text(&item["path"]).to_owned(), value.into_bytes());
            }
            for (field, kind) in [("secret", "secrets"), ("configMap", "configmaps")] {
                if source[field].is_object() {
                    let data = spec::data(api, pod, kind, &source[field]).await?;
                    files.extend(chosen(&source[field], data.unwrap_or_default())?);
                }
            }
        }
        Ok(files)
    }
}

/// The items that are asked for, under the paths that they are to have; all of them when none is.
fn chosen(reference: &Value, mut data: Files) -> Result<Files, String> {
    let items = list(&reference["items"]);
    if items.is_empty() {
        return Ok(data);
    }
    let mut files = Files::new();
    for item in items {
        let key = text(&item["key"]);
        match data.remove(key) {
            Some(bytes) => _ = files.insert(text(&item["path"]).to_owned(), bytes),
            None if reference["optional"] == true => {}
            None => return Err(format!("no key {key} in {reference}")),
        }
    }
    Ok(files)
}

/// A token of the Pod's service account, bound to the Pod.
async fn token_for(api: &Api, pod: &Value, wanted: &Value) -> Result<String, String> {
    let (namespace, name) = name_of(pod);
    let account = pod["spec"]["serviceAccountName"]
        .as_str()
        .unwrap_or("default");
    let audiences: Vec<&str> = wanted["audience"].as_str().into_iter().collect();
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            "audiences": audiences,
            "expirationSeconds": wanted["expirationSeconds"].as_u64().unwrap_or(3600),
            "boundObjectRef": {
                "apiVersion": "v1", "kind": "Pod", "name": name, "uid": pod["metadata"]["uid"],
            },
        },
    });
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
    let answer = api.post(&path, &request).await;
    let answer = answer.map_err(|error| format!("a token of {account}: {error}"))?;
    Ok(text(&answer["status"]["token"]).to_owned())
}

/// Writes these files into a folder of their own, and turns `..data` to it.
fn turn(folder: &Path, files: &Files, number: u32, mode: u32, group: Option<u32>) {
    let fresh = folder.join(format!("..{number}"));
    std::fs::create_dir_all(&fresh).unwrap();
    for (path, bytes) in files {
        let file = fresh.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, bytes).unwrap();
        // A group that is named may read them.
        let mode = mode | group.map_or(0, |_| 0o440);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        if group.is_some() {
            chown(&file, None, group).unwrap();
        }
    }
    let link = folder.join("..data_tmp");
    symlink(format!("..{number}"), &link).unwrap();
    std::fs::rename(&link, folder.join("..data")).unwrap();
    for path in files.keys() {
        let first = path.split('/').next().unwrap();
        // There since an earlier turn.
        let _there = symlink(format!("..data/{first}"), folder.join(first));
    }
    if number > 1 {
        std::fs::remove_dir_all(folder.join(format!("..{}", number - 1))).unwrap();
    }
}
