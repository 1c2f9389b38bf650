//! Vouchsafe.
pub mod evidence;
pub mod gather;
pub mod image;
pub mod limits;
pub mod statement;
pub mod trust;
pub mod verdict;
pub mod verify;
pub mod workload;
