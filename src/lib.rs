//! Vouchsafe.
pub mod adapters;
pub mod evidence;
pub mod gather;
pub mod image;
pub mod limits;
pub mod server;
pub mod statement;
pub mod telemetry;
pub mod trust;
pub mod verdict;
pub mod verify;
pub mod workload;
