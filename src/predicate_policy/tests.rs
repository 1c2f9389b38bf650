//! What policies mean, what is refused before evaluation, and the bounds.

use super::*;

fn compile(source: &str) -> Program {
    Program::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"))
}

/// The decision of `isCompliant = value` for an empty input.
fn decide(value: &str) -> Decision {
    compile(&format!("package sigstore\nisCompliant = {value}"))
        .evaluate("{}", &Budget::default())
        .unwrap()
}

fn refusal(rules: &str) -> CompileError {
    Program::compile(&format!("package sigstore\n{rules}")).unwrap_err()
}

const PLAIN: &str = "policy is not compliant for query 'isCompliant = data.sigstore.isCompliant'";

#[test]
fn booleans_decide() {
    assert_eq!(decide("true"), Decision::Pass);
    assert_eq!(decide("false").message().unwrap(), PLAIN);
    assert_eq!(decide("input.absent").message().unwrap(), PLAIN);
}

#[test]
fn values_that_upstream_does_not_read_fail() {
    for value in ["1", r#""true""#, "null", r#"{"result": true}"#] {
        assert_eq!(decide(value).message().unwrap(), PLAIN, "{value}");
    }
}

#[test]
fn the_first_compliant_element_decides() {
    assert_eq!(
        decide(r#"[{"result": false, "error": "e"}, {"result": true}]"#),
        Decision::Pass
    );
    assert_eq!(
        decide(r#"[{"Result": true, "error": null}]"#),
        Decision::Pass
    );
    let warned = decide(r#"[{"result": true, "warning": "old"}, {"result": true}]"#);
    assert_eq!(warned, Decision::Warn(vec!["warning: old".to_owned()]));
}

#[test]
fn the_last_error_is_told() {
    let set = r#"{{"result": false, "error": "a"}, {"result": false, "error": "b"}}"#;
    let expected = Decision::Fail(vec![PLAIN.to_owned(), "with errors: b".to_owned()]);
    assert_eq!(decide(set), expected);
    assert_eq!(
        decide(set).message().unwrap(),
        format!("{PLAIN} with errors: b")
    );
}

#[test]
fn an_empty_set_fails_with_double_quotes() {
    let program = compile("package sigstore\nisCompliant[x] { x := input.absent }");
    let decision = program.evaluate("{}", &Budget::default()).unwrap();
    assert_eq!(
        decision.message().unwrap(),
        r#"policy is not compliant for query "isCompliant = data.sigstore.isCompliant""#
    );
}

#[test]
fn elements_and_fields_of_wrong_types_fail_without_a_panic() {
    for (value, why) in [
        ("[true]", "element is a boolean, expected an object"),
        (r#"["x"]"#, "element is a string, expected an object"),
        (
            r#"[{"result": "true"}]"#,
            "field result is a string, expected a boolean",
        ),
        (
            r#"[{"result": false, "error": 1}]"#,
            "field error is a number, expected a string",
        ),
        (
            r#"[{"result": true, "warning": []}]"#,
            "field warning is an array, expected a string",
        ),
        ("[{1: true}]", "field name is a number, expected a string"),
    ] {
        let message = decide(value).message().unwrap();
        assert_eq!(
            message,
            format!("{PLAIN} due to parsing errors: {why}"),
            "{value}"
        );
    }
}

#[test]
fn reads_v0_first_and_v1_only_when_needed() {
    for (source, dialect) in [
        ("package sigstore\nisCompliant { true }", Dialect::V0),
        (
            "package sigstore\nimport rego.v1\nisCompliant if { true }",
            Dialect::V0,
        ),
        (
            "package sigstore\nimport future.keywords.if\nisCompliant if { true }",
            Dialect::V0,
        ),
        ("package sigstore\nisCompliant if { true }", Dialect::V1),
        (
            "package sigstore\n# if\nisCompliant { \"if\" == `if` }",
            Dialect::V0,
        ),
        (
            "package sigstore\nisCompliant { if := 1; if == 1 }",
            Dialect::V0,
        ),
    ] {
        let program = compile(source);
        assert_eq!(program.dialect(), dialect, "{source}");
        let decision = program.evaluate("{}", &Budget::default());
        assert_eq!(decision, Ok(Decision::Pass), "{source}");
    }
}

/// The engine alone reads each of these as v0, with a rule `isCompliant` that always holds.
#[test]
fn does_not_take_the_condition_off_a_v1_rule() {
    for rules in [
        "isCompliant if { input.a == 1 }",
        "isCompliant if input.a == 1",
        "isCompliant := true if { input.a == 1 }",
        "isCompliant = true if { input.a == 1 }",
        "isCompliant if {\n  input.a == 1\n}\nhelper if { input.b }",
        "isCompliant { false } else = true if { input.a == 1 }",
        "isCompliant contains {\"result\": true} if { input.a == 1 }",
        "isCompliant[x] if { x := {\"result\": true}; input.a == 1 }",
        "isCompliant if f(input.a)\nf(x) if { x == 1 }",
        "isCompliant if { f(input.a) }\nf(x) := true if x == 1",
    ] {
        if let Ok(program) = Program::compile(&format!("package sigstore\n{rules}")) {
            let decision = program.evaluate(r#"{"a": 2, "b": 1}"#, &Budget::default());
            assert_ne!(decision, Ok(Decision::Pass), "{rules}");
        }
    }
    let program = compile("package sigstore\nisCompliant if { input.a == 1 }");
    assert_eq!(
        program.evaluate(r#"{"a": 1}"#, &Budget::default()),
        Ok(Decision::Pass)
    );
}

#[test]
fn builtin_errors_are_undefined() {
    let program = compile(
        "package sigstore\nisCompliant { not to_number(\"x\"); not 1 / 0; not abs(\"a\"); not input.a + 1 }",
    );
    let decision = program.evaluate(r#"{"a": [1]}"#, &Budget::default());
    assert_eq!(decision, Ok(Decision::Pass));
}

#[test]
fn refuses_what_is_no_policy() {
    assert!(matches!(
        Program::compile("package"),
        Err(CompileError::Parse { .. })
    ));
    assert!(matches!(
        Program::compile(""),
        Err(CompileError::Parse { .. })
    ));
    let package = Program::compile("package signature\nisCompliant = true");
    let found = "signature".to_owned();
    assert_eq!(package.unwrap_err(), CompileError::Package { found });
    assert_eq!(refusal("allow = true"), CompileError::MissingRule);
    assert!(matches!(
        refusal("isCompliant { x > 1 }"),
        CompileError::Unsound { .. }
    ));
    let reserved = "isCompliant { __vouchsafe_operand(1, 0) }";
    assert!(matches!(
        refusal(reserved),
        CompileError::ReservedName { .. }
    ));
}

#[test]
fn refuses_unknown_functions_at_compile_time() {
    for call in [
        "crypto.sha256(\"a\")",
        "missing(1)",
        "io.jwt.decode(\"a\")",
        "other(1)",
    ] {
        let error = refusal(&format!(
            "other = 1\nisCompliant {{ false; x := [1 | {call}] }}"
        ));
        assert!(
            matches!(error, CompileError::UnknownFunction { .. }),
            "{call}: {error}"
        );
    }
    assert!(matches!(
        refusal("isCompliant { startswith(\"a\") }"),
        CompileError::Arity { .. }
    ));
}

#[test]
fn refuses_builtins_that_reach_out_or_vary_even_as_objects_of_with() {
    for use_of in [
        "http.send({\"url\": \"https://example.com\"})",
        "opa.runtime()",
        "net.cidr_expand(\"10.0.0.0/8\")",
        "rand.intn(\"a\", 9)",
        "uuid.rfc4122(\"a\")",
        "f(1) with http.send as f",
        "f(1) with f as http.send",
        "f(1) with f as data.sigstore.g with g as opa.runtime",
        "[x | x := http[\"send\"]({})]",
    ] {
        let error = refusal(&format!("f(x) = x\ng(x) = x\nisCompliant {{ {use_of} }}"));
        let expected = matches!(error, CompileError::ForbiddenBuiltin { .. });
        let unparsed = matches!(error, CompileError::Parse { .. });
        assert!(
            expected || (unparsed && use_of.contains('[')),
            "{use_of}: {error}"
        );
    }
}

#[test]
fn refuses_every_shape_of_recursion() {
    for rules in [
        "f(n) = f(n + 1)",
        "f(n) = g(n)\ng(n) = f(n)",
        "f(n) = data.sigstore.f(n)",
        "f(n) = data.sigstore[\"f\"](n)",
        "import data.sigstore as me\nf(n) = me.f(n)",
        "import data.sigstore.f as g\nf(n) = g(n)",
        "f(n) = 1 { false } else = f(n)",
        "f(n) = [x | x := f(n)]",
        "f(n) = {x: 1 | x := f(n)}",
        "f(n) { not f(n) }",
        "f(n) = n { x := {\"a\": f(n)}; x }",
        "f(n) = input.x[f(n)]",
        "f(n) = n { input.x with input as f(n) }",
        "f(n) = x { x := g(n) with g as f }\ng(n) = n",
        "f(n) = r\nr = f(1)",
        "f(n) = data.sigstore[n]",
        "default f(_) = 1\nf(n) = f(n)",
        "r { s }\ns { r }",
        "r[x] { x := r[_] }",
    ] {
        let error = refusal(&format!("{rules}\nisCompliant {{ f(1) }}\n").replace(
            "isCompliant { f(1) }",
            if rules.starts_with('r') {
                "isCompliant { r }"
            } else {
                "isCompliant { f(1) }"
            },
        ));
        assert!(
            matches!(error, CompileError::RecursiveCall { .. }),
            "{rules}: {error}"
        );
    }
    let error = refusal("f(n) = g(n)\ng(n) = f(n)\nisCompliant { f(1) }");
    let cycle = ["f", "g", "f"].map(str::to_owned).to_vec();
    assert_eq!(error, CompileError::RecursiveCall { cycle });
}

#[test]
fn accepts_names_that_only_look_recursive() {
    for rules in [
        "f(n) = x { x := n }\nx = f(1)\nisCompliant { x }",
        "violations[m] { m := \"a\" }\nisCompliant { count(violations) == 1 }",
        "a.f(n) = n\na.g(n) = 1 { data.sigstore.a.f(n) }\nisCompliant { data.sigstore.a.g(1) }",
        "isCompliant { errors := []; count(errors) == 0 }\nerrors { isCompliant }",
    ] {
        let program = compile(&format!("package sigstore\n{rules}"));
        assert_eq!(
            program.evaluate("{}", &Budget::default()),
            Ok(Decision::Pass),
            "{rules}"
        );
    }
}

#[test]
fn refuses_text_that_takes_too_much_to_parse() {
    let nested = format!(
        "isCompliant {{ x := {}1{} }}",
        "[".repeat(24),
        "]".repeat(24)
    );
    let large = format!("# {}\nisCompliant = true", "x".repeat(300_000));
    let many = format!("isCompliant {{ x := [{}] }}", "1,".repeat(60_000));
    let number = "isCompliant { x := 1e999999999 }".to_owned();
    let long = "a { true }\n".repeat(3000) + "isCompliant = true";
    for rules in [nested, large, many, number, long] {
        let error = refusal(&rules);
        assert!(matches!(error, CompileError::TooLarge { .. }), "{error}");
    }
    // The same characters in texts and comments are nothing.
    let text = "isCompliant { # [[[[[[[[[[[[[[[[[[[[[[[[[[[[ 1e999999\nx := \"[[[[[[[[[[[[[[[[[[[[[[[[[[ 1e99999\\\"[\"; y := `[[[[[[[[[[[[[[[[[[[[[[[[[1e99999` }";
    compile(&format!("package sigstore\n{text}"));
}

#[test]
fn refuses_input_beyond_its_budget() {
    let program = compile("package sigstore\nisCompliant = true");
    let budget = Budget {
        input_bytes: 4096,
        ..Budget::default()
    };
    let long = format!("\"{}\"", "a".repeat(5000));
    let amplified = format!("[{}[]]", "[],".repeat(1000));
    for input in [long, amplified] {
        let error = program.evaluate(&input, &budget).unwrap_err();
        assert!(matches!(error, EvalError::InputTooLarge { .. }), "{error}");
        assert!(error.is_budget());
    }
    for input in ["", "{", "nothing", "1e99999", &"[".repeat(200)] {
        let error = program.evaluate(input, &budget).unwrap_err();
        assert!(matches!(error, EvalError::Input { .. }), "{error}");
    }
}

#[test]
fn refuses_results_beyond_their_budget() {
    let program = compile("package sigstore\nisCompliant[x] { x := {\"error\": input.s} }");
    let budget = Budget {
        output_bytes: 1000,
        ..Budget::default()
    };
    let input = format!(r#"{{"s": "{}"}}"#, "a".repeat(2000));
    let error = program.evaluate(&input, &budget).unwrap_err();
    assert_eq!(error, EvalError::OutputTooLarge { limit: 1000 });
}

#[test]
fn a_tripped_budget_wins_over_any_result() {
    // The engine drops the error of the first body, since the second has a value.
    let program = compile(
        "package sigstore\nf(x) = true { count(numbers.range(1, 99999999)) > 0 }\nf(x) = true { true }\nisCompliant { f(1) }",
    );
    let error = program.evaluate("{}", &Budget::default()).unwrap_err();
    assert!(
        matches!(
            error,
            EvalError::Builtin {
                name: "numbers.range",
                ..
            }
        ),
        "{error}"
    );
    let program = compile(
        "package sigstore\ndefault isCompliant = true\nisCompliant = false { not numbers.range(1, 99999999) }",
    );
    let error = program.evaluate("{}", &Budget::default()).unwrap_err();
    assert!(error.is_budget(), "{error}");
}

#[test]
fn one_evaluation_does_not_take_from_the_next() {
    let program =
        compile("package sigstore\nisCompliant { count(numbers.range(1, 600000)) > input.a }");
    for _ in 0..4 {
        let decision = program.evaluate(
            r#"{"a": 1}"#,
            &Budget {
                evaluation: Duration::from_secs(5),
                ..Budget::default()
            },
        );
        assert_eq!(decision, Ok(Decision::Pass));
    }
}

#[test]
fn contradicting_rules_are_an_error() {
    let program = compile("package sigstore\nisCompliant = 1 { true }\nisCompliant = 2 { true }");
    let error = program.evaluate("{}", &Budget::default()).unwrap_err();
    assert!(matches!(error, EvalError::Policy { .. }), "{error}");
}

/// T-45: the idiom of almost every policy that looks for something anywhere.
#[test]
fn walk_with_one_argument_gives_every_value_with_its_path() {
    let found = r#"{path | [path, "needle"] := walk({"a": [{"b": "needle"}], "c": "needle"})}"#;
    for body in [
        format!(r#"{found} == {{["a", 0, "b"], ["c"]}}"#),
        r#"[_, value] = walk([["x", 1]]); value == 1"#.to_owned(),
        "count([pair | pair := walk([[1], 2])]) == 4".to_owned(),
        r#"not has({"a": 1}, "b"); has({"a": {"b": 1}}, "b") }
has(value, key) { walk(value)[0][_] == key"#
            .to_owned(),
        "[_, x] := walk([walk([7])[1]]); x == 7".to_owned(),
    ] {
        let program = compile(&format!("package sigstore\nisCompliant {{ {body} }}"));
        let decision = program.evaluate("{}", &Budget::default());
        assert_eq!(decision, Ok(Decision::Pass), "{body}");
    }
}

/// T-45: what the engine's own would answer otherwise than OPA's.
#[test]
fn builtins_answer_as_those_of_opa_do() {
    for body in [
        r#"strings.count("11111", "11") == 2"#,
        r#"strings.count("aaa", "") == 4"#,
        "json.is_valid(1) == false",
        "yaml.is_valid({}) == false",
        r#"json.is_valid("{}")"#,
    ] {
        let program = compile(&format!("package sigstore\nisCompliant {{ {body} }}"));
        let decision = program.evaluate("{}", &Budget::default());
        assert_eq!(decision, Ok(Decision::Pass), "{body}");
    }
}

/// T-45: the engine looks up the second rule alone, and what the first one says would be missing without a word.
#[test]
fn refuses_rules_that_the_engine_does_not_put_together() {
    for rules in [
        "p[x].r contains 1 if { some x in input }\np.b.r contains 2",
        "p[x] contains 1 if { some x in input }\np.b contains 2",
        "p[x].r := 1 if { some x in input }\np.b.s := 2",
    ] {
        let refused = refusal(&format!(
            "import rego.v1\n{rules}\nisCompliant if {{ p.b }}"
        ));
        assert!(
            matches!(refused, CompileError::OverlappingHeads { .. }),
            "{rules}: {refused}"
        );
    }
    for rules in [
        "deny[\"a\"] { true }\ndeny[m] { m := input.x }\nisCompliant { count(deny) == 1 }",
        "p[x] = 1 { x := input.x }\np[\"b\"] = 2 { true }\nisCompliant { p.b == 2 }",
    ] {
        let program = compile(&format!("package sigstore\n{rules}"));
        let decision = program.evaluate("{}", &Budget::default());
        assert_eq!(decision, Ok(Decision::Pass), "{rules}");
    }
}

#[test]
fn erases_print() {
    let program = compile("package sigstore\nisCompliant { print(input.absent, \"x\"); print(1) }");
    assert_eq!(
        program.evaluate("{}", &Budget::default()),
        Ok(Decision::Pass)
    );
}

#[test]
fn names_that_double_are_stopped_however_they_are_bound() {
    let chain = |step: &dyn Fn(usize) -> String| -> String {
        (0..40).map(step).collect::<Vec<_>>().join("\n")
    };
    let body = |step: &dyn Fn(usize) -> String| format!("isCompliant {{\n{}\n}}", chain(step));
    for (how, rules) in [
        (
            "let",
            body(&|n| format!("x{} := [x{n}, x{n}]", n + 1)).replacen('\n', "\nx0 := 1\n", 1),
        ),
        (
            "object",
            body(&|n| format!("x{} := {{1: x{n}, 2: x{n}}}", n + 1)).replacen(
                '\n',
                "\nx0 := 1\n",
                1,
            ),
        ),
        (
            "unified",
            body(&|n| format!("x{} = [x{n}, x{n}]", n + 1)).replacen('\n', "\nx0 = 1\n", 1),
        ),
        (
            "unified object",
            body(&|n| format!("x{} = {{1: x{n}, 2: x{n}}}", n + 1)).replacen('\n', "\nx0 = 1\n", 1),
        ),
        (
            "rules",
            chain(&|n| format!("x{} = [x{n}, x{n}]", n + 1)) + "\nx0 = 1\nisCompliant { x40 }",
        ),
        (
            "object rules",
            chain(&|n| format!("x{} = {{1: x{n}, 2: x{n}}}", n + 1))
                + "\nx0 = 1\nisCompliant { x40 }",
        ),
        (
            "functions",
            chain(&|n| format!("f{}(a) = f{n}([a, a])", n + 1))
                + "\nf0(a) = [a, a]\nisCompliant { f40(1) }",
        ),
        (
            "results",
            chain(&|n| format!("f{}(a) = [x, x] {{ x := f{n}(a) }}", n + 1))
                + "\nf0(a) = [a, a]\nisCompliant { f40(1) }",
        ),
        (
            "comprehensions",
            body(&|n| format!("x{} := [x{n} | [1, 2][_]]", n + 1)).replacen('\n', "\nx0 := 1\n", 1),
        ),
    ] {
        let error = compile(&format!("package sigstore\n{rules}")).evaluate(
            "{}",
            &Budget {
                evaluation: Duration::from_secs(10),
                ..Budget::default()
            },
        );
        assert!(
            error.as_ref().is_err_and(EvalError::is_budget),
            "{how}: {error:?}"
        );
    }
}

/// The deepest policies that compile, on half of the stack that threads have by default.
#[test]
fn evaluation_does_not_exhaust_the_stack() {
    type Level = fn(usize) -> String;
    let shapes: [(&str, Level, &str); 8] = [
        ("rules", |n| format!("f{} = f{n}", n + 1), "f0 = true"),
        (
            "functions",
            |n| format!("f{}(a) = f{n}(a)", n + 1),
            "f0(a) = a",
        ),
        (
            "arithmetic",
            |n| format!("f{}(a) = 1+(1+(1+(1+(1+f{n}(a)))))", n + 1),
            "f0(a) = a",
        ),
        (
            "arguments",
            |n| format!("f{}(a) = concat(\"\", [concat(\"\", [f{n}(a)])])", n + 1),
            "f0(a) = \"\"",
        ),
        (
            "loops",
            |n| {
                format!(
                    "f{}(a) {{ input.x[_]; input.x[_]; input.x[_]; f{n}(a) }}",
                    n + 1
                )
            },
            "f0(a) = a",
        ),
        (
            "comprehensions",
            |n| format!("f{}(a) = [x | x := [y | y := f{n}(a)]]", n + 1),
            "f0(a) = a",
        ),
        (
            "with",
            |n| format!("f{} {{ f{n} with input.a as 1 }}", n + 1),
            "f0 = true",
        ),
        (
            "else",
            |n| format!("f{}(a) = 1 {{ false }} else = f{n}(a)", n + 1),
            "f0(a) = a",
        ),
    ];
    for (shape, level, end) in shapes {
        let source = |levels: usize| {
            let all: Vec<_> = (0..levels).map(level).collect();
            let call = if end.contains('(') {
                format!("f{levels}(1)")
            } else {
                format!("f{levels}")
            };
            format!(
                "package sigstore\n{}\n{end}\nisCompliant {{ {call} }}",
                all.join("\n")
            )
        };
        let deepest = (10..300).take_while(|&levels| Program::compile(&source(levels)).is_ok());
        let program = compile(&source(deepest.last().unwrap()));
        let run = move || {
            let budget = Budget {
                evaluation: Duration::from_secs(30),
                ..Budget::default()
            };
            program.evaluate(r#"{"x": [1]}"#, &budget)
        };
        let thread = std::thread::Builder::new()
            .stack_size(1024 * 1024)
            .spawn(run)
            .unwrap();
        assert!(thread.join().unwrap().is_ok(), "{shape}");
    }
    let loops = "input.x[_]\n".repeat(400);
    assert!(matches!(
        refusal(&format!("isCompliant {{\n{loops}}}")),
        CompileError::TooLarge { .. }
    ));
}
