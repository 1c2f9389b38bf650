use super::*;

fn compile(source: &str) -> Program {
    Program::compile(source).unwrap()
}
#[test]
fn smoke() {
    let p = compile(
        "package sigstore\ndefault isCompliant = false\nisCompliant { print(\"x\", input.a); startswith(input.a, \"b\"); x := count(input.l) + 1; x == y(3); walk(input, [p, v]); v == 7 }\ny(z) = w { w := z - 1 }",
    );
    for i in [
        r#"{"a":"bc","l":[7]}"#,
        r#"{"a":"bc","l":[7],"z":"}"}"#,
        r#"{"a":"cc","l":[7]}"#,
        r#"{"a":1,"l":3}"#,
    ] {
        println!("{:?}", p.evaluate(i, &Budget::default()));
    }
    let t = std::time::Instant::now();
    for _ in 0..1000 {
        let _ = p.evaluate(r#"{"a":"bc","l":[7]}"#, &Budget::default());
    }
    println!("{:?}/1000", t.elapsed());
}
