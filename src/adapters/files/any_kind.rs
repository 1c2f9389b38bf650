//! Documents of any kind, as JSON: for those who look at an installation and enforce nothing.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::{Cause, Problem};
use super::snapshot::Snapshot;
use super::tree;

/// Every object of the given files and folders, with lists taken apart, beside everything that cannot be read.
pub fn read_objects(paths: &[PathBuf]) -> (Vec<Value>, Vec<Problem>) {
    let snapshot = Snapshot::settled(paths);
    let (mut objects, mut problems) = (Vec::new(), snapshot.problems);
    for file in &snapshot.files {
        match objects_of(&file.path, &file.text) {
            Ok(found) => objects.extend(found),
            Err(problem) => problems.push(*problem),
        }
    }
    (objects, problems)
}

/// The same for one text. `file` is what it is called in a problem.
pub fn objects_of(file: &Path, text: &str) -> Result<Vec<Value>, Box<Problem>> {
    let documents = tree::parse(text).map_err(|error| {
        Box::new(Problem {
            file: file.to_owned(),
            position: error.position,
            document: None,
            cause: Cause::Syntax {
                found: error.message,
            },
        })
    })?;
    let mut objects = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        if !document.is_map() {
            return Err(Box::new(Problem {
                file: file.to_owned(),
                position: Some(document.position),
                document: Some(index.saturating_add(1)),
                cause: Cause::NotAnObject,
            }));
        }
        take_apart(document.to_json(), &mut objects);
    }
    Ok(objects)
}

/// `kubectl get -o yaml` gives one `List` of all that it found.
fn take_apart(object: Value, objects: &mut Vec<Value>) {
    let is_list = object
        .get("kind")
        .and_then(Value::as_str)
        .is_some_and(|kind| kind.ends_with("List"));
    match object {
        Value::Object(mut fields) if is_list => {
            if let Some(Value::Array(items)) = fields.remove("items") {
                objects.extend(items);
            }
        }
        object => objects.push(object),
    }
}
