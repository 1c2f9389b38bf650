//! SLSA provenance v0.2 as Tekton Chains writes it for a `TaskRun`.
//!
//! In come who built it and from what, out comes a predicate.

use serde_json::{Value, json};

/// The predicate type of SLSA provenance v0.2.
pub const SLSA_PROVENANCE_V02: &str = "https://slsa.dev/provenance/v0.2";

/// The predicate of a `TaskRun` by `builder` (`https://tekton.dev/chains/v2`) from `commit` (SHA-1 in hex) of `source_repository`
/// (`https://git.example/shop/app`).
///
/// The material's URI is `git+` and the repository, ending in `.git`, as SPDX and Tekton Chains write it.
pub fn slsa_v02(builder: &str, source_repository: &str, commit: &str) -> Value {
    let source = source_repository
        .strip_suffix(".git")
        .unwrap_or(source_repository);
    json!({
        "builder": {"id": builder},
        "buildType": "tekton.dev/v1beta1/TaskRun",
        "invocation": {"configSource": {}, "parameters": {}},
        "buildConfig": {"steps": [{
            "annotations": null,
            "arguments": null,
            "entryPoint": "make image",
            "environment": {"container": "build"},
        }]},
        "materials": [{"uri": format!("git+{source}.git"), "digest": {"sha1": commit}}],
        "metadata": {
            "buildStartedOn": "2026-11-21T09:00:00Z",
            "buildFinishedOn": "2026-11-21T09:01:30Z",
            "completeness": {"environment": false, "materials": false, "parameters": false},
            "reproducible": false,
        },
    })
}
