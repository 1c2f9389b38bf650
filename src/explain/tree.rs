//! A verdict on a terminal.
//!
//! ```text
//! registry.example.com/shop/cart:1.4   DENIED  untrusted-signer
//! │ sha256:4afdc0eb…3016478 (what the tag points to now)
//! ├─ release  enforce   violated
//! │  ├─ ci      key      untrusted-signer   no matching signatures: 1 found
//! │  │                                      .sig sha256:ef4c75fb…: by another key (the policy has 9a3f0c21…5b12)
//! │  └─ github  key      unsigned           no signatures found (looked at .sig)
//! └─ base     warn      satisfied
//!    └─ google  key      signed by key 11aa22bb…3344 (.sig sha256:0c0c1d1d…5f5f5f5)
//! 1 image: 1 denied
//! ```

use super::denial;
use super::printable::{and_more, join, line};
use super::words::{self, Wording};
use crate::verdict::{AuthorityVerdict, Cause, ImageVerdict, Judgement, Outcome, PolicyVerdict};

/// How it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether ANSI colours are used.
    pub color: bool,
    /// Columns; longer text continues on the next line. `usize::MAX` where the output is no terminal.
    pub width: usize,
}

/// A colour, as the parameter of an ANSI escape (ECMA-48 §8.3.117).
#[derive(Clone, Copy)]
enum Color {
    Green,
    Yellow,
    Red,
    Magenta,
}

/// The longest name, reference or list of fields, in bytes.
const NAME: usize = 512;
/// Pieces of rejected evidence that are told one by one.
const PIECES: usize = 8;
/// Text is not squeezed into fewer columns than these.
const NARROW: usize = 32;

/// What was decided about each image, and a last line that counts. Ends with a line break.
pub fn tree(images: &[ImageVerdict], style: Style) -> String {
    let mut drawing = Drawing {
        text: String::new(),
        style,
    };
    for image in images {
        drawing.image(image);
    }
    drawing.raw(&summary(images));
    drawing.text
}

/// `3 images: 1 denied, 2 admitted`.
fn summary(images: &[ImageVerdict]) -> String {
    let count = |judgement: Judgement| {
        images
            .iter()
            .filter(|image| image.judgement == judgement)
            .count()
    };
    let counts = [
        (count(Judgement::Deny), "denied"),
        (count(Judgement::Unknown), "could not be judged"),
        (count(Judgement::Warn), "admitted with warnings"),
        (count(Judgement::Admit), "admitted"),
    ];
    let told: Vec<String> = counts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{n} {what}"))
        .collect();
    let noun = if images.len() == 1 { "image" } else { "images" };
    match told.as_slice() {
        [] => format!("{} {noun}", images.len()),
        told => format!("{} {noun}: {}", images.len(), told.join(", ")),
    }
}

/// The columns of one image, in characters.
struct Columns {
    policy: usize,
    authority: usize,
    reason: usize,
}

struct Drawing {
    text: String,
    style: Style,
}

impl Drawing {
    fn image(&mut self, image: &ImageVerdict) {
        let (word, color) = match image.judgement {
            Judgement::Admit => ("ADMITTED", Color::Green),
            Judgement::Warn => ("WARNED", Color::Yellow),
            Judgement::Deny => ("DENIED", Color::Red),
            Judgement::Unknown => ("UNKNOWN", Color::Magenta),
        };
        let written = if image.written.is_empty() {
            "(no image)".to_owned()
        } else {
            line(&image.written, NAME)
        };
        let header = format!("{written}   {}  {}", self.paint(word, color), image.reason);
        self.raw(&header);
        let facts = facts(image);
        let last = facts.len().saturating_sub(1);
        for (index, fact) in facts.iter().enumerate() {
            // The line runs down to the policies, and ends here where there are none.
            let (first, rest) = if image.policies.is_empty() && index == last {
                ("└─ ", "   ")
            } else {
                ("│ ", "│ ")
            };
            self.wrapped(first, rest, fact);
        }
        let columns = columns(image);
        for (index, policy) in image.policies.iter().enumerate() {
            let (branch, stem) = branch(index + 1 == image.policies.len());
            self.policy(policy, branch, stem, &columns);
        }
        if let Some(step) = denial::next_step(image) {
            self.wrapped("next  ", "      ", &step);
        }
    }

    fn policy(&mut self, policy: &PolicyVerdict, branch: &str, stem: &str, columns: &Columns) {
        let color = match policy.outcome {
            Outcome::Satisfied => Color::Green,
            Outcome::Violated => Color::Red,
            Outcome::Unknown => Color::Magenta,
        };
        let outcome = self.paint(policy.outcome.as_str(), color);
        let name = line(&policy.name, NAME);
        self.raw(&format!(
            "{branch}{name:<width$}  {:<10}{outcome}",
            policy.mode.as_str(),
            width = columns.policy
        ));
        let own = own_cause(policy);
        let children = policy.authorities.len() + usize::from(own.is_some());
        for (index, authority) in policy.authorities.iter().enumerate() {
            let (branch, below) = self::branch(index + 1 == children);
            self.authority(
                authority,
                &format!("{stem}{branch}"),
                &format!("{stem}{below}"),
                columns,
            );
        }
        if let Some(own) = own {
            self.wrapped(&format!("{stem}└─ "), &format!("{stem}   "), &own);
        }
    }

    fn authority(
        &mut self,
        authority: &AuthorityVerdict,
        first: &str,
        rest: &str,
        columns: &Columns,
    ) {
        let name = line(&authority.name, NAME);
        let reason = match authority.outcome {
            Outcome::Satisfied => String::new(),
            Outcome::Violated | Outcome::Unknown => format!(
                "{:<width$}   ",
                authority.reason.as_str(),
                width = columns.reason
            ),
        };
        let cells = format!(
            "{name:<width$}  {:<9}{reason}",
            authority.kind.as_str(),
            width = columns.authority
        );
        let indent = " ".repeat(cells.chars().count());
        let texts = texts(authority);
        for (index, text) in texts.iter().enumerate() {
            let lead = if index == 0 {
                format!("{first}{cells}")
            } else {
                format!("{rest}{indent}")
            };
            self.wrapped(&lead, &format!("{rest}{indent}"), text);
        }
    }

    /// One line as it is.
    fn raw(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    /// Text that continues below itself where the terminal ends.
    fn wrapped(&mut self, first: &str, rest: &str, text: &str) {
        let room = self
            .style
            .width
            .saturating_sub(first.chars().count())
            .max(NARROW);
        let mut row = String::new();
        let mut lead = first;
        for word in text.split(' ') {
            if !row.is_empty() && row.chars().count() + 1 + word.chars().count() > room {
                self.raw(&format!("{lead}{row}"));
                row.clear();
                lead = rest;
            }
            if !row.is_empty() {
                row.push(' ');
            }
            row.push_str(word);
        }
        self.raw(&format!("{lead}{row}"));
    }

    fn paint(&self, word: &str, color: Color) -> String {
        let code = match color {
            Color::Red => 31,
            Color::Green => 32,
            Color::Yellow => 33,
            Color::Magenta => 35,
        };
        if self.style.color {
            format!("\u{1b}[{code}m{word}\u{1b}[0m")
        } else {
            word.to_owned()
        }
    }
}

/// What is known about an image before any policy speaks.
fn facts(image: &ImageVerdict) -> Vec<String> {
    let mut facts = Vec::new();
    if !image.fields.is_empty() {
        let fields: Vec<String> = image
            .fields
            .iter()
            .map(|field| line(field.as_str(), NAME))
            .collect();
        facts.push(format!("at {}", join(&fields, ", ", NAME)));
    }
    if let Some(digest) = &image.digest {
        let now = if image.resolved {
            " (what the tag points to now)"
        } else {
            ""
        };
        facts.push(format!("{}{now}", digest.short()));
    }
    if image.policies.is_empty() || image.detail.is_some() {
        facts.push(words::image(image));
    }
    facts
}

fn columns(image: &ImageVerdict) -> Columns {
    let width = |text: &str| line(text, NAME).chars().count();
    let authorities = || image.policies.iter().flat_map(|policy| &policy.authorities);
    let unsatisfied = authorities().filter(|authority| authority.outcome != Outcome::Satisfied);
    Columns {
        policy: image
            .policies
            .iter()
            .map(|policy| width(&policy.name))
            .max()
            .unwrap_or(0),
        authority: authorities()
            .map(|authority| width(&authority.name))
            .max()
            .unwrap_or(0),
        reason: unsatisfied
            .map(|authority| authority.reason.as_str().len())
            .max()
            .unwrap_or(0),
    }
}

/// What draws a child, and what is drawn below it.
fn branch(last: bool) -> (&'static str, &'static str) {
    if last {
        ("└─ ", "   ")
    } else {
        ("├─ ", "│  ")
    }
}

/// What a policy says itself, where its authorities do not say it.
fn own_cause(policy: &PolicyVerdict) -> Option<String> {
    match (policy.outcome, &policy.cause) {
        (Outcome::Satisfied, _) | (_, Some(Cause::Authorities)) => None,
        (_, Some(cause)) => Some(words::cause(
            cause,
            policy.reason,
            Wording::of(policy.outcome),
        )),
        (_, None) => policy
            .authorities
            .is_empty()
            .then(|| words::policy(policy, Wording::of(policy.outcome))),
    }
}

/// What an authority says: what was found, and then each rejected piece on a line of its own.
fn texts(authority: &AuthorityVerdict) -> Vec<String> {
    match &authority.cause {
        Some(Cause::Rejected { wanted, rejections }) if !rejections.is_empty() => {
            let mut texts = vec![words::found(wanted.as_ref(), rejections.len())];
            texts.extend(rejections.iter().take(PIECES).map(words::piece));
            if rejections.len() > PIECES {
                texts.push(and_more(rejections.len() - PIECES));
            }
            texts
        }
        _ => vec![words::authority(authority, Wording::of(authority.outcome))],
    }
}
