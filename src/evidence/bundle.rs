//! A sigstore bundle: a signature and everything that is needed to verify it, in one document.
//!
//! [Bundle format](https://github.com/sigstore/protobuf-specs) v0.1 to v0.3, what cosign 3 writes by default. *In*: the layer of a
//! manifest that refers to an image. *Out*: what was signed and the signature over it. Who vouches for the signature is named in the
//! document too (a key's hint, a certificate), and it is not believed: the policy names the key or the identity. That, log entries
//! and timestamps are read apart ([`Material`]), so one that nobody asked for is no reason to refuse a bundle.

use std::fmt;
use std::str::FromStr as _;

use serde::Deserialize;
use serde_json::{Map, Value};
use sigstore_types::MediaType;
use sigstore_types::bundle::{MessageDigest, MessageSignature as WireMessage};

use super::{Candidate, DecodeError, Envelope, Evidence, EvidenceLayer, Format, Material};
use crate::image::Digest;
use crate::limits::json::{brief, parse_small};

/// The predicate type with which cosign says *this is a signature of an image*. A bundle with another one is an attestation.
pub const IMAGE_SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";

/// The artifact type of bundles as cosign writes them today, which registries are asked to filter by.
pub const ARTIFACT_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// How every media type of a bundle begins, whatever its version.
const FAMILY: &str = "application/vnd.dev.sigstore.bundle";

/// Nesting of a bundle. Real ones need six levels; the statement is inside as base64.
const DEPTH: usize = 32;
/// Values in a bundle. Real ones have some tens; a log entry's proof has one for each doubling of the log.
const VALUES: usize = 4_096;

/// A bundle that was not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bundle {
    /// A signature over the bytes of the image's manifest.
    Message(MessageSignature),
    /// A signed statement: a signature of the image or an attestation, as its predicate type says.
    Statement(Envelope),
}

/// A signature over bytes that are not part of the bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageSignature {
    /// The digest that the bundle claims for those bytes.
    pub claimed: Option<MessageDigest>,
    /// The signature.
    pub signature: Vec<u8>,
}

/// The members that matter. Exactly one of the two contents and exactly one kind of material must be there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    media_type: String,
    verification_material: Map<String, Value>,
    message_signature: Option<WireMessage>,
    dsse_envelope: Option<Value>,
}

/// Whether a media or artifact type is a bundle's, of whatever version.
pub fn is_bundle(media_type: &str) -> bool {
    media_type.starts_with(FAMILY)
}

/// Reads one layer.
pub fn decode(layer: &EvidenceLayer, bytes: &[u8]) -> Candidate {
    read(bytes, layer.digest.clone())
}

/// Reads a bundle whose bytes have this digest.
pub fn read(bytes: &[u8], digest: Digest) -> Candidate {
    let (decoded, material) = match Bundle::parse(bytes) {
        Ok((bundle, material)) => (Ok(Evidence::Bundle(bundle)), material),
        Err(error) => (Err(error), Ok(Material::none())),
    };
    Candidate {
        format: Format::Bundle,
        digest,
        decoded,
        material,
    }
}

// === impl Bundle ===

impl Bundle {
    /// Reads a bundle from JSON: what was signed, and the material beside it, which may be unreadable where nobody needs it.
    ///
    /// # Errors
    /// [`DecodeError::Bundle`] or [`DecodeError::Envelope`]: not JSON, duplicate keys, an unknown version, more or less than one
    /// content or one kind of material, not base64, not exactly one signature.
    pub fn parse(bytes: &[u8]) -> Result<(Self, Result<Material, DecodeError>), DecodeError> {
        let value = parse_small(bytes, DEPTH, VALUES).map_err(|e| malformed(&e))?;
        let wire: Wire = serde_json::from_value(value).map_err(|e| malformed(&e))?;
        let version = MediaType::from_str(&wire.media_type).map_err(|e| malformed(&e))?;
        let materials = kinds(&wire.verification_material);
        if materials != 1 {
            return Err(malformed(&format_args!(
                "{materials} kinds of verification material instead of one"
            )));
        }
        let bundle = match (wire.message_signature, wire.dsse_envelope) {
            (Some(message), None) => Self::Message(MessageSignature::new(message)),
            (None, Some(envelope)) => Self::Statement(Envelope::from_json(envelope)?),
            (None, None) => return Err(malformed(&"neither messageSignature nor dsseEnvelope")),
            (Some(_), Some(_)) => return Err(malformed(&"both messageSignature and dsseEnvelope")),
        };
        let material = Material::of_bundle(version, Value::Object(wire.verification_material));
        Ok((bundle, material))
    }

    /// The bytes of its signature.
    pub fn signature(&self) -> &[u8] {
        match self {
            Self::Message(message) => &message.signature,
            Self::Statement(envelope) => &envelope.signature,
        }
    }
}

// === impl MessageSignature ===

impl MessageSignature {
    fn new(wire: WireMessage) -> Self {
        Self {
            claimed: wire.message_digest,
            signature: wire.signature.into_bytes(),
        }
    }
}

/// How many kinds of signers are named. `null` counts as absent.
fn kinds(material: &Map<String, Value>) -> usize {
    ["publicKey", "certificate", "x509CertificateChain"]
        .into_iter()
        .filter_map(|kind| material.get(kind))
        .filter(|value| !value.is_null())
        .count()
}

fn malformed(detail: &impl fmt::Display) -> DecodeError {
    DecodeError::Bundle {
        detail: brief(detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bundle(version: &str) -> Value {
        json!({
            "mediaType": version,
            "verificationMaterial": {"publicKey": {"hint": "x"}},
            "dsseEnvelope": {"payload": "e30=", "payloadType": "t", "signatures": [{"sig": "AQID"}]},
        })
    }

    fn parse(value: &Value) -> Result<Bundle, DecodeError> {
        Bundle::parse(value.to_string().as_bytes()).map(|(bundle, _)| bundle)
    }

    fn with(change: impl FnOnce(&mut Value)) -> Result<Bundle, DecodeError> {
        let mut value = bundle(ARTIFACT_TYPE);
        change(&mut value);
        parse(&value)
    }

    #[test]
    fn every_version_is_read_in_every_spelling_and_no_other() {
        for version in [
            "application/vnd.dev.sigstore.bundle+json;version=0.1",
            "application/vnd.dev.sigstore.bundle+json;version=0.2",
            "application/vnd.dev.sigstore.bundle+json;version=0.3",
            ARTIFACT_TYPE,
        ] {
            assert!(is_bundle(version), "{version}");
            let parsed = parse(&bundle(version)).expect(version);
            assert_eq!(parsed.signature(), [1, 2, 3], "{version}");
        }
        for version in [
            "",
            "application/json",
            "application/vnd.dev.sigstore.bundle+json;version=0.9",
        ] {
            assert!(parse(&bundle(version)).is_err(), "{version}");
        }
        assert!(
            with(|b| {
                b.as_object_mut().unwrap().remove("mediaType");
            })
            .is_err()
        );
    }

    #[test]
    fn a_log_entry_or_timestamp_of_any_shape_is_no_reason_to_refuse() {
        let entry = json!({"kindVersion": {"kind": "intoto", "version": "0.0.1"}, "logIndex": "7"});
        assert!(
            with(|b| b["verificationMaterial"]["tlogEntries"] = json!([entry, {"odd": true}]))
                .is_ok()
        );
        assert!(
            with(|b| b["verificationMaterial"]["timestampVerificationData"] =
                json!({"rfc3161Timestamps": [{"signedTimestamp": "AA=="}]}))
            .is_ok()
        );
    }

    #[test]
    fn content_and_material_are_there_exactly_once() {
        let message = json!({"signature": "AQID"});
        assert!(with(|b| b["messageSignature"] = message.clone()).is_err());
        assert!(with(|b| b["dsseEnvelope"] = Value::Null).is_err());
        assert!(
            with(|b| b["verificationMaterial"]["certificate"] = json!({"rawBytes": "AA=="}))
                .is_err()
        );
        assert!(with(|b| b["verificationMaterial"] = json!({})).is_err());
        let only = with(|b| {
            b["dsseEnvelope"] = Value::Null;
            b["messageSignature"] = message;
        });
        assert!(matches!(only, Ok(Bundle::Message(_))));
    }

    #[test]
    fn two_signatures_or_none_are_refused() {
        let signature = json!({"sig": "AQID"});
        for signatures in [json!([]), json!([signature, signature])] {
            assert!(with(|b| b["dsseEnvelope"]["signatures"] = signatures.clone()).is_err());
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        let text = bundle(ARTIFACT_TYPE).to_string().replacen(
            "\"payloadType\":\"t\"",
            "\"payloadType\":\"t\",\"payloadType\":\"u\"",
            1,
        );
        assert!(matches!(
            Bundle::parse(text.as_bytes()),
            Err(DecodeError::Bundle { .. })
        ));
    }
}
