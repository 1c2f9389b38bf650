//! Vouchsafe.
pub mod limits;
