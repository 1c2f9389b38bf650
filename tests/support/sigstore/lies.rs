//! Lies: each is one field of one actor that says something else than it should, signed by whoever signs it otherwise.
//!
//! What happens to bytes *after* somebody signed them needs no actor that lies; tests change those themselves.

/// What is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    // --- the signature ---
    /// Made with another key than the one that is vouched for.
    SignatureByAnotherKey,
    /// Made over something else.
    SignatureOfAnotherPayload,

    // --- the certificate ---
    /// It holds another key than the one that signed.
    CertificateOfAnotherKey,
    /// Signed by an authority of the same name.
    CertificateByAnotherAuthority,
    /// It may sign time stamps, not code.
    CertificateForStampsOnly,

    // --- the promise of the certificate transparency log ---
    /// There is none.
    NoSct,
    /// It names the log, and another one signed it.
    SctByAnotherLog,
    /// It names a log that nobody trusts.
    SctByAnUnknownLog,
    /// It is about something else.
    SctOfAnotherCertificate,
    /// It is about the same certificate, issued by somebody else.
    SctOfAnotherIssuer,
    /// Its time is not the time that was signed.
    SctTimeChanged,

    // --- the body of the log entry ---
    /// It has another signature over the same payload, by the same key (T-30).
    EntryOfAnotherSignature,
    /// It is about another payload (T-30).
    EntryOfAnotherPayload,
    /// It has another certificate or key (T-30).
    EntryOfAnotherVerifier,
    /// The entry is said to be of a kind that its body is not.
    EntryOfAnotherKind,

    // --- the log's signature over the entry and its time ---
    /// It names the log, and another one signed it.
    SetByAnotherLog,
    /// It names a log that nobody trusts.
    SetByAnUnknownLog,
    /// It is about another body.
    SetOfAnotherBody,
    /// It is about another time.
    SetOfAnotherTime,
    /// It is about another index.
    SetOfAnotherIndex,

    // --- the proof that the log has the entry ---
    /// It is the proof of the entry before.
    ProofOfAnotherEntry,
    /// Its last hash is missing.
    ProofCutShort,
    /// It has a hash too many.
    ProofTooLong,
    /// It names the log, and another one signed it.
    CheckpointByAnotherLog,
    /// It names a log that nobody trusts.
    CheckpointByAnUnknownLog,
    /// It is about another root.
    CheckpointOfAnotherRoot,
    /// There is none.
    NoCheckpoint,

    // --- the time stamp ---
    /// It is about something else.
    StampOfAnotherSignature,
    /// Signed by an authority of the same name, whose certificate comes with it.
    StampByAnotherAuthority,
    /// Its time is not the time that was signed.
    StampTimeChanged,
    /// The authority says that it refuses.
    StampRefused,
}

/// What a lie is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    Signature,
    Certificate,
    Sct,
    Entry,
    Set,
    Proof,
    Stamp,
}

// === impl Lie ===

impl Lie {
    /// All of them.
    pub(crate) const ALL: [Self; 31] = [
        Self::SignatureByAnotherKey,
        Self::SignatureOfAnotherPayload,
        Self::CertificateOfAnotherKey,
        Self::CertificateByAnotherAuthority,
        Self::CertificateForStampsOnly,
        Self::NoSct,
        Self::SctByAnotherLog,
        Self::SctByAnUnknownLog,
        Self::SctOfAnotherCertificate,
        Self::SctOfAnotherIssuer,
        Self::SctTimeChanged,
        Self::EntryOfAnotherSignature,
        Self::EntryOfAnotherPayload,
        Self::EntryOfAnotherVerifier,
        Self::EntryOfAnotherKind,
        Self::SetByAnotherLog,
        Self::SetByAnUnknownLog,
        Self::SetOfAnotherBody,
        Self::SetOfAnotherTime,
        Self::SetOfAnotherIndex,
        Self::ProofOfAnotherEntry,
        Self::ProofCutShort,
        Self::ProofTooLong,
        Self::CheckpointByAnotherLog,
        Self::CheckpointByAnUnknownLog,
        Self::CheckpointOfAnotherRoot,
        Self::NoCheckpoint,
        Self::StampOfAnotherSignature,
        Self::StampByAnotherAuthority,
        Self::StampTimeChanged,
        Self::StampRefused,
    ];

    pub(crate) fn about(self) -> About {
        match self {
            Self::SignatureByAnotherKey | Self::SignatureOfAnotherPayload => About::Signature,
            Self::CertificateOfAnotherKey
            | Self::CertificateByAnotherAuthority
            | Self::CertificateForStampsOnly => About::Certificate,
            Self::NoSct
            | Self::SctByAnotherLog
            | Self::SctByAnUnknownLog
            | Self::SctOfAnotherCertificate
            | Self::SctOfAnotherIssuer
            | Self::SctTimeChanged => About::Sct,
            Self::EntryOfAnotherSignature
            | Self::EntryOfAnotherPayload
            | Self::EntryOfAnotherVerifier
            | Self::EntryOfAnotherKind => About::Entry,
            Self::SetByAnotherLog
            | Self::SetByAnUnknownLog
            | Self::SetOfAnotherBody
            | Self::SetOfAnotherTime
            | Self::SetOfAnotherIndex => About::Set,
            Self::ProofOfAnotherEntry
            | Self::ProofCutShort
            | Self::ProofTooLong
            | Self::CheckpointByAnotherLog
            | Self::CheckpointByAnUnknownLog
            | Self::CheckpointOfAnotherRoot
            | Self::NoCheckpoint => About::Proof,
            Self::StampOfAnotherSignature
            | Self::StampByAnotherAuthority
            | Self::StampTimeChanged
            | Self::StampRefused => About::Stamp,
        }
    }
}
