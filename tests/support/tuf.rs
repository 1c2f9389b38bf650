//! A TUF repository of our own: whatever state it is asked for, signed as it must be, or as it must not be.

use std::collections::BTreeMap;
use std::io::Write as _;

use ed25519_dalek::{Signer as _, SigningKey};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sigstore_tuf::canonical_json::to_canonical_bytes;

/// A repository whose four roles share one key, with consistent snapshots.
#[derive(Clone)]
pub struct TufRepository {
    /// The versions of root, timestamp, snapshot and targets.
    pub versions: [u64; 4],
    /// When each of them expires.
    pub expires: [&'static str; 4],
    /// The key that signs everything.
    pub key: u8,
    /// The key that vouches for a second root, if that one is not signed by the first.
    pub next_root_signed_by: Option<u8>,
    pub targets: BTreeMap<String, (Vec<u8>, Value)>,
}

/// Whatever it is about, it is after this.
pub const FAR: &str = "2999-01-01T00:00:00Z";

impl TufRepository {
    /// One target, everything at version 1.
    pub fn new(target: &str, content: &[u8]) -> Self {
        let targets = [(target.to_owned(), (content.to_vec(), Value::Null))];
        Self {
            versions: [1; 4],
            expires: [FAR; 4],
            key: 1,
            next_root_signed_by: None,
            targets: targets.into(),
        }
    }

    /// The same repository after everything below the root was published again.
    pub fn published_again(mut self) -> Self {
        for version in self.versions.iter_mut().skip(1) {
            *version += 1;
        }
        self
    }

    /// The root to begin with.
    pub fn root(&self) -> Vec<u8> {
        signed(&self.root_body(1, self.key), &[self.key])
    }

    /// Every file of the repository, by its path.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let [root, timestamp, snapshot, targets] = self.versions;
        let [_, timestamp_expires, snapshot_expires, targets_expires] = self.expires;
        let mut files = BTreeMap::new();
        for version in 1..=root {
            let signers = match self.next_root_signed_by {
                Some(other) if version > 1 => vec![other],
                _ => vec![self.key],
            };
            let body = self.root_body(version, self.key);
            files.insert(format!("{version}.root.json"), signed(&body, &signers));
        }
        let mut listed = serde_json::Map::new();
        for (name, (content, custom)) in &self.targets {
            let digest = hex::encode(Sha256::digest(content));
            let mut entry = json!({"length": content.len(), "hashes": {"sha256": digest}});
            if !custom.is_null() {
                entry["custom"] = custom.clone();
            }
            listed.insert(name.clone(), entry);
            let path = match name.rsplit_once('/') {
                Some((folder, name)) => format!("targets/{folder}/{digest}.{name}"),
                None => format!("targets/{digest}.{name}"),
            };
            files.insert(path, content.clone());
        }
        let role = |kind: &str, version: u64, expires: &str| json!({"_type": kind, "spec_version": "1.0.31", "version": version, "expires": expires});
        let mut body = role("targets", targets, targets_expires);
        body["targets"] = Value::Object(listed);
        files.insert(
            format!("{targets}.targets.json"),
            signed(&body, &[self.key]),
        );
        let mut body = role("snapshot", snapshot, snapshot_expires);
        body["meta"] = json!({"targets.json": {"version": targets}});
        let snapshot_bytes = signed(&body, &[self.key]);
        let mut body = role("timestamp", timestamp, timestamp_expires);
        body["meta"] = json!({"snapshot.json": {
            "version": snapshot, "length": snapshot_bytes.len(),
            "hashes": {"sha256": hex::encode(Sha256::digest(&snapshot_bytes))},
        }});
        files.insert(format!("{snapshot}.snapshot.json"), snapshot_bytes);
        files.insert("timestamp.json".to_owned(), signed(&body, &[self.key]));
        files
    }

    /// The repository as `mirrorFS` holds it.
    pub fn archive(&self) -> Vec<u8> {
        archive(
            self.files()
                .into_iter()
                .map(|(path, content)| (format!("repository/{path}"), content)),
        )
    }

    fn root_body(&self, version: u64, key: u8) -> Value {
        let role = json!({"keyids": [key_id(key)], "threshold": 1});
        json!({
            "_type": "root", "spec_version": "1.0.31", "version": version, "expires": self.expires[0],
            "consistent_snapshot": true,
            "keys": {key_id(key): {"keytype": "ed25519", "scheme": "ed25519",
                "keyval": {"public": hex::encode(signing_key(key).verifying_key().as_bytes())}}},
            "roles": {"root": role, "timestamp": role, "snapshot": role, "targets": role},
        })
    }
}

/// A gzipped tar archive of these files.
pub fn archive(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(content.len()).unwrap());
        header.set_mode(0o644);
        if path.starts_with('/') || path.contains("..") {
            // Not by the builder, which refuses names that lead elsewhere.
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            tar.append(&header, content.as_slice()).unwrap();
        } else {
            tar.append_data(&mut header, path, content.as_slice())
                .unwrap();
        }
    }
    gzip(&tar.into_inner().unwrap())
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn signing_key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn key_id(number: u8) -> String {
    hex::encode(Sha256::digest([number]))
}

fn signed(body: &Value, keys: &[u8]) -> Vec<u8> {
    let bytes = to_canonical_bytes(body).unwrap();
    let signatures: Vec<Value> = keys
        .iter()
        .map(|key| {
            let signature = signing_key(*key).sign(&bytes);
            json!({"keyid": key_id(*key), "sig": hex::encode(signature.to_bytes())})
        })
        .collect();
    serde_json::to_vec(&json!({"signed": body, "signatures": signatures})).unwrap()
}
