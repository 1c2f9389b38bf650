//! Keys and evidence as cosign and Tekton Chains write them with a key: `.sig` and `.att` manifests beside the image, and manifests
//! that refer to it.
//!
//! In come a store, an image digest and a key; out comes a new layer in the manifest that the verifier looks up by tag
//! (`sha256-<hex>.sig`, `sha256-<hex>.att`), or a manifest of its own. The forms are sigstore bundles, cosign's `SIGNATURE_SPEC`, the
//! DSSE envelope of secure-systems-lab and in-toto Statements v0.1 and v1. Every option exists to say something else than an honest
//! signer would.

mod attestation;
mod bundle;
mod key;
mod layer;
mod provenance;
mod signature;

pub use attestation::{
    AttestationOptions, DSSE_ENVELOPE, EnvelopeSignature, PredicateTypeAnnotation,
    StatementVersion, attach_attestation,
};
pub use bundle::{
    BUNDLE, BundleOptions, COSIGN_SIGN, ReferrerOptions, Referring, SIMPLE_SIGNING_ARTIFACT,
    attach_bundle_attestation, attach_bundle_signature, attach_document, attach_message_signature,
    attach_signature_referrer,
};
pub use key::SigningKey;
pub use layer::Attached;
pub use provenance::{SLSA_PROVENANCE_V02, slsa_v02};
pub use signature::{SIMPLE_SIGNING, SignatureOptions, attach_signature};

use crate::image::InvalidReference;

/// The annotation with a layer's signature; empty beside a DSSE envelope, which carries its own.
const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// The annotations that Tekton Chains writes empty when it signs with a key: an empty one means absent.
const EMPTY_ANNOTATIONS: [&str; 2] = [
    "dev.sigstore.cosign/certificate",
    "dev.sigstore.cosign/chain",
];

/// Why nothing was signed or attached.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The cryptographic library made no key or no signature.
    #[error("the cryptographic library refused to {action}")]
    Crypto {
        /// What it was asked to do.
        action: &'static str,
    },
    /// A document could not be written as JSON, or what the store has under the tag is no manifest to append to.
    #[error("{what} is no document to write or append to")]
    Document {
        /// Which document.
        what: String,
        /// What the parser or writer says.
        #[source]
        source: serde_json::Error,
    },
    /// The tag prefix and the digest do not make a tag.
    #[error("the tag for the evidence is none")]
    Tag(#[from] InvalidReference),
}
