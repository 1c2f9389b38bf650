//! Vouchsafe.

pub mod api;
