//! Verification: the one place where evidence becomes proof.
//!
//! *In*: a decoded piece of evidence, the [`Requirement`] of an authority, the digest of the image, the trust material. *Out*: a
//! [`Verified`] value, which only this module can construct, or a [`Rejection`] that says which check failed. Pure: bytes in, proof
//! out, no clock and no network.
//!
//! The order of checks for an image signature ([`signature`]):
//!
//! 1. the evidence was decoded;
//! 2. the signature verifies with the authority's key, over the payload **as it came**: a simple-signing payload, or the
//!    pre-authentication encoding of an in-toto statement in a bundle. A bundle's signature over bytes is checked over the image's
//!    own digest, and binds the image by that: nothing is left to check but that the bundle claims no other digest;
//! 3. the payload is a simple-signing payload of a known type, or a statement of a known version, with subjects;
//! 4. the digest it names is the digest of this image;
//! 5. a statement's predicate type is the one of image signatures: another one is an attestation, whoever signed it.
//!
//! and for an attestation ([`attestation`]):
//!
//! 1. the envelope, in a layer or in a bundle, was decoded and has exactly one signature;
//! 2. the payload type is in-toto's;
//! 3. the signature over the pre-authentication encoding verifies with the authority's key;
//! 4. the payload is a statement of a known version, with subjects;
//! 5. one of its subjects is the digest of this image.
//!
//! A bundle names its signer too, by a hint or a certificate. That is not looked at: the authority's key verifies, or it does not. So a
//! key authority is never satisfied by an identity (T-33), and log entries that it did not ask for change nothing.
//!
//! Nothing inside a payload is looked at before its signature was verified (CVE-2022-35929, CVE-2022-23649, CVE-2026-39395 are what
//! happens otherwise), and nothing is serialised again on the way (CVE-2026-44309).

mod bind;
mod key;
mod rejection;
mod requirement;
mod verified;

pub use bind::{Attestation, SignedImage};
pub use key::{HashAlgorithm, InvalidKey, KeyFingerprint, PublicKey, UnknownHash};
pub use rejection::Rejection;
pub use requirement::{Requirement, VerifierId};
pub use verified::{Signer, Verified};

use crate::evidence::{Bundle, Candidate, Envelope, Evidence};
use crate::image::Digest;
use crate::limits::EvidenceLimits;
use crate::trust::TrustMaterial;

/// Verifies a candidate as a signature of the image with this digest.
///
/// # Errors
/// The first check that failed, in the order given in the module's documentation.
pub fn signature(
    candidate: &Candidate,
    image: &Digest,
    requirement: &Requirement,
    _trust: &TrustMaterial,
    limits: &EvidenceLimits,
) -> Result<Verified<SignedImage>, Rejection> {
    // (1)
    match &candidate.decoded {
        Ok(Evidence::Signature(evidence)) => {
            // (2)
            let signer = requirement.check(&evidence.payload, &evidence.signature)?;
            // (3) (4)
            let signed = bind::claim(evidence, image, limits)?;
            Ok(Verified::new(signed, signer, candidate))
        }
        Ok(Evidence::Bundle(Bundle::Statement(envelope))) => {
            // (2)
            let signer = enveloped(envelope, requirement)?;
            // (3) (4) (5)
            let signed = bind::signature_statement(envelope, image, limits)?;
            Ok(Verified::new(signed, signer, candidate))
        }
        Ok(Evidence::Bundle(Bundle::Message(message))) => {
            // (2), which is (4)
            let signer = requirement.check_digest(image, &message.signature)?;
            let signed = bind::message(message, image)?;
            Ok(Verified::new(signed, signer, candidate))
        }
        // An attestation is not a signature: it vouches for a statement, not for running the image.
        Ok(Evidence::Attestation(_)) => Err(Rejection::NotASignature),
        Err(error) => Err(Rejection::Undecodable(error.clone())),
    }
}

/// Verifies a candidate as an attestation about the image with this digest.
///
/// # Errors
/// The first check that failed, in the order given in the module's documentation.
pub fn attestation(
    candidate: &Candidate,
    image: &Digest,
    requirement: &Requirement,
    _trust: &TrustMaterial,
    limits: &EvidenceLimits,
) -> Result<Verified<Attestation>, Rejection> {
    // (1)
    let envelope = match &candidate.decoded {
        Ok(Evidence::Attestation(envelope) | Evidence::Bundle(Bundle::Statement(envelope))) => {
            envelope
        }
        Ok(Evidence::Signature(_) | Evidence::Bundle(Bundle::Message(_))) => {
            return Err(Rejection::NotAnAttestation);
        }
        Err(error) => return Err(Rejection::Undecodable(error.clone())),
    };
    // (2) (3)
    let signer = enveloped(envelope, requirement)?;
    // (4) (5)
    let attestation = bind::statement(envelope, image, limits)?;
    Ok(Verified::new(attestation, signer, candidate))
}

/// Who signed an envelope that carries a statement.
fn enveloped(envelope: &Envelope, requirement: &Requirement) -> Result<Signer, Rejection> {
    if envelope.payload_type != bind::IN_TOTO_PAYLOAD {
        return Err(Rejection::PayloadType {
            found: envelope.payload_type.chars().take(64).collect(),
        });
    }
    requirement.check(&envelope.signed_bytes(), &envelope.signature)
}

#[cfg(test)]
mod tests;
