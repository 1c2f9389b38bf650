//! Changes, one at a time: whatever is signed, logged or stamped is taken apart down to its bytes, changed in one place, and put together
//! again so that only that one thing is wrong.
//!
//! In come documents and a seed; out come changed documents, each with the place of the change (`bundle/tlogEntries/0/…`). JSON inside
//! base64 inside JSON is gone into, and so is PEM: else every change would be caught as *not base64*, and none by what it changes.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "each suite uses its part, and a fixture that breaks fails the test by panicking"
)]

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde_json::{Value, json};

/// Text that is shorter is not taken for base64: words are that too.
const SHORTEST: usize = 16;

/// What log entries may be, and the versions of that.
const KINDS: [&str; 4] = ["hashedrekord", "dsse", "intoto", "rekord"];
const VERSIONS: [&str; 2] = ["0.0.1", "0.0.2"];

/// A change of one of several documents.
#[derive(Clone, Debug)]
pub(crate) struct Mutant {
    /// Which, and where in it, and what.
    pub(crate) place: String,
    /// All documents, one of them changed.
    pub(crate) documents: Documents,
}

/// Documents by their names.
pub(crate) type Documents = Vec<(String, Vec<u8>)>;

/// Numbers that look random and come again with the same seed (`SplitMix64`).
pub(crate) struct Dice(u64);

// === impl Dice ===

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound.max(1) as u64) as usize
    }
}

/// Every member of every document gone, or of another kind; every list shorter, longer and turned round; every number beside itself.
pub(crate) fn each_member(documents: &Documents) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for (index, (name, bytes)) in documents.iter().enumerate() {
        for (place, changed) in members(bytes) {
            let mut documents = documents.clone();
            documents[index].1 = changed;
            mutants.push(Mutant {
                place: format!("{name}{place}"),
                documents,
            });
        }
    }
    mutants
}

/// What is said of a place that holds the same bytes in base64 of other characters.
pub(crate) const OTHER_CHARACTERS: &str = " in other characters";

/// One change somewhere.
pub(crate) fn somewhere(documents: &Documents, dice: &mut Dice) -> Mutant {
    let index = dice.below(documents.len());
    let (name, bytes) = &documents[index];
    let (place, changed) = anywhere(bytes, dice);
    let mut documents = documents.clone();
    documents[index].1 = changed;
    Mutant {
        place: format!("{name}{place}"),
        documents,
    }
}

/// What a change was, in words: some characters around it before and after.
pub(crate) fn what(original: &Documents, changed: &Documents) -> String {
    let differing = original.iter().zip(changed).find(|(was, is)| was != is);
    let Some(((_, was), (_, is))) = differing else {
        return "nothing".to_owned();
    };
    // Members may stand in another order where a document was taken apart.
    let again = structured(was).map(|document| document.to_string().into_bytes());
    let same = |was: &[u8]| was.iter().zip(is).take_while(|(was, is)| was == is).count();
    let was = again
        .as_ref()
        .filter(|again| same(again) > same(was))
        .unwrap_or(was);
    let at = same(was);
    let around = |bytes: &[u8]| {
        let end = bytes.len().min(at + 40);
        String::from_utf8_lossy(&bytes[at.saturating_sub(40).min(end)..end]).into_owned()
    };
    format!("{:?} is now {:?}", around(was), around(is))
}

/// All changes of members in a document, however deep.
fn members(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    if let Some(wrapped) = Wrapped::of(bytes) {
        let inner = members(&wrapped.content);
        found.extend(
            inner
                .into_iter()
                .map(|(place, changed)| (place, wrapped.again(&changed))),
        );
        return found;
    }
    let Some(document) = structured(bytes) else {
        return found;
    };
    for pointer in pointers(&document) {
        for (what, changed) in replacements(document.pointer(&pointer).unwrap()) {
            let mut mutant = document.clone();
            *mutant.pointer_mut(&pointer).unwrap() = changed;
            found.push((format!("{pointer} {what}"), mutant.to_string().into_bytes()));
        }
        if let Some(mutant) = removed(&document, &pointer) {
            found.push((
                format!("{pointer} removed"),
                mutant.to_string().into_bytes(),
            ));
        }
        if let Some(Value::String(text)) = document.pointer(&pointer) {
            for (place, changed) in members(text.as_bytes()) {
                let mut mutant = document.clone();
                *mutant.pointer_mut(&pointer).unwrap() = text_of(changed);
                found.push((format!("{pointer}{place}"), mutant.to_string().into_bytes()));
            }
        }
    }
    found
}

/// One change of a byte somewhere in a document, however deep.
fn anywhere(bytes: &[u8], dice: &mut Dice) -> (String, Vec<u8>) {
    if let Some(wrapped) = Wrapped::of(bytes) {
        let (place, changed) = anywhere(&wrapped.content, dice);
        return (place, wrapped.again(&changed));
    }
    let Some(document) = structured(bytes) else {
        return (String::new(), byte(bytes, dice));
    };
    let strings: Vec<String> = pointers(&document)
        .into_iter()
        .filter(|pointer| document.pointer(pointer).is_some_and(Value::is_string))
        .collect();
    // Also the document itself now and then: its names, its punctuation.
    if strings.is_empty() || dice.below(8) == 0 {
        let changed = byte(bytes, dice);
        return (
            format!("{} bytes", difference(&document, &changed)),
            changed,
        );
    }
    let pointer = &strings[dice.below(strings.len())];
    let text = document.pointer(pointer).unwrap().as_str().unwrap();
    let (mut place, changed) = anywhere(text.as_bytes(), dice);
    if std::str::from_utf8(&changed).is_ok_and(|changed| says_the_same(text, changed)) {
        place.push_str(OTHER_CHARACTERS);
    }
    let mut mutant = document.clone();
    *mutant.pointer_mut(pointer).unwrap() = text_of(changed);
    (format!("{pointer}{place}"), mutant.to_string().into_bytes())
}

/// The first place at which a document is no longer what it was.
fn difference(document: &Value, changed: &[u8]) -> String {
    let Ok(changed) = serde_json::from_slice::<Value>(changed) else {
        return " no JSON any more".to_owned();
    };
    let differs = |pointer: &String| match (document.pointer(pointer), changed.pointer(pointer)) {
        (Some(Value::Object(_)), Some(Value::Object(_)))
        | (Some(Value::Array(_)), Some(Value::Array(_))) => false,
        (was, is) => was != is,
    };
    let Some(first) = pointers(document).into_iter().find(differs) else {
        return " as before".to_owned();
    };
    let said = |document: &Value| document.pointer(&first)?.as_str().map(str::to_owned);
    match (said(document), said(&changed)) {
        (Some(was), Some(is)) if says_the_same(&was, &is) => format!("{first}{OTHER_CHARACTERS}"),
        _ => first,
    }
}

/// Whether two texts are the same bytes in base64 or hexadecimal, in other characters.
fn says_the_same(was: &str, is: &str) -> bool {
    let is_hex = was.len() >= SHORTEST && was.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex && was.eq_ignore_ascii_case(is) || bits(was).is_some_and(|was| bits(is) == Some(was))
}

/// The bytes that a text in base64 says to whoever does not look at the bits that its last character has too many.
fn bits(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&base64::alphabet::STANDARD, config);
    engine.decode(text).ok().filter(|_| text.len() >= SHORTEST)
}

/// One byte changed, or gone, or there twice, or everything after it gone.
fn byte(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes.is_empty() {
        return vec![0];
    }
    let at = dice.below(bytes.len());
    match dice.below(8) {
        0 => drop(bytes.remove(at)),
        1 => bytes.insert(at, bytes[at]),
        2 => bytes.truncate(at),
        // Never the same again.
        3 => bytes[at] ^= 1 + dice.below(255) as u8,
        _ => bytes[at] ^= 1 << dice.below(8),
    }
    bytes
}

/// Other values for this one.
fn replacements(value: &Value) -> Vec<(&'static str, Value)> {
    let mut others = vec![
        ("null", Value::Null),
        ("zero", json!(0)),
        ("text", json!("x")),
        ("empty text", json!("")),
        ("list", json!([])),
        ("object", json!({})),
    ];
    match value {
        Value::Number(number) => {
            let number = number.as_i64().unwrap();
            others.extend([
                ("one more", json!(number + 1)),
                ("one less", json!(number - 1)),
            ]);
        }
        Value::String(text) => {
            if let Ok(number) = text.parse::<i64>() {
                others.push(("one more", json!((number + 1).to_string())));
                others.push(("one less", json!((number - 1).to_string())));
            }
            if KINDS.contains(&text.as_str()) {
                others.extend(KINDS.map(|kind| ("another kind", json!(kind))));
            }
            if VERSIONS.contains(&text.as_str()) {
                others.extend(VERSIONS.map(|version| ("another version", json!(version))));
            }
            others.push(("longer", json!(format!("{text}A"))));
            others.push(("spaced", json!(format!(" {text}"))));
        }
        Value::Array(list) => {
            let mut turned = list.clone();
            turned.reverse();
            others.push(("turned round", json!(turned)));
            if let Some((last, rest)) = list.split_last() {
                others.push(("shorter", json!(rest)));
                others.push((
                    "longer",
                    json!([list.as_slice(), std::slice::from_ref(last)].concat()),
                ));
            }
        }
        _ => {}
    }
    others.retain(|(_, other)| other != value);
    others
}

fn removed(document: &Value, pointer: &str) -> Option<Value> {
    let (parent, name) = pointer.rsplit_once('/')?;
    let mut mutant = document.clone();
    let members = mutant.pointer_mut(parent)?.as_object_mut()?;
    members.remove(&name.replace("~1", "/").replace("~0", "~"));
    Some(mutant)
}

/// Every place in a document, the whole first.
fn pointers(document: &Value) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut next = 0;
    while let Some(pointer) = found.get(next).cloned() {
        next += 1;
        match document.pointer(&pointer) {
            Some(Value::Object(members)) => {
                found.extend(members.keys().map(|name| {
                    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
                }));
            }
            Some(Value::Array(list)) => {
                found.extend((0..list.len()).map(|index| format!("{pointer}/{index}")));
            }
            _ => {}
        }
    }
    found
}

/// A JSON object or list.
fn structured(bytes: &[u8]) -> Option<Value> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    (value.is_object() || value.is_array()).then_some(value)
}

/// What was a string must be one again; what is none any more reads as the nearest one.
fn text_of(bytes: Vec<u8>) -> Value {
    Value::String(
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    )
}

/// Bytes in a wrapping of text.
struct Wrapped {
    content: Vec<u8>,
    /// Before and after the base64, where it is PEM.
    around: Option<(String, String)>,
}

// === impl Wrapped ===

impl Wrapped {
    fn of(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        if let Some(pem) = Self::of_pem(text) {
            return Some(pem);
        }
        let content = STANDARD
            .decode(text)
            .ok()
            .filter(|_| text.len() >= SHORTEST)?;
        Some(Self {
            content,
            around: None,
        })
    }

    /// The first block; the others stay around it.
    fn of_pem(text: &str) -> Option<Self> {
        let begins = text.strip_prefix("-----BEGIN ")?;
        let (label, _) = begins.split_once("-----\n")?;
        let head = format!("-----BEGIN {label}-----\n");
        let (body, tail) = text.strip_prefix(&head)?.split_once("-----END ")?;
        let content = STANDARD.decode(body.replace('\n', "")).ok()?;
        Some(Self {
            content,
            around: Some((head, format!("-----END {tail}"))),
        })
    }

    fn again(&self, content: &[u8]) -> Vec<u8> {
        let encoded = STANDARD.encode(content);
        match &self.around {
            None => encoded.into_bytes(),
            Some((head, tail)) => {
                let lines: Vec<&str> = encoded
                    .as_bytes()
                    .chunks(64)
                    .map(|line| std::str::from_utf8(line).unwrap())
                    .collect();
                format!("{head}{}\n{tail}", lines.join("\n")).into_bytes()
            }
        }
    }
}
