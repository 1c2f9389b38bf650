//! The closed set of reasons. Metric labels, Event reasons, annotations and the JSON of the command line all come from here.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

/// Why an image, or a review, was answered as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Every matching policy holds.
    Satisfied,
    /// A static authority lets it pass.
    StaticPass,
    /// The request changes nothing that runs.
    Unchanged,
    /// A kind or operation that we do not judge.
    NotCovered,
    /// No policy matches; `no-match-policy` decides what that means.
    NoMatch,
    /// No signature was found.
    Unsigned,
    /// No attestation of the wanted type was found.
    NoAttestation,
    /// Signatures were found, none by somebody trusted.
    UntrustedSigner,
    /// A certificate of another identity.
    IdentityMismatch,
    /// Not in a transparency log, where one is required.
    NotLogged,
    /// No timestamp, where one is required.
    NoTimestamp,
    /// A certificate that was not valid, or does not chain.
    CertificateInvalid,
    /// Validly signed, about another image.
    SubjectMismatch,
    /// Validly signed, and not readable as what it claims to be.
    PredicateMalformed,
    /// The policy's Rego says no.
    PolicyDenied,
    /// A static authority refuses it.
    StaticDeny,
    /// The image reference cannot be parsed.
    InvalidReference,
    /// A tag where a digest is required.
    TagNotPinned,
    /// A policy that matches cannot be evaluated as it is written.
    PolicyInvalid,
    /// A policy used up its time, memory or output.
    PolicyBudget,
    /// The trust root that a policy names is not there.
    TrustRootUnavailable,
    /// The registry cannot be reached.
    RegistryUnreachable,
    /// The registry refuses us.
    RegistryAuth,
    /// The registry asks us to slow down.
    RegistryThrottled,
    /// The registry sent something unreadable, or does not know the tag.
    RegistryMalformed,
    /// The registry sent other bytes than asked for.
    DigestMismatch,
    /// Something was larger than its bound.
    LimitExceeded,
    /// The time of the review was over.
    Deadline,
    /// Too much is in flight.
    Overloaded,
    /// A fault of ours.
    Internal,
}

/// What a reason means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// It admits.
    Admitted,
    /// It denies: evidence was judged and found wanting.
    Violated,
    /// It denies: we could not judge.
    Unknown,
}

impl Reason {
    /// Every reason, in the order of the documentation.
    pub const ALL: [Self; 30] = [
        Self::Satisfied,
        Self::StaticPass,
        Self::Unchanged,
        Self::NotCovered,
        Self::NoMatch,
        Self::Unsigned,
        Self::NoAttestation,
        Self::UntrustedSigner,
        Self::IdentityMismatch,
        Self::NotLogged,
        Self::NoTimestamp,
        Self::CertificateInvalid,
        Self::SubjectMismatch,
        Self::PredicateMalformed,
        Self::PolicyDenied,
        Self::StaticDeny,
        Self::InvalidReference,
        Self::TagNotPinned,
        Self::PolicyInvalid,
        Self::PolicyBudget,
        Self::TrustRootUnavailable,
        Self::RegistryUnreachable,
        Self::RegistryAuth,
        Self::RegistryThrottled,
        Self::RegistryMalformed,
        Self::DigestMismatch,
        Self::LimitExceeded,
        Self::Deadline,
        Self::Overloaded,
        Self::Internal,
    ];

    /// The name in metrics, annotations and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Satisfied => "satisfied",
            Self::StaticPass => "static-pass",
            Self::Unchanged => "unchanged",
            Self::NotCovered => "not-covered",
            Self::NoMatch => "no-match",
            Self::Unsigned => "unsigned",
            Self::NoAttestation => "no-attestation",
            Self::UntrustedSigner => "untrusted-signer",
            Self::IdentityMismatch => "identity-mismatch",
            Self::NotLogged => "not-logged",
            Self::NoTimestamp => "no-timestamp",
            Self::CertificateInvalid => "certificate-invalid",
            Self::SubjectMismatch => "subject-mismatch",
            Self::PredicateMalformed => "predicate-malformed",
            Self::PolicyDenied => "policy-denied",
            Self::StaticDeny => "static-deny",
            Self::InvalidReference => "invalid-reference",
            Self::TagNotPinned => "tag-not-pinned",
            Self::PolicyInvalid => "policy-invalid",
            Self::PolicyBudget => "policy-budget",
            Self::TrustRootUnavailable => "trust-root-unavailable",
            Self::RegistryUnreachable => "registry-unreachable",
            Self::RegistryAuth => "registry-auth",
            Self::RegistryThrottled => "registry-throttled",
            Self::RegistryMalformed => "registry-malformed",
            Self::DigestMismatch => "digest-mismatch",
            Self::LimitExceeded => "limit-exceeded",
            Self::Deadline => "deadline",
            Self::Overloaded => "overloaded",
            Self::Internal => "internal",
        }
    }

    /// In the form of an Event's reason: `PolicyInvalid`.
    pub fn camel_case(self) -> String {
        let words = self.as_str().split('-').map(|word| {
            let mut letters = word.chars();
            let first = letters.next().map(|first| first.to_ascii_uppercase());
            first.into_iter().chain(letters).collect::<String>()
        });
        words.collect()
    }

    /// What it means. `no-match` denies or admits by setting; as a reason for a denial it is a violation.
    pub fn class(self) -> Class {
        match self {
            Self::Satisfied | Self::StaticPass | Self::Unchanged | Self::NotCovered => {
                Class::Admitted
            }
            Self::NoMatch
            | Self::Unsigned
            | Self::NoAttestation
            | Self::UntrustedSigner
            | Self::IdentityMismatch
            | Self::NotLogged
            | Self::NoTimestamp
            | Self::CertificateInvalid
            | Self::SubjectMismatch
            | Self::PredicateMalformed
            | Self::PolicyDenied
            | Self::StaticDeny
            | Self::InvalidReference
            | Self::TagNotPinned => Class::Violated,
            Self::PolicyInvalid
            | Self::PolicyBudget
            | Self::TrustRootUnavailable
            | Self::RegistryUnreachable
            | Self::RegistryAuth
            | Self::RegistryThrottled
            | Self::RegistryMalformed
            | Self::DigestMismatch
            | Self::LimitExceeded
            | Self::Deadline
            | Self::Overloaded
            | Self::Internal => Class::Unknown,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
