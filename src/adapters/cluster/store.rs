//! What a watch has seen: the objects of one resource, by name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::watch;

/// One object as it came from the API server.
pub(super) struct Raw {
    /// Its name.
    pub(super) name: String,
    /// Its version, as it is written.
    pub(super) version: String,
    /// All of it.
    pub(super) object: Value,
}

/// The objects of one resource, each read once when it came.
pub(super) struct Store<V> {
    read: fn(Raw) -> V,
    state: Mutex<State<V>>,
    /// Told whenever something changed here or in the other stores.
    changed: Arc<watch::Sender<u64>>,
}

struct State<V> {
    objects: BTreeMap<String, Stored<V>>,
    /// A whole list has been seen.
    is_complete: bool,
}

struct Stored<V> {
    version: Option<u64>,
    value: V,
}

// === impl Raw ===

impl Raw {
    /// `None` for what has no name or no version, which no object of an API server is without.
    pub(super) fn new(object: Value) -> Option<Self> {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
        let name = text("/metadata/name").filter(|name| !name.is_empty())?;
        let version = text("/metadata/resourceVersion").filter(|version| !version.is_empty())?;
        Some(Self {
            name: name.to_owned(),
            version: version.to_owned(),
            object,
        })
    }

    /// Versions of one object can be compared where they are numbers.
    fn order(&self) -> Option<u64> {
        self.version.parse().ok()
    }
}

// === impl Store ===

impl<V: Clone> Store<V> {
    /// An empty one, which reads objects like this.
    pub(super) fn new(read: fn(Raw) -> V, changed: Arc<watch::Sender<u64>>) -> Self {
        Self {
            read,
            state: Mutex::new(State {
                objects: BTreeMap::new(),
                is_complete: false,
            }),
            changed,
        }
    }

    /// Takes a whole list: what is not in it is gone.
    pub(super) fn replace(&self, list: Vec<Raw>) {
        let objects = list
            .into_iter()
            .map(|raw| (raw.name.clone(), self.stored(raw)));
        let objects = objects.collect();
        {
            let mut state = self.state();
            state.objects = objects;
            state.is_complete = true;
        }
        self.tell();
    }

    /// Takes an object that is new or changed. One older than what is known comes too late and changes nothing.
    pub(super) fn put(&self, raw: Raw) {
        if self.is_late(&raw) {
            return;
        }
        let name = raw.name.clone();
        let stored = self.stored(raw);
        self.state().objects.insert(name, stored);
        self.tell();
    }

    /// Forgets an object, unless what is known is newer than its deletion: then it was made again since.
    pub(super) fn remove(&self, raw: &Raw) {
        if self.is_late(raw) {
            return;
        }
        if self.state().objects.remove(&raw.name).is_some() {
            self.tell();
        }
    }

    /// Whether a whole list has been seen.
    pub(super) fn is_complete(&self) -> bool {
        self.state().is_complete
    }

    /// All objects, in the order of their names.
    pub(super) fn all(&self) -> Vec<V> {
        let state = self.state();
        let values = state.objects.values();
        values.map(|stored| stored.value.clone()).collect()
    }

    fn stored(&self, raw: Raw) -> Stored<V> {
        Stored {
            version: raw.order(),
            value: (self.read)(raw),
        }
    }

    fn is_late(&self, raw: &Raw) -> bool {
        let state = self.state();
        let known = state.objects.get(&raw.name).and_then(|it| it.version);
        matches!((known, raw.order()), (Some(known), Some(new)) if new < known)
    }

    fn tell(&self) {
        self.changed
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    fn state(&self) -> MutexGuard<'_, State<V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn raw(name: &str, version: &str) -> Raw {
        let object = json!({"metadata": {"name": name, "resourceVersion": version}});
        Raw::new(object).unwrap()
    }

    fn store() -> Store<String> {
        Store::new(
            |raw| format!("{}@{}", raw.name, raw.version),
            Arc::new(watch::channel(0).0),
        )
    }

    #[test]
    fn a_list_is_all_there_is() {
        let store = store();
        assert!(!store.is_complete());
        store.put(raw("a", "1"));
        assert!(!store.is_complete());
        store.replace(vec![raw("c", "3"), raw("b", "2")]);
        assert!(store.is_complete());
        assert_eq!(store.all(), ["b@2", "c@3"]);
    }

    #[test]
    fn what_comes_late_changes_nothing() {
        let store = store();
        store.put(raw("a", "10"));
        store.put(raw("a", "9"));
        store.remove(&raw("a", "8"));
        assert_eq!(store.all(), ["a@10"]);
        store.put(raw("a", "10"));
        store.remove(&raw("a", "11"));
        assert!(store.all().is_empty());
    }

    #[test]
    fn versions_that_are_no_numbers_are_taken_as_they_come() {
        let store = store();
        store.put(raw("a", "later"));
        store.put(raw("a", "earlier"));
        assert_eq!(store.all(), ["a@earlier"]);
    }

    #[test]
    fn what_has_no_name_or_version_is_no_object() {
        assert!(Raw::new(json!({"metadata": {"resourceVersion": "1"}})).is_none());
        assert!(Raw::new(json!({"metadata": {"name": "a"}})).is_none());
    }
}
