//! YAML and JSON as a tree in which every value knows its line and column.
//!
//! In: the text of a file. Out: its documents, empty ones left out. Values are typed as the
//! Kubernetes command line types them before it sends JSON (`no` is a boolean), so that a file
//! means here what it means to the API server. Refused: duplicate keys (the later would win
//! silently), unknown tags, and documents beyond the bounds of [`parse`]: an alias may not stand
//! for more than a file can hold (alias bombs).

use std::fmt;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};
use serde_saphyr::{Spanned, budget, options};

use crate::api::{Path, Step};

/// Nodes in one file, aliases expanded; the largest real policies have some thousands.
const MAX_NODES: usize = 200_000;
/// Bytes of text in one file, aliases expanded: four times the size of a file.
const MAX_TEXT_BYTES: usize = 16 * 1024 * 1024;
/// Levels of nesting, the bound of a review's JSON too.
const MAX_NESTING: usize = 64;
/// Documents in one file.
const MAX_DOCUMENTS: usize = 2_000;
/// Aliases in one file.
const MAX_ALIASES: usize = 1_000;

/// A place in a file, from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The column.
    pub column: u64,
}

impl From<serde_saphyr::Location> for Position {
    fn from(location: serde_saphyr::Location) -> Self {
        Self {
            line: location.line(),
            column: location.column(),
        }
    }
}

/// Why a text has no tree.
#[derive(Debug)]
pub(super) struct SyntaxError {
    /// Where, if the parser knows.
    pub(super) position: Option<Position>,
    /// Why, on one line.
    pub(super) message: String,
}

/// A value and where it begins.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) position: Position,
    node: Node,
}

#[derive(Debug)]
enum Node {
    Scalar(Value),
    List(Vec<Tree>),
    Map(Vec<Entry>),
}

#[derive(Debug)]
struct Entry {
    position: Position,
    name: String,
    value: Tree,
}

/// Reads all documents of a text.
pub(super) fn parse(text: &str) -> Result<Vec<Tree>, SyntaxError> {
    let options = options! {
        budget: budget! {
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            max_total_scalar_bytes: MAX_TEXT_BYTES,
            max_depth: MAX_NESTING,
            flow_nesting_limit: MAX_NESTING,
            max_documents: MAX_DOCUMENTS,
            max_aliases: MAX_ALIASES,
            max_anchors: MAX_ALIASES,
            max_merge_keys: MAX_ALIASES,
            max_recorded_anchor_events: 4 * MAX_NODES,
            max_recorded_anchor_bytes: MAX_TEXT_BYTES,
        },
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| syntax_error(&error))
}

/// The parser ends its message with the place, which is told apart here.
fn syntax_error(error: &serde_saphyr::Error) -> SyntaxError {
    let message = error.to_string().replace(['\n', '\r'], " ");
    let position = error.location().map(Position::from);
    let place = position.map(|at| format!(" at line {}, column {}", at.line, at.column));
    let message = match place.and_then(|place| message.strip_suffix(&place).map(str::to_owned)) {
        Some(without_place) => without_place,
        None => message,
    };
    // What people write first: a glob that begins with a star, which YAML takes for the name of an alias.
    let message = if message.contains("unknown anchor") {
        format!(r#"{message}; quote what begins with * (glob: "**/shop/**")"#)
    } else {
        message
    };
    SyntaxError { position, message }
}

// === impl Tree ===

impl Tree {
    /// The field of this name, if this is a map that has it.
    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        match &self.node {
            Node::Map(entries) => entries
                .iter()
                .find(|entry| entry.name == name)
                .map(|entry| &entry.value),
            Node::Scalar(_) | Node::List(_) => None,
        }
    }

    /// The text, if this is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.node {
            Node::Scalar(value) => value.as_str(),
            Node::List(_) | Node::Map(_) => None,
        }
    }

    /// Whether this is a map.
    pub(super) fn is_map(&self) -> bool {
        matches!(self.node, Node::Map(_))
    }

    /// Whether this is `null`.
    pub(super) fn is_null(&self) -> bool {
        matches!(self.node, Node::Scalar(Value::Null))
    }

    /// The elements, if this is a list.
    pub(super) fn into_elements(self) -> Option<Vec<Self>> {
        match self.node {
            Node::List(elements) => Some(elements),
            Node::Scalar(_) | Node::Map(_) => None,
        }
    }

    /// The value of this name, taken out of a map.
    pub(super) fn into_field(self, name: &str) -> Option<Self> {
        match self.node {
            Node::Map(entries) => entries
                .into_iter()
                .find(|entry| entry.name == name)
                .map(|entry| entry.value),
            Node::Scalar(_) | Node::List(_) => None,
        }
    }

    /// The value without its places.
    pub(super) fn to_json(&self) -> Value {
        match &self.node {
            Node::Scalar(value) => value.clone(),
            Node::List(elements) => elements.iter().map(Self::to_json).collect(),
            Node::Map(entries) => entries
                .iter()
                .map(|entry| (entry.name.clone(), entry.value.to_json()))
                .collect(),
        }
    }

    /// Where a path leads: to the name of its last field, or as far as the path can be followed.
    pub(super) fn locate(&self, path: &Path) -> Position {
        let mut position = self.position;
        let mut tree = self;
        for step in &path.0 {
            let (next, at) = match (step, &tree.node) {
                (Step::Field(name), Node::Map(entries)) => {
                    match entries.iter().find(|entry| entry.name == *name) {
                        Some(entry) => (&entry.value, entry.position),
                        None => return position,
                    }
                }
                (Step::Element(index), Node::List(elements)) => match elements.get(*index) {
                    Some(element) => (element, element.position),
                    None => return position,
                },
                _ => return position,
            };
            (tree, position) = (next, at);
        }
        position
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Node>::deserialize(deserializer)?;
        Ok(Self {
            position: spanned.referenced.into(),
            node: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON has too")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Number(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Number(value.into())))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        Number::from_f64(value)
            .map(|number| Node::Scalar(Value::Number(number)))
            .ok_or_else(|| E::custom("a number that JSON does not have"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(Value::String(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Scalar(Value::String(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Node::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut names = std::collections::HashSet::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            // The parser compares keys as it types them (`1` and `"1"` differ); JSON does not.
            if !names.insert(key.value.clone()) {
                return Err(A::Error::custom(format_args!(
                    "duplicate key {:?} on line {}",
                    key.value,
                    key.referenced.line()
                )));
            }
            entries.push(Entry {
                position: key.referenced.into(),
                name: key.value,
                value: map.next_value()?,
            });
        }
        Ok(Node::Map(entries))
    }
}
