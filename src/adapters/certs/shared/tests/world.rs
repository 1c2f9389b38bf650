//! The smallest world in which the steps can be seen one by one.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::super::*;
use crate::adapters::certs::{Anchor, Life, Lifetimes};

/// Lives that are easy to count with.
const LIVES: Lifetimes = Lifetimes {
    certificate: Life {
        valid: Duration::from_hours(90),
        renew_after: Duration::from_hours(60),
    },
    authority: Life {
        valid: Duration::from_hours(900),
        renew_after: Duration::from_hours(600),
    },
    grace: Duration::from_secs(30),
    overlap: Duration::from_hours(24),
};

/// One replica, one Secret, one configuration with one webhook.
pub(super) struct World {
    pub(super) secret: Option<Contents>,
    pub(super) bundle: Option<BTreeSet<Anchor>>,
    pub(super) version: u32,
    pub(super) remembered: Option<Contents>,
    pub(super) shown: Option<Shown>,
    pub(super) sightings: Sightings,
    pub(super) names: Vec<String>,
    pub(super) lives: Lifetimes,
    pub(super) now: Timestamp,
    pub(super) clock: Instant,
}

impl World {
    /// Nothing but a configuration that trusts nobody.
    pub(super) fn new() -> Self {
        Self {
            secret: None,
            bundle: Some(BTreeSet::new()),
            version: 1,
            remembered: None,
            shown: None,
            sightings: Sightings::default(),
            names: vec!["vouchsafe.svc".to_owned()],
            lives: LIVES,
            now: Timestamp::from_second(1_800_000_000).unwrap(),
            clock: Instant::now() + Duration::from_hours(100_000),
        }
    }

    /// After the first looks: one authority, published and shown.
    pub(super) fn settled() -> Self {
        let mut world = Self::new();
        assert_eq!(world.looks(), ["made"]);
        world
    }

    pub(super) fn view(&self) -> View<'_> {
        View {
            held: self.secret.as_ref(),
            remembered: self.remembered.as_ref(),
            shown: self.shown.as_ref(),
            sightings: &self.sightings,
            names: &self.names,
            lifetimes: &self.lives,
            now: self.now,
            clock: self.clock,
        }
    }

    pub(super) fn see(&mut self) {
        let sight = match &self.bundle {
            None => Sight::Missing,
            Some(bundle) => Sight::Found {
                version: self.version.to_string(),
                bundles: vec![bundle.clone()],
            },
        };
        self.sightings.record(&[sight], self.clock);
    }

    /// Looks until nothing is left to do; the words of the steps.
    pub(super) fn looks(&mut self) -> Vec<&'static str> {
        let mut steps = Vec::new();
        loop {
            self.see();
            let step = self.view().step();
            if let Some(step) = &step {
                steps.push(step.as_str());
                self.secret = Some(self.view().after(step).unwrap());
            }
            self.remembered.clone_from(&self.secret);
            self.publish();
            self.see();
            self.show();
            if step.is_none() {
                return steps;
            }
            assert!(steps.len() < 10, "{steps:?}");
        }
    }

    pub(super) fn publish(&mut self) {
        let wanted = self.secret.as_ref().map(Contents::trusted);
        if self.bundle.is_some() && self.bundle != wanted {
            self.bundle = wanted;
            self.version += 1;
        }
    }

    pub(super) fn show(&mut self) {
        if !self.view().may_show() {
            return;
        }
        let held = self.secret.as_ref().unwrap();
        let same = self.shown.as_ref().filter(|s| s.anchor == *held.anchor());
        self.shown = Some(Shown {
            anchor: held.anchor().clone(),
            not_after: held.not_after,
            since: same.map_or(self.clock, |shown| shown.since),
        });
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.clock += time;
    }

    /// Passes the time and looks.
    pub(super) fn after(&mut self, time: Duration) -> Vec<&'static str> {
        self.pass(time);
        self.looks()
    }

    pub(super) fn held(&self) -> &Contents {
        self.secret.as_ref().unwrap()
    }

    pub(super) fn shown(&self) -> &Anchor {
        &self.shown.as_ref().unwrap().anchor
    }
}

impl View<'_> {
    pub(super) fn pair_names_are(&self, names: &[&str]) -> bool {
        self.held
            .is_some_and(|held| held.names.iter().eq(names.iter()))
    }
}
