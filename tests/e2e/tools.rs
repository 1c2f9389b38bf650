//! Where the real tools are, and trials that need some of them.

use std::path::PathBuf;

use libtest_mimic::{Completion, Trial};

/// The path of a tool: in `VOUCHSAFE_TOOLS`, else where `tests/tools/install` puts its links.
pub(crate) fn path(tool: &str) -> PathBuf {
    folder().join(tool)
}

/// A trial that runs when these tools are there.
pub(crate) fn trial(
    name: impl Into<String>,
    needs: &[&'static str],
    run: impl FnOnce() + Send + 'static,
) -> Trial {
    let needs = needs.to_vec();
    Trial::ignorable_test(name, move || {
        let missing: Vec<&str> = needs
            .into_iter()
            .filter(|tool| !path(tool).is_file())
            .collect();
        if missing.is_empty() {
            run();
            return Ok(Completion::Completed);
        }
        let remedy = format!(
            "missing: run tests/tools/install {} (looked in {})",
            missing.join(" "),
            folder().display()
        );
        if std::env::var("CI").is_ok_and(|ci| ci == "true") {
            return Err(remedy.into());
        }
        Ok(Completion::ignored_with(remedy))
    })
}

/// The folder of the tools.
pub(crate) fn folder() -> PathBuf {
    if let Some(named) = std::env::var_os("VOUCHSAFE_TOOLS") {
        return PathBuf::from(named);
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    cache.unwrap_or_default().join("vouchsafe-tools/bin")
}
