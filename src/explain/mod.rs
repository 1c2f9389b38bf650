//! The last stage: a verdict in words, for everybody who reads one.
//!
//! *In*: a [`ReviewVerdict`], or a [`crate::verdict::Pinning`]. *Out*: the [`Answer`] or [`Mutation`] for the API server, the [`tree`] of
//! the command line, the [`VerifyReport`] for machines. Pure: nothing is decided here, and no word is said that the verdict does not
//! carry.
//!
//! | file | what it writes |
//! |---|---|
//! | `words` | one sentence per reason, cause and rejection: every rendering takes its words from there |
//! | `remedy` | what to do next, one per reason |
//! | `denial` | `status.message` and `status.details.causes` |
//! | `warnings` | what `kubectl` prints before it goes on |
//! | `mutation` | the patch of `/mutate`, and why tags stay tags |
//! | `annotations` | the audit annotations |
//! | `tree` | what a person reads on a terminal |
//! | `report` | `verify -o json`, and its published schema |
//! | `printable` | how a stranger's text is made harmless, and cut |
//!
//! Two promises hold for all of them. What could not be judged says so, and is never called unsigned. Text that somebody else
//! chose (a reference, a Rego message, a predicate type, a registry's error) cannot leave its line, hide or reorder what stands
//! beside it, or push the verdict out of sight (CVE-2026-44245).

mod annotations;
mod denial;
mod mutation;
mod printable;
mod remedy;
mod report;
mod tree;
mod warnings;
mod words;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::verdict::{Judgement, Reason, ReviewVerdict};
use crate::verify::{Rejection, Signer};

pub use mutation::{Mutation, mutation, unpinned};
pub use printable::line as printable_line;
pub use report::{
    AuthorityReport, EvidenceReport, ImageReport, PolicyReport, RegoReport, SCHEMA, SignerReport,
    VerifyReport, report, report_schema,
};
pub use tree::{Style, tree};
pub use warnings::warnings;

/// What an answer says beside the verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context<'a> {
    /// The review's `uid`, by which a denial is found in the logs.
    pub uid: &'a str,
    /// Where to ask (`--denial-footer`): one line, the first 200 bytes are shown.
    pub footer: Option<&'a str>,
    /// The epoch of the trust material that was judged with.
    pub trust_epoch: String,
    /// What a tag that was judged may still do.
    pub tags: Tags,
    /// Whether denials are carried out.
    pub enforcement: Enforcement,
}

/// Whether what runs is what a tag pointed to when it was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tags {
    /// Nothing holds the tag (`--tags resolve`): it may point elsewhere when it is pulled, and the user is warned.
    MayMove,
    /// Pods are pinned or must be (`--tags pin`, `pin-all`, `require`): no warning.
    Pinned,
}

/// Whether denials are carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Enforcement {
    /// They are.
    #[default]
    Enforce,
    /// Everything is judged and recorded and nothing is denied: beside another controller, before the change-over. What would have
    /// been denied is a warning.
    Shadow,
}

/// What the API server is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether the request goes on.
    pub allowed: bool,
    /// `status.code`: 403 for both kinds of denial, 200 otherwise.
    pub code: u16,
    /// `status.reason`: `Forbidden`, or empty when allowed.
    pub reason: &'static str,
    /// `status.message`: at most 8 KiB, verdict and remedy in the first one; empty when allowed.
    pub message: String,
    /// `status.details.causes`: one for each field that is denied, at most 64 and a last one that counts the rest.
    pub causes: Vec<AnswerCause>,
    /// At most 256 bytes each and 4,096 together, one line each.
    pub warnings: Vec<String>,
    /// At most 1 KiB each.
    pub audit_annotations: BTreeMap<String, String>,
    /// What was decided, which `allowed` follows unless denials are not carried out. A label of metrics.
    pub judgement: Judgement,
    /// Why. A label of metrics: one of a closed set, whatever strings an attacker chose.
    pub verdict_reason: Reason,
}

/// Why one field is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerCause {
    /// A [`Reason`] by its name.
    pub reason: &'static str,
    /// The field, such as `spec.containers[0].image`.
    pub field: String,
    /// Which policy failed and why, in one line of at most 512 bytes.
    pub message: String,
}

/// The answer to the API server. There is no other place that makes one.
pub fn answer(verdict: &ReviewVerdict, context: &Context<'_>) -> Answer {
    // An image that is not admitted is enough, whatever stands above it.
    let admitted =
        verdict.judgement.admits() && verdict.images.iter().all(|image| image.judgement.admits());
    let audit_annotations = annotations::annotations(verdict, context);
    let (judgement, verdict_reason) = (verdict.judgement, verdict.reason);
    let allowed = Answer {
        allowed: true,
        code: 200,
        reason: "",
        message: String::new(),
        causes: Vec::new(),
        warnings: Vec::new(),
        audit_annotations,
        judgement,
        verdict_reason,
    };
    match (context.enforcement, admitted) {
        (Enforcement::Shadow, false) => Answer {
            warnings: warnings::would_be_denied(verdict, &denial::causes(verdict), context.tags),
            ..allowed
        },
        (Enforcement::Enforce | Enforcement::Shadow, true) => Answer {
            warnings: warnings(verdict, context.tags),
            ..allowed
        },
        (Enforcement::Enforce, false) => Answer {
            allowed: false,
            code: 403,
            reason: "Forbidden",
            message: denial::message(verdict, context),
            causes: denial::causes(verdict),
            warnings: warnings(verdict, context.tags),
            ..allowed
        },
    }
}

/// Who signed something, and when, in one line.
pub fn signed(signer: &Signer, time: Option<Timestamp>) -> String {
    format!("signed {}", words::by(signer, time))
}

/// Why a piece of evidence proves nothing, in one line.
pub fn rejection(rejection: &Rejection) -> String {
    words::rejection(rejection)
}

/// The answer when there is no verdict at all: the time was over, too much was in flight, a task failed. It denies, where denials are
/// carried out.
pub fn unjudged(reason: Reason, context: &Context<'_>) -> Answer {
    answer(
        &ReviewVerdict {
            judgement: Judgement::Unknown,
            reason,
            images: Vec::new(),
        },
        context,
    )
}
