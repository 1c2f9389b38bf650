//! The answer of `/mutate`: a JSON Patch (RFC 6902), and why some tags stay tags.

use json_patch::jsonptr::PointerBuf;
use json_patch::{Patch, PatchOperation, ReplaceOperation, TestOperation};
use serde_json::Value;

use super::printable::line;
use super::warnings::{FIELDS, IMAGE, bounded, joined};
use super::words;
use crate::verdict::{LeftAsTag, Pin, Pinning, Reason};

/// What the API server is told. It never denies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mutation {
    /// What is changed; nothing where it is empty. Before each `replace` a `test` holds that what is replaced is what was seen.
    pub patch: Patch,
    /// Why tags were left, one line each, bounded as those of an [`super::Answer`] are.
    pub warnings: Vec<String>,
    /// Fields that are pinned to what their tag names now.
    pub pinned: usize,
    /// Fields that are pinned to the digest that they had before.
    pub kept: usize,
    /// Why images were left as they are, once for each. A label of metrics.
    pub left: Vec<Reason>,
}

/// The answer for what was decided.
pub fn mutation(pinning: &Pinning) -> Mutation {
    let operations = pinning.pins.iter().filter_map(replace).flatten();
    let kept = pinning.pins.iter().filter(|pin| pin.kept).count();
    Mutation {
        patch: Patch(operations.collect()),
        warnings: bounded(pinning.left.iter().map(not_pinned)),
        pinned: pinning.pins.len().saturating_sub(kept),
        kept,
        left: pinning.left.iter().map(|left| left.reason).collect(),
    }
}

/// The answer when nothing was decided: the time was over, too much was in flight, a task failed. Nothing is changed.
pub fn unpinned(reason: Reason) -> Mutation {
    Mutation {
        warnings: vec![format!("images are not pinned: {}", words::meaning(reason))],
        left: vec![reason],
        ..Mutation::default()
    }
}

/// `None` where the pointer is none, which [`Pin`] does not have.
fn replace(pin: &Pin) -> Option<[PatchOperation; 2]> {
    let path = PointerBuf::parse(pin.pointer.as_str()).ok()?;
    let test = TestOperation {
        path: path.clone(),
        value: Value::String(pin.written.clone()),
    };
    let replace = ReplaceOperation {
        path,
        value: Value::String(pin.pinned.clone()),
    };
    Some([PatchOperation::Test(test), PatchOperation::Replace(replace)])
}

fn not_pinned(left: &LeftAsTag) -> String {
    let why = line(&left.detail, 200);
    if left.written.is_empty() {
        return format!("images are not pinned: {why}");
    }
    let fields = joined(&left.fields, FIELDS);
    let image = line(&left.written, IMAGE);
    format!("{fields}: {image} is not pinned: {why}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::image::Digest;
    use crate::workload::FieldPath;

    fn pin() -> Pin {
        let digest = Digest::sha256_of(b"cart");
        Pin {
            field: FieldPath::new("spec.containers[0].image"),
            pointer: "/spec/containers/0/image".to_owned(),
            written: "cart".to_owned(),
            pinned: format!("cart:latest@{digest}"),
            digest,
            kept: false,
        }
    }

    #[test]
    fn what_is_replaced_is_tested_first() {
        let pinning = Pinning {
            pins: vec![pin()],
            left: Vec::new(),
        };
        let patch = mutation(&pinning).patch;
        let path = "/spec/containers/0/image";
        assert_eq!(
            serde_json::to_value(&patch).unwrap(),
            json!([
                {"op": "test", "path": path, "value": "cart"},
                {"op": "replace", "path": path, "value": pin().pinned},
            ])
        );
        let mut object = json!({"spec": {"containers": [{"image": "cart"}]}});
        json_patch::patch(&mut object, &patch).unwrap();
        assert_eq!(object.pointer(path), Some(&json!(pin().pinned)));
        let mut changed = json!({"spec": {"containers": [{"image": "another"}]}});
        assert!(json_patch::patch(&mut changed, &patch).is_err());
    }

    #[test]
    fn a_tag_that_stays_is_explained_in_one_line_whatever_a_stranger_wrote() {
        let left = LeftAsTag {
            fields: vec![FieldPath::new("spec.containers[0].image")],
            written: "registry.example.com/shop/cart:1.4".to_owned(),
            reason: Reason::RegistryUnreachable,
            detail: format!("down\n\u{1b}[2J{}", "x".repeat(5_000)),
        };
        let said = mutation(&Pinning {
            pins: Vec::new(),
            left: vec![left; 50],
        });
        assert_eq!(said.patch, Patch::default());
        assert_eq!(said.warnings.len(), 1, "each is told once");
        let warning = said.warnings.first().unwrap();
        assert!(
            warning.starts_with(
                "spec.containers[0].image: registry.example.com/shop/cart:1.4 is not pinned: down"
            ),
            "{warning}"
        );
        assert!(
            warning.len() <= 256 && !warning.contains(['\n', '\u{1b}']),
            "{warning}"
        );
    }

    #[test]
    fn what_was_not_decided_changes_nothing_and_says_why() {
        let said = unpinned(Reason::Overloaded);
        assert_eq!(said.patch, Patch::default());
        assert_eq!(
            said.warnings,
            ["images are not pinned: too much is being judged at this moment"]
        );
    }
}
