//! The proof-carrying value.

use jiff::Timestamp;

use super::signed::{Lasting, Vouched};
use super::{Holder, KeyFingerprint};
use crate::evidence::{Candidate, Format};
use crate::image::Digest;

/// Something that was verified. Only `verify` constructs it, so whoever holds one holds a proof.
///
/// ```compile_fail
/// // Outside of `verify` there is no way to make one.
/// let forged = vouchsafe::verify::Verified::new((), todo!(), todo!());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T> {
    value: T,
    signer: Signer,
    time: Option<Timestamp>,
    lasting: Lasting,
    format: Format,
    evidence: Digest,
}

/// Who vouched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The holder of the private half of this key.
    Key(KeyFingerprint),
    /// The holder of a certificate, whom the policy names.
    Identity(Holder),
}

impl<T> Verified<T> {
    /// Called at the end of a procedure of `verify`, after its last check.
    pub(super) fn new(value: T, vouched: Vouched, candidate: &Candidate) -> Self {
        Self {
            value,
            signer: vouched.signer,
            time: vouched.time,
            lasting: vouched.lasting,
            format: candidate.format,
            evidence: candidate.digest.clone(),
        }
    }

    /// What was verified.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Who vouched for it.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// When, as the earliest authenticated source says; `None` where none was asked.
    pub fn time(&self) -> Option<Timestamp> {
        self.time
    }

    /// Whether it stays proven as long as what is trusted stays the same. Else it rests on a certificate that is valid at this moment, and
    /// must not be remembered.
    pub fn lasts(&self) -> bool {
        self.lasting == Lasting::Always
    }

    /// How the evidence was found.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The digest of the evidence.
    pub fn evidence(&self) -> &Digest {
        &self.evidence
    }
}
