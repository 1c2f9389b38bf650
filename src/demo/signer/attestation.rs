//! Attestations: in-toto Statements in DSSE envelopes in an `.att` manifest.
//!
//! In come a predicate, an image digest and a key; out comes one more layer, which is an envelope. Specifications: in-toto
//! Statement v0.1 and v1, DSSE 1.0 ("Protocol": the signature is over the pre-authentication encoding).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Value, json};
use sigstore_types::pae;

use super::layer::{Layer, append, written};
use super::{Attached, EMPTY_ANNOTATIONS, SIGNATURE_ANNOTATION, SigningError, SigningKey};
use crate::demo::registry::Store;
use crate::image::Digest;

/// Media type of a DSSE envelope.
pub const DSSE_ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
/// The payload type of in-toto Statements.
const IN_TOTO: &str = "application/vnd.in-toto+json";
/// The annotation with the predicate type, which cosign writes for its own lookups.
const PREDICATE_TYPE_ANNOTATION: &str = "predicateType";

/// Which in-toto Statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatementVersion {
    /// `https://in-toto.io/Statement/v0.1`, what cosign and Tekton Chains write.
    #[default]
    V01,
    /// `https://in-toto.io/Statement/v1`.
    V1,
}

/// What the layer's `predicateType` annotation says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PredicateTypeAnnotation {
    /// The same as the Statement, as cosign writes it.
    #[default]
    AsStatement,
    /// There is none, as Tekton Chains writes it.
    Absent,
    /// Something else.
    Other(String),
}

/// One signature of an envelope.
#[derive(Clone, Debug)]
pub enum EnvelopeSignature {
    /// Made by this key, with this `keyid`.
    By {
        /// The key.
        key: SigningKey,
        /// The hint beside it, often empty.
        keyid: String,
    },
    /// This text, word for word.
    Raw {
        /// The hint beside it.
        keyid: String,
        /// The text in `sig`, base64 in an honest envelope.
        sig: String,
    },
}

/// What an attestation says. `Default` is an honest `cosign attest --key`.
#[derive(Clone, Debug, Default)]
pub struct AttestationOptions {
    /// The Statement's version.
    pub version: StatementVersion,
    /// The subject's name; the repository's path where absent.
    pub subject_name: Option<String>,
    /// The whole list of subjects; one with the image's digest where absent.
    pub subjects: Option<Value>,
    /// The bytes of the Statement, whatever they are.
    pub statement: Option<Vec<u8>>,
    /// The envelope's `payloadType`; it is what is signed, too.
    pub payload_type: Option<String>,
    /// Signed instead of the pre-authentication encoding.
    pub signed_bytes: Option<Vec<u8>>,
    /// The text in the envelope's `payload` instead of the Statement in base64.
    pub payload: Option<String>,
    /// The envelope's signatures, in this order; one by the key where absent, none where empty.
    pub signatures: Option<Vec<EnvelopeSignature>>,
    /// Stored as the layer instead of an envelope.
    pub layer: Option<Vec<u8>>,
    /// The layer's media type; [`DSSE_ENVELOPE`] where absent.
    pub media_type: Option<String>,
    /// The layer's `predicateType` annotation.
    pub predicate_type_annotation: PredicateTypeAnnotation,
    /// Writes empty certificate and chain annotations, no `predicateType` annotation, and the key's `keyid`.
    pub as_tekton_chains: bool,
    /// More annotations of the layer; they replace others of the same name.
    pub layer_annotations: BTreeMap<String, String>,
    /// Stands before the tag (a policy's `source[].tagPrefix`).
    pub tag_prefix: String,
}

/// An in-toto Statement, in cosign's field order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Statement<'a> {
    #[serde(rename = "_type")]
    kind: &'a str,
    predicate_type: &'a str,
    subject: &'a Value,
    predicate: &'a Value,
}

/// A DSSE envelope, with as many signatures as a test wants.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    payload_type: &'a str,
    payload: String,
    signatures: Vec<Signature>,
}

#[derive(Serialize)]
struct Signature {
    keyid: String,
    sig: String,
}

// === impl StatementVersion ===

impl StatementVersion {
    /// The Statement's `_type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V01 => "https://in-toto.io/Statement/v0.1",
            Self::V1 => "https://in-toto.io/Statement/v1",
        }
    }
}

/// Makes a Statement about `image`, signs it with `key`, and appends it to the image's `.att` manifest in `repository`.
///
/// # Errors
/// [`SigningError`]: no signature, a tag prefix that makes no tag, something else than a manifest under the tag.
pub fn attach_attestation(
    store: &Store,
    repository: &str,
    image: &Digest,
    key: &SigningKey,
    predicate_type: &str,
    predicate: &Value,
    options: &AttestationOptions,
) -> Result<Attached, SigningError> {
    let statement = match &options.statement {
        Some(bytes) => bytes.clone(),
        None => statement(repository, image, predicate_type, predicate, options)?,
    };
    let bytes = match &options.layer {
        Some(bytes) => bytes.clone(),
        None => envelope(&statement, key, options)?,
    };
    let layer = Layer {
        media_type: options
            .media_type
            .clone()
            .unwrap_or_else(|| DSSE_ENVELOPE.to_owned()),
        bytes,
        annotations: annotations(predicate_type, options),
    };
    let tag = image.tag_with_suffix(&options.tag_prefix, "att")?;
    append(store, repository, tag, layer)
}

fn statement(
    repository: &str,
    image: &Digest,
    predicate_type: &str,
    predicate: &Value,
    options: &AttestationOptions,
) -> Result<Vec<u8>, SigningError> {
    let name = options.subject_name.as_deref().unwrap_or(repository);
    let honest = || json!([{"name": name, "digest": {image.algorithm().as_str(): image.hex()}}]);
    let document = Statement {
        kind: options.version.as_str(),
        predicate_type,
        subject: &options.subjects.clone().unwrap_or_else(honest),
        predicate,
    };
    written(&document, "the statement")
}

fn envelope(
    statement: &[u8],
    key: &SigningKey,
    options: &AttestationOptions,
) -> Result<Vec<u8>, SigningError> {
    let payload_type = options.payload_type.as_deref().unwrap_or(IN_TOTO);
    let signed = match &options.signed_bytes {
        Some(bytes) => bytes.clone(),
        None => pae(payload_type, statement),
    };
    let by_the_key = || {
        let keyid = if options.as_tekton_chains {
            key.key_id()
        } else {
            String::new()
        };
        let key = key.clone();
        vec![EnvelopeSignature::By { key, keyid }]
    };
    let signatures = options
        .signatures
        .clone()
        .unwrap_or_else(by_the_key)
        .into_iter()
        .map(|signature| signature.over(&signed))
        .collect::<Result<_, _>>()?;
    let payload = match &options.payload {
        Some(text) => text.clone(),
        None => STANDARD.encode(statement),
    };
    let envelope = Envelope {
        payload_type,
        payload,
        signatures,
    };
    written(&envelope, "the envelope")
}

fn annotations(predicate_type: &str, options: &AttestationOptions) -> BTreeMap<String, String> {
    let mut annotations = BTreeMap::from([(SIGNATURE_ANNOTATION.to_owned(), String::new())]);
    let said = match &options.predicate_type_annotation {
        PredicateTypeAnnotation::AsStatement if options.as_tekton_chains => None,
        PredicateTypeAnnotation::AsStatement => Some(predicate_type),
        PredicateTypeAnnotation::Absent => None,
        PredicateTypeAnnotation::Other(text) => Some(text.as_str()),
    };
    if let Some(text) = said {
        annotations.insert(PREDICATE_TYPE_ANNOTATION.to_owned(), text.to_owned());
    }
    if options.as_tekton_chains {
        annotations.extend(EMPTY_ANNOTATIONS.map(|name| (name.to_owned(), String::new())));
    }
    annotations.extend(options.layer_annotations.clone());
    annotations
}

// === impl EnvelopeSignature ===

impl EnvelopeSignature {
    fn over(self, signed: &[u8]) -> Result<Signature, SigningError> {
        match self {
            Self::By { key, keyid } => Ok(Signature {
                keyid,
                sig: STANDARD.encode(key.sign(signed)?),
            }),
            Self::Raw { keyid, sig } => Ok(Signature { keyid, sig }),
        }
    }
}

#[cfg(test)]
mod tests;
