//! What `kubectl` prints as `Warning: …`: one line each, as few as say it.
//!
//! The API server cuts a warning at 256 bytes and drops all of them beyond 4,096 together.

use std::collections::BTreeSet;

use super::printable::{and_more, cut, join, line};
use super::words::{self, Wording};
use super::{AnswerCause, Tags};
use crate::verdict::{
    ImageVerdict, Judgement, Mode, Outcome, PolicyVerdict, Reason, ReviewVerdict,
};
use crate::workload::FieldPath;

/// One warning, in bytes.
const WARNING: usize = 256;
/// All of them, in bytes.
const ALL: usize = 4_096;
/// The fields in one warning, in bytes: the reason must still be read.
pub(super) const FIELDS: usize = 80;
/// The name of an image in one warning, in bytes.
pub(super) const IMAGE: usize = 100;

/// The warnings of a review: `warn` policies that failed, images that no policy matches, tags that may move.
///
/// At most 256 bytes each and 4,096 together, in the order of the images; each is told once. The last one counts what is left out.
pub fn warnings(verdict: &ReviewVerdict, tags: Tags) -> Vec<String> {
    bounded(
        verdict
            .images
            .iter()
            .flat_map(|image| of_image(image, tags)),
    )
}

/// The warnings of a review that is admitted although it should be denied: first why, then what is warned about anyway.
pub(super) fn would_be_denied(
    verdict: &ReviewVerdict,
    causes: &[AnswerCause],
    tags: Tags,
) -> Vec<String> {
    let whole = causes
        .is_empty()
        .then(|| format!("would be denied: {}", words::meaning(verdict.reason)));
    let each = causes.iter().map(|cause| {
        let field = match cause.field.as_str() {
            "" => String::new(),
            field => format!("{field}: "),
        };
        format!("would be denied: {field}{}", cause.message)
    });
    let others = verdict
        .images
        .iter()
        .flat_map(|image| of_image(image, tags));
    bounded(whole.into_iter().chain(each).chain(others))
}

/// Each once, cut at 256 bytes, and 4,096 together.
pub(super) fn bounded(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut told = BTreeSet::new();
    let all: Vec<String> = all
        .map(|warning| cut(warning, WARNING))
        .filter(|warning| told.insert(warning.clone()))
        .collect();
    let mut warnings = Vec::new();
    // Room for the warning that counts the rest is kept free.
    let mut room = ALL - WARNING;
    for (index, warning) in all.iter().enumerate() {
        let Some(left) = room.checked_sub(warning.len()) else {
            warnings.push(format!("{} warnings", and_more(all.len() - index)));
            break;
        };
        room = left;
        warnings.push(warning.clone());
    }
    warnings
}

fn of_image(image: &ImageVerdict, tags: Tags) -> Vec<String> {
    let fields = joined(&image.fields, FIELDS);
    let failed = image
        .policies
        .iter()
        .filter(|p| p.mode == Mode::Warn && p.outcome != Outcome::Satisfied);
    let mut warnings: Vec<String> = failed
        .map(|policy| failed_policy(policy, &fields))
        .collect();
    if image.policies.is_empty() && image.judgement == Judgement::Warn {
        warnings.push(unmatched(image, &fields));
    }
    if image.resolved && image.judgement.admits() && tags == Tags::MayMove {
        warnings.extend(tag_may_move(image, &fields));
    }
    warnings
}

/// As policy-controller begins it, and then why.
fn failed_policy(policy: &PolicyVerdict, fields: &str) -> String {
    let why = words::policy(policy, Wording::of(policy.outcome));
    // A long name must not push out the reason; policy-controller's would still be found by its beginning.
    format!(
        "failed policy: {}{}: {why}",
        line(&policy.name, 100),
        after_colon(fields)
    )
}

fn unmatched(image: &ImageVerdict, fields: &str) -> String {
    let written = line(&image.written, IMAGE);
    match image.reason {
        Reason::NoMatch => format!("no matching policies{}: {written}", after_colon(fields)),
        _ => format!("{}{}: {written}", words::image(image), after_colon(fields)),
    }
}

fn tag_may_move(image: &ImageVerdict, fields: &str) -> Option<String> {
    let digest = image.digest.as_ref()?;
    let written = line(&image.written, IMAGE);
    let field = if fields.is_empty() {
        String::new()
    } else {
        format!("{fields}: ")
    };
    Some(format!(
        "{field}{written} is a tag and may move; judged was {}",
        digest.short()
    ))
}

/// Fields in one line of at most so many bytes.
pub(super) fn joined(fields: &[FieldPath], bytes: usize) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|field| line(field.as_str(), bytes))
        .collect();
    join(&fields, ", ", bytes)
}

fn after_colon(fields: &str) -> String {
    if fields.is_empty() {
        String::new()
    } else {
        format!(": {fields}")
    }
}
