//! Which authorities stand in every `caBundle`, and since when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::super::Anchor;

/// One configuration as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It could not be read.
    Unknown,
    /// It does not exist: nobody calls us because of it.
    Missing,
    /// It exists.
    Found {
        /// Changes with its webhooks.
        version: String,
        /// What each of its webhooks trusts.
        bundles: Vec<BTreeSet<Anchor>>,
    },
}

/// What was seen in the configurations, look after look.
#[derive(Clone, Debug, Default)]
pub struct Sightings {
    /// Of each configuration the version that was seen last; `None` where it was missing.
    versions: Vec<Option<String>>,
    /// Whether the last look saw all of them.
    known: bool,
    /// What every webhook trusts; `None` where there is no webhook.
    everywhere: Option<BTreeSet<Anchor>>,
    /// What any webhook trusts.
    anywhere: BTreeSet<Anchor>,
    /// When each of `everywhere` was first seen, in the versions that are there now.
    since: BTreeMap<Anchor, Instant>,
}

// === impl Sightings ===

impl Sightings {
    /// Notes what was seen of the configurations, always the same ones in the same order.
    ///
    /// A version that changed starts the time of every authority anew: between two looks it may have been gone.
    pub fn record(&mut self, sights: &[Sight], at: Instant) {
        self.known = !sights.contains(&Sight::Unknown);
        if !self.known {
            return;
        }
        let found = |sight: &Sight| match sight {
            Sight::Found { version, .. } => Some(version.clone()),
            Sight::Unknown | Sight::Missing => None,
        };
        let versions: Vec<Option<String>> = sights.iter().map(found).collect();
        if versions != self.versions {
            self.since.clear();
            self.versions = versions;
        }
        let bundles = sights.iter().flat_map(|sight| match sight {
            Sight::Found { bundles, .. } => bundles.as_slice(),
            Sight::Unknown | Sight::Missing => &[],
        });
        self.everywhere = None;
        self.anywhere.clear();
        for bundle in bundles {
            self.anywhere.extend(bundle.iter().cloned());
            match &mut self.everywhere {
                None => self.everywhere = Some(bundle.clone()),
                Some(everywhere) => everywhere.retain(|anchor| bundle.contains(anchor)),
            }
        }
        let everywhere = self.everywhere.as_ref();
        self.since
            .retain(|anchor, _| everywhere.is_some_and(|all| all.contains(anchor)));
        for anchor in everywhere.into_iter().flatten() {
            self.since.entry(anchor.clone()).or_insert(at);
        }
    }

    /// What any webhook trusts.
    pub fn anywhere(&self) -> &BTreeSet<Anchor> {
        &self.anywhere
    }

    /// For how long every webhook has trusted this authority; for ever, where there is no webhook. `None` where one does not, or cannot
    /// be seen.
    pub fn trusted_for(&self, anchor: &Anchor, clock: Instant) -> Option<Duration> {
        match (self.known, &self.everywhere) {
            (false, _) => None,
            (true, None) => Some(Duration::MAX),
            (true, Some(_)) => {
                let since = self.since.get(anchor)?;
                Some(clock.saturating_duration_since(*since))
            }
        }
    }
}
