//! Bounds of the builtins that read or write text: strings, encodings, patterns, numbers, times.

use regorus::Value;

use super::super::lexical::{is_small_number, json_memory};
use super::super::measure::{length, measure};
use super::{BEYOND, Bound, ENTRY, TREE, Undefined, bytes, shallow, text, text_len, tree};

/// Longest regular expression or glob, in bytes.
const PATTERN: u64 = 8 * 1024;
/// Longest text that is read as a time, a layout or a time zone, in bytes.
const TIME_TEXT: u64 = 1024;

/// A search that is linear in the text.
pub(in super::super) fn search(args: &[Value]) -> Bound {
    let steps = args.iter().map(shallow).fold(0, u64::saturating_add);
    Bound::Work { bytes: 0, steps }
}

/// Text to text, with at most three bytes out for one in (`urlquery.encode`, lossy decoding).
pub(in super::super) fn text_x3(args: &[Value]) -> Bound {
    let sum = (0..args.len())
        .map(|index| text_len(args, index))
        .fold(0, u64::saturating_add);
    bytes(sum.saturating_mul(3))
}

/// Text to containers: each byte may become an element.
pub(in super::super) fn text_entries(args: &[Value]) -> Bound {
    bytes(text_len(args, 0).saturating_mul(ENTRY))
}

pub(in super::super) fn concat(args: &[Value]) -> Bound {
    let texts = match args.get(1) {
        Some(Value::Array(items)) => items.iter().map(shallow).fold(0, u64::saturating_add),
        Some(Value::Set(items)) => items.iter().map(shallow).fold(0, u64::saturating_add),
        _ => return Undefined,
    };
    let count = args.get(1).map_or(0, shallow);
    let delimiters = count.saturating_mul(text_len(args, 0));
    // The engine first lists the texts, sixteen bytes each.
    bytes(
        texts
            .saturating_add(delimiters)
            .saturating_add(count.saturating_mul(16)),
    )
}

/// The engine tries the whole needle at every character.
pub(in super::super) fn index_of(args: &[Value]) -> Bound {
    let (haystack, needle) = (text_len(args, 0), text_len(args, 1));
    let steps = haystack.saturating_mul(2 + needle / 16);
    Bound::Work { bytes: 0, steps }
}

pub(in super::super) fn index_of_n(args: &[Value]) -> Bound {
    match index_of(args) {
        Bound::Work { steps, .. } => Bound::Work {
            bytes: text_len(args, 0).saturating_mul(ENTRY),
            steps,
        },
        Undefined => Undefined,
    }
}

/// Every text is tried with every affix.
pub(in super::super) fn any_affix(args: &[Value]) -> Bound {
    let count = |value: &Value| match value {
        Value::String(_) => 1,
        other => shallow(other),
    };
    let pairs = args.iter().map(count).fold(1, u64::saturating_mul);
    let listed = args.iter().map(count).fold(0, u64::saturating_add);
    Bound::Work {
        bytes: listed.saturating_mul(16),
        steps: pairs.saturating_mul(4),
    }
}

/// The engine tries each character with the whole cut set.
pub(in super::super) fn trim(args: &[Value]) -> Bound {
    let (text, cut_set) = (text_len(args, 0), text_len(args, 1));
    Bound::Work {
        bytes: text,
        steps: text.saturating_mul(cut_set),
    }
}

/// Length of `text` with each `old` replaced by `new`.
pub(in super::super) fn replaced_len(text: &str, old: &str, new: &str) -> u64 {
    let found = length(text.matches(old).count());
    length(text.len()).saturating_add(found.saturating_mul(length(new.len())))
}

pub(in super::super) fn replace(args: &[Value]) -> Bound {
    bytes(replaced_len(text(args, 0), text(args, 1), text(args, 2)))
}

/// Only the types: each replacement is charged on its own when it is done.
pub(in super::super) fn replace_n(args: &[Value]) -> Bound {
    let Some(Value::Object(pairs)) = args.first() else {
        return Undefined;
    };
    let texts = pairs
        .iter()
        .all(|pair| matches!(pair, (Value::String(_), Value::String(_))));
    if texts { bytes(0) } else { Undefined }
}

pub(in super::super) fn split(args: &[Value]) -> Bound {
    let (whole, delimiter) = (text(args, 0), text(args, 1));
    let parts = if delimiter.is_empty() {
        length(whole.len())
    } else {
        1 + length(whole.matches(delimiter).count())
    };
    bytes(length(whole.len()).saturating_add(parts.saturating_mul(ENTRY)))
}

/// Arguments may be quoted (ten bytes for a character); widths are checked because the engine
/// computes them without bounds.
pub(in super::super) fn sprintf(args: &[Value]) -> Bound {
    const WIDEST: u64 = 1024;
    const LARGEST_FLOAT: u64 = 400;
    let format = text(args, 0);
    let Some(size) = args.get(1).and_then(|arg| measure(arg, TREE)) else {
        return BEYOND;
    };
    let mut widths = 0_u64;
    for directive in format.split('%').skip(1) {
        let digits = directive.trim_start_matches('.');
        let end = digits
            .find(|c: char| !c.is_numeric())
            .unwrap_or(digits.len());
        let width = digits.get(..end).unwrap_or_default();
        if width.is_empty() {
            continue;
        }
        match width.parse::<u64>() {
            Ok(width) if width <= WIDEST => widths = widths.saturating_add(width),
            _ => return BEYOND,
        }
    }
    bytes(
        length(format.len())
            .saturating_add(widths)
            .saturating_add(size.nodes.saturating_mul(LARGEST_FLOAT))
            .saturating_add(size.bytes.saturating_mul(10)),
    )
}

pub(in super::super) fn json_text(args: &[Value]) -> Bound {
    json_memory(text(args, 0)).map_or(BEYOND, |memory| bytes(length(memory)))
}

/// Aliases are refused: they make much out of little. Numbers are as in JSON.
pub(in super::super) fn yaml_text(args: &[Value]) -> Bound {
    let yaml = text(args, 0);
    if has_alias(yaml) || json_memory(yaml).is_none() {
        return BEYOND;
    }
    text_entries(args)
}

fn has_alias(yaml: &str) -> bool {
    let names = |mark: char| {
        yaml.match_indices(mark).any(|(at, _)| {
            let after = yaml.get(at + 1..).and_then(|rest| rest.chars().next());
            after.is_some_and(|c| !c.is_whitespace())
        })
    };
    names('&') && names('*')
}

fn regex(args: &[Value], pattern: usize, produced: u64) -> Bound {
    if text_len(args, pattern) > PATTERN {
        return BEYOND;
    }
    let steps = args.iter().map(shallow).fold(0, u64::saturating_add);
    Bound::Work {
        bytes: produced,
        steps,
    }
}

pub(in super::super) fn regex_is_valid(args: &[Value]) -> Bound {
    regex(args, 0, 0)
}

pub(in super::super) fn regex_match(args: &[Value]) -> Bound {
    regex(args, 0, 0)
}

/// Most matches: one before each character and one at the end, or as many as asked for.
fn matches(args: &[Value]) -> u64 {
    let most = text_len(args, 1).saturating_add(1);
    match args.get(2) {
        Some(Value::Number(n)) => n.as_u64().map_or(most, |n| n.min(most)),
        _ => most,
    }
}

pub(in super::super) fn regex_find(args: &[Value]) -> Bound {
    let produced = matches(args).saturating_mul(ENTRY);
    regex(args, 0, produced.saturating_add(text_len(args, 1)))
}

pub(in super::super) fn regex_submatches(args: &[Value]) -> Bound {
    let groups = 1 + length(text(args, 0).matches('(').count());
    let each = matches(args).saturating_mul(ENTRY);
    let produced = each
        .saturating_add(text_len(args, 1))
        .saturating_mul(groups + 1);
    regex(args, 0, produced)
}

pub(in super::super) fn regex_split(args: &[Value]) -> Bound {
    let parts = matches(args).saturating_add(1);
    regex(
        args,
        0,
        parts
            .saturating_mul(ENTRY)
            .saturating_add(text_len(args, 1)),
    )
}

/// The replacement is written for each match; each `$` in it may repeat what was matched.
pub(in super::super) fn regex_replace(args: &[Value]) -> Bound {
    let whole = text_len(args, 0);
    let replacement = text(args, 2);
    let references = length(replacement.matches('$').count());
    let produced = whole
        .saturating_add(1)
        .saturating_mul(length(replacement.len()))
        .saturating_add(whole.saturating_mul(references.saturating_add(1)));
    regex(args, 1, produced)
}

/// The engine compares without looking whether the text is long enough.
pub(in super::super) fn regex_template(args: &[Value]) -> Bound {
    if !text(args, 1).is_ascii() || !text(args, 0).is_ascii() || text(args, 2).is_empty() {
        return Undefined;
    }
    regex(args, 0, 0)
}

pub(in super::super) fn glob_match(args: &[Value]) -> Bound {
    const DELIMITERS: u64 = 16;
    let delimiters = match args.get(1) {
        Some(Value::Array(items)) => length(items.len()),
        _ => 0,
    };
    if text_len(args, 0) > PATTERN || delimiters > DELIMITERS {
        return BEYOND;
    }
    let texts = text_len(args, 0).saturating_add(text_len(args, 2));
    // A delimiter is written as itself between two slashes, once for each time it is given.
    bytes(texts.saturating_mul(2 + 2 * delimiters))
}

pub(in super::super) fn glob_quote(args: &[Value]) -> Bound {
    if text_len(args, 0) > PATTERN {
        return BEYOND;
    }
    text_x3(args)
}

/// Times, layouts and zones are short.
pub(in super::super) fn time(args: &[Value]) -> Bound {
    const TIMES: u64 = 16;
    match tree(args) {
        Some(size) if size.bytes <= TIME_TEXT => bytes(size.bytes.saturating_mul(TIMES)),
        _ => BEYOND,
    }
}

/// A number that is written as text.
pub(in super::super) fn number_text(args: &[Value]) -> Bound {
    if is_small_number(text(args, 0)) {
        bytes(0)
    } else {
        BEYOND
    }
}
