//! Where recorded answers of other implementations lie.

use std::path::{Path, PathBuf};

/// The folder of recorded vectors: the one that `VOUCHSAFE_VECTORS` names, else `shared/vectors` next to this package.
///
/// When there is none, says so and gives nothing; but where CI names a folder, its absence fails the test.
#[expect(
    clippy::print_stdout,
    reason = "a skipped test says so where test output goes"
)]
pub(crate) fn vectors() -> Option<PathBuf> {
    let named = std::env::var_os("VOUCHSAFE_VECTORS").map(PathBuf::from);
    let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    let is_required = is_ci && named.is_some();
    let folder =
        named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"));
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(
        !is_required,
        "vectors not found at {}, which VOUCHSAFE_VECTORS names",
        folder.display()
    );
    println!(
        "vectors not found at {}, set VOUCHSAFE_VECTORS",
        folder.display()
    );
    None
}
