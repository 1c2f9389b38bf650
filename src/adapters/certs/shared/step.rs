//! One step on what the Secret holds.

use std::sync::Arc;

use super::super::authority::{Authority, Window, with_loopback};
use super::super::{Anchor, CertificateError, Issued, SKEW};
use super::look::View;
use super::{ANCHORS, Contents};

/// What is done to the Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is none, and nothing is remembered: a new authority. What the configurations trust stays trusted.
    Make,
    /// There is none that can be used: what is remembered, with a successor. What the configurations trust stays trusted.
    Restore,
    /// A certificate of this authority is shown here, and the Secret does not know it: it is trusted again.
    Keep(Anchor),
    /// A new certificate of the same authority.
    Renew,
    /// The next authority is made, and trusted from now on.
    Announce,
    /// The next authority takes over.
    Switch,
    /// Those before it are trusted no more.
    Retire,
}

// === impl Step ===

impl Step {
    /// A word for logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Make => "made",
            Self::Restore => "restored",
            Self::Keep(_) => "kept",
            Self::Renew => "renewed",
            Self::Announce => "announced",
            Self::Switch => "switched",
            Self::Retire => "retired",
        }
    }
}

impl View<'_> {
    /// What the Secret is to hold after this step. Keys are made here, so no two calls give the same.
    ///
    /// # Errors
    /// No certificate can be made for these names.
    pub fn after(&self, step: &Step) -> Result<Contents, CertificateError> {
        let contents = match (step, self.held, self.remembered) {
            (Step::Make, ..) | (_, None, None) => self.made()?,
            (Step::Restore, _, Some(before)) | (_, None, Some(before)) => self.restored(before)?,
            // Without memory there is nothing to restore from.
            (Step::Restore, Some(held), None) => held.clone(),
            (Step::Keep(anchor), Some(held), _) => self.keeping(held, [anchor.clone()]),
            (Step::Renew, Some(held), _) => Contents {
                next: held.next.clone(),
                previous: held.previous.clone(),
                succeeded: held.succeeded,
                ..self.issued(Arc::clone(&held.authority), Some(held))?
            },
            (Step::Announce, Some(held), _) => Contents {
                next: Some(Arc::new(self.authority()?)),
                ..held.clone()
            },
            (Step::Switch, Some(held), _) => match &held.next {
                None => held.clone(),
                Some(next) => {
                    let switched = self.issued(Arc::clone(next), Some(held))?;
                    let before = held.previous.iter().cloned();
                    let before = before.chain([held.anchor().clone()]);
                    self.keeping(&switched, before)
                }
            },
            (Step::Retire, Some(held), _) => Contents {
                previous: Vec::new(),
                succeeded: None,
                ..held.clone()
            },
        };
        Ok(contents)
    }

    /// A new authority and its certificate.
    fn made(&self) -> Result<Contents, CertificateError> {
        let made = self.issued(Arc::new(self.authority()?), None)?;
        Ok(self.keeping_found(&made))
    }

    /// What is remembered, with a successor. The memory may be old.
    fn restored(&self, before: &Contents) -> Result<Contents, CertificateError> {
        let next = match &before.next {
            Some(next) => Arc::clone(next),
            None => Arc::new(self.authority()?),
        };
        Ok(self.keeping_found(&Contents {
            next: Some(next),
            ..before.clone()
        }))
    }

    /// Trusts what any webhook trusts now: somebody may show a certificate of it.
    fn keeping_found(&self, contents: &Contents) -> Contents {
        let known = contents.trusted();
        let found = self
            .sightings
            .anywhere()
            .iter()
            .filter(|anchor| anchor.not_after() >= self.now && !known.contains(*anchor));
        self.keeping(contents, found.cloned())
    }

    /// Trusts these too, as ones that were succeeded now. Beyond the bound the oldest are forgotten.
    fn keeping(&self, contents: &Contents, also: impl IntoIterator<Item = Anchor>) -> Contents {
        let mut previous = contents.previous.clone();
        previous.extend(also);
        let room = ANCHORS.saturating_sub(2);
        let beyond = previous.len().saturating_sub(room);
        previous.drain(..beyond);
        Contents {
            succeeded: (!previous.is_empty()).then_some(self.now),
            previous,
            ..contents.clone()
        }
    }

    /// A certificate for our names and those that the one before has: replicas may differ in them while a new version is rolled out.
    fn issued(
        &self,
        authority: Arc<Authority>,
        before: Option<&Contents>,
    ) -> Result<Contents, CertificateError> {
        let mut names = with_loopback(self.names);
        let others = before.into_iter().flat_map(|before| &before.names);
        let others: Vec<String> = others
            .filter(|name| !names.contains(*name))
            .cloned()
            .collect();
        names.extend(others);
        let issued: Issued =
            authority.issue(&names, self.window(self.lifetimes.certificate.valid))?;
        Contents::new(authority, issued)
    }

    fn authority(&self) -> Result<Authority, CertificateError> {
        Authority::new(self.window(self.lifetimes.authority.valid))
    }

    /// Valid for `life` from now, and for as long as an authority lives before: a replica whose clock is ahead must not make what
    /// the clocks of others refuse.
    fn window(&self, life: std::time::Duration) -> Window {
        let before = self.lifetimes.authority.valid.max(SKEW);
        Window::around(self.now, before, life)
    }
}
