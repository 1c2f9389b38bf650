//! Entries in transparency logs, where the library does not read them: beside signatures by key, and of old kinds.
//!
//! *In*: an entry, the keys of the logs that are trusted, what was signed and with what. *Out*: that a log has recorded exactly this
//! signature, and when, as far as the log says so with its signature; or what is wrong. An entry counts when a log of the root vouches
//! for it ([`inclusion`]) **and** it is about this signature, this key and this payload ([`body`], T-30).

mod body;
mod inclusion;

use jiff::Timestamp;
use sigstore_types::{DerCertificate, MediaType};

use super::signed::Signed;
use super::{KeyFingerprint, Rejection};
use crate::evidence::{LogEntry, Material};
use crate::trust::Logs;

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

/// What is known of the time of an entry before the entry is looked at.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    /// The present.
    pub(super) now: Timestamp,
    /// The time of a good timestamp beside it.
    pub(super) stamped: Option<Timestamp>,
}

// === impl Moment ===

impl Moment {
    /// When the log must have been trusted, where its entry does not say when it was written.
    fn vouched(self) -> Timestamp {
        self.stamped.unwrap_or(self.now)
    }
}

/// The first entry that proves that one of these logs has recorded the signature. Others are of no consequence: who may change what
/// stands beside a signature could remove them too.
pub(super) fn recorded(
    material: &Material,
    logs: &Logs,
    signed: &Signed<'_>,
    verifier: Verifier<'_>,
    moment: Moment,
) -> Result<Recorded, Rejection> {
    let mut wrong = None;
    for entry in &material.entries {
        match one(entry, material.version, logs, signed, verifier, moment) {
            Ok(recorded) => return Ok(recorded),
            Err(detail) => wrong = wrong.or(Some(detail)),
        }
    }
    let detail = wrong.unwrap_or_else(|| "there is no log entry with it".to_owned());
    Err(Rejection::NotLogged { detail })
}

/// What the library leaves open: whether every entry is of the kind that it is said to be; and whether the logs of entries that do not
/// say when they were written were trusted at the time that a timestamp says. Those of entries that do are looked at where that time is.
pub(super) fn counted(material: &Material, logs: &Logs, moment: Moment) -> Result<(), Rejection> {
    let one = |entry: &LogEntry| {
        body::is_of_its_kind(entry)?;
        if entry.wire.inclusion_promise.is_none() {
            inclusion::vouched(&entry.wire, material.version, logs, moment)?;
        }
        Ok(())
    };
    let mut all = material.entries.iter().map(one);
    all.find_map(Result::err)
        .map_or(Ok(()), |detail| Err(Rejection::NotLogged { detail }))
}

fn one(
    entry: &LogEntry,
    version: MediaType,
    logs: &Logs,
    signed: &Signed<'_>,
    verifier: Verifier<'_>,
    moment: Moment,
) -> Result<Recorded, String> {
    let time = inclusion::vouched(&entry.wire, version, logs, moment)?;
    body::is_about(entry, signed, verifier)?;
    Ok(Recorded { time })
}
