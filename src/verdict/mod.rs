//! The verdict: outcomes, reasons, and how they fold. No prose, no I/O.
//!
//! ```text
//! authority ── any Satisfied wins ──► policy ── every policy must hold ──► image ── every image ──► review
//! ```
//!
//! Three outcomes, never two: [`Outcome::Satisfied`] needs proof, [`Outcome::Violated`] means that evidence was judged and found
//! wanting, [`Outcome::Unknown`] means that we could not judge. *Unknown* denies like *Violated*, with its own reason, so that an
//! outage never looks like an unsigned image, and no path admits because no error was seen.

mod fold;
mod outcome;
mod pinning;
mod reason;

pub use fold::{fold_authorities, fold_image, fold_review};
pub use outcome::{
    AuthorityKind, AuthorityVerdict, Cause, EvidenceSummary, ImageVerdict, Judgement, Mode,
    NoMatchPolicy, Outcome, PolicyVerdict, RegoResult, RejectedEvidence, ReviewVerdict,
};
pub use pinning::{LeftAsTag, Pin, Pinning};
pub use reason::{Class, Reason};

#[cfg(test)]
mod tests;
