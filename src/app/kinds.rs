//! The file of `--kinds`: custom resources that run images.

use std::path::Path;

use anyhow::{Context as _, bail};

use crate::workload::{ConfiguredKinds, Kinds};

/// The most that is read of the file, in bytes.
const BYTES: u64 = 256 << 10;

/// The kinds of Kubernetes, and those in the file, if there is one.
pub fn read(file: Option<&Path>) -> anyhow::Result<Kinds> {
    let Some(file) = file else {
        return Ok(Kinds::built_in());
    };
    let name = file.display();
    let size = std::fs::metadata(file)
        .with_context(|| format!("cannot read the kinds of --kinds {name}"))?
        .len();
    if size > BYTES {
        bail!("the kinds of --kinds {name} have {size} bytes, at most {BYTES} are read");
    }
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the kinds of --kinds {name}"))?;
    let written: ConfiguredKinds = serde_saphyr::from_str(&text).with_context(|| {
        format!(
            "the kinds of --kinds {name} cannot be read; docs/kinds.md shows how they are written"
        )
    })?;
    Kinds::with(&written).map_err(|problems| {
        let lines: Vec<String> = problems
            .iter()
            .map(|problem| format!("  {problem}"))
            .collect();
        anyhow::anyhow!(
            "the kinds of --kinds {name} cannot be used:\n{}",
            lines.join("\n")
        )
    })
}
