//! A serving certificate that replicas share through a Secret: what the Secret holds, and which step comes next.
//!
//! *In*: what the Secret holds ([`Contents`]), which authorities stand in every `caBundle` and since when ([`Sightings`]), what this
//! replica shows, and the time: one [`View`]. *Out*: the next [`Step`] on the Secret, whether its certificate may be shown, and when to
//! look again. Nothing here reads or writes; `adapters::cluster::serving` does, on every replica alike: there is no leader, the Secret's
//! version decides who was first.
//!
//! An authority is trusted before a certificate of it is shown, and for as long as one is (T-90):
//!
//! ```text
//!   step       what the Secret holds        caBundle   shown
//!   made       authority A                  A          A
//!   announced  A, next B                    A B        A       two thirds of A's life are over
//!   switched   B, previous A                A B        A or B  B has stood in every caBundle for the grace
//!   retired    B                            B          B       the overlap is over
//! ```
//!
//! Each replica goes from A to B when it has itself seen B in every `caBundle` for the grace, by its monotonic clock. A Secret that is
//! deleted or cannot be read is written again from what a replica remembers, with a successor: the same steps follow. A replica that
//! remembers nothing makes a new authority, and keeps trusted what the configurations trust. A replica that shows a certificate of an
//! authority that the Secret does not know puts it back among the trusted ones.

mod contents;
mod look;
mod sightings;
mod step;

pub use contents::{Contents, Unusable};
pub use look::{Shown, View};
pub use sightings::{Sight, Sightings};
pub use step::Step;

/// The most authorities that are trusted at once.
const ANCHORS: usize = 8;

#[cfg(test)]
mod tests;
