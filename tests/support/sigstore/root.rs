//! `trusted_root.json`: who is trusted, from when until when.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Sigstore;
use super::certificate::Window;
use super::key::Key;

/// A trusted root, to be changed as a test wants it.
#[derive(Clone, Debug)]
pub(crate) struct TrustedRoot(Value);

/// One of its lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trusted {
    CertificateAuthorities,
    CtLogs,
    /// Rekor v1, then v2.
    Logs,
    TimestampAuthorities,
}

// === impl Trusted ===

impl Trusted {
    pub(crate) const ALL: [Self; 4] = [
        Self::CertificateAuthorities,
        Self::CtLogs,
        Self::Logs,
        Self::TimestampAuthorities,
    ];

    fn member(self) -> &'static str {
        match self {
            Self::CertificateAuthorities => "certificateAuthorities",
            Self::CtLogs => "ctlogs",
            Self::Logs => "tlogs",
            Self::TimestampAuthorities => "timestampAuthorities",
        }
    }
}

// === impl TrustedRoot ===

impl TrustedRoot {
    /// Everybody in `sigstore`, since its foundation.
    pub(crate) fn of(sigstore: &Sigstore) -> Self {
        let logs = [&sigstore.rekor, &sigstore.rekor_v2]
            .map(|log| listed_log(&log.name, &log.key, log.id()));
        Self(json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": logs,
            "certificateAuthorities": [authority("fulcio.sigstore.test", &sigstore.ca.chain())],
            "ctlogs": [listed_log("ct.sigstore.test", &sigstore.ct.key, sigstore.ct.key.id())],
            "timestampAuthorities": [authority("tsa.sigstore.test", &sigstore.tsa.chain())],
        }))
    }

    /// Nobody of this kind is trusted.
    pub(crate) fn without(mut self, trusted: Trusted) -> Self {
        self.0[trusted.member()] = json!([]);
        self
    }

    /// Those of this kind in the other root are trusted too.
    pub(crate) fn and(mut self, trusted: Trusted, other: &Self) -> Self {
        let others = other.0[trusted.member()].as_array().unwrap().clone();
        self.0[trusted.member()]
            .as_array_mut()
            .unwrap()
            .extend(others);
        self
    }

    /// All of this kind are trusted in this window alone.
    pub(crate) fn within(mut self, trusted: Trusted, window: Window) -> Self {
        let valid = json!({"start": window.from.to_string(), "end": window.until.to_string()});
        for entry in self.0[trusted.member()].as_array_mut().unwrap() {
            match trusted {
                Trusted::CtLogs | Trusted::Logs => entry["publicKey"]["validFor"] = valid.clone(),
                Trusted::CertificateAuthorities | Trusted::TimestampAuthorities => {
                    entry["validFor"] = valid.clone();
                }
            }
        }
        self
    }

    pub(crate) fn value(&mut self) -> &mut Value {
        &mut self.0
    }

    pub(crate) fn json(&self) -> String {
        self.0.to_string()
    }
}

fn since() -> Value {
    json!({"start": super::FOUNDED})
}

fn listed_log(name: &str, key: &Key, id: [u8; 32]) -> Value {
    json!({
        "baseUrl": format!("https://{name}"),
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": STANDARD.encode(key.spki()),
            "keyDetails": key.key_details(),
            "validFor": since(),
        },
        "logId": {"keyId": STANDARD.encode(id)},
    })
}

fn authority(name: &str, chain: &[Vec<u8>]) -> Value {
    let certificates: Vec<Value> = chain
        .iter()
        .map(|der| json!({"rawBytes": STANDARD.encode(der)}))
        .collect();
    json!({
        "subject": {"organization": "sigstore.test", "commonName": name},
        "uri": format!("https://{name}"),
        "certChain": {"certificates": certificates},
        "validFor": since(),
    })
}
