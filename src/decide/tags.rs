//! What is done about tags: a tag names other bytes tomorrow, and what is judged must be what runs.

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
    /// Whether `/mutate` pins objects of this kind.
    pub(super) fn pins(self, kind: &Kind) -> bool {
        match self {
            Self::Resolve | Self::Require => false,
            Self::Pin => kind.is_pod(),
            Self::PinAll => true,
        }
    }

    /// Whether an image must have its digest when `/validate` sees it in an object of this kind.
    pub(super) fn demands_digest(self, kind: &Kind) -> bool {
        match self {
            Self::Resolve => false,
            Self::Pin => kind.is_pod(),
            Self::PinAll | Self::Require => true,
        }
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
