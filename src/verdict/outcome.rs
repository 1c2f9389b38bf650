//! What was decided, from one authority up to a whole review, with everything that an explanation needs.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::{Format, Location};
use crate::image::{Digest, ImageReference};
use crate::statement::PredicateType;
use crate::verify::{KeyFingerprint, Rejection, Signer};
use crate::workload::FieldPath;

use super::Reason;

/// The outcome of an authority or a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// There is proof.
    Satisfied,
    /// Evidence was judged and found wanting.
    Violated,
    /// We could not judge.
    Unknown,
}

/// Whether a policy denies or warns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It denies what it is not satisfied with.
    #[default]
    Enforce,
    /// It only ever warns, whatever the cause.
    Warn,
}

/// What an image is answered that no policy matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoMatchPolicy {
    /// It is denied.
    #[default]
    Deny,
    /// It is admitted.
    Allow,
    /// It is admitted with a warning.
    Warn,
}

/// What an image or a review is answered.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Judgement {
    /// Admitted.
    Admit,
    /// Admitted, with warnings.
    Warn,
    /// Denied, because it could not be judged.
    Unknown,
    /// Denied.
    Deny,
}

/// How an authority recognises those it trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthorityKind {
    /// By a key.
    Key,
    /// By an identity in a certificate.
    Keyless,
    /// It does not look: it passes or refuses.
    Static,
}

/// What one authority says about one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityVerdict {
    /// Its name.
    pub name: Arc<str>,
    /// Its kind.
    pub kind: AuthorityKind,
    /// The key it wants, where it wants one.
    pub wanted: Option<KeyFingerprint>,
    /// Its outcome.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// What stands behind `reason`, unless it is satisfied.
    pub cause: Option<Cause>,
    /// The evidence that satisfied it.
    pub evidence: Vec<EvidenceSummary>,
    /// What its policies over attestations answered, where it has such.
    pub rego: Option<RegoResult>,
    /// What those policies were given: verified statements of the types it wants, as they were signed.
    pub inputs: Vec<Arc<str>>,
}

/// One piece of verified evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceSummary {
    /// Who vouched.
    pub signer: Signer,
    /// How it was found.
    pub format: Format,
    /// Its digest.
    pub digest: Digest,
    /// The predicate type, of an attestation.
    pub predicate_type: Option<String>,
    /// When it was made, as an authenticated source says.
    pub time: Option<Timestamp>,
}

/// What a predicate policy answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegoResult {
    /// Whether it was satisfied.
    pub passed: bool,
    /// What it said.
    pub messages: Vec<String>,
}

/// Why something is not satisfied: facts, which `explain` puts into words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nothing of the wanted kind was found where it was looked for.
    NothingFound {
        /// The predicate type that was wanted; `None` for a signature.
        wanted: Option<PredicateType>,
        /// Where it was looked for.
        looked: Vec<Location>,
    },
    /// Attestations were found and verified, of other types.
    OtherPredicates {
        /// The type that was wanted.
        wanted: PredicateType,
        /// The types that are there.
        found: Vec<String>,
    },
    /// Evidence was found; none of it proves what was asked. The most telling rejection comes first.
    Rejected {
        /// The predicate type that was wanted; `None` for a signature.
        wanted: Option<PredicateType>,
        /// Each piece and what is wrong with it.
        rejections: Vec<RejectedEvidence>,
    },
    /// A predicate policy said no.
    PolicyDenied {
        /// The name of the attestation, or `None` at the level of the ClusterImagePolicy.
        attestation: Option<String>,
        /// What it said, in the words that policy-controller uses too.
        messages: Vec<String>,
    },
    /// A static authority refuses.
    StaticDeny {
        /// What its author has to say.
        message: String,
    },
    /// The policy has neither authorities nor a policy of its own.
    NoAuthorities,
    /// None of its authorities is satisfied (each says why).
    Authorities,
    /// It could not be judged.
    Unavailable {
        /// What was in the way.
        detail: String,
    },
    /// The policy cannot be evaluated as it is written.
    PolicyInvalid {
        /// What is wrong with it.
        problems: Vec<String>,
    },
}

/// A piece of evidence that was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedEvidence {
    /// How it was found.
    pub format: Format,
    /// Its digest.
    pub digest: Digest,
    /// What is wrong with it.
    pub rejection: Rejection,
}

/// What one policy says about one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyVerdict {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it denies or warns.
    pub mode: Mode,
    /// Its outcome.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// What stands behind `reason` at the level of the policy, unless it is satisfied.
    pub cause: Option<Cause>,
    /// What each of its authorities says, in the order in which the policy names them.
    pub authorities: Vec<AuthorityVerdict>,
    /// What the policy's own Rego answered, where it has one.
    pub rego: Option<RegoResult>,
    /// What it was given: one JSON document. `None` where it was not asked.
    pub input: Option<Arc<str>>,
}

/// What was decided about one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageVerdict {
    /// Where it stands in the object; empty for an image named on the command line.
    pub fields: Vec<FieldPath>,
    /// As it is written there.
    pub written: String,
    /// As it was read; `None` when it cannot be.
    pub reference: Option<ImageReference>,
    /// The digest that was judged; `None` when there was none to judge.
    pub digest: Option<Digest>,
    /// Whether the digest is what the tag points to now, rather than part of the reference.
    pub resolved: bool,
    /// What each matching policy says, sorted by name.
    pub policies: Vec<PolicyVerdict>,
    /// What it is answered.
    pub judgement: Judgement,
    /// Why.
    pub reason: Reason,
    /// What stands behind `reason` where no policy is to blame: a reference, a tag that could not be resolved.
    pub detail: Option<String>,
}

/// What was decided about everything in one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewVerdict {
    /// The answer.
    pub judgement: Judgement,
    /// Why.
    pub reason: Reason,
    /// Each image, in the order of its first field.
    pub images: Vec<ImageVerdict>,
}

// === impl Outcome ===

impl Outcome {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Satisfied => "satisfied",
            Self::Violated => "violated",
            Self::Unknown => "unknown",
        }
    }
}

// === impl Mode ===

impl Mode {
    /// The name in policies and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Warn => "warn",
        }
    }
}

// === impl Judgement ===

impl Judgement {
    /// The name in JSON and annotations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::Warn => "warn",
            Self::Unknown => "unknown",
            Self::Deny => "deny",
        }
    }

    /// Whether the API server is told to go on.
    pub fn admits(self) -> bool {
        match self {
            Self::Admit | Self::Warn => true,
            Self::Unknown | Self::Deny => false,
        }
    }
}

// === impl AuthorityKind ===

impl AuthorityKind {
    /// The name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Keyless => "keyless",
            Self::Static => "static",
        }
    }
}

// === impl ReviewVerdict ===

impl ReviewVerdict {
    /// A request that admits without looking at an image.
    pub fn admitted(reason: Reason) -> Self {
        debug_assert_eq!(
            reason.class(),
            super::Class::Admitted,
            "only an admitting reason admits"
        );
        Self {
            judgement: Judgement::Admit,
            reason,
            images: Vec::new(),
        }
    }
}
