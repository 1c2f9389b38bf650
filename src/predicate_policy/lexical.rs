//! Bounds that hold before a parser sees a text: the policy source and JSON documents.
//!
//! The parsers keep whole documents in memory many times their size, and expand `1e999999999`
//! into all its digits. Both are cheap to see in the text.

use super::error::CompileError;

/// Largest policy text, in bytes.
const SOURCE_BYTES: usize = 256 * 1024;
/// Most tokens of a policy; each costs about a kilobyte while it is compiled.
const SOURCE_TOKENS: usize = 50_000;
/// Most parsing work, in tokens: the engine's parser reads what is inside an array, set or object
/// twice, so a token counts 2^n at nesting n. The largest takes about a second.
const SOURCE_WORK: usize = 400_000;
/// Most digits of a number, and largest exponent written with so many digits.
const NUMBER_DIGITS: usize = 400;
const EXPONENT_DIGITS: usize = 3;

/// Checks the size of a policy, the number and nesting of its tokens and the size of its number
/// literals.
pub(super) fn bound_source(source: &str) -> Result<(), CompileError> {
    if source.len() > SOURCE_BYTES {
        return Err(too_large("bytes", source.len(), SOURCE_BYTES));
    }
    let (mut tokens, mut work, mut nesting) = (0_usize, 0_usize, 0_u32);
    let mut rest = source.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = match first {
            b'#' | b'"' | b'`' => skip_aside(first, after),
            b'0'..=b'9' => {
                let (number, after) = number(rest);
                if !number.is_small() {
                    return Err(too_large(
                        "digits in a number",
                        number.digits,
                        NUMBER_DIGITS,
                    ));
                }
                after
            }
            byte if is_word(byte) => skip_while(after, is_word),
            _ => after,
        };
        match first {
            b'[' | b'{' => nesting += 1,
            b']' | b'}' => nesting = nesting.saturating_sub(1),
            _ => {}
        }
        if !first.is_ascii_whitespace() {
            tokens += 1;
            work = work.saturating_add(1_usize.checked_shl(nesting).unwrap_or(usize::MAX));
        }
    }
    if work > SOURCE_WORK {
        return Err(too_large("tokens, counted by nesting", work, SOURCE_WORK));
    }
    if tokens > SOURCE_TOKENS {
        return Err(too_large("tokens", tokens, SOURCE_TOKENS));
    }
    Ok(())
}

/// Whether a policy has this word, outside of strings and comments.
pub(super) fn has_word(source: &str, word: &str) -> bool {
    let mut rest = source.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = match first {
            b'#' | b'"' | b'`' => skip_aside(first, after),
            byte if is_word(byte) => {
                let after = skip_while(after, is_word);
                if rest.strip_suffix(after) == Some(word.as_bytes()) {
                    return true;
                }
                after
            }
            _ => after,
        };
    }
    false
}

/// Bytes of memory that a JSON text needs once it is read, estimated from above; `None` when it
/// holds a number that is too long to be read.
pub(super) fn json_memory(text: &str) -> Option<usize> {
    // A container is a counted allocation; an entry is a value, or a key and a value; a string is
    // a counted allocation of its own. The sums leave room for growth of vectors.
    const CONTAINER: usize = 64;
    const ENTRY: usize = 64;
    const STRING: usize = 32;
    let mut memory = ENTRY;
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = match first {
            b'"' => {
                let after_string = skip_string(after);
                memory = memory
                    .saturating_add(STRING)
                    .saturating_add(after.len() - after_string.len());
                after_string
            }
            b'{' | b'[' => {
                memory = memory.saturating_add(CONTAINER);
                after
            }
            b',' | b':' => {
                memory = memory.saturating_add(ENTRY);
                after
            }
            b'0'..=b'9' => {
                let (number, after) = number(rest);
                if !number.is_small() {
                    return None;
                }
                after
            }
            _ => after,
        };
    }
    Some(memory)
}

/// Whether a text that will be read as a number is small enough to be read.
pub(super) fn is_small_number(text: &str) -> bool {
    let digits = skip_while(text.as_bytes(), |byte| !byte.is_ascii_digit());
    text.len() <= NUMBER_DIGITS && number(digits).0.is_small()
}

/// The digits of one number.
struct Number {
    digits: usize,
    exponent_digits: usize,
}

impl Number {
    fn is_small(&self) -> bool {
        self.digits <= NUMBER_DIGITS && self.exponent_digits <= EXPONENT_DIGITS
    }
}

fn number(bytes: &[u8]) -> (Number, &[u8]) {
    let after = skip_while(bytes, |byte| {
        byte.is_ascii_digit() || byte == b'.' || byte == b'_'
    });
    let digits = bytes.len() - after.len();
    let Some((b'e' | b'E', exponent)) = after.split_first() else {
        let exponent_digits = 0;
        return (
            Number {
                digits,
                exponent_digits,
            },
            after,
        );
    };
    let exponent = match exponent.split_first() {
        Some((b'+' | b'-', digits)) => digits,
        _ => exponent,
    };
    let after = skip_while(exponent, |byte| byte.is_ascii_digit() || byte == b'_');
    let exponent_digits = exponent.len() - after.len();
    (
        Number {
            digits,
            exponent_digits,
        },
        after,
    )
}

/// What is left behind a comment or a string, by the byte that it begins with.
fn skip_aside(first: u8, after: &[u8]) -> &[u8] {
    match first {
        b'#' => skip_while(after, |byte| byte != b'\n'),
        b'"' => skip_string(after),
        _ => skip_while(after, |byte| byte != b'`')
            .get(1..)
            .unwrap_or(&[]),
    }
}

/// The rest after the closing quote.
fn skip_string(mut bytes: &[u8]) -> &[u8] {
    while let Some((&first, after)) = bytes.split_first() {
        bytes = match first {
            b'"' => return after,
            b'\\' => after.get(1..).unwrap_or(&[]),
            _ => after,
        };
    }
    bytes
}

fn skip_while(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> &[u8] {
    let end = bytes
        .iter()
        .position(|&byte| !belongs(byte))
        .unwrap_or(bytes.len());
    bytes.get(end..).unwrap_or(&[])
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

pub(super) fn too_large(what: &'static str, found: usize, limit: usize) -> CompileError {
    CompileError::TooLarge { what, found, limit }
}
