//! Signatures by certificate: who was the holder, was the certificate valid then, who says when "then" was.
//!
//! The checks are those of the library `sigstore-verify`, which the trust material holds ready. In its order:
//!
//! 1. the material has what its version must have: a promise or a proof of the log, one certificate or a chain;
//! 2. every time is authenticated: timestamps by an authority of the root within its window, integrated times by the log's promise.
//!    There is at least one, and none lies in the future;
//! 3. at **each** of these times the certificate and its whole chain are valid, end in a certificate authority of the root whose
//!    window is open, and are for signing code;
//! 4. the certificate was logged: its signed certificate timestamp is by a certificate transparency log of the root;
//! 5. the entry is in a log of the root: promise, inclusion proof, checkpoint;
//! 6. the signature verifies with the certificate's key over the bytes as they came;
//! 7. the entry is about this signature, this certificate and this payload (T-30).
//!
//! Here is decided what is asked of it: which of the log and the timestamps counts, as the policy says, and (8) whether the holder is
//! somebody whom the policy names. That the library accepts any holder is why nothing else may call it.

use jiff::Timestamp;
use sigstore_types::bundle::{
    CertificateContent, Rfc3161Timestamp, TimestampVerificationData, VerificationMaterialContent,
    X509Certificate,
};
use sigstore_types::{Bundle, DerCertificate, MediaType};
use sigstore_verify::bundle::Error as Shape;
use sigstore_verify::{Error, VerificationPolicy};

use super::requirement::{KeylessRequirement, KeylessWitness, Sct};
use super::signed::{Lasting, Signed, Unproven, Vouched};
use super::{Holder, Rejection, Signer};
use crate::evidence::Material;
use crate::limits::json::brief;

/// Whether a signature was made by one of the identities that are required.
pub(super) fn vouched(
    requirement: &KeylessRequirement,
    signed: &Signed<'_>,
    material: &Material,
) -> Result<Vouched, Unproven> {
    let Some(certificate) = material.certificates.first() else {
        return Err(Rejection::NoCertificate.into());
    };
    let time = by_library(requirement, signed, material)?;
    let holder = named(requirement, certificate)?;
    Ok(Vouched {
        signer: Signer::Identity(holder),
        certificate: Some(certificate.clone()),
        time,
        lasting: Lasting::Always,
    })
}

/// (8) The holder, where the policy names it.
fn named(
    requirement: &KeylessRequirement,
    certificate: &DerCertificate,
) -> Result<Holder, Rejection> {
    let holder =
        Holder::of(certificate).map_err(|detail| Rejection::InvalidCertificate { detail })?;
    if requirement
        .identities
        .iter()
        .any(|identity| identity.is(&holder))
    {
        return Ok(holder);
    }
    Err(Rejection::OtherIdentity {
        found: Box::new(holder),
        wanted: requirement.identities.clone(),
    })
}

/// (1) to (7), and the earliest authenticated time.
fn by_library(
    requirement: &KeylessRequirement,
    signed: &Signed<'_>,
    material: &Material,
) -> Result<Option<Timestamp>, Unproven> {
    let Some(verifier) = requirement.trust.verifier() else {
        let detail = "no certificate authority is trusted".to_owned();
        return Err(Rejection::InvalidCertificate { detail }.into());
    };
    let bundle = bundle(requirement, signed, material);
    let stamps = &bundle.verification_material.timestamp_verification_data;
    if requirement.witness.asks_timestamps() && stamps.rfc3161_timestamps.is_empty() {
        let detail =
            "there is no signed timestamp with it by an authority that is trusted".to_owned();
        return Err(Rejection::NoTimestamp { detail }.into());
    }
    let mut policy = VerificationPolicy::any_identity();
    if requirement.sct == Sct::WaivedByPolicy {
        policy = policy.skip_sct();
    }
    if !requirement.witness.asks_log() {
        policy = policy.skip_tlog_unsafe();
    }
    let result = verifier
        .verify(signed.artifact()?, &bundle, &policy)
        .map_err(|error| unproven(&error, requirement.witness))?;
    Ok(result.verified_timestamps().iter().min().copied())
}

/// The part of the evidence that the policy asks for, in the library's form.
fn bundle(requirement: &KeylessRequirement, signed: &Signed<'_>, material: &Material) -> Bundle {
    let witness = requirement.witness;
    let (version, entries) = if witness.asks_log() {
        let entries = material.entries.iter();
        (
            material.version,
            entries.map(|entry| entry.wire.clone()).collect(),
        )
    } else {
        // The version that may do without a log entry.
        (MediaType::Bundle0_2, Vec::new())
    };
    // A root without timestamp authorities can judge no timestamp: those that are there count as absent, and prove no time.
    // Those of a layer that is an envelope are about the layer, and not about its signature.
    let counts = requirement.trust.has_timestamp_authorities() && !signed.is_layer();
    let timestamps = if counts {
        let tokens = material.timestamps.iter();
        tokens
            .map(|token| Rfc3161Timestamp::new(token.clone()))
            .collect()
    } else {
        Vec::new()
    };
    let content = match (material.certificates.as_slice(), version) {
        ([only], MediaType::Bundle0_3) => {
            VerificationMaterialContent::Certificate(CertificateContent::new(only.clone()))
        }
        (chain, _) => VerificationMaterialContent::X509CertificateChain {
            certificates: chain.iter().cloned().map(X509Certificate::new).collect(),
        },
    };
    let material = sigstore_types::bundle::VerificationMaterial::new(content)
        .with_tlog_entries(entries)
        .with_timestamp_verification_data(TimestampVerificationData::new(timestamps));
    Bundle::new(version, material, signed.content())
}

/// What the library says, as one of our reasons.
fn unproven(error: &Error, witness: KeylessWitness) -> Unproven {
    let detail = brief(error);
    let rejection = match error {
        Error::ArtifactMismatch(_) => return Unproven::OtherArtifact { detail },
        Error::SignatureInvalid(_) => Rejection::OtherKey,
        Error::Certificate(_)
        | Error::InvalidTrustRoot(_)
        | Error::Bundle(Shape::CertificateChainNotAllowed(_)) => {
            Rejection::InvalidCertificate { detail }
        }
        Error::TransparencyLog(_) => Rejection::NotLogged { detail },
        Error::Timestamp(_) => Rejection::NoTimestamp { detail },
        Error::Bundle(_) if witness.asks_log() => Rejection::NotLogged { detail },
        Error::Bundle(_) => Rejection::NoTimestamp { detail },
        _ => Rejection::Unverifiable { detail },
    };
    rejection.into()
}
