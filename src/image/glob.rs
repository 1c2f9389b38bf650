//! Globs: which images a policy speaks about.
//!
//! In come the patterns of all policies, once; then references, many times. Out come the patterns that match each reference.
//! The language is policy-controller's (`pkg/apis/glob`), not a shell's: `**` is any run of characters, `*` any run without `/`,
//! everything else stands for itself, and the whole name must match, so `docker.io.evil.com/x` and `x.trusted.com` inside a path
//! satisfy no rule about another host. `tests/globs.rs` holds it to policy-controller's recorded answers.
//!
//! A pattern is a user's text: its characters come from a closed list, its length is bounded, and matching takes time linear in
//! the name whatever the pattern.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use regex::bytes::{RegexSet, RegexSetBuilder};

use super::ImageReference;

/// Memory one automaton may take to compile, in bytes. Patterns that need more are divided over several.
const AUTOMATON_BYTES: usize = 32 << 20;
/// Memory one thread may use to remember the states of one automaton, in bytes. More is never needed, only faster.
const STATES_BYTES: usize = 16 << 20;

/// One valid pattern over image names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageGlob(String);

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidGlob {
    /// There is no text.
    #[error("glob is empty")]
    Empty,
    /// Longer than any name it could be meant for.
    #[error("glob has {found} bytes, at most {max} are allowed")]
    TooLong {
        /// How many there were.
        found: usize,
        /// How many are allowed.
        max: usize,
    },
    /// A character outside `[A-Za-z0-9-_:/*.@]`. The text is policy-controller's.
    #[error("invalid glob {glob:?}")]
    InvalidCharacter {
        /// The pattern.
        glob: String,
        /// Offset of the first such character, in bytes.
        position: usize,
        /// The character.
        found: char,
    },
}

/// The patterns cannot be compiled within the memory that is set aside for them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("glob {glob:?} cannot be compiled within {max} bytes")]
pub struct GlobSetTooLarge {
    /// The pattern that alone needs too much.
    pub glob: String,
    /// Memory for one automaton, in bytes.
    pub max: usize,
}

/// Many patterns, compiled once and asked together.
///
/// Patterns keep the index they had in the list that was compiled.
#[derive(Clone, Debug)]
pub struct GlobSet {
    automata: Vec<Automaton>,
}

/// A run of neighbouring patterns in one automaton.
#[derive(Clone, Debug)]
struct Automaton {
    first_index: usize,
    set: RegexSet,
}

/// One pattern that matches a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GlobMatch {
    /// Which pattern, by its place in the list that was compiled.
    pub index: usize,
    /// The reference has a digest, and without the tag that stands beside it the pattern would not match.
    ///
    /// Such a tag is a claim of whoever wrote the reference: `app:trusted@sha256:<anything>`. It may add a policy that the image
    /// must satisfy; it may not bring in one that is satisfied by itself until a registry confirmed that the tag is that digest.
    pub only_by_tag: bool,
}

/// The patterns that match one reference, in ascending order of [`GlobMatch::index`], each at most once.
pub type GlobMatches = Vec<GlobMatch>;

// === impl ImageGlob ===

impl ImageGlob {
    /// The longest pattern, in bytes: twice the longest reference, because stars may stand for nothing.
    pub const MAX_BYTES: usize = 2 * ImageReference::MAX_BYTES;

    /// Checks a pattern.
    pub fn new(glob: &str) -> Result<Self, InvalidGlob> {
        if glob.is_empty() {
            return Err(InvalidGlob::Empty);
        }
        if glob.len() > Self::MAX_BYTES {
            return Err(InvalidGlob::TooLong {
                found: glob.len(),
                max: Self::MAX_BYTES,
            });
        }
        let known = |c: char| {
            c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '/' | '*' | '.' | '@')
        };
        match glob.char_indices().find(|(_, c)| !known(*c)) {
            Some((position, found)) => Err(InvalidGlob::InvalidCharacter {
                glob: glob.to_owned(),
                position,
                found,
            }),
            None => Ok(Self(glob.to_owned())),
        }
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The pattern as an anchored regular expression.
    ///
    /// 1. Exactly `*` and `*/*` speak about Docker Hub, as in policy-controller; no other pattern is rewritten.
    /// 2. From the left, `**` is any run, then `*` any run without `/`; the rest is literal.
    fn expression(&self) -> String {
        let mut rest = match self.0.as_str() {
            "*" => "index.docker.io/library/*",
            "*/*" => "index.docker.io/*/*",
            written => written,
        };
        let mut expression = String::from("^");
        while let Some((literal, after)) = rest.split_once('*') {
            expression.push_str(&regex::escape(literal));
            let (run, after) = match after.strip_prefix('*') {
                None => ("[^/]*", after),
                Some(after) => (".*", after),
            };
            expression.push_str(run);
            rest = after;
        }
        expression.push_str(&regex::escape(rest));
        expression.push('$');
        expression
    }
}

impl FromStr for ImageGlob {
    type Err = InvalidGlob;

    fn from_str(glob: &str) -> Result<Self, InvalidGlob> {
        Self::new(glob)
    }
}

impl fmt::Display for ImageGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl GlobSet ===

impl GlobSet {
    /// Compiles `globs`. Ten thousand patterns fit into one or a few automata.
    pub fn new(globs: &[ImageGlob]) -> Result<Self, GlobSetTooLarge> {
        let mut automata = Vec::new();
        compile(globs, 0, AUTOMATON_BYTES, &mut automata)?;
        Ok(Self { automata })
    }

    /// The patterns that match `reference`.
    ///
    /// A pattern matches when it holds of the normalised name ([`ImageReference::matching_name`]), of the reference as written,
    /// or, the one addition to policy-controller's language, of the normalised name with the tag that stands beside a digest.
    /// A pattern with `@` cannot hold of the latter, which has none.
    ///
    /// A host that is written in an unusual way (`GHCR.IO`, `ghcr.io:443`) is also asked about by its plain name (T-55).
    pub fn matches(&self, reference: &ImageReference) -> GlobMatches {
        let as_named = self.matches_of(reference);
        match reference.by_plain_host() {
            None => as_named,
            Some(plain) => merge(as_named, self.matches_of(&plain)),
        }
    }

    fn matches_of(&self, reference: &ImageReference) -> GlobMatches {
        let mut by_digest = self.matching(&reference.matching_name());
        let mut by_spelling = self.matching(reference.written());
        let Some(without_tag) = reference.written_without_claimed_tag() else {
            by_digest.append(&mut by_spelling);
            return by_digest
                .into_iter()
                .map(|index| GlobMatch {
                    index,
                    only_by_tag: false,
                })
                .collect();
        };
        if let Some(tagged_name) = reference.matching_name_with_tag() {
            by_spelling.append(&mut self.matching(&tagged_name));
        }
        // What also holds of the spelling without its tag (`nginx*` of `nginx:1.25@…`) does not rest on the tag. That spelling
        // only sorts matches, it never adds one.
        if !by_spelling.is_subset(&by_digest) {
            let without_tag = self.matching(&without_tag);
            by_digest.extend(by_spelling.intersection(&without_tag));
        }
        let all = by_spelling.union(&by_digest);
        all.map(|&index| GlobMatch {
            index,
            only_by_tag: !by_digest.contains(&index),
        })
        .collect()
    }

    /// The patterns that hold of `subject`.
    fn matching(&self, subject: &str) -> BTreeSet<usize> {
        let of_one = |automaton: &Automaton| {
            let first = automaton.first_index;
            automaton
                .set
                .matches(subject.as_bytes())
                .into_iter()
                .map(move |index| first + index)
        };
        self.automata.iter().flat_map(of_one).collect()
    }
}

/// Matches under two names of one image. What either name proves without a tag does not rest on the tag.
fn merge(one: GlobMatches, other: GlobMatches) -> GlobMatches {
    let mut merged: BTreeMap<usize, bool> = BTreeMap::new();
    for found in one.into_iter().chain(other) {
        let only_by_tag = merged.entry(found.index).or_insert(true);
        *only_by_tag &= found.only_by_tag;
    }
    let all = merged.into_iter();
    all.map(|(index, only_by_tag)| GlobMatch { index, only_by_tag })
        .collect()
}

/// Compiles `globs`, the first of which has `first_index`, into automata of at most `max` bytes each, halving as often as needed.
fn compile(
    globs: &[ImageGlob],
    first_index: usize,
    max: usize,
    automata: &mut Vec<Automaton>,
) -> Result<(), GlobSetTooLarge> {
    let built = RegexSetBuilder::new(globs.iter().map(ImageGlob::expression))
        .unicode(false) // names are ASCII, and byte classes keep ten thousand patterns small
        .size_limit(max)
        .dfa_size_limit(STATES_BYTES)
        .build();
    match (built, globs) {
        (Ok(set), _) => automata.push(Automaton { first_index, set }),
        (Err(_), [] | [_]) => {
            let glob = globs.iter().map(ImageGlob::to_string).collect();
            return Err(GlobSetTooLarge { glob, max });
        }
        (Err(_), _) => {
            let (left, right) = globs.split_at(globs.len() / 2);
            compile(left, first_index, max, automata)?;
            compile(right, first_index + left.len(), max, automata)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
