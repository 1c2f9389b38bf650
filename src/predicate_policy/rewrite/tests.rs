//! Guards and shadows change no answer: OPA's own suite, evaluated with and without them (T-45).

use std::path::Path;

use serde_json::Value as Json;

use super::super::*;

/// Cases in which the engine itself panics and the shadow answers instead.
const ENGINE_PANICS: [&str; 3] = [
    "numbersrangestep/negative",
    "strings/count_empty_string",
    "strings/count_empty_string_twice",
];

#[test]
fn guards_and_shadows_change_no_answer_of_the_opa_suite() {
    let folder = std::env::var_os("VOUCHSAFE_VECTORS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"),
        Into::into,
    );
    let Ok(files) = std::fs::read_dir(folder.join("opa-conformance")) else {
        let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        let is_named = std::env::var_os("VOUCHSAFE_VECTORS").is_some();
        assert!(!(is_ci && is_named), "{} is not there", folder.display());
        println!(
            "vectors not found at {}, set VOUCHSAFE_VECTORS",
            folder.display()
        );
        return;
    };
    let used = shadowed();
    let builtins = meter::builtins_engine(&used).unwrap();
    let (mut compared, mut guarded) = (0, 0);
    for file in files {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let suite: Json = serde_json::from_str(&text).unwrap();
        for case in suite["cases"].as_array().unwrap() {
            let Some(pair) = Pair::of(case) else { continue };
            guarded += usize::from(pair.is_guarded);
            compared += 1;
            pair.compare(case, &used, builtins.clone());
        }
    }
    assert!(compared > 1800, "{compared}");
    assert!(guarded > 500, "{guarded}");
}

/// Cases in which the engine says something else than OPA, and we do not.
const CORRECTED: [&str; 4] = [
    "jsonbuiltins/json is_valid not string",
    "jsonbuiltins/yaml is_valid not string",
    "strings/count_odd_even_case",
    "walkbuiltin/array path not overwritten",
];

fn shadowed() -> Vec<usize> {
    let table = builtins::TABLE.iter().enumerate();
    let capped =
        table.filter(|(_, builtin)| matches!(builtin.treatment, builtins::Treatment::Capped(..)));
    capped.map(|(index, _)| index).collect()
}

/// The modules of one case as they are, and with guards.
struct Pair {
    plain: Engine,
    guarded: Engine,
    is_guarded: bool,
}

impl Pair {
    /// `None` when the engine does not read the modules.
    fn of(case: &Json) -> Option<Self> {
        let engine = || {
            let mut engine = Engine::new();
            engine.set_strict_builtin_errors(false);
            engine.set_policy_length_config(PolicyLengthConfig {
                max_col: NonZeroU32::MAX,
                ..PolicyLengthConfig::default()
            });
            engine
        };
        let mut pair = Self {
            plain: engine(),
            guarded: engine(),
            is_guarded: false,
        };
        for (at, source) in case["modules"].as_array().into_iter().flatten().enumerate() {
            let source = source.as_str().unwrap();
            let parsed = parse(source, Dialect::V1).ok()?;
            let guarded = rewrite::guarded(&syntax_of(&parsed).unwrap(), source).unwrap();
            pair.is_guarded |= guarded != source;
            pair.plain
                .add_policy(at.to_string(), source.to_owned())
                .unwrap();
            pair.guarded
                .add_policy(at.to_string(), guarded.clone())
                .unwrap_or_else(|error| panic!("{}: {error}\n{guarded}", case["note"]));
        }
        Some(pair)
    }

    fn compare(mut self, case: &Json, used: &[usize], builtins: Engine) {
        let note = case["note"].as_str().unwrap();
        let meter = Arc::new(Mutex::new(Meter::new(builtins)));
        meter::install(&mut self.guarded, used, &meter).unwrap();
        let plain = answer(&mut self.plain, case);
        let guarded = answer(&mut self.guarded, case);
        assert!(
            meter::with(&meter, |meter| meter.tripped()).is_none(),
            "{note}"
        );
        match (plain, guarded) {
            (Some(Err(_)), Some(Err(_))) => {}
            (None, Some(_)) => assert!(ENGINE_PANICS.contains(&note), "{note}"),
            // Here the engine is wrong and what we do is what OPA does, which `tests/rego/opa_suite.rs` asserts.
            (plain, guarded) if CORRECTED.contains(&note) => assert_ne!(plain, guarded, "{note}"),
            (plain, guarded) => assert_eq!(plain, guarded, "{note}"),
        }
    }
}

/// The answer to the query of the case; `None` for a panic.
fn answer(engine: &mut Engine, case: &Json) -> Option<Result<Vec<Value>, String>> {
    if case["data"].is_object() {
        engine.add_data_json(&case["data"].to_string()).ok();
    }
    if let Some(input) = case.get("input") {
        engine.set_input_json(&input.to_string()).unwrap();
    }
    let query = case["query"].as_str().unwrap().to_owned();
    let results = catch_unwind(AssertUnwindSafe(|| engine.eval_query(query, false))).ok()?;
    Some(match results {
        Ok(results) => Ok(results
            .result
            .into_iter()
            .map(|result| result.bindings)
            .collect()),
        Err(error) => Err(error.to_string()),
    })
}
