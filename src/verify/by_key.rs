//! Signatures by key: whose it is, and what else the policy asks beside it.

use jiff::Timestamp;
use sigstore_tsa::verify_timestamp_for_authority;
use sigstore_types::{SignatureBytes, TimestampToken};

use super::log::{self, Moment, Verifier};
use super::requirement::{KeyRequirement, KeyWitness};
use super::signed::{Lasting, Signed, Unproven, Vouched};
use super::{Rejection, Signer};
use crate::evidence::{DecodeError, Material};
use crate::limits::json::brief;
use crate::trust::TrustMaterial;

/// Whether a signature was made by the holder of the key, and whether those vouch for it whom the policy asks.
pub(super) fn vouched(
    requirement: &KeyRequirement,
    signed: &Signed<'_>,
    material: &Result<Material, DecodeError>,
    now: Timestamp,
) -> Result<Vouched, Unproven> {
    let key = requirement.key.fingerprint();
    if !signed.is_by(&requirement.key) {
        return Err(Rejection::WrongKey { wanted: key }.into());
    }
    let read = || {
        material
            .as_ref()
            .map_err(|error| Rejection::Undecodable(error.clone()))
    };
    let (time, lasting) = match &requirement.witness {
        KeyWitness::WaivedByPolicy => (None, Lasting::Always),
        KeyWitness::Log(trust) => {
            let logs = trust.logs().ok_or_else(|| Rejection::NotLogged {
                detail: "no transparency log is trusted".to_owned(),
            })?;
            let material = read()?;
            // Nobody asked for timestamps: those that are good tell when a log must have been trusted that does not say so itself.
            let stamped = timestamps(trust, signed, &material.timestamps, now).ok();
            let stamped = stamped.and_then(|times| times.into_iter().min());
            let moment = Moment { now, stamped };
            let recorded = log::recorded(material, logs, signed, Verifier::Key(key), moment)?;
            // Where nobody says when, the log is trusted now, and need not be tomorrow.
            let lasting = match recorded.time.or(stamped) {
                Some(_) => Lasting::Always,
                None => Lasting::Now,
            };
            (recorded.time, lasting)
        }
        KeyWitness::TimestampsIfPresent(trust) => {
            let times = timestamps(trust, signed, &read()?.timestamps, now)?;
            (times.into_iter().min(), Lasting::Always)
        }
    };
    Ok(Vouched {
        signer: Signer::Key(key),
        certificate: None,
        time,
        lasting,
    })
}

/// The times of these timestamps, each by an authority of the root, within its window, and not in the future.
pub(super) fn timestamps(
    trust: &TrustMaterial,
    signed: &Signed<'_>,
    tokens: &[TimestampToken],
    now: Timestamp,
) -> Result<Vec<Timestamp>, Rejection> {
    let authorities = trust.timestamp_authorities();
    let stamped: Vec<SignatureBytes> = signed
        .stamped()
        .into_iter()
        .map(SignatureBytes::from_bytes)
        .collect();
    let time = |token: &TimestampToken| {
        let mut wrong = "no timestamp authority is trusted".to_owned();
        for authority in &authorities {
            for stamped in &stamped {
                match verify_timestamp_for_authority(token, stamped, authority) {
                    Ok(time) if time > now => {
                        wrong = format!("the timestamp is of the future: {time}");
                    }
                    Ok(time) => return Ok(time),
                    Err(error) => wrong = format!("invalid RFC 3161 timestamp: {}", brief(&error)),
                }
            }
        }
        Err(Rejection::NoTimestamp { detail: wrong })
    };
    tokens.iter().map(time).collect()
}
