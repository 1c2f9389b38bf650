//! Vouchsafe.

pub mod image;
