//! Every builtin and construct that grows or grinds, under a limit of memory.
//!
//! The limit is 768 MiB of address space for the whole test process, of which the test binary,
//! its stacks and the allocator's reserve take a quarter before anything is evaluated: what is
//! left for an evaluation is about the 512 MiB that it is meant to end in.

use std::process::Command;
use std::time::{Duration, Instant};

use vouchsafe::predicate_policy::{Budget, EvalError, Program};

const NAME_OF_CHILD: &str = "worst_cases::child";
const IS_CHILD: &str = "VOUCHSAFE_TEST_WORST_CASES";
/// Generous: unoptimised code on a busy machine. What is sought takes minutes or the process.
const LONGEST: Duration = Duration::from_secs(3);

#[test]
fn the_process_lives_and_the_reason_is_the_budget() {
    let limited = r#"ulimit -v 786432; exec "$0" --exact "$1" --nocapture --test-threads=1"#;
    let child = Command::new("bash")
        .args(["-c", limited])
        .arg(std::env::current_exe().unwrap())
        .arg(NAME_OF_CHILD)
        .env(IS_CHILD, "1")
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&child.stdout);
    let lost = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{}\n{told}\n{lost}", child.status);
    assert!(told.contains("every worst case is over"), "{told}\n{lost}");
}

/// Runs in the process above only.
#[test]
fn child() {
    if std::env::var_os(IS_CHILD).is_none() {
        return;
    }
    let nested = (0..100).fold("1".to_owned(), |inner, _| format!("[{inner}]"));
    let input = format!(r#"{{"s": "{}", "nested": {nested}}}"#, "a".repeat(200_000));
    let cases = include_str!("worst_cases.txt").lines();
    for case in cases.filter(|line| !line.starts_with('#')) {
        let (name, statements) = case.split_once(" = ").unwrap();
        println!("{name}");
        let program =
            Program::compile(&policy(statements)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let started = Instant::now();
        let answer = program.evaluate(&input, &Budget::default());
        let took = started.elapsed();
        assert!(
            answer.as_ref().is_err_and(EvalError::is_budget),
            "{name}: {answer:?}"
        );
        assert!(took < LONGEST, "{name}: {took:?}");
    }
    refuses_amplified_input();
    println!("every worst case is over");
}

/// 32 MiB of empty arrays would take two gigabytes.
fn refuses_amplified_input() {
    let program = Program::compile("package sigstore\nisCompliant = true").unwrap();
    let input = format!("[{}[]]", "[],".repeat(11_000_000));
    let error = program.evaluate(&input, &Budget::default()).unwrap_err();
    assert!(matches!(error, EvalError::InputTooLarge { .. }), "{error}");
}

/// A whole policy around the statements of one case.
fn policy(statements: &str) -> String {
    let statements = match statements.split_once("steps(v, ") {
        Some((before, rest)) => {
            before.to_owned() + &steps("v", rest.strip_suffix(')').unwrap(), 60)
        }
        None => statements.to_owned(),
    };
    // Two million values each: as large as what has a name may become.
    let shared = |name: &str| {
        format!(
            "{name}0 := [\"a\"]; {}",
            steps(name, &format!("[{name}, {name}]"), 20)
        )
    };
    format!(
        "package sigstore
        import future.keywords.in
        s := input.s
        r := numbers.range(1, 1000)
        nested := input.nested
        dag[d20] {{ {} }}
        dag2[e20] {{ {} }}
        default isCompliant = false
        isCompliant {{ {statements} }}",
        shared("d"),
        shared("e"),
    )
}

/// `v1 := e` with `v0` for `v`, `v2 := e` with `v1` for `v`, and so on.
fn steps(var: &str, expr: &str, count: usize) -> String {
    let step = |at: usize| {
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '"';
        let words = expr.split_inclusive(|c| !is_word(c)).map(|piece| {
            let word = piece.trim_end_matches(|c| !is_word(c));
            let rest = &piece[word.len()..];
            if word == var {
                format!("{var}{at}{rest}")
            } else {
                piece.to_owned()
            }
        });
        format!("{var}{} := {}", at + 1, words.collect::<String>())
    };
    (0..count).map(step).collect::<Vec<_>>().join("; ")
}
