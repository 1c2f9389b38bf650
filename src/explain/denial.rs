//! The text of a denial: `status.message` for people, `status.details.causes` for machines.
//!
//! ```text
//! validation failed: failed policy: release: spec.containers[0].image
//!   image     registry.example.com/shop/cart:1.4@sha256:4afdc0eb…3016478
//!   policy    release: needs one of 2 authorities
//!     ci      no matching signatures: 1 found, by another key (the policy has 9a3f0c21…5b12)
//!     github  no signatures found (looked at .sig)
//!   next      sign this digest as ci or github do, then apply again; details: vouchsafe verify registry…@sha256:…
//!             questions: #platform (request 7f0c…)
//! ```
//!
//! The first line is policy-controller's, to the letter. Each image and enforced policy that fails is one block. A block begins with
//! what must be read: Events keep the first KiB only, so details that would push the remedy out of it stand behind it.

use super::printable::{and_more, cut, join, line};
use super::remedy::remedy;
use super::words::{self, Wording};
use super::{AnswerCause, Context};
use crate::verdict::{
    Cause, ImageVerdict, Judgement, Mode, Outcome, PolicyVerdict, Reason, ReviewVerdict,
};

/// The whole message, in bytes.
const MESSAGE: usize = 8 << 10;
/// What Events keep of it, in bytes.
const HEAD: usize = 1 << 10;
/// One block, in bytes.
const BLOCK: usize = 6 << 10;
/// Room for the count of what is not shown, in bytes.
const MORE: usize = 64;

/// The name of a policy in the first line, in bytes. Names in Kubernetes are not longer.
const POLICY: usize = 253;
/// The fields in the first line, in bytes.
const FIELDS: usize = 100;
/// An image on a line of its own or in the first line, in bytes.
const IMAGE: usize = 90;
/// A name elsewhere, in bytes.
const NAME: usize = 64;
/// The longest column of names, in characters.
const COLUMN: usize = 24;

/// Causes in one answer.
const CAUSES: usize = 64;
/// The message of one cause, in bytes.
const CAUSE: usize = 512;

/// Something that fails: an image, and the enforced policy that it fails, where one is to blame.
#[derive(Clone, Copy)]
struct Failure<'a> {
    image: &'a ImageVerdict,
    policy: Option<&'a PolicyVerdict>,
    /// Whether it is the first about its image, and tells what is not about this policy.
    first: bool,
}

/// The message for a review that is denied.
pub(super) fn message(verdict: &ReviewVerdict, context: &Context<'_>) -> String {
    let mut failures: Vec<Failure<'_>> = verdict.images.iter().flat_map(failures).collect();
    // What is known to be wrong comes before what could not be judged: it gives the review its reason.
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.image.judgement));
    if failures.is_empty() {
        return unjudged(verdict.reason, context);
    }
    let denied = verdict
        .images
        .iter()
        .filter(|image| !image.judgement.admits())
        .count();
    let mut text = String::from("validation failed: ");
    for (index, failure) in failures.iter().enumerate() {
        // The first block alone says how many there are, and where to ask.
        let (tally, contact) = match index {
            0 => (tally(denied, verdict.images.len()), contact(context)),
            _ => (None, None),
        };
        let block = block(failure, tally, contact);
        if text.len() + block.len() + MORE > MESSAGE {
            text.push('\n');
            text.push_str(&and_more(failures.len() - index));
            break;
        }
        if index > 0 {
            text.push('\n');
        }
        text.push_str(&block);
    }
    text
}

/// One cause for each field that is denied.
pub(super) fn causes(verdict: &ReviewVerdict) -> Vec<AnswerCause> {
    let denied = || {
        verdict
            .images
            .iter()
            .filter(|image| !image.judgement.admits())
    };
    let mut causes: Vec<AnswerCause> = denied().flat_map(image_causes).take(CAUSES).collect();
    let all: usize = denied().map(|image| image.fields.len().max(1)).sum();
    if all > causes.len() {
        let message = and_more(all - causes.len());
        causes.push(AnswerCause {
            reason: verdict.reason.as_str(),
            field: String::new(),
            message,
        });
    }
    causes
}

fn image_causes(image: &ImageVerdict) -> impl Iterator<Item = AnswerCause> + '_ {
    let sentences: Vec<String> = failures(image).map(|failure| sentence(&failure)).collect();
    let message = join(&sentences, "; ", CAUSE);
    let fields: Vec<String> = match image.fields.as_slice() {
        [] => vec![String::new()],
        fields => fields
            .iter()
            .map(|field| line(field.as_str(), FIELDS))
            .collect(),
    };
    fields.into_iter().map(move |field| AnswerCause {
        reason: image.reason.as_str(),
        field,
        message: message.clone(),
    })
}

fn sentence(failure: &Failure<'_>) -> String {
    match failure.policy {
        Some(policy) => {
            let why = words::policy(policy, wording(failure.image, policy));
            cut(
                format!("failed policy: {}: {why}", line(&policy.name, NAME)),
                CAUSE,
            )
        }
        None => cut(words::image(failure.image), CAUSE),
    }
}

// === what fails ===

/// Each enforced policy that an image fails; the image itself where that is not the reason.
fn failures(image: &ImageVerdict) -> impl Iterator<Item = Failure<'_>> {
    let enforced = image
        .policies
        .iter()
        .filter(|p| p.mode == Mode::Enforce && p.outcome != Outcome::Satisfied);
    let mut blamed: Vec<Option<&PolicyVerdict>> = match (image.judgement.admits(), image.reason) {
        (true, _) => Vec::new(),
        (false, Reason::InvalidReference | Reason::TagNotPinned | Reason::NoMatch) => vec![None],
        (false, _) => enforced.map(Some).collect(),
    };
    blamed.sort_by_key(|policy| policy.is_some_and(|policy| policy.outcome == Outcome::Unknown));
    if blamed.is_empty() && !image.judgement.admits() {
        blamed.push(None);
    }
    blamed
        .into_iter()
        .enumerate()
        .map(move |(index, policy)| Failure {
            image,
            policy,
            first: index == 0,
        })
}

fn wording(image: &ImageVerdict, policy: &PolicyVerdict) -> Wording {
    match image.judgement {
        Judgement::Unknown => Wording::Unjudged,
        Judgement::Admit | Judgement::Warn | Judgement::Deny => Wording::of(policy.outcome),
    }
}

// === one block ===

/// `failed policy: NAME: FIELD` and what belongs to it.
fn block(failure: &Failure<'_>, tally: Option<String>, contact: Option<String>) -> String {
    let mut before = vec![headline(failure)];
    before.extend(tally.map(|tally| row("images", &tally)));
    before.extend(unjudged_row(failure));
    before.extend(image_row(failure.image));
    let mut after = vec![next(failure)];
    after.extend(contact.map(|contact| row("", &contact)));
    before.extend(failure.policy.map(policy_row));
    let details = details(failure);

    let lines = before
        .iter()
        .chain(&after)
        .map(|line| line.len() + 1)
        .sum::<usize>();
    let mut room = HEAD.saturating_sub(lines + "validation failed: ".len());
    let early = details
        .iter()
        .take_while(|detail| take(&mut room, detail.len() + 1))
        .count();
    let mut room = BLOCK.saturating_sub(HEAD.max(lines) + MORE);
    let late = details
        .iter()
        .skip(early)
        .take_while(|detail| take(&mut room, detail.len() + 1))
        .count();

    let mut shown = before;
    shown.extend(details.iter().take(early).cloned());
    shown.extend(after);
    if early < details.len() {
        shown.push("  more".to_owned());
        shown.extend(details.iter().skip(early).take(late).cloned());
    }
    if early + late < details.len() {
        shown.push(format!("    {}", and_more(details.len() - early - late)));
    }
    shown.join("\n")
}

/// Takes `needed` bytes of the room, if they are there.
fn take(room: &mut usize, needed: usize) -> bool {
    let left = room.checked_sub(needed);
    *room = left.unwrap_or(*room);
    left.is_some()
}

/// The first line, as policy-controller writes it.
fn headline(failure: &Failure<'_>) -> String {
    let fields: Vec<String> = failure
        .image
        .fields
        .iter()
        .map(|field| line(field.as_str(), FIELDS))
        .collect();
    let fields = join(&fields, ", ", FIELDS);
    let written = || line(&failure.image.written, IMAGE);
    let what = match (failure.policy, failure.image.reason) {
        (Some(policy), _) => format!("failed policy: {}", line(&policy.name, POLICY)),
        (None, Reason::NoMatch) => "no matching policies".to_owned(),
        (None, Reason::InvalidReference) => format!("could not parse reference: {}", written()),
        (None, Reason::TagNotPinned) => {
            format!("invalid value: {} must be an image digest", written())
        }
        (None, _) if failure.image.judgement == Judgement::Unknown => {
            format!("could not judge: {}", written())
        }
        (None, reason) => format!("{reason}: {}", written()),
    };
    if fields.is_empty() {
        what
    } else {
        format!("{what}: {fields}")
    }
}

/// That this was not judged, said where nobody can miss it.
fn unjudged_row(failure: &Failure<'_>) -> Option<String> {
    let reason = match failure.policy {
        Some(policy) if policy.outcome == Outcome::Unknown => policy.reason,
        None if failure.image.judgement == Judgement::Unknown => failure.image.reason,
        Some(_) | None => return None,
    };
    Some(row(
        "verdict",
        &format!("could not judge ({reason}); this says nothing about who signed the image"),
    ))
}

/// The image as written, with the digest that was judged.
fn image_row(image: &ImageVerdict) -> Option<String> {
    if image.written.is_empty() {
        return None;
    }
    let name = image.written.split('@').next().unwrap_or_default();
    let shown = match &image.digest {
        Some(digest) => {
            let now = if image.resolved {
                " (what the tag points to now)"
            } else {
                ""
            };
            format!("{}@{}{now}", line(name, IMAGE), digest.short())
        }
        None => line(&image.written, IMAGE),
    };
    Some(row("image", &shown))
}

fn policy_row(policy: &PolicyVerdict) -> String {
    let needs = match (&policy.cause, policy.authorities.len()) {
        (Some(Cause::PolicyDenied { .. }), _) => ": its own policy must hold".to_owned(),
        (_, 0) => String::new(),
        (_, 1) => ": needs its one authority".to_owned(),
        (_, count) => format!(": needs one of {count} authorities"),
    };
    row("policy", &format!("{}{needs}", line(&policy.name, NAME)))
}

/// One line per authority, the policy's own cause, and which `warn` policies failed too.
fn details(failure: &Failure<'_>) -> Vec<String> {
    let mut details = match failure.policy {
        Some(policy) => policy_details(policy, wording(failure.image, policy)),
        None => words::image_detail(failure.image)
            .map(|detail| item("", 0, &detail))
            .into_iter()
            .collect(),
    };
    let warned = failure
        .image
        .policies
        .iter()
        .filter(|p| p.mode == Mode::Warn && p.outcome != Outcome::Satisfied);
    details.extend(
        warned
            .filter(|_| failure.first)
            .map(|policy| also(policy, failure.image)),
    );
    details
}

fn policy_details(policy: &PolicyVerdict, wording: Wording) -> Vec<String> {
    let width = policy
        .authorities
        .iter()
        .map(|a| line(&a.name, NAME).chars().count())
        .max()
        .unwrap_or(0)
        .min(COLUMN);
    let own = match &policy.cause {
        Some(Cause::Authorities) => None,
        Some(cause) => Some(words::cause(cause, policy.reason, wording)),
        None if policy.authorities.is_empty() => Some(words::policy(policy, wording)),
        None => None,
    };
    let own = own.map(|own| item("", 0, &own));
    let unsatisfied = policy
        .authorities
        .iter()
        .filter(|a| a.outcome != Outcome::Satisfied);
    let authorities =
        unsatisfied.map(|a| item(&line(&a.name, NAME), width, &words::authority(a, wording)));
    own.into_iter().chain(authorities).collect()
}

/// A `warn` policy that failed beside the one that denies.
fn also(policy: &PolicyVerdict, image: &ImageVerdict) -> String {
    let why = words::policy(policy, wording(image, policy));
    row(
        "also",
        &format!(
            "failed policy: {} (mode warn: it alone would not deny): {why}",
            line(&policy.name, NAME)
        ),
    )
}

/// What to do about an image that is not admitted, as its denial says it.
pub(super) fn next_step(image: &ImageVerdict) -> Option<String> {
    let failure = failures(image).next()?;
    Some(remedy(failure.image, failure.policy))
}

/// What to do, and the command that tells more.
fn next(failure: &Failure<'_>) -> String {
    let remedy = remedy(failure.image, failure.policy);
    let named = failure
        .image
        .reference
        .as_ref()
        .map(|reference| match &failure.image.digest {
            Some(digest) => format!("{}@{digest}", reference.repository()),
            None => reference.to_string(),
        });
    match named {
        Some(named) => row(
            "next",
            &format!("{remedy}; details: vouchsafe verify --policies PATH {named}"),
        ),
        None => row("next", &remedy),
    }
}

/// Where to ask, and what to name there.
fn contact(context: &Context<'_>) -> Option<String> {
    let footer = context
        .footer
        .map(|footer| line(footer, 200))
        .filter(|footer| !footer.is_empty());
    let uid = line(context.uid, NAME);
    match (footer, uid.as_str()) {
        (None, "") => None,
        (Some(footer), "") => Some(footer),
        (None, uid) => Some(format!("request {uid}")),
        (Some(footer), uid) => Some(format!("{footer} (request {uid})")),
    }
}

fn tally(denied: usize, images: usize) -> Option<String> {
    (denied > 1).then(|| format!("{denied} of {images} are denied, this is the first"))
}

fn row(label: &str, text: &str) -> String {
    format!("  {label:<10}{text}")
}

fn item(name: &str, width: usize, text: &str) -> String {
    // The texts of a block stand below each other, at the column of its rows or further right.
    let width = width.max(6);
    format!("    {name:<width$}  {text}")
}

/// A whole request that could not be judged: no image was reached.
fn unjudged(reason: Reason, context: &Context<'_>) -> String {
    let mut lines = vec![format!(
        "validation failed: {}",
        words::could_not_judge(reason, None)
    )];
    lines.push(row(
        "verdict",
        &format!("could not judge ({reason}); this says nothing about who signed the images"),
    ));
    lines.push(row(
        "next",
        "apply again; if that does not help, ask the platform team",
    ));
    lines.extend(contact(context).map(|contact| row("", &contact)));
    lines.join("\n")
}
