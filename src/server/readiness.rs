//! Whether the process may be sent requests: a list of what is still pending.
//!
//! Each part that must be there first registers under a name and says [`Pending::ready`] when it is. Nothing falls back: trouble
//! of a registry or an API server after that must not empty the Service. Only stopping ends readiness.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is pending before requests may come. Cheap to clone; all clones are one list.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// How often a name is registered and not yet ready.
    pending: BTreeMap<&'static str, usize>,
    stopping: bool,
}

/// One thing that is not ready yet. Dropping it without [`Pending::ready`] leaves it pending: a part that failed is not ready.
#[derive(Debug)]
#[must_use = "what is registered stays pending until it says that it is ready"]
pub struct Pending {
    readiness: Readiness,
    name: &'static str,
}

// === impl Readiness ===

impl Readiness {
    /// An empty list: ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds something that must be ready first.
    pub fn register(&self, name: &'static str) -> Pending {
        *self.state().pending.entry(name).or_default() += 1;
        Pending {
            readiness: self.clone(),
            name,
        }
    }

    /// Ends readiness for good: the process is about to stop, and endpoints are to be withdrawn.
    pub fn stop(&self) {
        self.state().stopping = true;
    }

    /// What stands in the way, in the order of names; empty when ready.
    pub fn pending(&self) -> Vec<&'static str> {
        let state = self.state();
        let stopping = state.stopping.then_some("stopping");
        state.pending.keys().copied().chain(stopping).collect()
    }

    /// A lock that a panic elsewhere cannot take from us: every change is one step.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Pending ===

impl Pending {
    /// It is ready.
    pub fn ready(self) {
        let mut state = self.readiness.state();
        if let Some(count) = state.pending.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                state.pending.remove(self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ready_when_all_that_registered_say_so() {
        let readiness = Readiness::new();
        let (policies, certificate) = (
            readiness.register("policies"),
            readiness.register("certificate"),
        );
        assert_eq!(readiness.pending(), ["certificate", "policies"]);
        policies.ready();
        assert_eq!(readiness.pending(), ["certificate"]);
        certificate.ready();
        assert!(readiness.pending().is_empty());
    }

    #[test]
    fn waits_for_both_of_one_name() {
        let readiness = Readiness::new();
        let (one, other) = (
            readiness.register("policies"),
            readiness.register("policies"),
        );
        one.ready();
        assert_eq!(readiness.pending(), ["policies"]);
        other.ready();
        assert!(readiness.pending().is_empty());
    }

    #[test]
    fn a_part_that_gave_up_stays_pending() {
        let readiness = Readiness::new();
        drop(readiness.register("policies"));
        assert_eq!(readiness.pending(), ["policies"]);
    }

    #[test]
    fn is_not_ready_while_stopping() {
        let readiness = Readiness::new();
        readiness.stop();
        assert_eq!(readiness.pending(), ["stopping"]);
    }
}
