//! OPA's own conformance suite, run through the programs of policies (T-45).
//!
//! A case asks for a rule of a module; here the module becomes a policy whose `isCompliant` compares that rule with what OPA says. Its
//! data becomes part of the input. What a policy cannot be (several modules, several answers, an input that is not JSON) is left out
//! and counted; everything else is equal, or refused when it is compiled, or a difference that is listed with its reason.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use regex::{Captures, Regex};
use serde_json::{Map, Value, json};
use vouchsafe::predicate_policy::{Budget, CompileError, Decision, EvalError, Program};

use crate::support;

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// As OPA says.
    Equal,
    /// The policy does not compile; for this reason.
    Refused(String),
    /// No policy can be written that asks it.
    NotAPolicy(&'static str),
    /// Something else than OPA says.
    Different(String),
}

/// The key below which a case's data stands in the input.
const DATA: &str = "base_documents";

/// A case as a policy: its text and its input.
fn policy_of(case: &Value) -> Result<(String, String), &'static str> {
    let modules = case["modules"].as_array().map_or(&[][..], Vec::as_slice);
    let [module] = modules else {
        return Err("several modules, or none");
    };
    let module = module.as_str().unwrap();
    let package = Regex::new(r"(?m)^\s*package\s+([A-Za-z0-9_.]+)").unwrap();
    let package = package.captures(module).ok_or("a package by brackets")?[1].to_owned();
    let query = case["query"].as_str().unwrap();
    let rule = query
        .strip_suffix(" = x")
        .ok_or("a query over several rules")?;
    let rule = rule
        .strip_prefix(&format!("data.{package}"))
        .ok_or("a query beside the module")?;
    if !Regex::new(r"^(\.[A-Za-z0-9_]+)+$").unwrap().is_match(rule) {
        return Err("a query over several rules");
    }
    let mut input = input_of(case)?;
    let data = case["data"].as_object().cloned().unwrap_or_default();
    let mut text = module.replacen(&format!("package {package}"), "package sigstore", 1);
    text = Regex::new(&format!(r"\bdata\.{}\b", regex::escape(&package)))
        .unwrap()
        .replace_all(&text, "data.sigstore")
        .into_owned();
    let refers = Regex::new(r"\bdata\.")
        .unwrap()
        .is_match(&text.replace("data.sigstore", ""));
    if !data.is_empty() || refers {
        let reference = Regex::new(r"\bdata\.([A-Za-z0-9_]+)").unwrap();
        let moved = reference.replace_all(&text, |found: &Captures<'_>| match &found[1] {
            "sigstore" => "data.sigstore".to_owned(),
            other => format!("input.{DATA}.{other}"),
        });
        text = moved.into_owned();
        if !data.is_empty() {
            let object = input.get_or_insert_with(|| json!({}));
            let Some(object) = object.as_object_mut() else {
                return Err("an input that is no object, beside data");
            };
            object.insert(DATA.to_owned(), Value::Object(data));
        }
    }
    if Regex::new(r"\bdata(\[|\s|\))").unwrap().is_match(&text) {
        return Err("data as a whole");
    }
    let answer = format!("data.sigstore{rule}");
    let compares = match wanted(case)? {
        Some(value) => {
            let literal = serde_json::to_string(&value.to_string()).unwrap();
            // The suite says where the order of lists is not looked at.
            let sort = if case["sort_bindings"] == true && value.is_array() {
                "sort"
            } else {
                ""
            };
            format!(
                "{sort}(json.unmarshal(json.marshal({answer}))) == {sort}(json.unmarshal({literal}))"
            )
        }
        None => format!("count([1 | _ := {answer}]) == 0"),
    };
    let text = format!("{text}\n\nisCompliant := {compares}\n");
    Ok((text, input.unwrap_or(Value::Null).to_string()))
}

fn input_of(case: &Value) -> Result<Option<Value>, &'static str> {
    if let Some(term) = case["input_term"].as_str() {
        return serde_json::from_str(term)
            .map(Some)
            .map_err(|_| "an input that is not JSON");
    }
    Ok(case.get("input").cloned())
}

/// The value of the rule; `None` where there is none: it is undefined, or a builtin fails, which without strict errors is the same.
fn wanted(case: &Value) -> Result<Option<Value>, &'static str> {
    match case["want_result"].as_array().map(Vec::as_slice) {
        None | Some([]) => Ok(None),
        Some([one]) => Ok(Some(one["x"].clone())),
        Some(_) => Err("a query with several answers"),
    }
}

fn outcome(case: &Value) -> Outcome {
    let (text, input) = match policy_of(case) {
        Ok(policy) => policy,
        Err(why) => return Outcome::NotAPolicy(why),
    };
    let program = match Program::compile(&text) {
        Ok(program) => program,
        Err(error) => return Outcome::Refused(refusal(&error)),
    };
    let budget = Budget {
        evaluation: Duration::from_secs(20),
        ..Budget::default()
    };
    let conflicts = case["want_error_code"] == "eval_conflict_error";
    match program.evaluate(&input, &budget) {
        Ok(Decision::Pass) if !conflicts => Outcome::Equal,
        Err(EvalError::Policy { .. }) if case.get("want_error_code").is_some() => Outcome::Equal,
        other => Outcome::Different(format!("{other:?}")),
    }
}

/// The reason in a few words, without what depends on the text.
fn refusal(error: &CompileError) -> String {
    match error {
        CompileError::ForbiddenBuiltin { name, .. } => format!("builtin {name}"),
        CompileError::UnknownFunction { name } => format!("function {name}"),
        CompileError::Arity { name, .. } => format!("arity of {name}"),
        CompileError::Parse { .. } => "parse".to_owned(),
        other => other.to_string(),
    }
}

fn suite(vectors: &Path) -> BTreeMap<String, Outcome> {
    let mut outcomes = BTreeMap::new();
    let mut files: Vec<_> = std::fs::read_dir(vectors.join("opa-conformance"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for file in files {
        let folder = file.file_stem().unwrap().to_string_lossy().into_owned();
        let cases: Map<String, Value> =
            serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        for case in cases["cases"].as_array().unwrap() {
            let mut name = format!("{folder}: {}", case["note"].as_str().unwrap());
            while outcomes.contains_key(&name) {
                name.push('+');
            }
            outcomes.insert(name, outcome(case));
        }
    }
    outcomes
}

/// Differences that are no mistake of anybody, each with its reason.
const DIFFERENCES: [(&str, &str); 7] = [
    (
        "dataderef: data/nested integer",
        "the case is about how OPA's server stores data; an input has no number for a key",
    ),
    (
        "numbersrangestep: numbersrangestep/big int step",
        "a step beyond 64 bits is undefined: it denies, where OPA gives a list of one number",
    ),
    (
        "virtualdocs: virtualdocs/undefined: in array coprehension body",
        "the case has no input; a policy always has one",
    ),
    (
        "virtualdocs: virtualdocs/undefined: in array literal",
        "the case has no input; a policy always has one",
    ),
    (
        "virtualdocs: virtualdocs/undefined: in set coprehension body",
        "the case has no input; a policy always has one",
    ),
    (
        "virtualdocs: virtualdocs/undefined: in set literal",
        "the case has no input; a policy always has one",
    ),
    (
        "withkeyword: withkeyword/builtin-value: arity-1, input must still be defined",
        "the case has no input; a policy always has one",
    ),
];

/// How many cases are refused when they are compiled, and why: see `docs/policies.md`.
const REFUSED: [(&str, usize); 5] = [
    ("a builtin that is refused", 50),
    ("a builtin that this engine does not have", 391),
    ("syntax that this engine does not read", 119),
    ("rules that this engine does not put together", 10),
    ("a `with` that this engine does not follow, or too large", 6),
];

/// The class of a refusal, in the words of [`REFUSED`].
fn class(refusal: &str) -> &'static str {
    let [refused, missing, syntax, heads, others] = REFUSED.map(|(class, _)| class);
    match refusal.split(' ').next().unwrap() {
        "builtin" => refused,
        "function" => missing,
        "parse" => syntax,
        "rules" => heads,
        _ => others,
    }
}

#[test]
fn every_case_of_opa_is_equal_or_refused_or_listed() {
    let Some(vectors) = support::vectors::vectors() else {
        return;
    };
    let outcomes = suite(&vectors);
    let (mut equal, mut out_of_scope) = (0, 0);
    let (mut refused, mut different) = (BTreeMap::<&str, usize>::new(), Vec::new());
    for (name, outcome) in &outcomes {
        match outcome {
            Outcome::Equal => equal += 1,
            Outcome::NotAPolicy(_) => out_of_scope += 1,
            Outcome::Refused(why) => *refused.entry(class(why)).or_default() += 1,
            Outcome::Different(why) => different.push((name.as_str(), why)),
        }
    }
    let unlisted: Vec<_> = different
        .iter()
        .filter(|(name, _)| !DIFFERENCES.iter().any(|(listed, _)| listed == name))
        .collect();
    assert!(unlisted.is_empty(), "{unlisted:#?}");
    assert_eq!(
        different.len(),
        DIFFERENCES.len(),
        "listed and not different"
    );
    assert_eq!(refused, BTreeMap::from(REFUSED), "refused");
    assert_eq!((equal, out_of_scope, outcomes.len()), (1292, 192, 2067));
}
