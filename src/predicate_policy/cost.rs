//! Upper bounds of what each builtin produces and works through, from its arguments alone.
//!
//! Bounds err on the large side, but stay near the truth for what real policies do. They are
//! called after types and numbers were checked, and never format a value.

pub(super) mod text;

use regorus::Value;

use super::measure::{Size, length, measure};

/// Most bytes of one argument that is gone through as a whole.
const TREE: u64 = 64 * 1024 * 1024;
/// What an element of an array, set or object takes in memory, counted allocations included.
const ENTRY: u64 = 64;
/// Largest shift, in bits.
const SHIFT: u64 = 4096;

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

/// The result has at most the elements of all arguments, shared.
pub(super) fn entries(args: &[Value]) -> Bound {
    let containers = args.iter().filter(|arg| !matches!(arg, Value::String(_)));
    let sum = containers.map(shallow).fold(0, u64::saturating_add);
    bytes(sum.saturating_mul(ENTRY))
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
