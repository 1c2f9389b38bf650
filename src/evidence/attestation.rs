//! A DSSE envelope, in a layer or in a bundle: a payload, its type, and exactly one signature.
//!
//! [DSSE v1](https://github.com/secure-systems-lab/dsse/blob/master/envelope.md). Envelopes with several signatures are refused: each
//! check must consume the same signature bytes.

use bytes::Bytes;
use serde_json::Value;
use sigstore_types::DsseEnvelope;

use super::{Candidate, DecodeError, Evidence, EvidenceLayer, Material};
use crate::limits::json::{brief, parse_small};

/// Nesting of an envelope: the statement is inside, as base64.
const DEPTH: usize = 8;
/// Values in an envelope. Real ones have seven; a stranger may have written this one.
const VALUES: usize = 4_096;

/// An envelope that was not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// `payloadType`.
    pub payload_type: String,
    /// The payload, decoded from base64.
    pub payload: Bytes,
    /// The signature over the pre-authentication encoding.
    pub signature: Vec<u8>,
    /// The document that it was read from, where that is a document of its own: old logs and timestamps are about its bytes.
    pub document: Bytes,
}

/// Reads one layer that is an envelope.
pub fn decode(layer: &EvidenceLayer, bytes: &Bytes) -> Candidate {
    Candidate {
        format: layer.format,
        digest: layer.digest.clone(),
        decoded: Envelope::parse(bytes).map(|envelope| {
            Evidence::Attestation(Envelope {
                document: bytes.clone(),
                ..envelope
            })
        }),
        material: Material::of_layer(layer),
    }
}

// === impl Envelope ===

impl Envelope {
    /// Reads an envelope from JSON.
    ///
    /// # Errors
    /// Not JSON, duplicate keys, not base64, or not exactly one signature.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let value = parse_small(bytes, DEPTH, VALUES)
            .map_err(|e| DecodeError::Envelope { detail: brief(&e) })?;
        Self::from_json(value)
    }

    /// Reads an envelope from JSON that is within bounds, and in which no key stands twice.
    pub(super) fn from_json(value: Value) -> Result<Self, DecodeError> {
        let envelope: DsseEnvelope = serde_json::from_value(value)
            .map_err(|e| DecodeError::Envelope { detail: brief(&e) })?;
        Ok(Self {
            payload_type: envelope.payload_type,
            payload: Bytes::from(envelope.payload.into_bytes()),
            signature: envelope.signature.sig.into_bytes(),
            document: Bytes::new(),
        })
    }

    /// What the signature covers: the pre-authentication encoding of type and payload.
    pub fn signed_bytes(&self) -> Vec<u8> {
        sigstore_types::pae(&self.payload_type, &self.payload)
    }
}
