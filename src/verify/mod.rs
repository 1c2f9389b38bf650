//! Verification: the one place where evidence becomes proof.
//!
//! *In*: a decoded piece of evidence with what came beside its signature, the [`Requirement`] of an authority, the digest of the image, and
//! the present time. *Out*: a [`Verified`] value, which only this module can construct, or a [`Rejection`] that says which check failed.
//! Pure: bytes in, proof out, no network. The present is looked at for two things: nothing may be of the future, and where nobody
//! vouches for a time in the past a certificate must be valid now.
//!
//! The order of checks for an image signature ([`signature`]):
//!
//! 1. the evidence was decoded;
//! 2. it was signed by whom the requirement names, over the payload **as it came**: a simple-signing payload, or the pre-authentication
//!    encoding of an in-toto statement in a bundle. A bundle's signature over bytes is checked over the image's own digest, and binds
//!    the image by that: nothing is left to check but that the bundle claims no other digest;
//! 3. the payload is a simple-signing payload of a known type, or a statement of a known version, with subjects;
//! 4. the digest it names is the digest of this image;
//! 5. a statement's predicate type is the one of image signatures: another one is an attestation, whoever signed it.
//!
//! and for an attestation ([`attestation`]):
//!
//! 1. the envelope, in a layer or in a bundle, was decoded and has exactly one signature;
//! 2. the payload type is in-toto's;
//! 3. it was signed by whom the requirement names, over the pre-authentication encoding;
//! 4. the payload is a statement of a known version, with subjects;
//! 5. one of its subjects is the digest of this image.
//!
//! "By whom the requirement names" is, for a key (`by_key`):
//!
//! 1. the signature verifies with the key;
//! 2. a log of the root has recorded this signature by this key, or each timestamp is good: only as far as the policy asks.
//!
//! and for identities (`keyless`): authenticated times, then the certificate and its chain at each of them, its certificate log, the log
//! entry, the signature, that the entry is about this signature, and last who the holder is.
//!
//! A key authority does not look at what a bundle says of its signer, and a keyless one does not look at anything without a certificate:
//! neither stands in for the other (T-33). What nobody asked for changes nothing.
//!
//! Nothing inside a payload decides anything before its signature was verified (CVE-2022-35929, CVE-2022-23649, CVE-2026-39395 are what
//! happens otherwise), and nothing is serialised again on the way (CVE-2026-44309). No address in evidence is called (T-40).

mod bind;
mod by_key;
mod holder;
mod identity;
mod key;
mod keyless;
mod log;
mod rejection;
mod requirement;
mod signed;
mod verified;

pub use bind::{Attestation, SignedImage};
pub use holder::{GithubWorkflow, Holder, Subject};
pub use identity::{Expected, Identity, Pattern};
pub use key::{HashAlgorithm, InvalidKey, KeyFingerprint, PublicKey, UnknownHash};
pub use rejection::Rejection;
pub use requirement::{
    Identities, KeyRequirement, KeyWitness, KeylessRequirement, KeylessWitness, Requirement, Sct,
    VerifierId,
};
pub use signed::Message;
pub use verified::{Signer, Verified};

use jiff::Timestamp;
use sigstore_types::DerCertificate;

use signed::{Signed, Unproven, Vouched};

use crate::evidence::{Bundle, Candidate, DecodeError, Envelope, Evidence, Material};
use crate::image::Digest;
use crate::limits::{EvidenceLimits, json};

/// Verifies a candidate as a signature of the image with this digest. It is `now` where the evidence does not say when it was made.
///
/// # Errors
/// The first check that failed, in the order given in the module's documentation.
pub fn signature(
    candidate: &Candidate,
    image: &Digest,
    requirement: &Requirement,
    limits: &EvidenceLimits,
    now: Timestamp,
) -> Result<Verified<SignedImage>, Rejection> {
    // (1)
    let (signed, vouched) = match &candidate.decoded {
        Ok(Evidence::Signature(evidence)) => {
            let signed = Signed::Message {
                message: Message::Bytes(&evidence.payload),
                claimed: None,
                signature: &evidence.signature,
            };
            // (2)
            let vouched = vouched(requirement, &signed, &candidate.material, now);
            let bind = |by: Option<&DerCertificate>| bind::claim(evidence, by, image, limits);
            // (3) (4)
            bound(vouched, bind)?
        }
        Ok(Evidence::Bundle(Bundle::Statement(envelope))) => {
            // (2)
            let vouched = enveloped(
                envelope,
                Message::Digest(image),
                requirement,
                &candidate.material,
                limits,
                now,
            );
            let bind = |by: Option<&DerCertificate>| {
                bind::signature_statement(envelope, by, image, limits)
            };
            // (3) (4) (5)
            bound(vouched, bind)?
        }
        Ok(Evidence::Bundle(Bundle::Message(message))) => {
            let signed = Signed::Message {
                message: Message::Digest(image),
                claimed: message.claimed.as_ref(),
                signature: &message.signature,
            };
            // (2), which is (4)
            let vouched = vouched(requirement, &signed, &candidate.material, now);
            let bind = |by: Option<&DerCertificate>| bind::message(message, by, image);
            bound(vouched, bind)?
        }
        // An attestation is not a signature: it vouches for a statement, not for running the image.
        Ok(Evidence::Attestation(_)) => return Err(Rejection::NotASignature),
        Err(error) => return Err(Rejection::Undecodable(error.clone())),
    };
    Ok(Verified::new(signed, vouched, candidate))
}

/// Verifies a candidate as an attestation about the image with this digest. It is `now` where the evidence does not say when it was
/// made.
///
/// # Errors
/// The first check that failed, in the order given in the module's documentation.
pub fn attestation(
    candidate: &Candidate,
    image: &Digest,
    requirement: &Requirement,
    limits: &EvidenceLimits,
    now: Timestamp,
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
    let vouched = enveloped(
        envelope,
        Message::Digest(image),
        requirement,
        &candidate.material,
        limits,
        now,
    );
    // (4) (5)
    let bind = |by: Option<&DerCertificate>| bind::statement(envelope, by, image, limits);
    let (attestation, vouched) = bound(vouched, bind)?;
    Ok(Verified::new(attestation, vouched, candidate))
}

/// Verifies a candidate as something that was signed over `artifact`, or as a statement about it.
///
/// # Errors
/// The first check that failed: as for an image, where the artifact stands in for the image's manifest.
pub fn artifact(
    candidate: &Candidate,
    artifact: Message<'_>,
    requirement: &Requirement,
    limits: &EvidenceLimits,
    now: Timestamp,
) -> Result<Verified<()>, Rejection> {
    let material = &candidate.material;
    let (bound, vouched) = match &candidate.decoded {
        Ok(Evidence::Bundle(Bundle::Message(message))) => {
            let signed = Signed::Message {
                message: artifact,
                claimed: message.claimed.as_ref(),
                signature: &message.signature,
            };
            let vouched = vouched(requirement, &signed, material, now);
            bound(vouched, |_| bind::claimed(message, artifact))?
        }
        Ok(Evidence::Attestation(envelope) | Evidence::Bundle(Bundle::Statement(envelope))) => {
            let vouched = enveloped(envelope, artifact, requirement, material, limits, now);
            bound(vouched, |_| bind::about(envelope, artifact, limits))?
        }
        Ok(Evidence::Signature(_)) => return Err(Rejection::NotAnAttestation),
        Err(error) => return Err(Rejection::Undecodable(error.clone())),
    };
    Ok(Verified::new(bound, vouched, candidate))
}

/// Who signed an envelope that carries a statement.
fn enveloped(
    envelope: &Envelope,
    about: Message<'_>,
    requirement: &Requirement,
    material: &Result<Material, DecodeError>,
    limits: &EvidenceLimits,
    now: Timestamp,
) -> Result<Vouched, Unproven> {
    if envelope.payload_type != bind::IN_TOTO_PAYLOAD {
        let found = envelope.payload_type.chars().take(64).collect();
        return Err(Rejection::PayloadType { found }.into());
    }
    // Statements are parsed before it is known who signed them: what a stranger wrote must not take what it likes.
    if json::weight(&envelope.payload) > limits.statement_bytes {
        let detail = format!(
            "the statement takes more than {} MiB once it is parsed",
            limits.statement_bytes >> 20
        );
        return Err(Rejection::Unverifiable { detail }.into());
    }
    let signed = Signed::Envelope { envelope, about };
    vouched(requirement, &signed, material, now)
}

/// Who signed, as the requirement asks.
fn vouched(
    requirement: &Requirement,
    signed: &Signed<'_>,
    material: &Result<Material, DecodeError>,
    now: Timestamp,
) -> Result<Vouched, Unproven> {
    match requirement {
        Requirement::Key(requirement) => by_key::vouched(requirement, signed, material, now),
        Requirement::Keyless(requirement) => {
            let material = material
                .as_ref()
                .map_err(|e| Rejection::Undecodable(e.clone()))?;
            keyless::vouched(requirement, signed, material, now)
        }
    }
}

/// Binds what was signed, once it is known by whom.
fn bound<T>(
    vouched: Result<Vouched, Unproven>,
    bind: impl Fn(Option<&DerCertificate>) -> Result<T, Rejection>,
) -> Result<(T, Vouched), Rejection> {
    match vouched {
        Ok(vouched) => bind(vouched.certificate.as_ref()).map(|bound| (bound, vouched)),
        Err(unproven) => Err(unproven.rejection(|| bind(None))),
    }
}

#[cfg(test)]
mod tests;
