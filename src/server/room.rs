//! The room that all bodies together may take, given out as their bytes arrive.
//!
//! What a call *claims* takes nothing. Each piece of a body takes its bytes when it is here, the whole what it will take once it is parsed
//! (T-95), and all of that is given back when the review is answered, or refused. The rules:
//!
//! 1. An address holds no more than is left free ([`super::peers`]), so that no one address can take the room from all others. A new
//!    body, and one beyond its first 256 KiB, is content with half of that: nearly all reviews take less, even parsed, and those
//!    that have begun are let finish.
//! 2. A body that finds no room waits, until the deadline of its review. What it waits for are reviews that were read to their end,
//!    each of which is over by its own deadline.
//! 3. Bodies that are half read must not wait for each other. So of each address one of them may wait; any other that finds no room
//!    is refused at once, and what it held is what the first gets. One that holds nothing yet may always wait.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::peers::{Peer, Shares};

/// The beginning of a body that is always let finish before others begin, in bytes.
const SMALL_BYTES: usize = 256 << 10;
/// Of what is left free, the part that an address may hold of bodies that are small and have begun: all of it.
const SMALL_PARTS: usize = 1;
/// And otherwise: half of it.
const PARTS: usize = 2;

/// The room; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    /// Told when room was given back.
    freed: Notify,
}

#[derive(Debug)]
struct State {
    shares: Shares,
    /// Addresses of which a body that is half read is waiting.
    waiting: HashSet<Peer>,
}

/// What one body holds, given back on drop.
#[derive(Debug)]
pub(super) struct Held {
    room: Room,
    peer: Peer,
    bytes: usize,
}

/// The one body of its address that is half read and waits.
struct Turn<'a> {
    room: &'a Room,
    peer: Peer,
}

// === impl Room ===

impl Room {
    /// Room for so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Inner {
            state: Mutex::new(State {
                shares: Shares::new(bytes),
                waiting: HashSet::new(),
            }),
            freed: Notify::new(),
        }))
    }

    /// For a body of this address. It holds nothing yet.
    pub(super) fn for_body_of(&self, peer: Peer) -> Held {
        Held {
            room: self.clone(),
            peer,
            bytes: 0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Held ===

impl Held {
    /// Takes room for so many bytes more; `false` when there is none until the deadline, or it would have to wait and may not.
    pub(super) async fn grow(&mut self, more: usize, deadline: Instant) -> bool {
        if self.try_grow(more) {
            return true;
        }
        let room = self.room.clone();
        let mut turn = None;
        if self.bytes > 0 {
            turn = Turn::take(&room, self.peer);
            if turn.is_none() {
                return false;
            }
        }
        let _held_while_waiting = turn;
        loop {
            let mut freed = std::pin::pin!(room.0.freed.notified());
            // From here on nothing that is given back is missed.
            freed.as_mut().enable();
            if self.try_grow(more) {
                return true;
            }
            if timeout_at(deadline, freed).await.is_err() {
                return false;
            }
        }
    }

    fn try_grow(&mut self, more: usize) -> bool {
        let grown = self.bytes.saturating_add(more);
        let has_begun_and_is_small = self.bytes > 0 && grown <= SMALL_BYTES;
        let parts = if has_begun_and_is_small {
            SMALL_PARTS
        } else {
            PARTS
        };
        let mut state = self.room.lock();
        let taken = state.shares.take(self.peer, more, self.bytes, parts);
        drop(state);
        if taken {
            self.bytes = grown;
        }
        taken
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.room.lock().shares.give(self.peer, self.bytes);
            self.room.0.freed.notify_waiters();
        }
    }
}

// === impl Turn ===

impl<'a> Turn<'a> {
    /// The turn of this address, unless another has it.
    fn take(room: &'a Room, peer: Peer) -> Option<Self> {
        let taken = room.lock().waiting.insert(peer);
        taken.then_some(Self { room, peer })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.room.lock().waiting.remove(&self.peer);
    }
}

#[cfg(test)]
mod tests;
