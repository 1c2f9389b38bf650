//! Where evidence was found last in a repository: only an order in which to look, never an answer.

use moka::sync::Cache;

use super::WantedEvidence;
use super::search::{Sought, Stage};
use crate::image::Repository;

/// For how many repositories it is remembered.
const REPOSITORIES: u64 = 20_000;

/// The stage that last satisfied an authority, by repository and by what it wanted.
pub(super) struct Places(Option<Cache<(Repository, bool), Stage>>);

impl Places {
    pub(super) fn new() -> Self {
        Self(Some(Cache::new(REPOSITORIES)))
    }

    /// Nothing is remembered.
    pub(super) fn none() -> Self {
        Self(None)
    }

    pub(super) fn known(&self, sought: Sought<'_>) -> Option<Stage> {
        self.0.as_ref()?.get(&key(sought))
    }

    pub(super) fn remember(&self, sought: Sought<'_>, stage: Stage) {
        if let Some(places) = &self.0 {
            places.insert(key(sought), stage);
        }
    }
}

fn key(sought: Sought<'_>) -> (Repository, bool) {
    (
        sought.repository.clone(),
        *sought.wanted == WantedEvidence::Signatures,
    )
}
