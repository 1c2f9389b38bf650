//! What is to be done, as one replica sees it.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::super::{Anchor, Lifetimes, SKEW, with_loopback};
use super::{Contents, Sightings, Step};

/// What this replica shows.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The authority of the certificate.
    pub anchor: Anchor,
    /// When the certificate expires.
    pub not_after: Timestamp,
    /// Since when one of this authority is shown.
    pub since: Instant,
}

/// Everything that decides.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// What the Secret holds; `None` where there is none, or none that can be used.
    pub held: Option<&'a Contents>,
    /// What it held when it was last good.
    pub remembered: Option<&'a Contents>,
    /// What this replica shows.
    pub shown: Option<&'a Shown>,
    /// What the configurations trust.
    pub sightings: &'a Sightings,
    /// The names that a certificate must have, beside the loopback ones.
    pub names: &'a [String],
    /// How long everything lives.
    pub lifetimes: &'a Lifetimes,
    /// The time of day.
    pub now: Timestamp,
    /// The same moment on the clock that does not jump.
    pub clock: Instant,
}

// === impl View ===

impl View<'_> {
    /// The next step on the Secret, if there is one now.
    pub fn step(&self) -> Option<Step> {
        let Some(held) = self.held else {
            return Some(match self.remembered {
                Some(_) => Step::Restore,
                None => Step::Make,
            });
        };
        let unknown = self
            .shown
            .filter(|shown| shown.not_after >= self.now && !held.trusted().contains(&shown.anchor));
        if let Some(shown) = unknown {
            return Some(Step::Keep(shown.anchor.clone()));
        }
        let is_alive = held.anchor().not_after() > self.now;
        let is_due = self.renewal(held).is_some_and(|at| at <= self.now);
        if is_alive && (is_due || !self.has_names(held)) {
            return Some(Step::Renew);
        }
        match &held.next {
            Some(next) if self.has_grace(next.anchor()) => return Some(Step::Switch),
            None if held.previous.is_empty() && self.succession(held) <= self.now => {
                return Some(Step::Announce);
            }
            Some(_) | None => {}
        }
        let retires = !held.previous.is_empty()
            && self.is_overlap_over(held)
            && self.settled_for(held) >= self.lifetimes.grace;
        retires.then_some(Step::Retire)
    }

    /// Whether the certificate of the Secret is to be shown from now on.
    pub fn may_show(&self) -> bool {
        let Some(held) = self.held.filter(|held| held.not_after >= self.now) else {
            return false;
        };
        let Some(shown) = self.shown else {
            return true;
        };
        let trusted = |anchor| self.trusted_for(anchor).is_some();
        shown.anchor == *held.anchor()
            || self.has_grace(held.anchor())
            || trusted(held.anchor()) && (!trusted(&shown.anchor) || shown.not_after < self.now)
    }

    /// Whether whoever is configured to call us trusts what is shown. While others may still be trusted more widely, API servers are
    /// given the grace to hear of it.
    pub fn is_published(&self) -> bool {
        let (Some(held), Some(shown)) = (self.held, self.shown) else {
            return false;
        };
        if held.previous.is_empty() {
            self.trusted_for(&shown.anchor).is_some()
        } else {
            self.has_grace(&shown.anchor)
        }
    }

    /// How long until there may be something to do, at most `most`.
    pub fn look_again(&self, most: Duration) -> Duration {
        let Some(held) = self.held else {
            return most;
        };
        let grace = self.lifetimes.grace;
        let rest = |passed: Duration| grace.saturating_sub(passed);
        let until =
            |at: Timestamp| Duration::try_from(at.duration_since(self.now)).unwrap_or_default();
        let next = held.next.as_ref().map(|next| next.anchor());
        let graces = [Some(held.anchor()), next].into_iter().flatten();
        let graces = graces.filter_map(|anchor| self.trusted_for(anchor).map(rest));
        let over = held
            .succeeded
            .map(|at| until(later(at, self.lifetimes.overlap)));
        let renewals = [self.renewal(held), Some(self.succession(held))];
        graces
            .chain(over)
            .chain(Some(rest(self.settled_for(held))))
            .chain(renewals.into_iter().flatten().map(until))
            .filter(|wait| !wait.is_zero())
            .fold(most, Duration::min)
    }

    /// When the certificate is renewed; `None` where a new one would not live longer.
    fn renewal(&self, held: &Contents) -> Option<Timestamp> {
        let life = self.lifetimes.certificate;
        (held.not_after < held.anchor().not_after()).then(|| life.renew_at(held.not_after))
    }

    /// When the next authority is made.
    fn succession(&self, held: &Contents) -> Timestamp {
        let not_after = held.anchor().not_after();
        self.lifetimes.authority.renew_at(not_after)
    }

    fn has_names(&self, held: &Contents) -> bool {
        with_loopback(self.names)
            .iter()
            .all(|name| held.names.contains(name))
    }

    fn trusted_for(&self, anchor: &Anchor) -> Option<Duration> {
        self.sightings.trusted_for(anchor, self.clock)
    }

    fn has_grace(&self, anchor: &Anchor) -> bool {
        self.trusted_for(anchor)
            .is_some_and(|time| time >= self.lifetimes.grace)
    }

    /// How long this replica has shown certificates of the authority that issues.
    fn settled_for(&self, held: &Contents) -> Duration {
        let shown = self.shown.filter(|shown| shown.anchor == *held.anchor());
        shown.map_or(Duration::ZERO, |shown| {
            self.clock.saturating_duration_since(shown.since)
        })
    }

    /// A time that is to come was written by a clock that was wrong, and says nothing.
    fn is_overlap_over(&self, held: &Contents) -> bool {
        held.succeeded.is_none_or(|at| {
            later(at, self.lifetimes.overlap) <= self.now || at > later(self.now, SKEW)
        })
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
