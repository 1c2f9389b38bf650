//! What comes with a signature to tell who made it and when: certificates, log entries, timestamps.
//!
//! *In*: the verification material of a bundle, or the annotations that cosign puts on a layer. *Out*: one [`Material`], whichever
//! form it came in. Nothing of it is believed, and nothing in it is an address that anybody calls (T-40). An annotation that is empty
//! counts as absent, as cosign writes it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use sigstore_types::bundle::{InclusionPromise, LogId};
use sigstore_types::{
    CanonicalizedBody, DerCertificate, KindVersion, LogIndex, LogKeyId, MediaType, SignedTimestamp,
    TimestampToken, TransparencyLogEntry,
};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::DecodeError;
use super::manifest::EvidenceLayer;
use crate::limits::json::{brief, parse_small};
use crate::limits::pem;

/// The signer's certificate, in PEM.
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
/// The certificates between it and a root, in PEM.
const CHAIN: &str = "dev.sigstore.cosign/chain";
/// The promise of a log, with the entry it is about.
const LOG_BUNDLE: &str = "dev.sigstore.cosign/bundle";
/// A timestamp.
const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";

/// The longest annotation that is read, in bytes: a log entry of an attestation repeats parts of it.
const ANNOTATION: usize = 4 << 20;
/// The most certificates of one signature. Real ones have three.
const CERTIFICATES: usize = 16;
/// The most log entries, and the most timestamps, of one signature. Real ones have one or two.
const WITNESSES: usize = 16;
/// Nesting of the JSON in an annotation and in the body of a log entry.
const DEPTH: usize = 16;
/// Values in that JSON.
const VALUES: usize = 4_096;

/// Who signed, and who says when, as far as that is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Material {
    /// The version of the bundle format that says which of it must be there; that of annotations is the first.
    pub version: MediaType,
    /// Certificates, the signer's first. None: it was signed by a key.
    pub certificates: Vec<DerCertificate>,
    /// Entries in transparency logs.
    pub entries: Vec<LogEntry>,
    /// Timestamps (RFC 3161).
    pub timestamps: Vec<TimestampToken>,
    /// SHA-256 of what it was read from: for what is remembered.
    pub digest: [u8; 32],
}

/// An entry in a transparency log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogEntry {
    /// What kind of entry it is said to be.
    pub kind: EntryKind,
    /// The entry. What it says of its kind is only true of [`EntryKind::Current`].
    pub wire: TransparencyLogEntry,
}

/// A kind and version of log entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// One that is written today.
    Current(KindVersion),
    /// `intoto` 0.0.1, which cosign wrote for attestations before 2.2.
    IntotoV001,
    /// `rekord` 0.0.1, which cosign wrote in 2021.
    RekordV001,
    /// `dsse` 0.0.2, which Rekor v2 has beside `hashedrekord`.
    DsseV002,
}

/// What cosign writes into the annotation of a log entry.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireLogBundle {
    signed_entry_timestamp: String,
    payload: WirePayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePayload {
    body: String,
    integrated_time: i64,
    log_index: u64,
    #[serde(rename = "logID")]
    log_id: String,
}

#[derive(Deserialize)]
struct WireTimestamp {
    #[serde(rename = "SignedRFC3161Timestamp")]
    signed: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireKind {
    kind: String,
    #[serde(alias = "apiVersion")]
    version: String,
}

/// The verification material of a bundle, beside the log entries.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMaterial {
    certificate: Option<WireCertificate>,
    x509_certificate_chain: Option<WireChain>,
    tlog_entries: Option<Vec<Value>>,
    timestamp_verification_data: Option<sigstore_types::bundle::TimestampVerificationData>,
}

#[derive(Deserialize)]
struct WireChain {
    certificates: Vec<WireCertificate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireCertificate {
    raw_bytes: DerCertificate,
}

// === impl Material ===

impl Material {
    /// Nothing: a signature that stands alone.
    pub fn none() -> Self {
        Self {
            version: MediaType::Bundle0_1,
            certificates: Vec::new(),
            entries: Vec::new(),
            timestamps: Vec::new(),
            digest: Sha256::digest([]).into(),
        }
    }

    /// Reads the annotations of a layer.
    pub(super) fn of_layer(layer: &EvidenceLayer) -> Result<Self, DecodeError> {
        let said = |name: &str| {
            let text = layer.annotations.get(name).map(String::as_str);
            text.filter(|text| !text.trim().is_empty())
        };
        let mut hash = Sha256::new();
        for name in [CERTIFICATE, CHAIN, LOG_BUNDLE, TIMESTAMP] {
            let text = said(name).unwrap_or_default();
            if text.len() > ANNOTATION {
                return Err(malformed(name, &"it is too long"));
            }
            hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(text);
        }
        let mut certificates = Vec::new();
        if let Some(leaf) = said(CERTIFICATE) {
            certificates.extend(chain(CERTIFICATE, leaf)?.into_iter().next());
            if let Some(text) = said(CHAIN) {
                certificates.extend(chain(CHAIN, text)?);
            }
        }
        let entry = said(LOG_BUNDLE).map(LogEntry::of_annotation).transpose()?;
        let timestamp = said(TIMESTAMP).map(timestamp).transpose()?;
        let material = Self {
            version: MediaType::Bundle0_1,
            certificates,
            entries: entry.into_iter().collect(),
            timestamps: timestamp.into_iter().collect(),
            digest: hash.finalize().into(),
        };
        material.within_bounds()
    }

    /// Reads the `verificationMaterial` of a bundle of this version.
    pub(super) fn of_bundle(version: MediaType, value: Value) -> Result<Self, DecodeError> {
        let digest = Sha256::digest(value.to_string()).into();
        let wire: WireMaterial = serde_json::from_value(value).map_err(|e| unreadable(&e))?;
        let chain = wire
            .x509_certificate_chain
            .into_iter()
            .flat_map(|c| c.certificates);
        let certificates = wire.certificate.into_iter().chain(chain);
        let entries = wire.tlog_entries.unwrap_or_default().into_iter();
        let timestamps = wire.timestamp_verification_data.unwrap_or_default();
        let material = Self {
            version,
            certificates: certificates
                .map(|certificate| certificate.raw_bytes)
                .collect(),
            entries: entries
                .map(LogEntry::of_bundle)
                .collect::<Result<_, DecodeError>>()?,
            timestamps: timestamps
                .rfc3161_timestamps
                .into_iter()
                .map(|timestamp| timestamp.signed_timestamp)
                .collect(),
            digest,
        };
        material.within_bounds()
    }

    fn within_bounds(self) -> Result<Self, DecodeError> {
        let counts = [
            ("certificates", self.certificates.len(), CERTIFICATES),
            ("log entries", self.entries.len(), WITNESSES),
            ("timestamps", self.timestamps.len(), WITNESSES),
        ];
        match counts.into_iter().find(|(_, found, limit)| found > limit) {
            Some((what, found, limit)) => Err(unreadable(&format_args!(
                "{found} {what} with one signature, {limit} are read"
            ))),
            None => Ok(self),
        }
    }
}

// === impl LogEntry ===

impl LogEntry {
    fn of_annotation(text: &str) -> Result<Self, DecodeError> {
        let malformed = |detail: &dyn std::fmt::Display| malformed(LOG_BUNDLE, detail);
        let wire: WireLogBundle = json(LOG_BUNDLE, text.as_bytes())?;
        let decode = |text: &str| STANDARD.decode(text).map_err(|e| malformed(&e));
        let body = decode(&wire.payload.body)?;
        let promise = decode(&wire.signed_entry_timestamp)?;
        let log = hex::decode(&wire.payload.log_id).map_err(|e| malformed(&e))?;
        let said: WireKind = json(LOG_BUNDLE, &body)?;
        let (kind, label) = EntryKind::named(&said).ok_or_else(|| malformed(&said.unknown()))?;
        let index = LogIndex::new(wire.payload.log_index).map_err(|e| malformed(&e))?;
        let time = jiff::Timestamp::from_second(wire.payload.integrated_time)
            .map_err(|e| malformed(&e))?;
        let entry = TransparencyLogEntry::new(
            index,
            LogId::new(LogKeyId::new(log)),
            label,
            CanonicalizedBody::new(body),
        );
        let wire = entry
            .with_integrated_time(time)
            .with_inclusion_promise(InclusionPromise::new(SignedTimestamp::new(promise)));
        Ok(Self { kind, wire })
    }

    fn of_bundle(mut value: Value) -> Result<Self, DecodeError> {
        let said = value.get("kindVersion").cloned().unwrap_or_default();
        let said: WireKind = serde_json::from_value(said).map_err(|e| unreadable(&e))?;
        let (kind, label) = EntryKind::named(&said).ok_or_else(|| unreadable(&said.unknown()))?;
        if let Some(kind) = value.get_mut("kindVersion") {
            *kind = serde_json::json!({"kind": label.kind(), "version": label.version()});
        }
        let wire = serde_json::from_value(value).map_err(|e| unreadable(&e))?;
        Ok(Self { kind, wire })
    }
}

// === impl EntryKind ===

impl EntryKind {
    /// The kind that is named so, and the label under which the entry is kept.
    fn named(said: &WireKind) -> Option<(Self, KindVersion)> {
        let current = |kind| Some((Self::Current(kind), kind));
        match (said.kind.as_str(), said.version.as_str()) {
            ("hashedrekord", "0.0.1") => current(KindVersion::HashedRekordV001),
            ("hashedrekord", "0.0.2") => current(KindVersion::HashedRekordV002),
            ("dsse", "0.0.1") => current(KindVersion::DsseV001),
            ("intoto", "0.0.2") => current(KindVersion::IntotoV002),
            ("intoto", "0.0.1") => Some((Self::IntotoV001, KindVersion::IntotoV002)),
            // What the label decides beside the body is the generation of Rekor.
            ("dsse", "0.0.2") => Some((Self::DsseV002, KindVersion::HashedRekordV002)),
            ("rekord", "0.0.1") => Some((Self::RekordV001, KindVersion::HashedRekordV001)),
            _ => None,
        }
    }

    /// Its name and its version, as the body of such an entry says them.
    pub fn name(self) -> (&'static str, &'static str) {
        match self {
            Self::Current(kind) => (kind.kind(), kind.version()),
            Self::IntotoV001 => ("intoto", "0.0.1"),
            Self::RekordV001 => ("rekord", "0.0.1"),
            Self::DsseV002 => ("dsse", "0.0.2"),
        }
    }
}

// === impl WireKind ===

impl WireKind {
    fn unknown(&self) -> String {
        format!(
            "a log entry of the unknown kind {}/{}",
            self.kind, self.version
        )
    }
}

/// The certificates in a PEM text. One or more.
fn chain(name: &str, text: &str) -> Result<Vec<DerCertificate>, DecodeError> {
    let blocks = pem::certificates(text.as_bytes(), CERTIFICATES);
    let blocks = blocks.map_err(|e| malformed(name, &e))?.into_iter();
    let certificates = blocks.map(|der| {
        Certificate::from_der(&der).map_err(|e| malformed(name, &e))?;
        Ok(DerCertificate::new(der))
    });
    certificates.collect()
}

fn timestamp(text: &str) -> Result<TimestampToken, DecodeError> {
    let wire: WireTimestamp = json(TIMESTAMP, text.as_bytes())?;
    let der = STANDARD.decode(wire.signed);
    der.map(TimestampToken::new)
        .map_err(|e| malformed(TIMESTAMP, &e))
}

fn json<T: DeserializeOwned>(name: &str, text: &[u8]) -> Result<T, DecodeError> {
    let value = parse_small(text, DEPTH, VALUES).map_err(|e| malformed(name, &e))?;
    serde_json::from_value(value).map_err(|e| malformed(name, &e))
}

fn malformed(annotation: &str, detail: &(impl std::fmt::Display + ?Sized)) -> DecodeError {
    DecodeError::Annotation {
        annotation: annotation.to_owned(),
        detail: brief(&detail),
    }
}

fn unreadable(detail: &(impl std::fmt::Display + ?Sized)) -> DecodeError {
    DecodeError::Material {
        detail: brief(&detail),
    }
}

#[cfg(test)]
mod tests;
