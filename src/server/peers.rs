//! Who connects, and sharing out what there is only so much of.
//!
//! An address may hold no more than a part of what is *left free*. So one that takes all it can leaves room for the next, and many
//! that do leave some: of what is shared out one to one, each greedy address takes half of what it finds. Nobody needs to know in
//! advance which address is the API server's.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An address may hold one part in so many of the connections that are left free: 256 of 4,096, where it is the only one.
const CONNECTION_PARTS: usize = 15;

/// Where a call comes from. API servers are few of them, and so are whoever stands between (konnectivity, a NAT).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Peer(Option<IpAddr>);

/// How much there is of something, and which address holds how much of it.
#[derive(Debug)]
pub(super) struct Shares {
    total: usize,
    used: usize,
    held: HashMap<Peer, usize>,
}

/// The connections that are open, by address.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Mutex<Shares>>);

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    peer: Peer,
}

// === impl Peer ===

impl Peer {
    /// A call that came over no connection.
    pub(super) const UNKNOWN: Self = Self(None);

    /// That of a connection. An IPv4 address is the same however it is written.
    pub(super) fn new(address: IpAddr) -> Self {
        Self(Some(address.to_canonical()))
    }
}

// === impl Shares ===

impl Shares {
    /// So much, and nobody holds any of it.
    pub(super) fn new(total: usize) -> Self {
        Self {
            total,
            used: 0,
            held: HashMap::new(),
        }
    }

    /// Takes so much more for a peer, or nothing.
    ///
    /// Afterwards it holds no more than one part in `parts` of what is left free. Only whoever already holds (`own`) all that is held
    /// may go on to the end: there is nobody to leave anything to, and it alone must not fail.
    pub(super) fn take(&mut self, peer: Peer, amount: usize, own: usize, parts: usize) -> bool {
        let Some(free) = (self.total.saturating_sub(self.used)).checked_sub(amount) else {
            return false;
        };
        let held = self.held.get(&peer).copied().unwrap_or_default();
        let held = held.saturating_add(amount);
        if self.used > own && held.saturating_mul(parts) > free {
            return false;
        }
        self.used = self.used.saturating_add(amount);
        if held > 0 {
            self.held.insert(peer, held);
        }
        true
    }

    /// How much all hold together.
    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// Whether nobody holds anything.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.used == 0 && self.held.is_empty()
    }

    /// Gives back what a peer took.
    pub(super) fn give(&mut self, peer: Peer, amount: usize) {
        self.used = self.used.saturating_sub(amount);
        let left = self.held.get(&peer).copied().unwrap_or_default();
        match left.saturating_sub(amount) {
            0 => drop(self.held.remove(&peer)),
            left => drop(self.held.insert(peer, left)),
        }
    }
}

// === impl Places ===

impl Places {
    /// Room for so many connections.
    pub(super) fn new(total: usize) -> Self {
        Self(Arc::new(Mutex::new(Shares::new(total))))
    }

    /// A place for one more of this address, or none.
    pub(super) fn take(&self, peer: Peer) -> Option<Place> {
        let taken = self.lock().take(peer, 1, 0, CONNECTION_PARTS);
        taken.then(|| Place {
            places: self.clone(),
            peer,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Shares> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Place ===

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().give(self.peer, 1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn peer(number: u8) -> Peer {
        Peer::new(IpAddr::from([10, 0, 0, number]))
    }

    /// As much as this peer gets, one by one.
    fn all_that_it_gets(shares: &mut Shares, peer: Peer, parts: usize) -> usize {
        let taken = (0..1_000).take_while(|_| shares.take(peer, 1, 0, parts));
        taken.count()
    }

    #[test]
    fn whoever_takes_all_it_can_leaves_as_much_as_it_took() {
        let mut shares = Shares::new(1_000);
        assert_eq!(all_that_it_gets(&mut shares, peer(1), 1), 500);
        assert_eq!(all_that_it_gets(&mut shares, peer(2), 1), 250);
        assert_eq!(all_that_it_gets(&mut shares, peer(3), 1), 125);
    }

    #[test]
    fn one_address_gets_256_of_4096_connections_and_sixteen_leave_a_third() {
        let places = Places::new(4_096);
        let held = |number| std::iter::from_fn(|| places.take(peer(number))).collect::<Vec<_>>();
        let first = held(1);
        assert_eq!(first.len(), 256);
        let others: Vec<_> = (2..=16).flat_map(held).collect();
        assert!(
            first.len() + others.len() <= 4_096 * 2 / 3,
            "{}",
            others.len()
        );
        drop((first, others));
        assert_eq!(held(17).len(), 256);
    }

    #[test]
    fn an_ipv4_address_is_the_same_address_in_ipv6() {
        let mapped = std::net::Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped();
        assert_eq!(Peer::new(IpAddr::V6(mapped)), peer(1));
    }

    proptest! {
        /// Whoever takes and gives back what, in whatever order: never more than there is, and in the end all is free.
        #[test]
        fn all_that_was_taken_comes_back(steps in prop::collection::vec((0_u8..4, 0_usize..400, 1_usize..4, any::<bool>()), 0..200)) {
            let mut shares = Shares::new(1_000);
            let mut taken = Vec::new();
            for (number, amount, parts, gives) in steps {
                if gives && let Some((peer, amount)) = taken.pop() {
                    shares.give(peer, amount);
                } else if shares.take(peer(number), amount, 0, parts) {
                    taken.push((peer(number), amount));
                }
                let sum: usize = taken.iter().map(|(_, amount)| amount).sum();
                prop_assert_eq!(sum, shares.used());
                prop_assert!(sum <= 1_000);
            }
            for (peer, amount) in taken {
                shares.give(peer, amount);
            }
            prop_assert!(shares.is_empty());
        }
    }
}
