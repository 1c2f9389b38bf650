//! Upper bounds of what each builtin produces and works through, from its arguments alone.
//!
//! Bounds err on the large side, but stay near the truth for what real policies do. They are
//! called after types and numbers were checked, and never format a value.

use regorus::Value;

use super::lexical::{is_small_number, json_memory};
use super::measure::{Size, length, measure};

/// Most nodes or bytes of one argument that is gone through as a whole.
const TREE: u64 = 32 * 1024 * 1024;
/// Longest regular expression or glob, in bytes.
const PATTERN: u64 = 8 * 1024;
/// What an element of an array, set or object takes in memory, counted allocations included.
const ENTRY: u64 = 64;
/// Largest shift, in bits.
const SHIFT: u64 = 4096;
/// Longest text that is read as a time, a layout or a time zone, in bytes.
const TIME_TEXT: u64 = 1024;

/// What a call may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// At most so many bytes come out, after so many steps of roughly a nanosecond.
    Work {
        /// Bytes that are allocated.
        bytes: u64,
        /// Steps beyond those for the bytes.
        steps: u64,
    },
    /// The call has no value (OPA reports a builtin error, which is undefined).
    Undefined,
}

use Bound::Undefined;

/// More than any allowance.
const BEYOND: Bound = Bound::Work {
    bytes: u64::MAX,
    steps: u64::MAX,
};

fn bytes(bytes: u64) -> Bound {
    Bound::Work { bytes, steps: 0 }
}

fn text(args: &[Value], index: usize) -> &str {
    match args.get(index) {
        Some(Value::String(text)) => text,
        _ => "",
    }
}

fn text_len(args: &[Value], index: usize) -> u64 {
    length(text(args, index).len())
}

/// Elements of a container, or bytes of a string.
fn shallow(value: &Value) -> u64 {
    match value {
        Value::Array(items) => length(items.len()),
        Value::Set(items) => length(items.len()),
        Value::Object(fields) => length(fields.len()),
        Value::String(text) => length(text.len()),
        _ => 1,
    }
}

/// The size of all arguments as trees.
fn tree(args: &[Value]) -> Option<Size> {
    let mut total = Size::default();
    for arg in args {
        let size = measure(arg, TREE)?;
        total.nodes = total.nodes.saturating_add(size.nodes);
        total.bytes = total.bytes.saturating_add(size.bytes);
        total.depth = total.depth.max(size.depth);
        total.path_entries = total.path_entries.saturating_add(size.path_entries);
    }
    Some(total)
}

/// The result is a scalar or shares what the arguments hold, and the work is next to nothing.
pub(super) fn small(_: &[Value]) -> Bound {
    bytes(0)
}

/// A search that is linear in the text.
pub(super) fn search(args: &[Value]) -> Bound {
    let steps = args.iter().map(shallow).fold(0, u64::saturating_add);
    Bound::Work { bytes: 0, steps }
}

/// The result has at most the elements of all arguments, shared.
pub(super) fn entries(args: &[Value]) -> Bound {
    let containers = args.iter().filter(|arg| !matches!(arg, Value::String(_)));
    let sum = containers.map(shallow).fold(0, u64::saturating_add);
    bytes(sum.saturating_mul(ENTRY))
}

/// Text to text, with at most three bytes out for one in (`urlquery.encode`, lossy decoding).
pub(super) fn text_x3(args: &[Value]) -> Bound {
    let sum = (0..args.len())
        .map(|index| text_len(args, index))
        .fold(0, u64::saturating_add);
    bytes(sum.saturating_mul(3))
}

/// Text to containers: each byte may become an element.
pub(super) fn text_entries(args: &[Value]) -> Bound {
    bytes(text_len(args, 0).saturating_mul(ENTRY))
}

/// Containers that are rebuilt as a whole.
pub(super) fn tree_x4(args: &[Value]) -> Bound {
    tree(args).map_or(BEYOND, |size| {
        bytes(
            size.nodes
                .saturating_mul(ENTRY)
                .saturating_add(size.bytes.saturating_mul(3)),
        )
    })
}

/// Elements are compared with each other; at most all of them come out, shared.
pub(super) fn compared(args: &[Value]) -> Bound {
    let Some(size) = tree(args) else {
        return BEYOND;
    };
    Bound::Work {
        bytes: args
            .iter()
            .map(shallow)
            .fold(0, u64::saturating_add)
            .saturating_mul(ENTRY),
        steps: size.bytes.saturating_mul(4),
    }
}

/// Sets that are folded one after another; each step may copy all that came before.
pub(super) fn folded_sets(args: &[Value]) -> Bound {
    let Some(Value::Set(sets)) = args.first() else {
        return Undefined;
    };
    let Some(size) = tree(args) else {
        return BEYOND;
    };
    let elements = sets.iter().map(shallow).fold(0, u64::saturating_add);
    let steps = elements
        .saturating_mul(length(sets.len()))
        .saturating_mul(16)
        .saturating_add(size.bytes);
    Bound::Work {
        bytes: elements.saturating_mul(2 * ENTRY),
        steps,
    }
}

/// Objects that are folded one after another.
pub(super) fn folded_objects(args: &[Value]) -> Bound {
    let objects = args.first().map_or(0, shallow);
    match tree_x4(args) {
        Bound::Work { bytes, .. } => Bound::Work {
            bytes: bytes.saturating_mul(2),
            steps: bytes.saturating_mul(objects) / 4,
        },
        Undefined => Undefined,
    }
}

/// Adding up is linear; multiplying is quadratic in the digits of all factors.
pub(super) fn product(args: &[Value]) -> Bound {
    let Some(size) = tree(args) else {
        return BEYOND;
    };
    let steps = size.bytes.saturating_mul(size.bytes) / 64;
    Bound::Work {
        bytes: size.bytes,
        steps,
    }
}

pub(super) fn left_shift(args: &[Value]) -> Bound {
    match args.get(1) {
        Some(Value::Number(by)) => match by.as_u64() {
            Some(by) if by <= SHIFT => bytes(by),
            Some(_) => BEYOND,
            None => Undefined,
        },
        _ => Undefined,
    }
}

pub(super) fn concat(args: &[Value]) -> Bound {
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
pub(super) fn index_of(args: &[Value]) -> Bound {
    let (haystack, needle) = (text_len(args, 0), text_len(args, 1));
    let steps = haystack.saturating_mul(2 + needle / 16);
    Bound::Work { bytes: 0, steps }
}

pub(super) fn index_of_n(args: &[Value]) -> Bound {
    match index_of(args) {
        Bound::Work { steps, .. } => Bound::Work {
            bytes: text_len(args, 0).saturating_mul(ENTRY),
            steps,
        },
        Undefined => Undefined,
    }
}

/// As [`index_of`]; an empty needle has no value here.
pub(super) fn strings_count(args: &[Value]) -> Bound {
    if text(args, 1).is_empty() {
        return Undefined;
    }
    index_of(args)
}

/// Every text is tried with every affix.
pub(super) fn any_affix(args: &[Value]) -> Bound {
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
pub(super) fn trim(args: &[Value]) -> Bound {
    let (text, cut_set) = (text_len(args, 0), text_len(args, 1));
    Bound::Work {
        bytes: text,
        steps: text.saturating_mul(cut_set),
    }
}

/// Length of `text` with each `old` replaced by `new`.
pub(super) fn replaced_len(text: &str, old: &str, new: &str) -> u64 {
    let found = length(text.matches(old).count());
    length(text.len()).saturating_add(found.saturating_mul(length(new.len())))
}

pub(super) fn replace(args: &[Value]) -> Bound {
    bytes(replaced_len(text(args, 0), text(args, 1), text(args, 2)))
}

/// Only the types: each replacement is charged on its own when it is done.
pub(super) fn replace_n(args: &[Value]) -> Bound {
    let Some(Value::Object(pairs)) = args.first() else {
        return Undefined;
    };
    let texts = pairs
        .iter()
        .all(|pair| matches!(pair, (Value::String(_), Value::String(_))));
    if texts { bytes(0) } else { Undefined }
}

pub(super) fn split(args: &[Value]) -> Bound {
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
pub(super) fn sprintf(args: &[Value]) -> Bound {
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

pub(super) fn range(args: &[Value]) -> Bound {
    range_of(args, 1)
}

/// A step that is not a positive integer has no value; the engine would divide by it.
pub(super) fn range_step(args: &[Value]) -> Bound {
    match args.get(2) {
        Some(Value::Number(step)) => match step.as_u64() {
            Some(step) if step > 0 => range_of(args, step),
            _ => Undefined,
        },
        _ => Undefined,
    }
}

fn range_of(args: &[Value], step: u64) -> Bound {
    let (Some(Value::Number(from)), Some(Value::Number(to))) = (args.first(), args.get(1)) else {
        return Undefined;
    };
    match (from.as_i64(), to.as_i64()) {
        (Some(from), Some(to)) => {
            let numbers = from.abs_diff(to) / step;
            bytes(numbers.saturating_add(1).saturating_mul(ENTRY))
        }
        _ => Undefined,
    }
}

pub(super) fn object_get(args: &[Value]) -> Bound {
    let key = args.get(1).and_then(|key| measure(key, TREE));
    key.map_or(BEYOND, |key| Bound::Work {
        bytes: 0,
        steps: key.bytes,
    })
}

/// An array is searched for another one element by element.
pub(super) fn object_subset(args: &[Value]) -> Bound {
    let Some(size) = tree(args) else {
        return BEYOND;
    };
    let steps = size.bytes.saturating_mul(match args {
        [Value::Array(_), Value::Array(part)] if part.is_empty() => return Undefined,
        [Value::Array(whole), Value::Array(_)] => length(whole.len()),
        _ => 4,
    });
    let bytes = size.nodes.saturating_mul(ENTRY);
    Bound::Work { bytes, steps }
}

pub(super) fn json_text(args: &[Value]) -> Bound {
    json_memory(text(args, 0)).map_or(BEYOND, |memory| bytes(length(memory)))
}

/// A byte is at most written as `\u00XX`.
pub(super) fn json_marshal(args: &[Value]) -> Bound {
    tree(args).map_or(BEYOND, |size| bytes(size.bytes.saturating_mul(6)))
}

/// Each value has a line of its own, with its prefix and an indent for each level.
pub(super) fn json_marshal_pretty(args: &[Value]) -> Bound {
    let Some(size) = args.first().and_then(|arg| measure(arg, TREE)) else {
        return BEYOND;
    };
    let Some(options) = args.get(1).and_then(|arg| measure(arg, TREE)) else {
        return BEYOND;
    };
    // The engine first indents with two spaces; closing brackets have lines too; a line is also
    // an allocation.
    let levels = size
        .path_entries
        .saturating_add(size.nodes)
        .saturating_mul(2);
    let indents = levels.saturating_mul(options.bytes.saturating_add(2));
    bytes(
        size.bytes
            .saturating_mul(6 * 3)
            .saturating_add(size.nodes.saturating_mul(ENTRY))
            .saturating_add(indents),
    )
}

pub(super) fn yaml_marshal(args: &[Value]) -> Bound {
    tree(args).map_or(BEYOND, |size| {
        let indents = size.path_entries.saturating_mul(2);
        bytes(size.bytes.saturating_mul(10).saturating_add(indents))
    })
}

/// Aliases are refused: they make much out of little. Numbers are as in JSON.
pub(super) fn yaml_text(args: &[Value]) -> Bound {
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

/// Each `copy` may double the document.
pub(super) fn json_patch(args: &[Value]) -> Bound {
    const NODE: u64 = 4 * ENTRY;
    let Some(size) = tree(args) else {
        return BEYOND;
    };
    let Some(Value::Array(operations)) = args.get(1) else {
        return Undefined;
    };
    let is_copy = |operation: &&Value| match operation {
        Value::Object(fields) => fields
            .get(&Value::from("op"))
            .is_some_and(|op| *op == Value::from("copy")),
        _ => false,
    };
    let copies = operations.iter().filter(is_copy).count();
    let doubled = u32::try_from(copies)
        .ok()
        .and_then(|copies| 1_u64.checked_shl(copies))
        .unwrap_or(u64::MAX);
    let once = size
        .nodes
        .saturating_mul(NODE)
        .saturating_add(size.bytes.saturating_mul(2));
    // Editing a set member writes the whole member again.
    let edits = length(operations.len()).saturating_mul(size.nodes);
    Bound::Work {
        bytes: once.saturating_mul(doubled),
        steps: edits.saturating_mul(16),
    }
}

pub(super) fn walk(args: &[Value]) -> Bound {
    // For each value: a pair, a path and the entries of the path.
    tree(args).map_or(BEYOND, |size| {
        bytes(
            size.nodes
                .saturating_mul(4 * ENTRY)
                .saturating_add(size.path_entries.saturating_mul(ENTRY / 2)),
        )
    })
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

pub(super) fn regex_is_valid(args: &[Value]) -> Bound {
    regex(args, 0, 0)
}

pub(super) fn regex_match(args: &[Value]) -> Bound {
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

pub(super) fn regex_find(args: &[Value]) -> Bound {
    let produced = matches(args).saturating_mul(ENTRY);
    regex(args, 0, produced.saturating_add(text_len(args, 1)))
}

pub(super) fn regex_submatches(args: &[Value]) -> Bound {
    let groups = 1 + length(text(args, 0).matches('(').count());
    let each = matches(args).saturating_mul(ENTRY);
    let produced = each
        .saturating_add(text_len(args, 1))
        .saturating_mul(groups + 1);
    regex(args, 0, produced)
}

pub(super) fn regex_split(args: &[Value]) -> Bound {
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
pub(super) fn regex_replace(args: &[Value]) -> Bound {
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
pub(super) fn regex_template(args: &[Value]) -> Bound {
    if !text(args, 1).is_ascii() || !text(args, 0).is_ascii() || text(args, 2).is_empty() {
        return Undefined;
    }
    regex(args, 0, 0)
}

pub(super) fn glob_match(args: &[Value]) -> Bound {
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

pub(super) fn glob_quote(args: &[Value]) -> Bound {
    if text_len(args, 0) > PATTERN {
        return BEYOND;
    }
    text_x3(args)
}

/// Times, layouts and zones are short.
pub(super) fn time(args: &[Value]) -> Bound {
    const TIMES: u64 = 16;
    match tree(args) {
        Some(size) if size.bytes <= TIME_TEXT => bytes(size.bytes.saturating_mul(TIMES)),
        _ => BEYOND,
    }
}

/// A number that is written as text.
pub(super) fn number_text(args: &[Value]) -> Bound {
    if is_small_number(text(args, 0)) {
        bytes(0)
    } else {
        BEYOND
    }
}

/// An operand of an arithmetic or set operator: a number or a set that is gone through.
pub(super) fn operand(value: &Value) -> Bound {
    match value {
        Value::Number(_) => bytes(0),
        Value::Set(items) => {
            let elements = length(items.len());
            comparand(value, elements.saturating_mul(ENTRY))
        }
        _ => Undefined,
    }
}

/// A side of a comparison: it is gone through as a whole.
pub(super) fn comparand(value: &Value, bytes: u64) -> Bound {
    match value {
        Value::Array(_) | Value::Set(_) | Value::Object(_) => match measure(value, TREE) {
            Some(size) => Bound::Work {
                bytes,
                steps: size.nodes.saturating_mul(8),
            },
            None => BEYOND,
        },
        _ => Bound::Work { bytes, steps: 0 },
    }
}
