//! Bad input on the real way: a policy file, the webhook over HTTPS, an AdmissionReview, and a registry that lies, breaks or stalls.
//!
//! Each test carries the number of the case it is owed for. What they have in common: nothing is admitted because something could
//! not be read, every answer carries the uid of its review and comes in time, and what could not be judged is never called
//! unsigned.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

#[path = "hostile/credentials.rs"]
mod credentials;
#[path = "hostile/deadlines.rs"]
mod deadlines;
#[path = "hostile/evidence.rs"]
mod evidence;
#[path = "hostile/garbage.rs"]
mod garbage;
#[path = "hostile/objects.rs"]
mod objects;
#[path = "hostile/policies.rs"]
mod policies;
#[path = "hostile/process.rs"]
mod process;
#[path = "hostile/references.rs"]
mod references;
#[path = "hostile/registry.rs"]
mod registry;
#[path = "hostile/sizes.rs"]
mod sizes;
#[path = "hostile/stage.rs"]
mod stage;
