//! Which place is asked: the mirrors of a registry in their order, and then the registry itself.
//!
//! A mirror is believed where it has something, and hardly ever where it has nothing:
//!
//! - What it serves by digest is hashed, as from everywhere. What it lists is evidence to be verified. So a mirror can make nothing
//!   pass that the registry itself could not.
//! - That something is *not* there is the registry's to say: many mirrors hold only what was pulled through them, and evidence is not
//!   pulled by nodes. So a 404 of a mirror, or an empty list, leads to the next place. An operator who keeps a full copy says so
//!   (`authoritative`), and then its word is final.
//! - Whatever else goes wrong at a mirror (no connection, 401, 429, 5xx, other bytes than asked for, a broken document) leads to the next
//!   place as well. A mirror that does not answer is put aside for a while, and asked after the registry until then.
//! - All of it takes place inside one deadline. A mirror gets at most a quarter of the time that is left, and one attempt.
//! - A mirror is another host: it sees the credentials of its own entry and none else, neither those of the registry that it stands in
//!   for nor a Pod's (T-16, T-53).
//! - A list that goes on is read to its end in the place where it began.

use std::sync::Arc;

use tokio::time::Instant;

use super::ask::{Ask, Asking, Fetched, malformed};
use super::host::Host;
use super::hosts::Mirror;
use crate::gather::keychain::Keychain;
use crate::gather::registry::{Access, FetchError};
use crate::image::Repository;

/// The part of the time left that a mirror may take.
const SHARE: u32 = 4;

/// What was read in one place.
pub(super) enum Read<T> {
    /// This.
    Something(T),
    /// An answer that says that there is nothing, such as an empty list.
    Nothing(T),
}

/// A mirror that may be asked.
struct Place<'a> {
    mirror: &'a Mirror,
    /// The repository there.
    repository: Repository,
    host: Arc<Host>,
}

// === impl Asking ===

impl Asking {
    /// Asks the mirrors and then the registry, until there is an answer. `None` is a 404 that counts. `read` makes a value of an answer,
    /// or says what is wrong with it; it is told about the place that answered.
    pub(super) async fn ask<T>(
        &self,
        ask: &Ask<'_>,
        read: impl Fn(&Ask<'_>, Fetched) -> Result<Read<T>, FetchError>,
    ) -> Result<Option<T>, FetchError> {
        let registry = ask.repository.registry();
        let origin = self.host(registry).await?;
        if origin.mirrors.is_empty() {
            return self.ask_registry(ask, &origin, &read).await;
        }
        let mut places = self.places(ask, &origin).await;
        if let Some(begun) = ask.begun_at {
            if begun == ask.repository {
                return self.ask_registry(ask, &origin, &read).await;
            }
            places.retain(|place| place.repository == *begun);
            let gone = || malformed(ask, "the mirror that began this list is none any more");
            let place = places.first().ok_or_else(gone)?;
            return self.ask_mirror(ask, place, &read).await.map(Read::value);
        }
        let (aside, first): (Vec<_>, Vec<_>) =
            places.into_iter().partition(|place| place.host.is_aside());
        let mut failures = Vec::new();
        for place in &first {
            if let Some(answer) = self.try_mirror(ask, place, &read, &mut failures).await {
                return Ok(answer);
            }
        }
        let error = match self.ask_registry(ask, &origin, &read).await {
            Err(error @ FetchError::Unreachable { .. }) => error,
            answer => return answer,
        };
        for place in &aside {
            if let Some(answer) = self.try_mirror(ask, place, &read, &mut failures).await {
                return Ok(answer);
            }
        }
        Err(with_failures(error, &failures))
    }

    /// The mirrors that may be asked this, in their order.
    async fn places<'a>(&self, ask: &Ask<'_>, origin: &'a Host) -> Vec<Place<'a>> {
        let mut places = Vec::new();
        for mirror in &origin.mirrors {
            if mirror.digest_only && !ask.by_digest {
                continue;
            }
            // A path that is too long there, or a host that we do not talk to, is no place to ask.
            if let (Some(repository), Ok(host)) =
                (mirror.of(ask.repository), self.host(&mirror.host).await)
            {
                places.push(Place {
                    mirror,
                    repository,
                    host,
                });
            }
        }
        places
    }

    /// The registry's own answer, whatever it is.
    async fn ask_registry<T>(
        &self,
        ask: &Ask<'_>,
        host: &Host,
        read: &impl Fn(&Ask<'_>, Fetched) -> Result<Read<T>, FetchError>,
    ) -> Result<Option<T>, FetchError> {
        let fetched = self.ask_host(ask, host, self.limits.attempts).await?;
        let read = fetched.map(|fetched| read(ask, fetched)).transpose()?;
        Ok(read.map(Read::into_value))
    }

    /// A mirror's answer, if that is the answer; otherwise why not is noted.
    async fn try_mirror<T>(
        &self,
        ask: &Ask<'_>,
        place: &Place<'_>,
        read: &impl Fn(&Ask<'_>, Fetched) -> Result<Read<T>, FetchError>,
        failures: &mut Vec<String>,
    ) -> Option<Option<T>> {
        match self.ask_mirror(ask, place, read).await {
            Ok(Some(Read::Something(value))) => Some(Some(value)),
            Ok(Some(Read::Nothing(value))) => place.mirror.authoritative.then_some(Some(value)),
            Ok(None) => place.mirror.authoritative.then_some(None),
            Err(error) => {
                if matches!(
                    error,
                    FetchError::Unreachable { .. }
                        | FetchError::Refused { .. }
                        | FetchError::Deadline { .. }
                ) {
                    place.host.put_aside();
                }
                tracing::warn!(mirror = %place.mirror, %error, "a mirror failed; the next place is asked");
                failures.push(format!("mirror {}: {error}", place.mirror));
                None
            }
        }
    }

    async fn ask_mirror<T>(
        &self,
        ask: &Ask<'_>,
        place: &Place<'_>,
        read: &impl Fn(&Ask<'_>, Fetched) -> Result<Read<T>, FetchError>,
    ) -> Result<Option<Read<T>>, FetchError> {
        let left = ask
            .access
            .deadline
            .saturating_duration_since(Instant::now());
        let deadline = Instant::now().checked_add(left / SHARE);
        let access = Access {
            keychain: Arc::new(Keychain::anonymous()),
            deadline: deadline.unwrap_or(ask.access.deadline),
            dry_run: ask.access.dry_run,
        };
        let there = Ask {
            repository: &place.repository,
            access: &access,
            ..ask.clone()
        };
        let fetched = self.ask_host(&there, &place.host, 1).await?;
        fetched.map(|fetched| read(&there, fetched)).transpose()
    }
}

// === impl Read ===

impl<T> Read<T> {
    fn into_value(self) -> T {
        match self {
            Self::Something(value) | Self::Nothing(value) => value,
        }
    }

    fn value(read: Option<Self>) -> Option<T> {
        read.map(Self::into_value)
    }
}

/// Where the registry cannot be reached, its mirrors may have been the only way to it: what is wrong with them is what has to be mended.
fn with_failures(error: FetchError, failures: &[String]) -> FetchError {
    match error {
        FetchError::Unreachable { registry, detail } => {
            let all: Vec<&str> = std::iter::once(detail.as_str())
                .chain(failures.iter().map(String::as_str))
                .collect();
            FetchError::Unreachable {
                registry,
                detail: all.join("; "),
            }
        }
        other => other,
    }
}
