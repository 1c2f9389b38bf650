//! What could not be fetched, as a reason and a cause. Never an absence, never a violation.

use crate::gather::FetchError;
use crate::verdict::{Cause, ImageVerdict, Reason, ReviewVerdict, fold_review};
use crate::workload::FieldPath;

use super::unjudged;

/// What ended before anything could be asked.
pub(super) const NO_TIME: &str =
    "the time for this request was over before its credentials were read";

/// The reason that a failure to fetch stands for.
pub(super) fn reason(error: &FetchError) -> Reason {
    match error {
        FetchError::Unreachable { .. } | FetchError::Refused { .. } => Reason::RegistryUnreachable,
        FetchError::Auth { .. } | FetchError::Credentials { .. } => Reason::RegistryAuth,
        FetchError::Throttled { .. } => Reason::RegistryThrottled,
        FetchError::Malformed { .. } => Reason::RegistryMalformed,
        FetchError::DigestMismatch { .. } => Reason::DigestMismatch,
        FetchError::TooLarge { .. } | FetchError::TooMany { .. } => Reason::LimitExceeded,
        FetchError::Deadline { .. } => Reason::Deadline,
        FetchError::Overloaded { .. } => Reason::Overloaded,
    }
}

/// The cause that a failure to fetch is.
pub(super) fn cause(error: &FetchError) -> Cause {
    Cause::Unavailable {
        detail: error.to_string(),
    }
}

/// Nothing in the request could be judged, for this one reason.
pub(super) fn review(images: Vec<(String, Vec<FieldPath>)>, error: &FetchError) -> ReviewVerdict {
    all(images, reason(error), &error.to_string())
}

/// The time was over before anything could be judged.
pub(super) fn deadline(images: Vec<(String, Vec<FieldPath>)>) -> ReviewVerdict {
    all(images, Reason::Deadline, NO_TIME)
}

/// Nothing in the request could be judged, for this reason.
pub(super) fn all(
    images: Vec<(String, Vec<FieldPath>)>,
    reason: Reason,
    detail: &str,
) -> ReviewVerdict {
    let verdict = |(written, fields): (String, _)| -> ImageVerdict {
        unjudged(fields, &written, reason, detail.to_owned())
    };
    fold_review(images.into_iter().map(verdict).collect())
}
