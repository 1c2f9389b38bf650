//! Go's grammar: a pattern becomes a syntax tree, step by step as in Go's own parser, so that the same patterns are refused.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::CharIndices;

use regex_syntax::hir::{Class, ClassUnicode, Hir, Look, Repetition};

use super::{InvalidPattern, class};

/// The most that a counted repetition may stand for, as in Go.
const MAX: u32 = 1000;
/// The deepest syntax tree. Go allows 1,000; compiling one is recursive, and a thread that serves has a small stack.
const MAX_DEPTH: u32 = 100;
/// What all classes of a pattern may cost together: so many characters may be looked up for `(?i)`, or a part of that many ranges stored.
const MAX_COST: u32 = 8 * 1024 * 1024;
/// What storing one range costs.
const RANGE_COST: u32 = 64;

/// Reads a pattern by Go's rules.
pub(super) fn parse(pattern: &str) -> Result<Hir, InvalidPattern> {
    Parser::new(pattern).run()
}

/// How what follows is read.
#[derive(Clone, Copy, Default)]
struct Flags {
    /// `i`: either case.
    folds_case: bool,
    /// `m`: `^` and `$` are the ends of lines.
    is_multi_line: bool,
    /// `s`: `.` is also the end of a line.
    dot_is_any: bool,
}

/// What a repetition can be applied to.
struct Operand {
    syntax: Hir,
    /// How often it may stand for itself.
    weight: u32,
    /// How deep it is.
    depth: u32,
}

/// A group that is open, or the whole.
#[derive(Default)]
struct Group {
    /// The alternatives before the one that is being read.
    alternatives: Vec<Hir>,
    /// What has been read of this one.
    sequence: Vec<Operand>,
    /// The most repeated operand so far.
    largest: u32,
    /// The deepest operand so far.
    deepest: u32,
    /// What holds again after the group.
    outside: Flags,
}

struct Parser<'a> {
    pattern: &'a str,
    rest: Peekable<CharIndices<'a>>,
    groups: Vec<Group>,
    group: Group,
    flags: Flags,
    names: BTreeSet<&'a str>,
    /// Where the repetition began that was read last, if nothing came after it.
    repetition: Option<usize>,
    /// What all classes cost so far.
    cost: u32,
}

// === impl Group ===

impl Group {
    fn next_alternative(&mut self) {
        let sequence = std::mem::take(&mut self.sequence);
        let sequence = sequence.into_iter().map(|operand| operand.syntax).collect();
        self.alternatives.push(Hir::concat(sequence));
    }

    fn finish(mut self) -> Operand {
        self.next_alternative();
        Operand {
            syntax: Hir::alternation(self.alternatives),
            weight: self.largest.max(1),
            depth: self.deepest.saturating_add(1),
        }
    }
}

// === impl Parser ===

impl<'a> Parser<'a> {
    fn new(pattern: &'a str) -> Self {
        Self {
            pattern,
            rest: pattern.char_indices().peekable(),
            groups: Vec::new(),
            group: Group::default(),
            flags: Flags::default(),
            names: BTreeSet::new(),
            repetition: None,
            cost: 0,
        }
    }

    fn run(mut self) -> Result<Hir, InvalidPattern> {
        while let Some((at, c)) = self.rest.next() {
            let last_repetition = self.repetition.take();
            match c {
                '(' => self.open(at)?,
                ')' => self.close()?,
                '|' => self.group.next_alternative(),
                '[' => {
                    let class = self.class(at)?;
                    self.push_class(class)?;
                }
                '.' if self.flags.dot_is_any => self.push_class(class::any())?,
                '.' => self.push_class(class::any_but_newline())?,
                '^' if self.flags.is_multi_line => self.push(Hir::look(Look::StartLF)),
                '^' => self.push(Hir::look(Look::Start)),
                '$' if self.flags.is_multi_line => self.push(Hir::look(Look::EndLF)),
                '$' => self.push(Hir::look(Look::End)),
                '*' => self.repeat(at, last_repetition, (0, None))?,
                '+' => self.repeat(at, last_repetition, (1, None))?,
                '?' => self.repeat(at, last_repetition, (0, Some(1)))?,
                '{' => match self.count() {
                    Some(count) => self.repeat(at, last_repetition, count)?,
                    None => self.literal('{')?,
                },
                '\\' => self.escape(at)?,
                c => self.literal(c)?,
            }
        }
        if self.groups.is_empty() {
            return Ok(self.group.finish().syntax);
        }
        Err(invalid("missing closing )", self.pattern))
    }

    fn push(&mut self, syntax: Hir) {
        self.group.sequence.push(Operand {
            syntax,
            weight: 1,
            depth: 1,
        });
    }

    /// What contains others.
    fn push_nested(&mut self, operand: Operand) -> Result<(), InvalidPattern> {
        if operand.depth > MAX_DEPTH {
            return Err(InvalidPattern::TooLarge("it nests more than 100 deep"));
        }
        self.group.largest = self.group.largest.max(operand.weight);
        self.group.deepest = self.group.deepest.max(operand.depth);
        self.group.sequence.push(operand);
        Ok(())
    }

    fn push_class(&mut self, class: ClassUnicode) -> Result<(), InvalidPattern> {
        self.charge_ranges(class.ranges().len())?;
        self.push(Hir::class(Class::Unicode(class)));
        Ok(())
    }

    fn literal(&mut self, c: char) -> Result<(), InvalidPattern> {
        if self.flags.folds_case {
            let class = self.folded(class::range(c, c))?;
            return self.push_class(class);
        }
        let mut bytes = [0; 4];
        self.push(Hir::literal(c.encode_utf8(&mut bytes).as_bytes()));
        Ok(())
    }

    fn charge(&mut self, cost: u32) -> Result<(), InvalidPattern> {
        self.cost = self.cost.saturating_add(cost);
        if self.cost > MAX_COST {
            return Err(InvalidPattern::TooLarge(
                "its classes stand for too many characters",
            ));
        }
        Ok(())
    }

    fn charge_ranges(&mut self, ranges: usize) -> Result<(), InvalidPattern> {
        let ranges = u32::try_from(ranges).unwrap_or(u32::MAX);
        self.charge(ranges.saturating_mul(RANGE_COST))
    }

    /// What a class of the pattern means under the flags that hold.
    fn folded(&mut self, class: ClassUnicode) -> Result<ClassUnicode, InvalidPattern> {
        if !self.flags.folds_case {
            return Ok(class);
        }
        for range in class.ranges() {
            self.charge(u32::from(range.end()) - u32::from(range.start()))?;
        }
        class::folded(&class).ok_or(InvalidPattern::Unclear {
            found: "(?i)".to_owned(),
            why: "needs tables of Unicode that this build lacks",
        })
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
    fn open(&mut self, at: usize) -> Result<(), InvalidPattern> {
        let outside = self.flags;
        let opens = !self.remaining().starts_with('?') || self.perl_group(at)?;
        if opens {
            let inner = Group {
                outside,
                ..Group::default()
            };
            let outer = std::mem::replace(&mut self.group, inner);
            self.groups.push(outer);
        }
        Ok(())
    }

    /// Whether a group is opened: flags alone do not.
    fn perl_group(&mut self, at: usize) -> Result<bool, InvalidPattern> {
        let remaining = self.remaining();
        if let Some(prefix) = ["?P<", "?<"].into_iter().find(|p| remaining.starts_with(p)) {
            let whole = self.pattern.get(at..).unwrap_or_default();
            let inside = remaining.get(prefix.len()..).unwrap_or_default();
            let Some((name, _)) = inside.split_once('>') else {
                return Err(invalid("invalid named capture", whole));
            };
            self.skip_bytes(prefix.len() + name.len() + 1);
            let is_word = |c: char| c == '_' || c.is_ascii_alphanumeric();
            if name.is_empty() || !name.chars().all(is_word) {
                return Err(invalid("invalid named capture", self.since(at)));
            }
            if !self.names.insert(name) {
                return Err(invalid("duplicate capture group name", name));
            }
            return Ok(true);
        }
        self.skip_bytes(1);
        let mut flags = self.flags;
        let (mut negated, mut has_flag) = (false, false);
        for (_, c) in self.rest.by_ref() {
            match c {
                'i' => flags.folds_case = !negated,
                'm' => flags.is_multi_line = !negated,
                's' => flags.dot_is_any = !negated,
                // Which of several matches is found makes no difference to whether there is one.
                'U' => {}
                '-' if !negated => {
                    (negated, has_flag) = (true, false);
                    continue;
                }
                ':' | ')' if !negated || has_flag => {
                    self.flags = flags;
                    return Ok(c == ':');
                }
                _ => break,
            }
            has_flag = true;
        }
        Err(invalid(
            "invalid or unsupported Perl syntax",
            self.since(at),
        ))
    }

    fn close(&mut self) -> Result<(), InvalidPattern> {
        let Some(outer) = self.groups.pop() else {
            return Err(invalid("unexpected )", self.pattern));
        };
        let inner = std::mem::replace(&mut self.group, outer);
        self.flags = inner.outside;
        self.push_nested(inner.finish())
    }

    /// `*`, `+`, `?` or a count, each also lazy.
    fn repeat(
        &mut self,
        at: usize,
        last: Option<usize>,
        (min, max): (u32, Option<u32>),
    ) -> Result<(), InvalidPattern> {
        if min > MAX || max.is_some_and(|max| max > MAX || max < min) {
            return Err(invalid("invalid repeat count", self.since(at)));
        }
        self.take_if('?');
        if let Some(first) = last {
            return Err(invalid(
                "invalid nested repetition operator",
                self.since(first),
            ));
        }
        let Some(operand) = self.group.sequence.pop() else {
            return Err(invalid(
                "missing argument to repetition operator",
                self.since(at),
            ));
        };
        let times = max.unwrap_or(min).max(1);
        let weight = operand.weight.saturating_mul(times);
        if weight > MAX {
            return Err(invalid("invalid repeat count", self.since(at)));
        }
        let syntax = Hir::repetition(Repetition {
            min,
            max,
            greedy: true,
            sub: Box::new(operand.syntax),
        });
        let depth = operand.depth.saturating_add(1);
        self.repetition = Some(at);
        self.push_nested(Operand {
            syntax,
            weight,
            depth,
        })
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
    fn escape(&mut self, at: usize) -> Result<(), InvalidPattern> {
        let look = match self.peek() {
            Some('Q') => {
                self.skip_bytes(1);
                let quoted = self.remaining();
                let (literal, skipped) = match quoted.split_once(r"\E") {
                    Some((literal, _)) => (literal, literal.len() + 2),
                    None => (quoted, quoted.len()),
                };
                self.skip_bytes(skipped);
                return literal.chars().try_for_each(|c| self.literal(c));
            }
            Some('A') => Look::Start,
            Some('b') => Look::WordAscii,
            Some('B') => Look::WordAsciiNegate,
            Some('z') => Look::End,
            _ => {
                if let Some(class) = self.named_class(at)? {
                    return self.push_class(class);
                }
                let c = self.escaped_character(at)?;
                return self.literal(c);
            }
        };
        self.skip_bytes(1);
        self.push(Hir::look(look));
        Ok(())
    }

    /// After `\`: `d`, `pL`, `p{Greek}` and their like.
    fn named_class(&mut self, at: usize) -> Result<Option<ClassUnicode>, InvalidPattern> {
        let Some(letter) = self.peek() else {
            return Ok(None);
        };
        let (class, is_negated) = if let Some(class) = class::perl(letter.to_ascii_lowercase()) {
            self.skip_bytes(1);
            (class, letter.is_ascii_uppercase())
        } else if matches!(letter, 'p' | 'P') {
            self.skip_bytes(1);
            let name = if self.take_if('{') {
                let Some((name, _)) = self.remaining().split_once('}') else {
                    let whole = self.pattern.get(at..).unwrap_or_default();
                    return Err(invalid("invalid character class range", whole));
                };
                self.skip_bytes(name.len() + 1);
                name
            } else {
                let start = self.position();
                self.rest.next();
                self.since(start)
            };
            let positive = name.strip_prefix('^');
            let written = self.since(at);
            let Some(class) = class::unicode(positive.unwrap_or(name)) else {
                return Err(match positive.unwrap_or(name) {
                    "C" | "Cs" => unclear(written, "is not the same in every version of Go"),
                    _ => invalid("invalid character class range", written),
                });
            };
            (class, (letter == 'P') != positive.is_some())
        } else {
            return Ok(None);
        };
        // In this order: what `(?i)` adds to a class is not in its negation.
        let class = self.folded(class)?;
        Ok(Some(negated_if(is_negated, class)))
    }

    /// After `\`: one character.
    fn escaped_character(&mut self, at: usize) -> Result<char, InvalidPattern> {
        let Some((_, c)) = self.rest.next() else {
            return Err(invalid("trailing backslash at end of expression", ""));
        };
        let read = match c {
            '0' => Some(self.octal('0')),
            // A single digit would be a reference to a group, which Go does not have.
            '1'..='7' if self.peek().is_some_and(|next| ('0'..='7').contains(&next)) => {
                Some(self.octal(c))
            }
            'x' => match self.hexadecimal() {
                Some(value) => match char::from_u32(value) {
                    Some(c) => Some(c),
                    None => return Err(unclear(self.since(at), "is no character of any text")),
                },
                None => None,
            },
            'a' => Some('\u{7}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\u{b}'),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(c),
            _ => None,
        };
        read.ok_or_else(|| invalid("invalid escape sequence", self.since(at)))
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
        // At most three digits: always a character.
        char::from_u32(value).unwrap_or_default()
    }

    /// `41` or `{10ffff}`.
    fn hexadecimal(&mut self) -> Option<u32> {
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
        (digits > 0 && value <= u32::from(char::MAX)).then_some(value)
    }

    /// `[…]`.
    fn class(&mut self, at: usize) -> Result<ClassUnicode, InvalidPattern> {
        let is_negated = self.take_if('^');
        let mut ranges = Vec::new();
        let mut is_first = true;
        while is_first || self.peek() != Some(']') {
            is_first = false;
            let item = self.class_item(at)?;
            self.charge_ranges(item.ranges().len())?;
            ranges.extend_from_slice(item.ranges());
        }
        self.skip_bytes(1);
        Ok(negated_if(is_negated, ClassUnicode::new(ranges)))
    }

    /// A named class, a character or a range of characters within `[…]`.
    fn class_item(&mut self, class: usize) -> Result<ClassUnicode, InvalidPattern> {
        let start = self.position();
        let remaining = self.remaining();
        let posix = remaining.strip_prefix("[:");
        if let Some((name, _)) = posix.and_then(|rest| rest.split_once(":]")) {
            self.skip_bytes(name.len() + 4);
            let positive = name.strip_prefix('^');
            let Some(class) = class::posix(positive.unwrap_or(name)) else {
                return Err(invalid("invalid character class range", self.since(start)));
            };
            let class = self.folded(class)?;
            return Ok(negated_if(positive.is_some(), class));
        }
        if let Some(escaped) = remaining.strip_prefix('\\')
            && escaped.starts_with(['d', 'D', 's', 'S', 'w', 'W', 'p', 'P'])
        {
            self.skip_bytes(1);
            if let Some(class) = self.named_class(start)? {
                return Ok(class);
            }
        }
        let low = self.class_character(class)?;
        let mut high = low;
        let remaining = self.remaining();
        if remaining.starts_with('-') && !remaining.starts_with("-]") && remaining.len() > 1 {
            self.skip_bytes(1);
            high = self.class_character(class)?;
            if high < low {
                return Err(invalid("invalid character class range", self.since(start)));
            }
        }
        self.folded(class::range(low, high))
    }

    fn class_character(&mut self, class: usize) -> Result<char, InvalidPattern> {
        match self.rest.next() {
            Some((at, '\\')) => self.escaped_character(at),
            Some((_, c)) => Ok(c),
            None => {
                let whole = self.pattern.get(class..).unwrap_or_default();
                Err(invalid("missing closing ]", whole))
            }
        }
    }
}

fn negated_if(is_negated: bool, class: ClassUnicode) -> ClassUnicode {
    if is_negated {
        class::negated(class)
    } else {
        class
    }
}

fn invalid(what: &'static str, found: &str) -> InvalidPattern {
    InvalidPattern::Syntax {
        what,
        found: found.to_owned(),
    }
}

fn unclear(found: &str, why: &'static str) -> InvalidPattern {
    InvalidPattern::Unclear {
        found: found.to_owned(),
        why,
    }
}
