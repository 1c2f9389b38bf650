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
}

/// Parses one document, refusing duplicate keys and nesting beyond `depth` levels.
pub fn parse_strict(bytes: &[u8], depth: usize) -> Result<Value, JsonError> {
    check_depth(bytes, depth)?;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict
        .deserialize(&mut deserializer)
        .map_err(|e| JsonError::Syntax(e.to_string()))?;
    deserializer
        .end()
        .map_err(|e| JsonError::Syntax(e.to_string()))?;
    Ok(value)
}

/// Refuses nesting beyond `limit` levels by counting brackets outside strings; no memory is used and nothing else is checked.
pub fn check_depth(bytes: &[u8], limit: usize) -> Result<(), JsonError> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
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
            let value = map.next_value_seed(Self)?;
            if object.insert(key.clone(), value).is_some() {
                return Err(A::Error::custom(format!(
                    "key {key:?} stands twice in one object"
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
    fn brackets_inside_strings_do_not_count_as_nesting() {
        assert_eq!(check_depth(br#"{"a":"[[[[\"[[["}"#, 1), Ok(()));
    }

    #[test]
    fn refuses_what_is_not_utf8_and_what_follows_the_document() {
        assert!(parse_strict(b"\"\xff\"", 8).is_err());
        assert!(parse_strict(b"{} {}", 8).is_err());
    }
}
