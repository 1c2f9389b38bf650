//! The `vouchsafe` command.
fn main() {}
