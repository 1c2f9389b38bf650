//! Rego: whatever compiles is answered within its budget, the same each time.

#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use vouchsafe::predicate_policy::{Budget, EvalError, Program};

// A panic of the engine is caught where the engine is called (T-11), and no finding; one of an assertion here still ends the run.
fuzz_target!(init: drop(std::panic::take_hook()), |source: &str| {
    let Ok(program) = Program::compile(source) else {
        return;
    };
    let mut budget = Budget::default();
    budget.evaluation = Duration::from_millis(50);
    let started = Instant::now();
    let answer = program.evaluate(
        r#"{"predicate":{"builder":{"id":"a"},"n":[1,2,3]}}"#,
        &budget,
    );
    let took = started.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    if let Err(EvalError::Internal { message }) = answer {
        assert_eq!(message, "the engine panicked");
    }
});
