//! Vouchsafe.

pub mod adapters;
pub mod api;
