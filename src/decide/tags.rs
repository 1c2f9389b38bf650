//! What is done about tags: a tag names other bytes tomorrow, and what is judged must be what runs.

use serde_json::Value;

use crate::workload::Kind;

/// `--tags`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TagMode {
    /// The digest that a tag has now is judged; nothing is changed, and nothing holds the tag.
    #[default]
    Resolve,
    /// Pods are pinned, and must be. Templates are judged at the digest that their tags have now: the Pods made of them are pinned
    /// and judged again.
    Pin,
    /// Everything is pinned, and must be.
    PinAll,
    /// Nothing is pinned, and everything must be.
    Require,
}

impl TagMode {
    /// Whether `/mutate` pins this object.
    ///
    /// What a controller made of another object is never rewritten but for Pods: a Deployment that does not find its template in its
    /// `ReplicaSet` again makes another one, without end. The Pods that come of it are pinned.
    pub(super) fn pins(self, kind: &Kind, object: &Value) -> bool {
        match self {
            Self::Resolve | Self::Require => false,
            Self::Pin => kind.is_pod(),
            Self::PinAll => kind.is_pod() || !is_made_by_a_controller(object),
        }
    }

    /// Whether an image must have its digest when `/validate` sees it in this object: where it could have been pinned, and where tags
    /// are refused.
    pub(super) fn demands_digest(self, kind: &Kind, object: &Value) -> bool {
        self == Self::Require || self.pins(kind, object)
    }

    /// What is in the way where such an image has none although its tag can be resolved.
    pub(super) fn unmet(self) -> &'static str {
        match self {
            Self::Resolve | Self::Pin | Self::PinAll => {
                "nothing pinned it on its way here: see that /mutate is registered for it, and answers"
            }
            Self::Require => "tags are not admitted here (--tags require)",
        }
    }

    /// Whether nothing holds a tag that was judged.
    pub fn may_move(self) -> bool {
        self == Self::Resolve
    }
}

/// Whether an object says so. Whoever lies about it keeps a tag in a template, and its Pods are pinned all the same (T-65).
fn is_made_by_a_controller(object: &Value) -> bool {
    let owners = object.pointer("/metadata/ownerReferences");
    let mut owners = owners.and_then(Value::as_array).into_iter().flatten();
    owners.any(|owner| owner.get("controller") == Some(&Value::Bool(true)))
}
