//! The file of cases beside a recording.

use std::collections::HashSet;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use super::Object;
use crate::verdict::{ImageVerdict, Judgement, NoMatchPolicy, Reason};

/// What stands at the top of the file.
const HEADER: &str = "\
# Written by `vouchsafe verify --record`. Run it with `vouchsafe test`; add cases in a file of your own, so that this one can be recorded anew.
";

/// A run that is written down.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// When it was judged.
    pub at: Timestamp,
    /// The policies, relative to the folder of the file.
    pub policies: Vec<PathBuf>,
    /// What was answered when no policy matched.
    pub no_match: NoMatchPolicy,
    /// Each image with the object that runs it.
    pub images: Vec<(Option<Object>, ImageVerdict)>,
}

#[derive(Serialize)]
struct File<'a> {
    cases: Vec<WrittenCase<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenCase<'a> {
    name: String,
    policies: &'a [PathBuf],
    image: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<&'a Object>,
    #[serde(skip_serializing_if = "Option::is_none")]
    no_match_policy: Option<NoMatchPolicy>,
    at: Timestamp,
    verdict: Judgement,
    reason: Reason,
}

/// The text of the file: a case for each image, which expects the verdict that it had.
///
/// # Errors
/// A path of policies that is no text.
pub fn write(recorded: &Recorded) -> Result<String, serde_saphyr::ser::Error> {
    let mut names = HashSet::new();
    let cases = recorded.images.iter().map(|(object, image)| WrittenCase {
        name: name(image, object.as_ref(), &mut names),
        policies: &recorded.policies,
        image: &image.written,
        object: object.as_ref(),
        no_match_policy: Some(recorded.no_match).filter(|setting| *setting != NoMatchPolicy::Deny),
        at: recorded.at,
        verdict: image.judgement,
        reason: image.reason,
    });
    let file = File {
        cases: cases.collect(),
    };
    Ok(format!("{HEADER}{}", serde_saphyr::to_string(&file)?))
}

/// A sentence that no other case of the file has.
fn name(image: &ImageVerdict, object: Option<&Object>, taken: &mut HashSet<String>) -> String {
    let became = match image.judgement {
        Judgement::Admit => "is admitted",
        Judgement::Warn => "is admitted with a warning",
        Judgement::Deny => "is denied",
        Judgement::Unknown => "cannot be judged",
    };
    let place = object.map_or_else(String::new, |object| format!(" in a {}", object.kind));
    let written: String = image
        .written
        .chars()
        .filter(|c| !c.is_control())
        .take(128)
        .collect();
    let sentence = format!("{written}{place} {became}");
    let numbered = (2..).map(|number| format!("{sentence} ({number})"));
    let mut free = std::iter::once(sentence.clone()).chain(numbered);
    free.find(|name| taken.insert(name.clone()))
        .unwrap_or(sentence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::{Subject, read};

    fn verdict(image: &str) -> ImageVerdict {
        ImageVerdict {
            fields: Vec::new(),
            written: image.to_owned(),
            reference: None,
            digest: None,
            resolved: false,
            policies: Vec::new(),
            judgement: Judgement::Deny,
            reason: Reason::Unsigned,
            detail: None,
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let object = Object {
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            namespace: "shop".to_owned(),
            labels: [("app".to_owned(), "yes".to_owned())].into(),
        };
        let image = "registry.example.com/shop/cart:1.4";
        let recorded = Recorded {
            at: "2026-08-03T11:04:00Z".parse().unwrap(),
            policies: vec!["../policies".into()],
            no_match: NoMatchPolicy::Warn,
            images: vec![
                (Some(object.clone()), verdict(image)),
                (Some(object.clone()), verdict(image)),
                (None, verdict("odd: [\"text\"\n#")),
            ],
        };
        let text = write(&recorded).unwrap();
        let cases = read(&text).unwrap();
        assert_eq!(cases.len(), 3, "{text}");
        assert_eq!(
            cases[1].name,
            format!("{image} in a Deployment is denied (2)")
        );
        assert_eq!(cases[0].at, Some(recorded.at));
        assert_eq!(cases[0].expected.reason, Some(Reason::Unsigned));
        let Subject::Image(first) = &cases[0].subject else {
            panic!("{:?}", cases[0])
        };
        assert_eq!(
            (first.image.as_str(), first.object.as_ref()),
            (image, Some(&object))
        );
        assert_eq!(first.no_match, NoMatchPolicy::Warn);
        let Subject::Image(odd) = &cases[2].subject else {
            panic!("{:?}", cases[2])
        };
        assert_eq!(odd.image, "odd: [\"text\"\n#");
    }
}
