//! The root that is trusted where nobody names another one.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use sigstore_trust_root::{SIGSTORE_PRODUCTION_TRUSTED_ROOT, SIGSTORE_STAGING_TRUSTED_ROOT};

use crate::trust::{InvalidTrustRoot, TrustMaterial};

/// The most that is read of a file, in bytes: more than a trusted root may have.
const BYTES: u64 = 2 << 20;

/// The root in a file; without a file, that of the public Sigstore as this version was built with it.
///
/// # Errors
/// The outer one: the file cannot be read. The inner one: what it holds cannot be used.
pub fn trusted(
    file: Option<&Path>,
    staging: bool,
) -> anyhow::Result<Result<TrustMaterial, InvalidTrustRoot>> {
    let embedded = if staging {
        SIGSTORE_STAGING_TRUSTED_ROOT
    } else {
        SIGSTORE_PRODUCTION_TRUSTED_ROOT
    };
    let Some(path) = file else {
        return Ok(TrustMaterial::from_trusted_root_json(embedded.as_bytes()));
    };
    let mut json = Vec::new();
    File::open(path)
        .and_then(|file| file.take(BYTES).read_to_end(&mut json))
        .with_context(|| format!("cannot read the trusted root {}", path.display()))?;
    Ok(TrustMaterial::from_trusted_root_json(&json))
}
