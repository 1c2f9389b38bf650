//! Server-side apply: who owns which field, and what follows when two want it.
//!
//! Fields are leaves of objects; a list is one field. Who writes a field that is new or different owns it, by whatever kind of write.
//! Who applies loses what is owned alone and not applied any more, and meets a conflict where somebody else owns a field that is to
//! be different, unless forced.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::path::Key;

/// The owners of the fields of all objects: pointer → managers.
#[derive(Default)]
pub(crate) struct Owners(BTreeMap<Key, BTreeMap<String, BTreeSet<String>>>);

/// Metadata that says which object is meant.
const NAMES: [&str; 6] = [
    "/apiVersion",
    "/kind",
    "/metadata/name",
    "/metadata/namespace",
    "/metadata/uid",
    "/metadata/resourceVersion",
];

// === impl Owners ===

impl Owners {
    /// The object as `manager` wants it; or in words why it cannot be.
    pub(crate) fn applied(
        &mut self,
        key: &Key,
        found: &Value,
        wanted: &Value,
        manager: &str,
        force: bool,
    ) -> Result<Value, (u16, String)> {
        let owners = self.0.entry(key.clone()).or_default();
        let wanted: BTreeMap<String, Value> = fields(wanted);
        let is_others = |pointer: &String, value: &Value| {
            let others = owners.get(pointer).into_iter().flatten();
            found.pointer(pointer) != Some(value)
                && others.into_iter().any(|owner| owner != manager)
        };
        let conflicts: Vec<&String> = wanted
            .iter()
            .filter(|(pointer, value)| is_others(pointer, value))
            .map(|(pointer, _)| pointer)
            .collect();
        if !conflicts.is_empty() && !force {
            return Err((409, format!("Apply failed with conflicts: {conflicts:?}")));
        }
        let mut changed = found.clone();
        for (pointer, managers) in owners.iter_mut() {
            if !wanted.contains_key(pointer) && managers.remove(manager) && managers.is_empty() {
                remove(&mut changed, pointer);
            }
        }
        for (pointer, value) in wanted {
            let managers = owners.entry(pointer.clone()).or_default();
            if found.pointer(&pointer) != Some(&value) {
                managers.clear();
                set(&mut changed, &pointer, value);
            }
            managers.insert(manager.to_owned());
        }
        owners.retain(|_, managers| !managers.is_empty());
        Ok(changed)
    }

    /// Notes what `manager` changed by another kind of write.
    pub(crate) fn wrote(&mut self, key: &Key, before: &Value, after: &Value, manager: &str) {
        let owners = self.0.entry(key.clone()).or_default();
        let (before, after) = (fields(before), fields(after));
        owners.retain(|pointer, _| after.contains_key(pointer));
        for (pointer, value) in after {
            if before.get(&pointer) != Some(&value) {
                owners.insert(pointer, BTreeSet::from([manager.to_owned()]));
            }
        }
    }

    /// An object that is made again is another one.
    pub(crate) fn forget(&mut self, key: &Key) {
        self.0.remove(key);
    }
}

/// Every leaf by its pointer.
fn fields(object: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    collect(object, String::new(), &mut found);
    found.retain(|pointer, _| !NAMES.contains(&pointer.as_str()));
    found
}

fn collect(value: &Value, pointer: String, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                collect(value, format!("{pointer}/{name}"), found);
            }
        }
        Value::Null => {}
        leaf => drop(found.insert(pointer, leaf.clone())),
    }
}

fn set(object: &mut Value, pointer: &str, value: Value) {
    let mut place = object;
    for name in pointer.split('/').skip(1) {
        let name = name.replace("~1", "/").replace("~0", "~");
        if !place.is_object() {
            *place = Value::Object(serde_json::Map::new());
        }
        place = &mut place[name.as_str()];
    }
    *place = value;
}

fn remove(object: &mut Value, pointer: &str) {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let name = name.replace("~1", "/").replace("~0", "~");
    if let Some(Value::Object(parent)) = object.pointer_mut(parent) {
        parent.remove(&name);
    }
}
