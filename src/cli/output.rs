//! How commands write what they found: for people or for machines, and within which bounds.

use clap::ValueEnum;
use serde::Serialize;

use super::print;
use crate::explain::printable_line;

/// The longest line that is printed of what somebody else wrote, in bytes.
pub(super) const LINE_BYTES: usize = 4096;

/// What `--output` may say. Which schema the JSON has, the flag says.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Output {
    /// For people
    #[default]
    Text,
    /// For machines
    Json,
}

impl Output {
    /// Writes a report to standard output: as `text` words it, or as it is.
    pub(super) fn write<R: Serialize>(
        self,
        report: &R,
        text: impl FnOnce(&R) -> String,
    ) -> anyhow::Result<()> {
        match self {
            Self::Text => print(&text(report)),
            Self::Json => print(&format!("{}\n", serde_json::to_string_pretty(report)?)),
        }
    }
}

/// A line for each text, with `margin` before it; what could move a cursor is escaped.
pub(super) fn lines<'a>(margin: &str, texts: impl IntoIterator<Item = &'a str>) -> String {
    let lines = texts.into_iter();
    let lines: Vec<String> = lines
        .map(|text| format!("{margin}{}\n", printable_line(text, LINE_BYTES)))
        .collect();
    lines.concat()
}
