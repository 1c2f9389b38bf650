//! Vouchsafe.
pub mod adapters;
pub mod gather;
pub mod image;
pub mod limits;
