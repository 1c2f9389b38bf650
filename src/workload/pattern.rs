//! Where a kind keeps something: a JSON pointer (RFC 6901) in which `*` stands for every item of a list, or for every value of a map.
//!
//! In: `/spec/steps/*/image`. Out: each value that is there, with its [`Place`]. What a pattern leads to and is missing or `null` is
//! not there; what is of another type than the pattern needs is an error, never skipped.

use std::str::FromStr;

use serde_json::Value;

use super::FieldPath;

/// A JSON pointer with stars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Each,
}

/// Where a value stands in an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// As people read it: `spec.containers[0].image`.
    field: String,
    /// As a JSON Patch has it: `/spec/containers/0/image`.
    pointer: String,
    /// The same with the `name` of each item that has one in place of its number: what is the same container before and after an
    /// update, wherever in its list it stands.
    identity: String,
}

/// A value of another type than stands there in such an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OtherType {
    pub(super) place: Place,
    pub(super) expected: &'static str,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidPattern {
    #[error("it must begin with \"/\": a JSON pointer such as /spec/steps/*/image")]
    NoSlash,
    #[error("it has an empty step: two \"/\" in a row, or one at the end")]
    EmptyStep,
    #[error("{found:?} has a \"~\" that is neither ~0 (for \"~\") nor ~1 (for \"/\")")]
    Escape { found: String },
    #[error("it has {found} steps, at most {max} are read")]
    TooLong { found: usize, max: usize },
}

// === impl Pattern ===

impl Pattern {
    /// The most steps: more than the depth of any object that is read.
    const MAX_STEPS: usize = 32;

    /// The first step, where it is a key.
    pub(super) fn first_key(&self) -> Option<&str> {
        match self.0.first() {
            Some(Step::Key(key)) => Some(key),
            Some(Step::Each) | None => None,
        }
    }

    /// The template that a Pod spec is part of: what holds its `spec`, or the Pod spec itself where it has another name. Nothing where
    /// that is the object itself.
    pub(super) fn template(&self) -> Option<Self> {
        let template = match self.0.split_last()? {
            (Step::Key(key), parent) if key == "spec" => parent,
            _ => &self.0,
        };
        (!template.is_empty()).then(|| Self(template.to_vec()))
    }

    /// The place that it describes, with a star where it has one.
    pub(super) fn described(&self) -> Place {
        self.0
            .iter()
            .fold(Place::default(), |place, step| match step {
                Step::Key(key) => place.key(key),
                Step::Each => place.key("*"),
            })
    }

    /// An object that holds nothing but this value, at the place that it describes. A list has one item.
    pub(super) fn holding(&self, value: Value) -> Value {
        self.0.iter().rev().fold(value, |inner, step| match step {
            Step::Key(key) => Value::Object([(key.clone(), inner)].into_iter().collect()),
            Step::Each => Value::Array(vec![inner]),
        })
    }

    /// Every value that is there, in the order of the object.
    pub(super) fn find<'a>(&self, object: &'a Value) -> Result<Vec<(Place, &'a Value)>, OtherType> {
        let mut found = vec![(Place::default(), object)];
        for step in &self.0 {
            let mut next = Vec::new();
            for (place, value) in found {
                follow(step, place, value, &mut next)?;
            }
            found = next;
        }
        Ok(found)
    }
}

fn follow<'a>(
    step: &Step,
    place: Place,
    value: &'a Value,
    found: &mut Vec<(Place, &'a Value)>,
) -> Result<(), OtherType> {
    match (step, value) {
        (_, Value::Null) => {}
        (Step::Key(key), Value::Object(fields)) => {
            let there = fields.get(key).filter(|value| !value.is_null());
            found.extend(there.map(|value| (place.key(key), value)));
        }
        (Step::Each, Value::Array(items)) => {
            let all = items.iter().enumerate();
            found.extend(all.map(|(index, item)| (place.item(index, item), item)));
        }
        (Step::Each, Value::Object(fields)) => {
            found.extend(fields.iter().map(|(key, value)| (place.key(key), value)));
        }
        (Step::Key(_), _) => {
            return Err(OtherType {
                place,
                expected: "an object",
            });
        }
        (Step::Each, _) => {
            return Err(OtherType {
                place,
                expected: "a list",
            });
        }
    }
    Ok(())
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let steps = text.strip_prefix('/').ok_or(InvalidPattern::NoSlash)?;
        let steps: Vec<Step> = steps.split('/').map(step).collect::<Result<_, _>>()?;
        if steps.len() > Self::MAX_STEPS {
            return Err(InvalidPattern::TooLong {
                found: steps.len(),
                max: Self::MAX_STEPS,
            });
        }
        Ok(Self(steps))
    }
}

fn step(text: &str) -> Result<Step, InvalidPattern> {
    match text {
        "" => return Err(InvalidPattern::EmptyStep),
        "*" => return Ok(Step::Each),
        _ => {}
    }
    let known = |after: &str| after.starts_with(['0', '1']);
    if !text.split('~').skip(1).all(known) {
        return Err(InvalidPattern::Escape {
            found: text.to_owned(),
        });
    }
    Ok(Step::Key(text.replace("~1", "/").replace("~0", "~")))
}

// === impl Place ===

impl Place {
    /// A field of the object that stands here.
    pub(super) fn key(&self, key: &str) -> Self {
        let dot = if self.field.is_empty() { "" } else { "." };
        let escaped = key.replace('~', "~0").replace('/', "~1");
        Self {
            field: format!("{}{dot}{key}", self.field),
            pointer: format!("{}/{escaped}", self.pointer),
            identity: format!("{}/{escaped}", self.identity),
        }
    }

    /// An item of the list that stands here.
    pub(super) fn item(&self, index: usize, item: &Value) -> Self {
        let identity = match item.get("name").and_then(Value::as_str) {
            Some(name) => format!("{}/[{name:?}]", self.identity),
            None => format!("{}/[{index}]", self.identity),
        };
        Self {
            field: format!("{}[{index}]", self.field),
            pointer: format!("{}/{index}", self.pointer),
            identity,
        }
    }

    /// The same place under another name for people.
    pub(super) fn shown_as(self, other: &Self) -> Self {
        Self {
            field: other.field.clone(),
            ..self
        }
    }

    pub(super) fn field(&self) -> FieldPath {
        FieldPath::new(self.field.clone())
    }

    pub(super) fn pointer(&self) -> &str {
        &self.pointer
    }

    pub(super) fn identity(&self) -> &str {
        &self.identity
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn found(pattern: &str, object: &Value) -> Vec<(String, String, Value)> {
        let pattern: Pattern = pattern.parse().unwrap();
        let all = pattern.find(object).unwrap().into_iter();
        all.map(|(place, value)| (place.field, place.pointer, value.clone()))
            .collect()
    }

    #[test]
    fn a_star_is_every_item_of_a_list_and_every_value_of_a_map() {
        let object = json!({"spec": {"steps": [{"image": "a"}, {}, {"image": "b"}], "roles": {"x/y": {"image": "c"}}}});
        let steps = found("/spec/steps/*/image", &object);
        assert_eq!(
            steps,
            [
                (
                    "spec.steps[0].image".to_owned(),
                    "/spec/steps/0/image".to_owned(),
                    json!("a")
                ),
                (
                    "spec.steps[2].image".to_owned(),
                    "/spec/steps/2/image".to_owned(),
                    json!("b")
                ),
            ]
        );
        let roles = found("/spec/roles/*/image", &object);
        assert_eq!(roles[0].1, "/spec/roles/x~1y/image");
        assert_eq!(object.pointer(&roles[0].1), Some(&json!("c")));
        assert_eq!(found("/spec/roles/x~1y/image", &object)[0].2, "c");
    }

    #[test]
    fn what_is_missing_is_not_there_and_what_is_of_another_type_is_an_error() {
        let pattern: Pattern = "/spec/steps/*/image".parse().unwrap();
        for absent in [
            json!({}),
            json!({"spec": null}),
            json!({"spec": {"steps": null}}),
            json!({"spec": {"steps": [null]}}),
        ] {
            assert_eq!(pattern.find(&absent), Ok(Vec::new()), "{absent}");
        }
        for wrong in [
            json!([]),
            json!({"spec": 1}),
            json!({"spec": {"steps": "a"}}),
            json!({"spec": {"steps": ["a"]}}),
        ] {
            assert!(pattern.find(&wrong).is_err(), "{wrong}");
        }
    }

    #[rstest]
    #[case::empty("")]
    #[case::dotted("spec.steps")]
    #[case::the_whole_object("/")]
    #[case::a_gap("/spec//image")]
    #[case::an_end_too_many("/spec/")]
    #[case::an_escape_that_is_none("/spec/a~2b")]
    #[case::half_an_escape("/spec/a~")]
    fn refuses_what_is_no_pointer(#[case] text: &str) {
        assert!(text.parse::<Pattern>().is_err());
    }
}
