//! Bounded JSON: what is accepted is what any parser reads, and within its bounds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use vouchsafe::limits::json::{parse_small, parse_strict};

const DEPTH: usize = 16;

fuzz_target!(|bytes: &[u8]| {
    let strict = parse_strict(bytes, DEPTH);
    if let Ok(value) = &strict {
        let lenient: Value = serde_json::from_slice(bytes).expect("strict is a subset");
        assert_eq!(*value, lenient);
        assert!(depth(value) <= DEPTH);
        // The parser is allowed the last bit of a float.
        if !has_float(value) {
            let text = serde_json::to_vec(value).expect("it is JSON");
            assert_eq!(parse_strict(&text, DEPTH).as_ref(), Ok(value));
        }
    }
    if let Ok(value) = parse_small(bytes, DEPTH, 64) {
        assert!(count(&value) <= 65);
        assert_eq!(strict, Ok(value));
    }
});

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Object(fields) => 1 + fields.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

fn has_float(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_float),
        Value::Object(fields) => fields.values().any(has_float),
        Value::Number(number) => number.is_f64(),
        _ => false,
    }
}
