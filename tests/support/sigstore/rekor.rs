//! A transparency log in the shapes of Rekor v1 and v2.
//!
//! In come what was signed, the signature and who made it; out comes an entry: its body as the log writes it, the log's signature over
//! body and time (v1), and the way from the body to a signed root. Rekor v2 tells no time. Bodies are written as the log's own
//! canonical form has them: members sorted, no space.

use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::key::{Algorithm, Key};
use super::lies::Lie;
use super::merkle::{self, Hash};
use super::{Content, Issued, certificate};

/// What earlier trees of the log held: an entry's index in the log is not its index in the tree.
const EARLIER: u64 = 100_000;
/// How many entries of others are in the tree before ours.
const OTHERS: u8 = 5;

/// Which API, and so which entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    V1,
    V2,
}

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    HashedRekord001,
    HashedRekord002,
    Dsse001,
    Dsse002,
    Intoto001,
    Intoto002,
}

pub(crate) struct Rekor {
    pub(crate) generation: Generation,
    pub(crate) name: String,
    pub(crate) key: Key,
    impostor: Key,
    witnesses: Vec<Key>,
    leaves: Mutex<Vec<Hash>>,
}

/// Who made the signature, as an entry says it.
pub(crate) enum Verifier<'a> {
    Certificate(&'a Issued),
    Key(&'a Key),
}

/// An entry, with all that proves it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) body: Vec<u8>,
    pub(crate) log_index: u64,
    pub(crate) log_id: [u8; 32],
    pub(crate) integrated: Option<Timestamp>,
    pub(crate) promise: Option<Vec<u8>>,
    pub(crate) proof: Option<Proof>,
}

#[derive(Clone, Debug)]
pub(crate) struct Proof {
    pub(crate) index: u64,
    pub(crate) size: u64,
    pub(crate) root: Hash,
    pub(crate) hashes: Vec<Hash>,
    pub(crate) checkpoint: Option<String>,
}

// === impl Kind ===

impl Kind {
    pub(crate) fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::HashedRekord001 => ("hashedrekord", "0.0.1"),
            Self::HashedRekord002 => ("hashedrekord", "0.0.2"),
            Self::Dsse001 => ("dsse", "0.0.1"),
            Self::Dsse002 => ("dsse", "0.0.2"),
            Self::Intoto001 => ("intoto", "0.0.1"),
            Self::Intoto002 => ("intoto", "0.0.2"),
        }
    }

    /// What an entry of this kind is passed off as.
    fn other(self) -> Self {
        match self {
            Self::HashedRekord002 => Self::HashedRekord001,
            Self::Dsse001 => Self::Intoto002,
            Self::HashedRekord001 | Self::Dsse002 | Self::Intoto001 | Self::Intoto002 => {
                Self::Dsse001
            }
        }
    }

    /// The document that the log keeps.
    fn body(self, content: &Content, signature: &[u8], verifier: &Verifier<'_>) -> Value {
        let (kind, version) = self.names();
        let hash = |bytes: &[u8]| json!({"algorithm": "sha256", "value": hex::encode(Sha256::digest(bytes))});
        let digest = |bytes: &[u8]| json!({"algorithm": "SHA2_256", "digest": STANDARD.encode(Sha256::digest(bytes))});
        let envelope = content.envelope(signature);
        let payload = content.payload();
        let (sig, pem) = (STANDARD.encode(signature), STANDARD.encode(verifier.pem()));
        let spec = match self {
            Self::HashedRekord001 => json!({
                "data": {"hash": hash(&content.signed())},
                "signature": {"content": sig, "publicKey": {"content": pem}},
            }),
            Self::HashedRekord002 => json!({"hashedRekordV002": {
                "data": digest(&content.signed()),
                "signature": {"content": sig, "verifier": verifier.details()},
            }}),
            Self::Dsse001 => json!({
                "envelopeHash": hash(&envelope),
                "payloadHash": hash(payload),
                "signatures": [{"signature": sig, "verifier": pem}],
            }),
            Self::Dsse002 => json!({"dsseV002": {
                "payloadHash": digest(payload),
                "signatures": [{"content": sig, "verifier": verifier.details()}],
            }}),
            Self::Intoto001 => json!({
                "content": {"hash": hash(&envelope), "payloadHash": hash(payload)},
                "publicKey": pem,
            }),
            Self::Intoto002 => json!({"content": {
                "envelope": {
                    "payloadType": content.payload_type(),
                    // The log encodes what was encoded already.
                    "signatures": [{"publicKey": pem, "sig": STANDARD.encode(&sig)}],
                },
                "hash": hash(&envelope),
                "payloadHash": hash(payload),
            }}),
        };
        json!({"apiVersion": version, "kind": kind, "spec": spec})
    }
}

// === impl Verifier ===

impl Verifier<'_> {
    fn pem(&self) -> String {
        match self {
            Self::Certificate(issued) => certificate::pem(&issued.certificate),
            Self::Key(key) => key.pem(),
        }
    }

    fn details(&self) -> Value {
        match self {
            Self::Certificate(issued) => json!({
                "keyDetails": issued.key_details,
                "x509Certificate": {"rawBytes": STANDARD.encode(&issued.certificate)},
            }),
            Self::Key(key) => json!({
                "keyDetails": key.key_details(),
                "publicKey": {"rawBytes": STANDARD.encode(key.spki())},
            }),
        }
    }
}

// === impl Rekor ===

impl Rekor {
    pub(crate) fn v1() -> Self {
        Self::new(Generation::V1, "rekor.sigstore.test", Algorithm::P256, 0)
    }

    pub(crate) fn v2(algorithm: Algorithm, witnesses: usize) -> Self {
        Self::new(
            Generation::V2,
            "log2025-1.rekor.sigstore.test",
            algorithm,
            witnesses,
        )
    }

    fn new(generation: Generation, name: &str, algorithm: Algorithm, witnesses: usize) -> Self {
        Self {
            generation,
            name: name.to_owned(),
            key: Key::generate(algorithm),
            impostor: Key::generate(algorithm),
            witnesses: (0..witnesses)
                .map(|_| Key::generate(Algorithm::Ed25519))
                .collect(),
            leaves: Mutex::new((0..OTHERS).map(|other| merkle::leaf(&[other])).collect()),
        }
    }

    /// The id that the trusted root has for it.
    pub(crate) fn id(&self) -> [u8; 32] {
        self.id_of(&self.key)
    }

    fn id_of(&self, key: &Key) -> [u8; 32] {
        match self.generation {
            Generation::V1 => key.id(),
            Generation::V2 => key.note_id(&self.name, 1),
        }
    }

    /// Writes an entry at `at`.
    pub(crate) fn log(
        &self,
        kind: Kind,
        content: &Content,
        signature: &[u8],
        verifier: &Verifier<'_>,
        at: Timestamp,
        lie: Option<Lie>,
    ) -> Entry {
        let body = kind
            .body(content, signature, verifier)
            .to_string()
            .into_bytes();
        let mut leaves = self.leaves.lock().unwrap();
        let index = leaves.len();
        leaves.push(merkle::leaf(&body));
        let log_index = match self.generation {
            Generation::V1 => EARLIER + index as u64,
            Generation::V2 => index as u64,
        };
        let named = match lie {
            Some(Lie::SetByAnUnknownLog) => &self.impostor,
            _ => &self.key,
        };
        let entry = Entry {
            kind: match lie {
                Some(Lie::EntryOfAnotherKind) => kind.other(),
                _ => kind,
            },
            body,
            log_index,
            log_id: self.id_of(named),
            integrated: None,
            promise: None,
            proof: Some(self.proof(&leaves, index, lie)),
        };
        match self.generation {
            Generation::V1 => self.promised(entry, at, lie),
            Generation::V2 => entry,
        }
    }

    /// With the log's signature over body, time and place (the signed entry timestamp).
    fn promised(&self, mut entry: Entry, at: Timestamp, lie: Option<Lie>) -> Entry {
        let key = match lie {
            Some(Lie::SetByAnotherLog | Lie::SetByAnUnknownLog) => &self.impostor,
            _ => &self.key,
        };
        let mut signed = entry.clone();
        signed.integrated = Some(at);
        match lie {
            Some(Lie::SetOfAnotherBody) => signed.body.push(b' '),
            Some(Lie::SetOfAnotherTime) => {
                signed.integrated = Some(at - jiff::SignedDuration::from_secs(1));
            }
            Some(Lie::SetOfAnotherIndex) => signed.log_index += 1,
            _ => {}
        }
        entry.promise = Some(key.sign(signed.payload().to_string().as_bytes()));
        entry.integrated = Some(at);
        entry
    }

    fn proof(&self, leaves: &[Hash], index: usize, lie: Option<Lie>) -> Proof {
        let path = match lie {
            Some(Lie::ProofOfAnotherEntry) => index - 1,
            _ => index,
        };
        let root = merkle::root(leaves);
        let mut hashes = merkle::path(leaves, path);
        match lie {
            Some(Lie::ProofCutShort) => drop(hashes.pop()),
            Some(Lie::ProofTooLong) => hashes.push([7; 32]),
            _ => {}
        }
        Proof {
            index: index as u64,
            size: leaves.len() as u64,
            root,
            hashes,
            checkpoint: self.checkpoint(leaves.len(), root, lie),
        }
    }

    /// A signed note (C2SP `tlog-checkpoint`): who, how many, which root; then signatures.
    fn checkpoint(&self, size: usize, root: Hash, lie: Option<Lie>) -> Option<String> {
        let root = match lie {
            Some(Lie::NoCheckpoint) => return None,
            Some(Lie::CheckpointOfAnotherRoot) => [9; 32],
            _ => root,
        };
        let (key, named) = match lie {
            Some(Lie::CheckpointByAnotherLog) => (&self.impostor, &self.key),
            Some(Lie::CheckpointByAnUnknownLog) => (&self.impostor, &self.impostor),
            _ => (&self.key, &self.key),
        };
        let origin = match self.generation {
            Generation::V1 => format!("{} - 3904496407287907110", self.name),
            Generation::V2 => self.name.clone(),
        };
        let text = format!("{origin}\n{size}\n{}\n", STANDARD.encode(root));
        let signature = key.sign(text.as_bytes());
        let line = |name: &str, id: [u8; 32], signature: &[u8]| {
            format!(
                "— {name} {}\n",
                STANDARD.encode([&id[..4], signature].concat())
            )
        };
        let mut note = format!(
            "{text}\n{}",
            line(&self.name, self.id_of(named), &signature)
        );
        for (number, witness) in self.witnesses.iter().enumerate() {
            let name = format!("witness{number}.sigstore.test");
            let time = super::time(super::NOON).as_second();
            let signature = witness.sign(format!("cosignature/v1\ntime {time}\n{text}").as_bytes());
            let cosignature = [&time.to_be_bytes()[..], &signature].concat();
            note += &line(&name, witness.note_id(&name, 4), &cosignature);
        }
        Some(note)
    }
}

// === impl Entry ===

impl Entry {
    /// What the log signs, and what cosign keeps beside a signature.
    pub(crate) fn payload(&self) -> Value {
        json!({
            "body": STANDARD.encode(&self.body),
            "integratedTime": self.integrated.map_or(0, Timestamp::as_second),
            "logID": hex::encode(self.log_id),
            "logIndex": self.log_index,
        })
    }

    /// As a bundle has it.
    pub(crate) fn to_json(&self) -> Value {
        let (kind, version) = self.kind.names();
        let mut entry = json!({
            "logIndex": self.log_index.to_string(),
            "logId": {"keyId": STANDARD.encode(self.log_id)},
            "kindVersion": {"kind": kind, "version": version},
            "canonicalizedBody": STANDARD.encode(&self.body),
        });
        if let Some(at) = self.integrated {
            entry["integratedTime"] = json!(at.as_second().to_string());
        }
        if let Some(promise) = &self.promise {
            entry["inclusionPromise"] = json!({"signedEntryTimestamp": STANDARD.encode(promise)});
        }
        if let Some(proof) = &self.proof {
            entry["inclusionProof"] = proof.to_json();
        }
        entry
    }
}

// === impl Proof ===

impl Proof {
    fn to_json(&self) -> Value {
        let hashes: Vec<String> = self
            .hashes
            .iter()
            .map(|hash| STANDARD.encode(hash))
            .collect();
        let mut proof = json!({
            "logIndex": self.index.to_string(),
            "treeSize": self.size.to_string(),
            "rootHash": STANDARD.encode(self.root),
            "hashes": hashes,
        });
        if let Some(checkpoint) = &self.checkpoint {
            proof["checkpoint"] = json!({"envelope": checkpoint});
        }
        proof
    }
}
