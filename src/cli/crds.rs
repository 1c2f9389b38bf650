//! `vouchsafe crds`.

use super::Exit;
use crate::api;

pub(super) fn run() -> anyhow::Result<Exit> {
    for definition in api::crds() {
        super::print(&format!("---\n{}", serde_saphyr::to_string(&definition)?))?;
    }
    Ok(Exit::Success)
}
