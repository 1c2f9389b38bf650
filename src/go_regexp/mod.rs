//! Regular expressions as Go reads them: which patterns its `regexp` accepts, with which words it refuses the others, and what they match.
//!
//! The identities of policies are written for RE2 in Go's dialect (<https://golang.org/s/re2syntax>). A pattern that another engine would
//! also accept may mean something else there: `\d` is every script's digits, `[a&&b]` an intersection, `[[a]b]` a class within a class.
//! So patterns are read by Go's own grammar into a syntax tree, and only the automaton is somebody else's. *In*: a pattern. *Out*: a
//! [`GoRegexp`], which searches like Go's `MatchString` (anywhere in the text, unless the pattern is anchored), or [`InvalidPattern`].
//!
//! It never matches what Go does not match. Go's tables are those of Unicode 15.0: characters of later versions belong to no class and have
//! no other case. A pattern whose meaning differs from one version of Go to the next, or has none over UTF-8, is refused.
//!
//! Patterns, syntax trees and automata are bounded, and a search takes time in proportion to the text: no pattern can stall a review
//! (T-19).

mod class;
mod names;
mod parse;

use regex_automata::meta;
use regex_syntax::hir::Look;

/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 16 * 1024;
/// The largest automaton, in bytes.
const MAX_AUTOMATON: usize = 4 * 1024 * 1024;

/// A regular expression in Go's dialect.
#[derive(Clone, Debug)]
pub struct GoRegexp {
    regex: meta::Regex,
    is_anchored: bool,
}

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// Go refuses it too, in these words.
    #[error("error parsing regexp: {what}: `{found}`")]
    Syntax {
        /// What is wrong.
        what: &'static str,
        /// The part of the pattern that is.
        found: String,
    },
    /// Go accepts it, but what it matches cannot be told.
    #[error("`{found}` {why}; name the characters another way")]
    Unclear {
        /// The part of the pattern that has no clear meaning.
        found: String,
        /// Why it has none.
        why: &'static str,
    },
    /// It is longer, or stands for more, than is allowed.
    #[error("the pattern is too large: {0}")]
    TooLarge(&'static str),
}

// === impl GoRegexp ===

impl GoRegexp {
    /// Reads a pattern.
    ///
    /// # Errors
    /// See [`InvalidPattern`].
    pub fn new(pattern: &str) -> Result<Self, InvalidPattern> {
        if pattern.len() > MAX_PATTERN {
            return Err(InvalidPattern::TooLarge("more than 16 KiB of text"));
        }
        let syntax = parse::parse(pattern)?;
        let ends = syntax.properties();
        let is_anchored = ends.look_set_prefix().contains(Look::Start)
            && ends.look_set_suffix().contains(Look::End);
        let limits = meta::Config::new().nfa_size_limit(Some(MAX_AUTOMATON));
        let regex = meta::Builder::new()
            .configure(limits)
            .build_from_hir(&syntax)
            // A syntax tree cannot be wrong any more; only its size can be.
            .map_err(|_| InvalidPattern::TooLarge("its automaton needs more than 4 MiB"))?;
        Ok(Self { regex, is_anchored })
    }

    /// Whether the pattern matches anywhere in the text.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// Whether it can only match whole texts.
    pub fn is_anchored(&self) -> bool {
        self.is_anchored
    }
}

#[cfg(test)]
mod tests;
