//! What the library does not read, by the same rules: old kinds of log entries, timestamps over whole layers, and certificates for whose
//! time nobody vouches.
//!
//! | what | where it comes from | what stands in for the library's check |
//! |---|---|---|
//! | log entries `intoto` 0.0.1, `rekord` 0.0.1 | cosign before 2.2, and in 2021 | [`log::recorded`] |
//! | log entries `dsse` 0.0.2 | clients of Rekor v2 that log envelopes as such | [`log::recorded`] |
//! | timestamps beside a `.att` layer | cosign 2 stamps the layer, cosign 3 the signature in it | [`by_key::timestamps`] over either |
//! | neither log nor timestamp | a root without both | the certificate must be valid now |
//!
//! The order is the library's: authenticated times, then the chain at each of them, then the certificate's own timestamp, then the
//! signature.

use jiff::Timestamp;

use super::{chain, sct};
use crate::evidence::{EntryKind, Material};
use crate::limits::json::brief;
use crate::verify::log::{self, Moment, Verifier};
use crate::verify::requirement::{KeylessRequirement, KeylessWitness, Sct};
use crate::verify::signed::{Lasting, Signed};
use crate::verify::{PublicKey, Rejection, by_key};
use sigstore_crypto::parse_certificate_info;
use sigstore_types::DerCertificate;

/// Whether the library would refuse this for its form alone.
pub(super) fn is_needed(
    requirement: &KeylessRequirement,
    signed: &Signed<'_>,
    material: &Material,
) -> bool {
    let witness = requirement.witness;
    let old = |kind: EntryKind| !matches!(kind, EntryKind::Current(_));
    let old_entry = witness.asks_log() && material.entries.iter().any(|entry| old(entry.kind));
    let stamped_layer =
        witness.asks_timestamps() && signed.is_layer() && !material.timestamps.is_empty();
    old_entry || stamped_layer || witness == KeylessWitness::WaivedByPolicy
}

/// Whether the holder of the certificate signed while it was valid.
pub(super) fn vouched(
    requirement: &KeylessRequirement,
    signed: &Signed<'_>,
    material: &Material,
    certificate: &DerCertificate,
    now: Timestamp,
) -> Result<(Option<Timestamp>, Lasting), Rejection> {
    let times = times(requirement, signed, material, certificate, now)?;
    let invalid = |detail| Rejection::InvalidCertificate { detail };
    let mut issuer = None;
    for time in times.iter().copied().chain(present(requirement, now)) {
        let found = chain::issuer(&material.certificates, &requirement.trust, time);
        issuer = Some(found.map_err(invalid)?);
    }
    let Some(issuer) = issuer else {
        let detail = "nobody who is trusted says when it was made".to_owned();
        return Err(Rejection::NoTimestamp { detail });
    };
    if requirement.sct == Sct::Required {
        sct::logged(certificate, &issuer, &requirement.trust).map_err(invalid)?;
    }
    let info = parse_certificate_info(certificate).map_err(|e| invalid(brief(&e)))?;
    let key = PublicKey::from_spki(info.public_key.as_bytes());
    let key = key.map_err(|e| invalid(brief(&e)))?;
    if !signed.is_by(&key) {
        return Err(Rejection::OtherKey);
    }
    let lasting = match requirement.witness {
        KeylessWitness::WaivedByPolicy => Lasting::Now,
        _ => Lasting::Always,
    };
    Ok((times.into_iter().min(), lasting))
}

/// The time at which the certificate must be valid where nobody is asked for one.
fn present(requirement: &KeylessRequirement, now: Timestamp) -> Option<Timestamp> {
    (requirement.witness == KeylessWitness::WaivedByPolicy).then_some(now)
}

/// Every authenticated time.
fn times(
    requirement: &KeylessRequirement,
    signed: &Signed<'_>,
    material: &Material,
    certificate: &DerCertificate,
    now: Timestamp,
) -> Result<Vec<Timestamp>, Rejection> {
    let (trust, witness) = (&requirement.trust, requirement.witness);
    // Beside a log as the library has it: they count where the root can judge them, and they are not about a whole layer.
    let beside = witness.asks_log() && trust.has_timestamp_authorities() && !signed.is_layer();
    let mut times = if witness.asks_timestamps() || beside {
        by_key::timestamps(trust, signed, &material.timestamps, now)?
    } else {
        Vec::new()
    };
    if witness.asks_timestamps() && times.is_empty() {
        let detail = "there is no signed timestamp with it".to_owned();
        return Err(Rejection::NoTimestamp { detail });
    }
    if witness.asks_log() {
        let logs = trust.logs().ok_or_else(|| Rejection::NotLogged {
            detail: "no transparency log is trusted".to_owned(),
        })?;
        let verifier = Verifier::Certificate(certificate);
        let stamped = times.iter().min().copied();
        let moment = Moment { now, stamped };
        times.extend(log::recorded(material, logs, signed, verifier, moment)?.time);
    }
    Ok(times)
}
