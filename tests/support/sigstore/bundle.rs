//! Sigstore bundles, v0.1 to v0.3, as `cosign` and `sigstore-go` write them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::act::{Content, Signed, Signer};

/// Which bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V01,
    V02,
    V03,
}

// === impl Version ===

impl Version {
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::V01 => "application/vnd.dev.sigstore.bundle+json;version=0.1",
            Self::V02 => "application/vnd.dev.sigstore.bundle+json;version=0.2",
            Self::V03 => "application/vnd.dev.sigstore.bundle.v0.3+json",
        }
    }
}

/// `signed` as a bundle.
pub(crate) fn bundle(signed: &Signed, version: Version) -> Value {
    let raw = |der: &Vec<u8>| json!({"rawBytes": STANDARD.encode(der)});
    let mut material = Map::new();
    match (&signed.signer, version) {
        (Signer::Key(key), _) => {
            material.insert(
                "publicKey".to_owned(),
                json!({"hint": STANDARD.encode(key.id())}),
            );
        }
        (Signer::Certificate(issued), Version::V03) => {
            material.insert("certificate".to_owned(), raw(&issued.certificate));
        }
        (Signer::Certificate(issued), Version::V01 | Version::V02) => {
            // The root is not among them: it would say nothing.
            let (_, above) = issued.chain.split_last().unwrap();
            let chain: Vec<Value> = [&issued.certificate]
                .into_iter()
                .chain(above)
                .map(raw)
                .collect();
            material.insert(
                "x509CertificateChain".to_owned(),
                json!({"certificates": chain}),
            );
        }
    }
    let entries: Vec<Value> = signed
        .entries
        .iter()
        .map(super::rekor::Entry::to_json)
        .collect();
    material.insert("tlogEntries".to_owned(), json!(entries));
    if !signed.stamps.is_empty() {
        let stamps = signed.stamps.iter();
        let stamps: Vec<Value> = stamps
            .map(|stamp| json!({"signedTimestamp": STANDARD.encode(stamp)}))
            .collect();
        let data = json!({"rfc3161Timestamps": stamps});
        material.insert("timestampVerificationData".to_owned(), data);
    }
    let (member, content) = match &signed.content {
        Content::Bytes(bytes) => (
            "messageSignature",
            json!({
                "messageDigest": {"algorithm": "SHA2_256", "digest": STANDARD.encode(Sha256::digest(bytes))},
                "signature": STANDARD.encode(&signed.signature),
            }),
        ),
        Content::Envelope { .. } => (
            "dsseEnvelope",
            serde_json::from_slice(&signed.content.envelope(&signed.signature)).unwrap(),
        ),
    };
    json!({"mediaType": version.media_type(), "verificationMaterial": material, member: content})
}
