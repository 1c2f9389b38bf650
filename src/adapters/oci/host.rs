//! What is shared by all requests to one host: its address, its places, and who was asked to leave it alone.
//!
//! A 429 is about whoever was throttled: an account, or everybody without one. So it holds back that credential and no other; a tenant
//! who uses up his own allowance must not stop the images of others.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::Url;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::hosts::Mirror;
use super::retry::hold;
use crate::gather::keychain::{CredentialId, KeychainEntry};
use crate::gather::registry::FetchError;

/// Credentials that are held back at one time for one host.
const HELD: usize = 256;
/// How long a mirror that does not answer is not asked first.
const ASIDE: Duration = Duration::from_secs(15);

/// A host.
pub(super) struct Host {
    /// The address of its API.
    pub(super) base: Url,
    /// Our own credentials for it.
    pub(super) credentials: Vec<KeychainEntry>,
    /// Where its repositories are looked for first.
    pub(super) mirrors: Vec<Mirror>,
    places: Semaphore,
    /// Until when it asked to be left alone, by whom.
    held: Mutex<HashMap<Option<CredentialId>, Instant>>,
    /// Until when it is not asked first, where it is a mirror.
    aside: Mutex<Option<Instant>>,
}

// === impl Host ===

impl Host {
    pub(super) fn new(
        base: Url,
        credentials: Vec<KeychainEntry>,
        mirrors: Vec<Mirror>,
        places: usize,
    ) -> Self {
        Self {
            base,
            credentials,
            mirrors,
            places: Semaphore::new(places.clamp(1, Semaphore::MAX_PERMITS)),
            held: Mutex::default(),
            aside: Mutex::default(),
        }
    }

    /// A place among the requests to this host, once this credential may be used again. Who waits for that holds no place.
    pub(super) async fn place(
        &self,
        registry: &str,
        credential: Option<CredentialId>,
        deadline: Instant,
    ) -> Result<SemaphorePermit<'_>, FetchError> {
        let held_until = self
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&credential)
            .copied();
        if let Some(until) = held_until.filter(|until| *until > Instant::now()) {
            if until >= deadline {
                let retry_after = Some(until.saturating_duration_since(Instant::now()));
                return Err(FetchError::Throttled {
                    registry: registry.to_owned(),
                    retry_after,
                });
            }
            sleep_until(until).await;
        }
        match timeout_at(deadline, self.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(FetchError::Overloaded {
                what: format!("requests to registry {registry}"),
            }),
        }
    }

    /// Holds this credential back for as long as the host asks, within a bound.
    pub(super) fn hold(&self, credential: Option<CredentialId>, asked: Option<Duration>) {
        let now = Instant::now();
        let Some(until) = asked.and_then(|asked| now.checked_add(hold(asked))) else {
            return;
        };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= HELD {
            held.retain(|_, until| *until > now);
        }
        // Beyond that many the host says so itself, once more.
        if held.len() < HELD {
            held.insert(credential, until);
        }
    }

    /// Puts a mirror aside for a while, after it did not answer.
    pub(super) fn put_aside(&self) {
        *self.aside.lock().unwrap_or_else(PoisonError::into_inner) =
            Instant::now().checked_add(ASIDE);
    }

    /// Whether it was put aside.
    pub(super) fn is_aside(&self) -> bool {
        let until = *self.aside.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| until > Instant::now())
    }
}
