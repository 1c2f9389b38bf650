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
//! Beside it the dates of every trusted authority's own certificate are looked at, since for the library an authority of the root ends the
//! path (T-31), and that no timestamp lies in the future. What it does not read is verified by the same rules in [`unread`]. Here is
//! decided who is asked, and (8) whether the holder is somebody whom the policy names: the library accepts any, which is why nothing
//! else may call it.

mod chain;
mod library;
mod sct;
mod unread;

use std::sync::Arc;

use jiff::Timestamp;
use sigstore_types::DerCertificate;

use super::requirement::KeylessRequirement;
use super::signed::{Lasting, Signed, Unproven, Vouched};
use super::{Holder, Rejection, Signer};
use crate::evidence::Material;

/// Whether a signature was made by one of the identities that are required.
pub(super) fn vouched(
    requirement: &KeylessRequirement,
    signed: &Signed<'_>,
    material: &Material,
    now: Timestamp,
) -> Result<Vouched, Unproven> {
    // Of an authority that is known by its key alone the names come with the certificates.
    let issuing = requirement
        .trust
        .issuing(&material.certificates)
        .map_err(|error| Rejection::InvalidCertificate {
            detail: error.to_string(),
        })?;
    let issued = issuing.map(|trust| KeylessRequirement {
        trust: Arc::new(trust),
        ..requirement.clone()
    });
    let requirement = issued.as_ref().unwrap_or(requirement);
    let Some(certificate) = material.certificates.first() else {
        return Err(Rejection::NoCertificate.into());
    };
    let (time, lasting) = if unread::is_needed(requirement, signed, material) {
        unread::vouched(requirement, signed, material, certificate, now)?
    } else {
        let time = library::vouched(requirement, signed, material, now).map_err(|unproven| {
            let other = matches!(unproven, Unproven::OtherArtifact { .. });
            // A stranger's evidence about another image is a stranger's first of all.
            let stranger = other
                .then(|| named(requirement, certificate).err())
                .flatten();
            stranger.map_or(unproven, Unproven::Rejected)
        })?;
        (time, Lasting::Always)
    };
    let holder = named(requirement, certificate)?;
    Ok(Vouched {
        signer: Signer::Identity(holder),
        certificate: Some(certificate.clone()),
        time,
        lasting,
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
