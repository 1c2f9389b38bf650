//! Pins that stay: which digest an image had before an update.
//!
//! Whoever applies a manifest with a tag again writes `name:tag` over the `name:tag@digest` that an earlier `/mutate` made of it. That
//! is no wish for another image, so it is pinned to the same digest again, without asking the registry. A tag that moved is rolled out
//! by writing another tag, or the digest.
//!
//! Which field was which before: an item of a list is the same one when it has the same `name` in the same list, wherever in the list
//! it stands; an item without a name, when it has the same number. Of a name that stood twice nothing is kept.

use std::collections::BTreeMap;

use serde_json::Value;

use super::images::{ImageUse, images};
use super::kinds::Kind;

/// What stood in each image field before.
#[derive(Clone, Debug, Default)]
pub struct Sticky {
    before: BTreeMap<String, Option<String>>,
}

impl Sticky {
    /// What stood in the old object; nothing where there is none, or where it cannot be read.
    pub fn of(kind: &Kind, old: Option<&Value>) -> Self {
        let uses = old.and_then(|old| images(kind, old).ok());
        let mut before = BTreeMap::new();
        for ImageUse {
            identity, image, ..
        } in uses.unwrap_or_default()
        {
            let only = Some(image).filter(|_| !before.contains_key(&identity));
            before.insert(identity, only);
        }
        Self { before }
    }

    /// What stood in this field before.
    pub fn before(&self, image: &ImageUse) -> Option<&str> {
        self.before.get(&image.identity)?.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::kinds::Kinds;
    use super::*;

    /// What each container of `new` was before.
    fn before(new: &Value, old: &Value) -> Vec<Option<String>> {
        let kinds = Kinds::built_in();
        let kind = kinds.find("", "Pod").unwrap();
        let pod = |containers: &Value| json!({"spec": {"containers": containers}});
        let (new, old) = (pod(new), pod(old));
        let sticky = Sticky::of(kind, Some(&old));
        let uses = images(kind, &new).unwrap();
        let found = uses.iter().map(|image| sticky.before(image));
        found.map(|image| image.map(str::to_owned)).collect()
    }

    #[test]
    fn a_container_is_found_again_by_its_name() {
        let old = json!([{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]);
        let new = json!([{"name": "b", "image": "x"}, {"name": "a", "image": "x"}, {"name": "c", "image": "x"}]);
        let expected = [Some("2".to_owned()), Some("1".to_owned()), None];
        assert_eq!(before(&new, &old), expected);
    }

    #[test]
    fn a_name_that_stands_twice_finds_nothing() {
        let old = json!([{"name": "a", "image": "1"}, {"name": "a", "image": "2"}]);
        assert_eq!(before(&json!([{"name": "a", "image": "x"}]), &old), [None]);
    }

    #[test]
    fn without_a_name_the_number_counts() {
        let (old, new) = (
            json!([{"image": "1"}, {"image": "2"}]),
            json!([{"image": "x"}, {"name": "b", "image": "x"}]),
        );
        assert_eq!(before(&new, &old), [Some("1".to_owned()), None]);
    }

    #[test]
    fn an_init_container_is_not_the_container_of_the_same_name() {
        let kinds = Kinds::built_in();
        let kind = kinds.find("", "Pod").unwrap();
        let old = json!({"spec": {"initContainers": [{"name": "a", "image": "1"}]}});
        let new = json!({"spec": {"containers": [{"name": "a", "image": "x"}]}});
        let sticky = Sticky::of(kind, Some(&old));
        assert_eq!(sticky.before(&images(kind, &new).unwrap()[0]), None);
    }
}
