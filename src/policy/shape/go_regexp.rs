//! Go's regular expressions: which patterns Go's `regexp` accepts, and with which words it refuses the others.
//!
//! Identities of policies are written for RE2 in Go's dialect (<https://golang.org/s/re2syntax>). A pattern that another engine
//! would also accept may mean something else there, so it is read by Go's own rules. In comes a pattern, out comes nothing or
//! [`InvalidRegexp`]; nothing is matched here.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::CharIndices;

/// The deepest nesting, and the most that a counted repetition may stand for, as in Go.
const MAX: u32 = 1000;

/// Why Go refuses a pattern, in its words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {what}: `{found}`")]
pub(super) struct InvalidRegexp {
    /// What is wrong.
    what: &'static str,
    /// The part of the pattern that is.
    found: String,
}

/// Checks a pattern by Go's rules.
///
/// # Errors
/// See [`InvalidRegexp`].
pub(super) fn check(pattern: &str) -> Result<(), InvalidRegexp> {
    Parser::new(pattern).run().map(|_| ())
}

/// Whether a pattern that Go accepts can only match whole texts: it begins with `^` or `\A`, ends with `$` or `\z`, and has no
/// alternative outside of a group. What cannot be told is not anchored.
pub fn is_anchored(pattern: &str) -> bool {
    let Ok(has_alternatives) = Parser::new(pattern).run() else {
        return false;
    };
    let flags = pattern
        .strip_prefix("(?")
        .and_then(|rest| rest.split_once(')'))
        .filter(|(flags, _)| flags.chars().all(|c| "isU-".contains(c)));
    let pattern = flags.map_or(pattern, |(_, rest)| rest);
    let begins = pattern.starts_with('^') || pattern.starts_with(r"\A");
    let before = pattern.strip_suffix('$');
    // An escaped `$` is a dollar.
    let is_escaped =
        |before: &str| before.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1;
    let ends = before.is_some_and(|before| !is_escaped(before))
        || pattern
            .strip_suffix(r"\z")
            .is_some_and(|before| !is_escaped(before));
    begins && ends && !has_alternatives && !pattern.contains("(?m") && !pattern.contains(r"\Q")
}

/// What is known about a group that is open, or about the whole.
#[derive(Default)]
struct Group {
    /// How often the last operand may stand for itself; `None` where there is nothing to repeat.
    operand: Option<u32>,
    /// The same for the most repeated operand so far.
    largest: u32,
    has_alternatives: bool,
}

struct Parser<'a> {
    pattern: &'a str,
    rest: Peekable<CharIndices<'a>>,
    groups: Vec<Group>,
    group: Group,
    names: BTreeSet<&'a str>,
    /// Where the repetition began that was read last, if nothing came after it.
    repetition: Option<usize>,
}

// === impl Parser ===

impl<'a> Parser<'a> {
    fn new(pattern: &'a str) -> Self {
        Self {
            pattern,
            rest: pattern.char_indices().peekable(),
            groups: Vec::new(),
            group: Group::default(),
            names: BTreeSet::new(),
            repetition: None,
        }
    }

    /// Reads the whole pattern; gives whether it has alternatives outside of groups.
    fn run(mut self) -> Result<bool, InvalidRegexp> {
        while let Some((at, c)) = self.rest.next() {
            let last_repetition = self.repetition.take();
            match c {
                '(' => self.open(at)?,
                ')' => self.close()?,
                '|' => {
                    self.group.operand = None;
                    self.group.has_alternatives = true;
                }
                '[' => {
                    self.class(at)?;
                    self.operand(1);
                }
                '*' | '+' | '?' => self.repeat(at, last_repetition, None)?,
                '{' => match self.count() {
                    Some(count) => self.repeat(at, last_repetition, Some(count))?,
                    None => self.operand(1),
                },
                '\\' => self.escape(at)?,
                _ => self.operand(1),
            }
        }
        if self.groups.is_empty() {
            return Ok(self.group.has_alternatives);
        }
        Err(invalid("missing closing )", self.pattern))
    }

    fn operand(&mut self, weight: u32) {
        self.group.operand = Some(weight);
        self.group.largest = self.group.largest.max(weight);
    }

    /// Where the next character stands.
    fn position(&mut self) -> usize {
        self.rest.peek().map_or(self.pattern.len(), |(at, _)| *at)
    }

    /// The pattern from `at` to where reading has come.
    fn since(&mut self, at: usize) -> &'a str {
        let end = self.position();
        self.pattern.get(at..end).unwrap_or_default()
    }

    fn peek(&mut self) -> Option<char> {
        self.rest.peek().map(|(_, c)| *c)
    }

    fn take_if(&mut self, wanted: char) -> bool {
        self.rest.next_if(|(_, c)| *c == wanted).is_some()
    }

    fn remaining(&mut self) -> &'a str {
        let at = self.position();
        self.pattern.get(at..).unwrap_or_default()
    }

    fn skip_bytes(&mut self, count: usize) {
        let end = self.position().saturating_add(count);
        while self.rest.next_if(|(at, _)| *at < end).is_some() {}
    }

    /// `(…`, `(?:…`, `(?flags)`, `(?flags:…`, `(?P<name>…`, `(?<name>…`.
    fn open(&mut self, at: usize) -> Result<(), InvalidRegexp> {
        let opens = !self.remaining().starts_with('?') || self.perl_group(at)?;
        if opens {
            let outer = std::mem::take(&mut self.group);
            self.groups.push(outer);
            if u32::try_from(self.groups.len()).is_ok_and(|depth| depth > MAX) {
                return Err(invalid("expression nests too deeply", self.pattern));
            }
        }
        Ok(())
    }

    /// Whether a group is opened: flags alone do not.
    fn perl_group(&mut self, at: usize) -> Result<bool, InvalidRegexp> {
        let remaining = self.remaining();
        if let Some(prefix) = ["?P<", "?<"].into_iter().find(|p| remaining.starts_with(p)) {
            let whole = self.pattern.get(at..).unwrap_or_default();
            let inside = remaining.get(prefix.len()..).unwrap_or_default();
            let Some((name, _)) = inside.split_once('>') else {
                return Err(invalid("invalid named capture", whole));
            };
            self.skip_bytes(prefix.len() + name.len() + 1);
            let is_word = |c: char| c == '_' || c.is_alphanumeric();
            if name.is_empty() || !name.chars().all(is_word) {
                return Err(invalid("invalid named capture", self.since(at)));
            }
            if !self.names.insert(name) {
                return Err(invalid("duplicate capture group name", name));
            }
            return Ok(true);
        }
        self.skip_bytes(1);
        let (mut negated, mut has_flag) = (false, false);
        for (_, c) in self.rest.by_ref() {
            match c {
                'i' | 'm' | 's' | 'U' => has_flag = true,
                '-' if !negated => (negated, has_flag) = (true, false),
                ':' | ')' if !negated || has_flag => return Ok(c == ':'),
                _ => break,
            }
        }
        Err(invalid(
            "invalid or unsupported Perl syntax",
            self.since(at),
        ))
    }

    fn close(&mut self) -> Result<(), InvalidRegexp> {
        let Some(outer) = self.groups.pop() else {
            return Err(invalid("unexpected )", self.pattern));
        };
        let inner = std::mem::replace(&mut self.group, outer);
        self.operand(inner.largest.max(1));
        Ok(())
    }

    /// `*`, `+`, `?` or a count, each also lazy.
    fn repeat(
        &mut self,
        at: usize,
        last: Option<usize>,
        count: Option<(u32, Option<u32>)>,
    ) -> Result<(), InvalidRegexp> {
        if let Some((min, max)) = count {
            let is_too_large = min > MAX || max.is_some_and(|max| max > MAX || max < min);
            if is_too_large {
                return Err(invalid("invalid repeat count", self.since(at)));
            }
        }
        self.take_if('?');
        if let Some(first) = last {
            return Err(invalid(
                "invalid nested repetition operator",
                self.since(first),
            ));
        }
        let Some(weight) = self.group.operand else {
            return Err(invalid(
                "missing argument to repetition operator",
                self.since(at),
            ));
        };
        let times = count.map_or(1, |(min, max)| max.unwrap_or(min).max(1));
        let weight = weight.saturating_mul(times);
        if weight > MAX {
            return Err(invalid("invalid repeat count", self.since(at)));
        }
        self.operand(weight);
        self.repetition = Some(at);
        Ok(())
    }

    /// What follows `{` if it is a count: `{2}`, `{2,}`, `{2,3}`. Everything else is literal.
    fn count(&mut self) -> Option<(u32, Option<u32>)> {
        let (inside, _) = self.remaining().split_once('}')?;
        let number = |text: &str| {
            let is_plain = !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_digit())
                && (text.len() == 1 || !text.starts_with('0'));
            is_plain.then(|| text.parse().unwrap_or(u32::MAX))
        };
        let count = match inside.split_once(',') {
            None => number(inside).map(|n| (n, Some(n)))?,
            Some((min, "")) => (number(min)?, None),
            Some((min, max)) => (number(min)?, Some(number(max)?)),
        };
        self.skip_bytes(inside.len() + 1);
        Some(count)
    }

    /// `\` outside of a class.
    fn escape(&mut self, at: usize) -> Result<(), InvalidRegexp> {
        match self.peek() {
            Some('Q') => {
                self.skip_bytes(1);
                let quoted = self.remaining();
                let (literal, skipped) = match quoted.split_once(r"\E") {
                    Some((literal, _)) => (literal, literal.len() + 2),
                    None => (quoted, quoted.len()),
                };
                self.skip_bytes(skipped);
                if !literal.is_empty() {
                    self.operand(1);
                }
                return Ok(());
            }
            Some('A' | 'b' | 'B' | 'z') => self.skip_bytes(1),
            _ => {
                if !self.named_class(at)? {
                    self.escaped_character(at)?;
                }
            }
        }
        self.operand(1);
        Ok(())
    }

    /// After `\`: `d`, `pL`, `p{Greek}` and their like; `false` if it is none.
    fn named_class(&mut self, at: usize) -> Result<bool, InvalidRegexp> {
        match self.peek() {
            Some('d' | 'D' | 's' | 'S' | 'w' | 'W') => self.skip_bytes(1),
            Some('p' | 'P') => {
                self.skip_bytes(1);
                if self.take_if('{') {
                    let Some((name, _)) = self.remaining().split_once('}') else {
                        let whole = self.pattern.get(at..).unwrap_or_default();
                        return Err(invalid("invalid character class range", whole));
                    };
                    self.skip_bytes(name.len() + 1);
                } else {
                    self.rest.next();
                }
                let class = self.since(at);
                let positive = class.replacen('^', "", 1);
                if class.len() < 3 || regex::Regex::new(&positive).is_err() {
                    return Err(invalid("invalid character class range", class));
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// After `\`: one character.
    fn escaped_character(&mut self, at: usize) -> Result<Option<char>, InvalidRegexp> {
        let Some((_, c)) = self.rest.next() else {
            return Err(invalid("trailing backslash at end of expression", ""));
        };
        let read = match c {
            '0' => Some(self.octal('0')),
            // A single digit would be a reference to a group, which Go does not have.
            '1'..='7' if self.peek().is_some_and(|next| ('0'..='7').contains(&next)) => {
                Some(self.octal(c))
            }
            'x' => self.hexadecimal(),
            'a' => Some('\u{7}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\u{b}'),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(c),
            _ => None,
        };
        match read {
            Some(c) => Ok(Some(c)),
            None => Err(invalid("invalid escape sequence", self.since(at))),
        }
    }

    /// Up to two more octal digits.
    fn octal(&mut self, first: char) -> char {
        let mut value = first.to_digit(8).unwrap_or_default();
        for _ in 0..2 {
            match self.rest.next_if(|(_, c)| c.is_digit(8)) {
                Some((_, digit)) => value = value * 8 + digit.to_digit(8).unwrap_or_default(),
                None => break,
            }
        }
        char::from_u32(value).unwrap_or_default()
    }

    /// `41` or `{10ffff}`.
    fn hexadecimal(&mut self) -> Option<char> {
        let mut value: u32 = 0;
        let is_braced = self.take_if('{');
        let mut digits = 0_u32;
        while is_braced || digits < 2 {
            let (_, c) = self.rest.next()?;
            if is_braced && c == '}' {
                break;
            }
            value = value.checked_mul(16)?.checked_add(c.to_digit(16)?)?;
            digits = digits.saturating_add(1);
        }
        // Go takes surrogates as well; no text that a signer could have contains one.
        (digits > 0 && value <= 0x10_ffff).then(|| char::from_u32(value).unwrap_or('\u{fffd}'))
    }

    /// `[…]`.
    fn class(&mut self, at: usize) -> Result<(), InvalidRegexp> {
        self.take_if('^');
        let mut is_first = true;
        while is_first || self.peek() != Some(']') {
            is_first = false;
            if let Some((name, _)) = self
                .remaining()
                .strip_prefix("[:")
                .and_then(|rest| rest.split_once(":]"))
            {
                let start = self.position();
                self.skip_bytes(name.len() + 4);
                if !POSIX.contains(&name.strip_prefix('^').unwrap_or(name)) {
                    return Err(invalid("invalid character class range", self.since(start)));
                }
                continue;
            }
            let start = self.position();
            if self.remaining().starts_with('\\') {
                let mut ahead = self.remaining().chars().skip(1);
                if ahead.next().is_some_and(|c| "dDsSwWpP".contains(c)) {
                    self.skip_bytes(1);
                    self.named_class(start)?;
                    continue;
                }
            }
            let low = self.class_character(at)?;
            let remaining = self.remaining();
            if remaining.starts_with('-') && !remaining.starts_with("-]") && remaining.len() > 1 {
                self.skip_bytes(1);
                let high = self.class_character(at)?;
                if high < low {
                    return Err(invalid("invalid character class range", self.since(start)));
                }
            }
        }
        self.skip_bytes(1);
        Ok(())
    }

    fn class_character(&mut self, class: usize) -> Result<Option<char>, InvalidRegexp> {
        match self.rest.next() {
            Some((at, '\\')) => self.escaped_character(at),
            Some((_, c)) => Ok(Some(c)),
            None => {
                let whole = self.pattern.get(class..).unwrap_or_default();
                Err(invalid("missing closing ]", whole))
            }
        }
    }
}

/// Named classes within brackets.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

fn invalid(what: &'static str, found: &str) -> InvalidRegexp {
    InvalidRegexp {
        what,
        found: found.to_owned(),
    }
}
