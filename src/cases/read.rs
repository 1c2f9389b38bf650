//! From the text of a file to its cases.

use std::collections::HashSet;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Deserialize;
use serde_saphyr::{Spanned, budget, options};

use super::{Case, Expected, ImageSubject, Object, Subject};
use crate::verdict::{Judgement, NoMatchPolicy, Reason};

/// The longest name of a case, in bytes.
const NAME_BYTES: usize = 256;
/// Values in one file.
const MAX_NODES: usize = 100_000;
/// Bytes of text in one file, aliases expanded.
const MAX_TEXT_BYTES: usize = 16 << 20;
/// Levels of nesting; cases need five.
const MAX_NESTING: usize = 16;
/// Aliases and anchors in one file.
const MAX_ALIASES: usize = 1_000;

/// Why a text holds no cases.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct CaseError {
    /// Line and column, from 1, where they are known.
    pub position: Option<(u64, u64)>,
    /// What is wrong.
    pub detail: String,
}

/// A file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    cases: Vec<Spanned<WrittenCase>>,
}

/// A case as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct WrittenCase {
    name: String,
    #[serde(default)]
    policies: Vec<PathBuf>,
    at: Option<Timestamp>,
    image: Option<String>,
    evidence: Option<PathBuf>,
    object: Option<Object>,
    no_match_policy: Option<NoMatchPolicy>,
    statement: Option<PathBuf>,
    statements: Option<Vec<PathBuf>>,
    attestation: Option<String>,
    input: Option<PathBuf>,
    verdict: Judgement,
    reason: Option<Reason>,
    message: Option<String>,
}

/// Reads a file of cases.
///
/// # Errors
/// It is not YAML, has a field that cases do not have, or a case that says nothing or too much.
pub fn read(text: &str) -> Result<Vec<Case>, CaseError> {
    let options = options! {
        budget: budget! {
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            max_total_scalar_bytes: MAX_TEXT_BYTES,
            max_depth: MAX_NESTING,
            flow_nesting_limit: MAX_NESTING,
            max_documents: 1,
            max_aliases: MAX_ALIASES,
            max_anchors: MAX_ALIASES,
            max_merge_keys: MAX_ALIASES,
        },
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    let file: WrittenFile =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| unreadable(&error))?;
    let mut names = HashSet::new();
    let mut cases = Vec::new();
    for written in file.cases {
        let (line, column) = (written.referenced.line(), written.referenced.column());
        let wrong = |detail| CaseError {
            position: Some((line, column)),
            detail,
        };
        let case = case(written.value, line).map_err(wrong)?;
        if !names.insert(case.name.clone()) {
            return Err(wrong(format!("another case is named {:?} too", case.name)));
        }
        cases.push(case);
    }
    Ok(cases)
}

/// The parser ends its message with the place, which is told apart here.
fn unreadable(error: &serde_saphyr::Error) -> CaseError {
    let message = error.to_string().replace(['\n', '\r'], " ");
    let position = error.location().map(|at| (at.line(), at.column()));
    let place = position.map(|(line, column)| format!(" at line {line}, column {column}"));
    let detail = match place.and_then(|place| message.strip_suffix(&place).map(str::to_owned)) {
        Some(without_place) => without_place,
        None => message,
    };
    CaseError { position, detail }
}

fn case(written: WrittenCase, line: u64) -> Result<Case, String> {
    let name = written.name.trim().to_owned();
    if name.is_empty() || name.len() > NAME_BYTES || name.contains(char::is_control) {
        return Err(format!("a name is one line of 1 to {NAME_BYTES} bytes"));
    }
    let of_image = [
        ("evidence", written.evidence.is_some()),
        ("object", written.object.is_some()),
        ("noMatchPolicy", written.no_match_policy.is_some()),
    ];
    let statements = match (written.statement, written.statements) {
        (Some(_), Some(_)) => return Err(format!("{name:?} has statement and statements")),
        (Some(one), None) => Some(vec![one]),
        (None, several) => several,
    };
    let of_statements = [("attestation", written.attestation.is_some())];
    let (subject, foreign) = match (written.image, statements, written.input) {
        (Some(image), None, None) => (
            Subject::Image(ImageSubject {
                image,
                evidence: written.evidence,
                object: written.object,
                no_match: written.no_match_policy.unwrap_or_default(),
            }),
            of_statements.to_vec(),
        ),
        (None, Some(files), None) if files.is_empty() => {
            return Err(format!("{name:?} has an empty list of statements"));
        }
        (None, Some(files), None) => (
            Subject::Statements {
                files,
                attestation: written.attestation,
            },
            of_image.to_vec(),
        ),
        (None, None, Some(file)) => (
            Subject::Input { file },
            [&of_image[..], &of_statements[..]].concat(),
        ),
        (None, None, None) => {
            return Err(format!(
                "{name:?} is about nothing: it needs image, statement or input"
            ));
        }
        _ => {
            return Err(format!(
                "{name:?} is about several things: it needs one of image, statement and input"
            ));
        }
    };
    if let Some((field, _)) = foreign.into_iter().find(|(_, is_there)| *is_there) {
        return Err(format!(
            "{name:?} has {field}, which means nothing beside what it is about"
        ));
    }
    Ok(Case {
        name,
        line,
        policies: written.policies,
        at: written.at,
        subject,
        expected: Expected {
            verdict: written.verdict,
            reason: written.reason,
            message: written.message,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One case with these fields after its name and verdict.
    fn one(fields: &str) -> Result<Case, CaseError> {
        let text = format!("cases:\n  - name: n\n    verdict: deny\n{fields}");
        read(&text).map(|mut cases| cases.remove(0))
    }

    fn refused(fields: &str) -> CaseError {
        one(fields).unwrap_err()
    }

    #[test]
    fn reads_each_kind_of_case() {
        let image = one("    image: registry.example.com/shop/cart:1.4\n    object: {kind: Pod}\n")
            .unwrap();
        assert_eq!((image.line, image.policies.len()), (2, 0));
        let Subject::Image(subject) = image.subject else {
            panic!("{:?}", image.subject)
        };
        let object = subject.object.unwrap();
        assert_eq!(
            (object.api_version.as_str(), object.namespace.as_str()),
            ("v1", "default")
        );
        assert_eq!(subject.no_match, NoMatchPolicy::Deny);

        let statement = one("    statement: a.json\n    attestation: provenance\n").unwrap();
        assert!(matches!(statement.subject, Subject::Statements { files, .. } if files.len() == 1));
        let several = one("    statements: [a.json, b.json]\n").unwrap();
        assert!(matches!(several.subject, Subject::Statements { files, .. } if files.len() == 2));
        assert!(matches!(
            one("    input: a.json\n").unwrap().subject,
            Subject::Input { .. }
        ));
    }

    #[test]
    fn reads_what_is_expected_and_when() {
        let case = one("    image: a\n    reason: untrusted-signer\n    message: no matching\n    at: 2026-08-03T11:04:00Z\n").unwrap();
        assert_eq!(case.expected.reason, Some(Reason::UntrustedSigner));
        assert_eq!(case.at.unwrap().to_string(), "2026-08-03T11:04:00Z");
        assert!(one("    image: a\n    reason: unsinged\n").is_err());
        assert!(one("    image: a\n    at: yesterday\n").is_err());
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_place() {
        let error = refused("    image: a\n    reasn: unsigned\n");
        assert!(error.detail.contains("reasn"), "{error}");
        assert_eq!(error.position, Some((5, 5)), "{error:?}");
        assert!(
            refused("    image: a\n    object: {kind: Pod, lables: {}}\n")
                .detail
                .contains("lables")
        );
        assert!(read("cases: []\ncase: []\n").is_err());
    }

    #[test]
    fn a_case_is_about_one_thing() {
        for fields in [
            "",
            "    image: a\n    statement: b\n",
            "    statement: a\n    statements: [b]\n",
            "    statements: []\n",
            "    statement: a\n    object: {kind: Pod}\n",
            "    image: a\n    attestation: b\n",
            "    input: a\n    noMatchPolicy: allow\n",
        ] {
            let error = refused(fields);
            assert_eq!(
                error.position.map(|(line, _)| line),
                Some(2),
                "{fields}: {error}"
            );
        }
    }

    #[test]
    fn names_tell_cases_apart() {
        let twice = "cases:\n  - {name: a, image: a, verdict: deny}\n  - {name: a, image: a, verdict: deny}\n";
        let error = read(twice).unwrap_err();
        assert_eq!(error.position.map(|(line, _)| line), Some(3));
        assert!(read("cases: [{name: '', image: a, verdict: deny}]").is_err());
        assert!(read("cases: [{name: a, image: a, verdict: maybe}]").is_err());
        assert!(read("cases: [{name: a, name: b, image: a, verdict: deny}]").is_err());
    }
}
