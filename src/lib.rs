//! Vouchsafe.

pub mod demo;
pub mod image;
pub mod limits;
