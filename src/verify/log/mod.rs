//! Entries in transparency logs, where the library does not read them: beside signatures by key, and of old kinds.
//!
//! *In*: an entry, the keys of the logs that are trusted, what was signed and with what. *Out*: that a log has recorded exactly this
//! signature, and when, as far as the log says so with its signature; or what is wrong. An entry counts when a log of the root vouches
//! for it ([`inclusion`]) **and** it is about this signature, this key and this payload ([`body`], T-30).

mod body;
mod inclusion;

use jiff::Timestamp;
use sigstore_crypto::Keyring;
use sigstore_types::{DerCertificate, MediaType};

use super::signed::Signed;
use super::{KeyFingerprint, Rejection};
use crate::evidence::{LogEntry, Material};

/// With what a signature was made, which the entry must name.
#[derive(Clone, Copy)]
pub(super) enum Verifier<'a> {
    /// This key.
    Key(KeyFingerprint),
    /// The key of this certificate.
    Certificate(&'a DerCertificate),
}

/// An entry that proves that a log has recorded a signature.
pub(super) struct Recorded {
    /// When it was taken up; `None` where the log does not say so with its signature.
    pub(super) time: Option<Timestamp>,
}

/// The first entry that proves that one of these logs has recorded the signature. Others are of no consequence: who may change what
/// stands beside a signature could remove them too.
pub(super) fn recorded(
    material: &Material,
    logs: &Keyring,
    signed: &Signed<'_>,
    verifier: Verifier<'_>,
    now: Timestamp,
) -> Result<Recorded, Rejection> {
    let mut wrong = None;
    for entry in &material.entries {
        match one(entry, material.version, logs, signed, verifier, now) {
            Ok(recorded) => return Ok(recorded),
            Err(detail) => wrong = wrong.or(Some(detail)),
        }
    }
    let detail = wrong.unwrap_or_else(|| "there is no log entry with it".to_owned());
    Err(Rejection::NotLogged { detail })
}

fn one(
    entry: &LogEntry,
    version: MediaType,
    logs: &Keyring,
    signed: &Signed<'_>,
    verifier: Verifier<'_>,
    now: Timestamp,
) -> Result<Recorded, String> {
    let time = inclusion::vouched(&entry.wire, version, logs, now)?;
    body::is_about(entry, signed, verifier)?;
    Ok(Recorded { time })
}
