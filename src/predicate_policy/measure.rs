//! How large a value is when it is written out, found with bounded work.
//!
//! Values share their parts: `a := [x, x]`, `b := [a, a]`, … takes little memory and says 2^n
//! things. Whatever goes through all of them (printing, comparing) must be measured first, and
//! measuring itself must give up.

use regorus::Value;

/// Deepest nesting that is measured. Input from JSON has at most 128.
const DEPTH: u64 = 256;
/// Most values that are gone through.
const NODES: u64 = 4 * 1024 * 1024;
/// What one scalar other than a string takes at most, written out, unless it is a large number.
const SCALAR: u64 = 32;

/// The size of a value. Sums saturate.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Size {
    /// Values within, itself included.
    pub(super) nodes: u64,
    /// Bytes of text without escapes, four for each node's punctuation.
    pub(super) bytes: u64,
    /// Levels.
    pub(super) depth: u64,
    /// For each node, the number of levels above it; what a path to each would take.
    pub(super) path_entries: u64,
}

/// Measures `value`; `None` when it is larger than `limit` bytes, has
/// more than four million values or is too deep.
pub(super) fn measure(value: &Value, limit: u64) -> Option<Size> {
    let mut size = Size::default();
    size.add(value, 0, limit).then_some(size)
}

/// Length in bytes, characters or elements.
pub(super) fn length(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

impl Size {
    fn add(&mut self, value: &Value, level: u64, limit: u64) -> bool {
        self.nodes = self.nodes.saturating_add(1);
        self.depth = self.depth.max(level);
        self.path_entries = self.path_entries.saturating_add(level);
        self.bytes = self.bytes.saturating_add(4 + own_bytes(value));
        if self.nodes > NODES || self.bytes > limit || level > DEPTH {
            return false;
        }
        match value {
            Value::Array(items) => items.iter().all(|item| self.add(item, level + 1, limit)),
            Value::Set(items) => items.iter().all(|item| self.add(item, level + 1, limit)),
            Value::Object(fields) => fields.iter().all(|(key, field)| {
                self.add(key, level + 1, limit) && self.add(field, level + 1, limit)
            }),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Undefined => true,
        }
    }
}

fn own_bytes(value: &Value) -> u64 {
    match value {
        Value::String(text) => length(text.len()),
        Value::Number(number) => {
            if number.as_i64().is_some() {
                return SCALAR;
            }
            match number.as_big() {
                Some(big) => SCALAR + big.bits() / 3,
                None => SCALAR,
            }
        }
        Value::Array(_) | Value::Set(_) | Value::Object(_) => 2,
        Value::Null | Value::Bool(_) | Value::Undefined => SCALAR,
    }
}
