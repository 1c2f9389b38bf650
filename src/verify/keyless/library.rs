//! The library `sigstore-verify`: what it is given, and what it says.
//!
//! It is given only the part of the evidence that the policy asks for, so that what nobody asked for is no reason to refuse. It accepts
//! any holder of a certificate; who it was is decided where it is called.

use jiff::Timestamp;
use sigstore_types::bundle::{
    CertificateContent, Rfc3161Timestamp, TimestampVerificationData, VerificationMaterial,
    VerificationMaterialContent, X509Certificate,
};
use sigstore_types::{Bundle, MediaType};
use sigstore_verify::bundle::Error as Shape;
use sigstore_verify::{Error, VerificationPolicy};

use super::chain;
use crate::evidence::Material;
use crate::limits::json::brief;
use crate::verify::Rejection;
use crate::verify::log::{self, Moment};
use crate::verify::requirement::{KeylessRequirement, KeylessWitness, Sct};
use crate::verify::signed::{Signed, Unproven};

/// (1) to (7), and the earliest authenticated time.
pub(super) fn vouched(
    requirement: &KeylessRequirement,
    signed: &Signed<'_>,
    material: &Material,
    now: Timestamp,
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
    let times = result.verified_timestamps();
    for time in times {
        // What the library leaves open: stamps that lie in the future (T-37), and authorities whose own certificate was not good (T-31).
        if *time > now {
            let detail = format!("a timestamp says {time}, which lies in the future");
            return Err(Rejection::NoTimestamp { detail }.into());
        }
        chain::issuer(&material.certificates, &requirement.trust, *time)
            .map_err(|detail| Rejection::InvalidCertificate { detail })?;
    }
    let earliest = times.iter().min().copied();
    if let Some(logs) = requirement
        .trust
        .logs()
        .filter(|_| requirement.witness.asks_log())
    {
        // And entries of another kind than is said (T-30), logs that were retired before (T-35).
        let stamped = earliest;
        log::counted(material, logs, Moment { now, stamped })?;
    }
    Ok(earliest)
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
    // Those of a layer that is an envelope may be about the layer, which is not looked at here.
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
    let material = VerificationMaterial::new(content)
        .with_tlog_entries(entries)
        .with_timestamp_verification_data(TimestampVerificationData::new(timestamps));
    Bundle::new(version, material, signed.content())
}

/// What the library says, as one of our reasons.
fn unproven(error: &Error, witness: KeylessWitness) -> Unproven {
    let detail = brief(&chain::dated(&error.to_string()));
    let rejection = match error {
        Error::ArtifactMismatch(_) => return Unproven::OtherArtifact { detail },
        Error::SignatureInvalid(_) => Rejection::OtherKey,
        Error::Certificate(_)
        | Error::InvalidTrustRoot(_)
        | Error::Bundle(Shape::CertificateChainNotAllowed(_)) => {
            Rejection::InvalidCertificate { detail }
        }
        Error::TransparencyLog(_) => Rejection::NotLogged { detail },
        // What its version must have is not there.
        Error::Bundle(_) if witness.asks_log() => Rejection::NotLogged { detail },
        Error::Bundle(_) | Error::Timestamp(_) => Rejection::NoTimestamp { detail },
        _ => Rejection::Unverifiable { detail },
    };
    rejection.into()
}
