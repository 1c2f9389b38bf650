//! The proof-carrying value.

use super::KeyFingerprint;
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
    format: Format,
    evidence: Digest,
}

/// Who vouched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The holder of the private half of this key.
    Key(KeyFingerprint),
}

impl<T> Verified<T> {
    /// Called at the end of a procedure of `verify`, after its last check.
    pub(super) fn new(value: T, signer: Signer, candidate: &Candidate) -> Self {
        Self {
            value,
            signer,
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

    /// How the evidence was found.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The digest of the evidence.
    pub fn evidence(&self) -> &Digest {
        &self.evidence
    }
}
