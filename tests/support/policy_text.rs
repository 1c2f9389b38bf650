//! Policies as text, for a key that is only known when a test runs.

use std::path::{Path, PathBuf};

/// The builder that recorded provenance names.
pub const BUILDER: &str = "https://tekton.dev/chains/v2";

/// The folder of evidence recorded from real tools.
pub fn recorded() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recorded")
}

/// A public key that a tool was recorded with: `release` or `stranger`.
pub fn recorded_key(tool: &str, name: &str) -> String {
    let path = recorded()
        .join(tool)
        .join("keys")
        .join(format!("{name}.pub"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A policy for every image: signed with this key.
pub fn signed_by(name: &str, key: &str) -> String {
    format!(
        "---\napiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {{name: {name}}}\nspec:\n  images: [{{glob: \"**\"}}]\n  authorities:\n    - name: release\n      key:\n        data: |\n{}",
        indented(key, 10)
    )
}

/// The same, which only warns.
pub fn warns_unless_signed_by(name: &str, key: &str) -> String {
    signed_by(name, key).replace("\nspec:\n", "\nspec:\n  mode: warn\n")
}

/// A policy for every image: provenance signed with this key, from the builder that was recorded.
pub fn built_by_chains(name: &str, key: &str) -> String {
    let rego = format!(
        "package sigstore\n\nfound := input.predicate.builder.id\n\nisCompliant[answer] {{\n  found == \"{BUILDER}\"\n  answer := {{\"result\": true}}\n}}\n\nisCompliant[answer] {{\n  found != \"{BUILDER}\"\n  answer := {{\"result\": false, \"error\": sprintf(\"built by %v\", [found])}}\n}}\n"
    );
    attested(name, key, &rego)
}

/// A policy for every image: provenance signed with this key, about which this program decides.
pub fn attested(name: &str, key: &str, rego: &str) -> String {
    let authority = signed_by(name, key).replace("name: release", "name: tekton-chains");
    format!(
        "{authority}      attestations:\n        - name: provenance\n          predicateType: https://slsa.dev/provenance/v0.2\n          policy:\n            type: rego\n            data: |\n{}",
        indented(rego, 14)
    )
}

fn indented(text: &str, by: usize) -> String {
    let lines: Vec<String> = text
        .lines()
        .map(|line| {
            format!(
                "{:by$}{line}
",
                ""
            )
        })
        .collect();
    lines.concat()
}
