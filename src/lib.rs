//! Vouchsafe.

pub mod image;
pub mod limits;
