//! JSON from outside, read under bounds.
//!
//! Two things that `serde_json` allows are refused here: nesting beyond a bound, and an object that names a key twice. Which of two
//! values counts differs between parsers, so a signed statement with duplicate keys can mean one thing to the signer and another to
//! us; and `serde_json::Value` keeps the last one silently.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Why a document was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON, not UTF-8, or a key stands twice in one object.
    #[error("{0}")]
    Syntax(String),
    /// Nested more deeply than allowed.
    #[error("nested more than {limit} levels deep")]
    TooDeep {
        /// The bound, in levels.
        limit: usize,
    },
    /// More values than allowed.
    #[error("more than {limit} values")]
    TooMany {
        /// The bound, in values.
        limit: usize,
    },
}

/// What a parser says, cut to what a message needs: it may repeat all that a stranger wrote.
pub fn brief(error: &impl fmt::Display) -> String {
    const CHARS: usize = 200;
    let text = error.to_string();
    match text.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// Parses one document as [`parse_strict`] does, if it holds no more than `values` values: numbers in a list are sixteen times as
/// large in memory as in text, so that a bound in bytes alone does not bound what a stranger's document takes.
pub fn parse_small(bytes: &[u8], depth: usize, values: usize) -> Result<Value, JsonError> {
    // Each value but the first stands behind one of these.
    let opens = |byte: &u8| matches!(byte, b'{' | b'[' | b',');
    if structure(bytes).filter(opens).count() > values {
        return Err(JsonError::TooMany { limit: values });
    }
    parse_strict(bytes, depth)
}

/// What a document takes in memory once it is parsed, in bytes, from above: an object is at least a node of a map, which has room for
/// eleven members however few it has. Nothing is parsed for that, and no memory is used.
pub fn weight(bytes: &[u8]) -> usize {
    /// A node of a map, and what the allocator adds.
    const OBJECT: usize = 704;
    /// A value in a list, or one more member of an object with its key.
    const VALUE: usize = 128;
    structure(bytes)
        .map(|byte| match byte {
            b'{' => OBJECT,
            b'[' | b',' => VALUE,
            _ => 0,
        })
        .fold(bytes.len(), usize::saturating_add)
}

/// Parses one document, refusing duplicate keys and nesting beyond `depth` levels.
pub fn parse_strict(bytes: &[u8], depth: usize) -> Result<Value, JsonError> {
    check_depth(bytes, depth)?;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict
        .deserialize(&mut deserializer)
        .map_err(|e| JsonError::Syntax(brief(&e)))?;
    deserializer
        .end()
        .map_err(|e| JsonError::Syntax(brief(&e)))?;
    Ok(value)
}

/// Refuses nesting beyond `limit` levels by counting brackets outside strings; no memory is used and nothing else is checked.
pub fn check_depth(bytes: &[u8], limit: usize) -> Result<(), JsonError> {
    let mut depth = 0_usize;
    for byte in structure(bytes) {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > limit {
                    return Err(JsonError::TooDeep { limit });
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// The bytes outside of strings.
fn structure(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let (mut in_string, mut escaped) = (false, false);
    bytes.iter().copied().filter(move |byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ => return !in_string,
        }
        false
    })
}

/// How keys begin that `serde_json` gives a meaning of its own: text below them would be parsed a second time, without our bounds.
const RESERVED: &str = "$serde_json::private::";

/// Builds a [`Value`], refusing an object that names a key twice.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if key.starts_with(RESERVED) {
                return Err(A::Error::custom("a key of this name is reserved"));
            }
            let value = map.next_value_seed(Self)?;
            if object.insert(key.clone(), value).is_some() {
                let shown: String = key.chars().take(64).collect();
                return Err(A::Error::custom(format!(
                    "key {shown:?} stands twice in one object"
                )));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_key_that_stands_twice_at_any_depth() {
        assert!(matches!(
            parse_strict(br#"{"a":1,"a":2}"#, 8),
            Err(JsonError::Syntax(_))
        ));
        assert!(matches!(
            parse_strict(br#"[{"a":{"b":1,"\u0062":2}}]"#, 8),
            Err(JsonError::Syntax(_))
        ));
    }

    #[test]
    fn refuses_nesting_beyond_the_bound_and_takes_the_bound_itself() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse_strict(nested(64).as_bytes(), 64).is_ok());
        assert_eq!(
            parse_strict(nested(65).as_bytes(), 64),
            Err(JsonError::TooDeep { limit: 64 })
        );
        assert_eq!(
            check_depth(nested(100_000).as_bytes(), 64),
            Err(JsonError::TooDeep { limit: 64 })
        );
    }

    #[test]
    fn refuses_more_values_than_the_bound_and_takes_the_bound_itself() {
        let list = |n: usize| format!("[{}0]", "0,".repeat(n - 2));
        assert!(parse_small(list(64).as_bytes(), 8, 64).is_ok());
        assert_eq!(
            parse_small(list(66).as_bytes(), 8, 64),
            Err(JsonError::TooMany { limit: 64 })
        );
        assert!(parse_small(br#"["a,b,c,{[\",,"]"#, 8, 1).is_ok());
    }

    #[test]
    fn a_document_of_many_small_objects_weighs_what_it_takes_and_not_what_it_has_in_text() {
        let objects = format!("[{}{{\"\":0}}]", "{\"\":0},".repeat(9_999));
        assert!(weight(objects.as_bytes()) > 10_000 * 632);
        let text = format!("{{\"long\":\"{}\"}}", "{,[".repeat(10_000));
        assert!(weight(text.as_bytes()) < text.len() + 1_024);
    }

    #[test]
    fn refuses_keys_that_the_parser_would_read_a_second_time() {
        let hidden = br#"{"$serde_json::private::RawValue":"{\"a\":1,\"a\":2}"}"#;
        assert!(parse_strict(hidden, 8).is_err());
    }

    #[test]
    fn brackets_inside_strings_do_not_count_as_nesting() {
        assert_eq!(check_depth(br#"{"a":"[[[[\"[[["}"#, 1), Ok(()));
    }

    #[test]
    fn refuses_what_is_not_utf8_and_what_follows_the_document() {
        assert!(parse_strict(b"\"\xff\"", 8).is_err());
        assert!(parse_strict(b"{} {}", 8).is_err());
    }
}
