//! Vouchsafe.
