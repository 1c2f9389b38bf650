//! The act of signing: who signs what, when, where it is logged and stamped, and which single thing about it is a lie.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::bundle::Version;
use super::ca::{Identity, Issued};
use super::key::{Algorithm, Key};
use super::lies::Lie;
use super::rekor::{Entry, Kind, Rekor, Verifier};
use super::{NOON, Sigstore, time};

const IN_TOTO: &str = "application/vnd.in-toto+json";

/// The shape in which something is signed and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A simple-signing payload, in a layer under `.sig`.
    Signature,
    /// A statement, in a layer under `.att`.
    Attestation,
    /// The bytes themselves, in a bundle.
    Message(Version),
    /// A statement, in a bundle.
    Statement(Version),
}

/// What is signed.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// `sha256:…` of the bytes.
    pub(crate) digest: String,
    /// The bytes, where they are signed themselves.
    pub(crate) bytes: Vec<u8>,
    pub(crate) predicate_type: String,
    pub(crate) predicate: Value,
}

/// How it is signed. As made by [`Act::by`] everything is as it should be: logged by Rekor v1, no stamp.
#[derive(Clone)]
pub(crate) struct Act {
    pub(crate) by: By,
    /// From when on the certificate is good, for ten minutes.
    pub(crate) issued: Timestamp,
    pub(crate) logged: Logged,
    /// When the log says that it wrote the entry.
    pub(crate) at: Timestamp,
    pub(crate) kind: Option<Kind>,
    pub(crate) stamps: Vec<Timestamp>,
    pub(crate) layer: LayerStamp,
    pub(crate) lie: Option<Lie>,
}

/// What the stamp beside an `.att` layer is about. Elsewhere it is the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LayerStamp {
    /// The layer, envelope and all: cosign 2.
    Layer,
    /// The signature in the envelope: cosign 3.1 (whose own verification refuses that).
    Signature,
}

#[derive(Clone)]
pub(crate) enum By {
    /// Somebody with a new key and a certificate for it.
    Identity(Identity, Algorithm),
    /// Somebody whose key is known.
    Key(Key),
}

/// Where the signature is logged, and what proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logged {
    Nowhere,
    /// Rekor v1: its signature over the entry and its time, and no proof.
    Promised,
    /// Rekor v1: a proof, and no signature over the time.
    Proven,
    /// Rekor v1: both.
    Both,
    /// Rekor v2, which tells no time.
    V2,
}

/// What was signed.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Bytes(Vec<u8>),
    Envelope {
        payload_type: String,
        payload: Vec<u8>,
    },
}

/// Something signed, with all that proves it.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) form: Form,
    pub(crate) content: Content,
    pub(crate) signature: Vec<u8>,
    pub(crate) signer: Signer,
    pub(crate) entries: Vec<Entry>,
    pub(crate) stamps: Vec<Vec<u8>>,
    pub(crate) predicate_type: String,
}

#[derive(Clone)]
pub(crate) enum Signer {
    Certificate(Issued),
    Key(Key),
}

// === impl Act ===

impl Act {
    pub(crate) fn by(identity: Identity) -> Self {
        Self::new(By::Identity(identity, Algorithm::P256))
    }

    pub(crate) fn with_key(key: &Key) -> Self {
        Self::new(By::Key(key.clone()))
    }

    fn new(by: By) -> Self {
        Self {
            by,
            issued: time(NOON),
            logged: Logged::Both,
            at: time(NOON) + SignedDuration::from_mins(1),
            kind: None,
            stamps: Vec::new(),
            layer: LayerStamp::Layer,
            lie: None,
        }
    }

    pub(crate) fn logged(self, logged: Logged) -> Self {
        Self { logged, ..self }
    }

    /// Logged as an entry of this kind instead of the usual one.
    pub(crate) fn kind(self, kind: Kind) -> Self {
        Self {
            kind: Some(kind),
            ..self
        }
    }

    /// Stamped, at the time at which it is logged.
    pub(crate) fn stamped(self) -> Self {
        let at = self.at;
        self.stamped_at(at)
    }

    pub(crate) fn stamped_at(mut self, at: Timestamp) -> Self {
        self.stamps.push(at);
        self
    }

    /// What a stamp beside an `.att` layer is about.
    pub(crate) fn stamping(self, layer: LayerStamp) -> Self {
        Self { layer, ..self }
    }

    /// Logged at this time.
    pub(crate) fn at(self, at: Timestamp) -> Self {
        Self { at, ..self }
    }

    /// With a certificate that is good from this time on.
    pub(crate) fn issued(self, issued: Timestamp) -> Self {
        Self { issued, ..self }
    }

    /// With a new key of this kind.
    pub(crate) fn algorithm(self, algorithm: Algorithm) -> Self {
        let by = match self.by {
            By::Identity(identity, _) => By::Identity(identity, algorithm),
            By::Key(key) => By::Key(key),
        };
        Self { by, ..self }
    }

    pub(crate) fn lying(self, lie: Lie) -> Self {
        Self {
            lie: Some(lie),
            ..self
        }
    }
}

// === impl Subject ===

impl Subject {
    /// These bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        use sha2::{Digest as _, Sha256};
        Self {
            digest: format!("sha256:{}", hex::encode(Sha256::digest(bytes))),
            bytes: bytes.to_vec(),
            predicate_type: vouchsafe::demo::signer::COSIGN_SIGN.to_owned(),
            predicate: json!({}),
        }
    }

    /// What a statement says about it.
    pub(crate) fn predicate(self, predicate_type: &str, predicate: Value) -> Self {
        Self {
            predicate_type: predicate_type.to_owned(),
            predicate,
            ..self
        }
    }

    fn content(&self, form: Form) -> Content {
        match form {
            Form::Message(_) => Content::Bytes(self.bytes.clone()),
            Form::Signature => Content::Bytes(
                json!({
                    "critical": {
                        "identity": {"docker-reference": "registry.example/shop/cart"},
                        "image": {"docker-manifest-digest": self.digest},
                        "type": "cosign container image signature",
                    },
                    "optional": null,
                })
                .to_string()
                .into_bytes(),
            ),
            Form::Attestation | Form::Statement(_) => {
                let (algorithm, hex) = self.digest.split_once(':').unwrap();
                let statement = json!({
                    "_type": "https://in-toto.io/Statement/v1",
                    "subject": [{"name": "shop/cart", "digest": {algorithm: hex}}],
                    "predicateType": self.predicate_type,
                    "predicate": self.predicate,
                });
                Content::Envelope {
                    payload_type: IN_TOTO.to_owned(),
                    payload: statement.to_string().into_bytes(),
                }
            }
        }
    }
}

// === impl Content ===

impl Content {
    /// The bytes under the signature.
    pub(crate) fn signed(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Envelope {
                payload_type,
                payload,
            } => {
                let (kind, size) = (payload_type.len(), payload.len());
                let head = format!("DSSEv1 {kind} {payload_type} {size} ");
                [head.as_bytes(), payload].concat()
            }
        }
    }

    pub(crate) fn payload(&self) -> &[u8] {
        match self {
            Self::Bytes(payload) | Self::Envelope { payload, .. } => payload,
        }
    }

    pub(crate) fn payload_type(&self) -> &str {
        match self {
            Self::Bytes(_) => "",
            Self::Envelope { payload_type, .. } => payload_type,
        }
    }

    /// The envelope with its signature, as text.
    pub(crate) fn envelope(&self, signature: &[u8]) -> Vec<u8> {
        json!({
            "payloadType": self.payload_type(),
            "payload": STANDARD.encode(self.payload()),
            "signatures": [{"keyid": "", "sig": STANDARD.encode(signature)}],
        })
        .to_string()
        .into_bytes()
    }

    /// Something of the same shape that says something else.
    pub(crate) fn another(&self) -> Self {
        let mut another = self.clone();
        match &mut another {
            Self::Bytes(payload) | Self::Envelope { payload, .. } => payload.push(b' '),
        }
        another
    }

    /// The kind of entry that clients make of it.
    fn kind(&self, logged: Logged) -> Kind {
        match (self, logged) {
            (_, Logged::V2) => Kind::HashedRekord002,
            (Self::Bytes(_), _) => Kind::HashedRekord001,
            (Self::Envelope { .. }, _) => Kind::Dsse001,
        }
    }
}

// === impl Sigstore ===

impl Sigstore {
    /// Signs `subject`.
    pub(crate) fn sign(&self, form: Form, subject: &Subject, act: &Act) -> Signed {
        let content = subject.content(form);
        let signed = match act.lie {
            Some(Lie::SignatureOfAnotherPayload) => content.another().signed(),
            _ => content.signed(),
        };
        let (key, signer) = match &act.by {
            By::Identity(identity, algorithm) => {
                let key = Key::generate(*algorithm);
                let issued = self.ca.issue(identity, &key, act.issued, &self.ct, act.lie);
                (key, Signer::Certificate(issued))
            }
            By::Key(key) => (key.clone(), Signer::Key(key.clone())),
        };
        let signature = match act.lie {
            Some(Lie::SignatureByAnotherKey) => Key::generate(Algorithm::P256).sign(&signed),
            _ => key.sign(&signed),
        };
        let entry = match act.lie {
            Some(Lie::EntryOfAnotherSignature) => {
                self.log(&content, &key.sign(&signed), &signer, act)
            }
            Some(Lie::EntryOfAnotherPayload) => {
                self.log(&content.another(), &signature, &signer, act)
            }
            Some(Lie::EntryOfAnotherVerifier) => {
                self.log(&content, &signature, &self.another(&signer, &key, act), act)
            }
            _ => self.log(&content, &signature, &signer, act),
        };
        let stamped = match (form, act.layer) {
            (Form::Attestation, LayerStamp::Layer) => content.envelope(&signature),
            _ => signature.clone(),
        };
        let stamps = act.stamps.iter();
        Signed {
            form,
            entries: entry.into_iter().collect(),
            stamps: stamps
                .map(|at| self.tsa.stamp(&stamped, *at, act.lie))
                .collect(),
            content,
            signature,
            signer,
            predicate_type: subject.predicate_type.clone(),
        }
    }

    /// A signer whom only the name tells from `signer`: a second certificate for the same key, or another key.
    fn another(&self, signer: &Signer, key: &Key, act: &Act) -> Signer {
        match (&act.by, signer) {
            (By::Identity(identity, _), Signer::Certificate(_)) => {
                let earlier = act.issued - SignedDuration::from_secs(1);
                Signer::Certificate(self.ca.issue(identity, key, earlier, &self.ct, None))
            }
            _ => Signer::Key(Key::generate(Algorithm::P256)),
        }
    }

    fn log(
        &self,
        content: &Content,
        signature: &[u8],
        signer: &Signer,
        act: &Act,
    ) -> Option<Entry> {
        let verifier = match signer {
            Signer::Certificate(issued) => Verifier::Certificate(issued),
            Signer::Key(key) => Verifier::Key(key),
        };
        let kind = act.kind.unwrap_or_else(|| content.kind(act.logged));
        let log = |rekor: &Rekor| rekor.log(kind, content, signature, &verifier, act.at, act.lie);
        match act.logged {
            Logged::Nowhere => None,
            Logged::V2 => Some(log(&self.rekor_v2)),
            Logged::Both => Some(log(&self.rekor)),
            Logged::Promised => Some(Entry {
                proof: None,
                ..log(&self.rekor)
            }),
            Logged::Proven => Some(Entry {
                promise: None,
                ..log(&self.rekor)
            }),
        }
    }
}
