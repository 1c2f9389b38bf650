//! The objects, and what happened to them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::object;
use super::path::{Key, key_of};

/// All objects, with the history of their changes.
#[derive(Default)]
pub(crate) struct Store {
    objects: BTreeMap<Key, Value>,
    revision: u64,
    /// Up to which version the history is forgotten.
    compacted: u64,
    history: Vec<Change>,
}

/// One line of history.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) plural: String,
    pub(crate) told: Told,
}

/// What watches are told of it.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// `ADDED`, `MODIFIED` or `DELETED`, and the object.
    Event(&'static str, Key, Value),
    /// This line, as it is.
    Line(String),
}

// === impl Store ===

impl Store {
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn history(&self) -> &[Change] {
        &self.history
    }

    /// Whether a watch can begin after this version.
    pub(crate) fn remembers(&self, revision: u64) -> bool {
        revision >= self.compacted
    }

    pub(crate) fn compact(&mut self) {
        self.compacted = self.revision;
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key)
    }

    pub(crate) fn all(&self, plural: &str) -> Vec<Value> {
        let of_it = self.objects.iter().filter(|(key, _)| key.plural == plural);
        of_it.map(|(_, object)| object.clone()).collect()
    }

    /// The objects of a resource, of one namespace or of all, in the order of their keys.
    pub(crate) fn list<'a>(
        &'a self,
        whole: &'a Key,
    ) -> impl Iterator<Item = (&'a Key, &'a Value)> + use<'a> {
        self.objects.iter().filter(|(key, _)| {
            key.group == whole.group
                && key.plural == whole.plural
                && (whole.namespace.is_empty() || key.namespace == whole.namespace)
        })
    }

    /// Creates or replaces, status included.
    pub(crate) fn put(&mut self, object: Value) -> Value {
        let key = key_of(&object);
        assert!(!key.name.is_empty(), "an object needs a name: {object}");
        self.write(key, object)
    }

    /// Writes an object with the next version; its server-side metadata is kept or made. What does not change is not written.
    pub(crate) fn write(&mut self, key: Key, mut object: Value) -> Value {
        let before = self.objects.get(&key);
        object::keep_metadata(&mut object, before, &key, self.revision + 1);
        if let Some(before) = before
            && object::same(before, &object)
        {
            return before.clone();
        }
        let event = if before.is_some() {
            "MODIFIED"
        } else {
            "ADDED"
        };
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        if event == "MODIFIED" && object::wants_to_go(&object) {
            self.objects.remove(&key);
            self.remember("DELETED", &key, object.clone());
            return object;
        }
        self.remember(event, &key, object.clone());
        self.objects.insert(key, object.clone());
        object
    }

    /// Removes an object at once.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<Value> {
        let mut object = self.objects.remove(key)?;
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        self.remember("DELETED", key, object.clone());
        Some(object)
    }

    pub(crate) fn inject(&mut self, plural: &str, line: &str) {
        self.history.push(Change {
            revision: self.revision,
            plural: plural.to_owned(),
            told: Told::Line(line.to_owned()),
        });
    }

    fn remember(&mut self, event: &'static str, key: &Key, object: Value) {
        self.history.push(Change {
            revision: self.revision,
            plural: key.plural.clone(),
            told: Told::Event(event, key.clone(), object),
        });
    }
}
