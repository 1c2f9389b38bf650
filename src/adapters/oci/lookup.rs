//! Name resolution behind the fence: an address that may not be talked to is dropped before a connection is made.
//!
//! A check of the name alone would not do: the answer may change between the check and the connection (DNS rebinding). So it is
//! the addresses that the connection is made to that are checked, in the resolver of each HTTP client.
//!
//! Behind an HTTP proxy it is the proxy that resolves names. Then only addresses written as such are checked here, and the rest is
//! the proxy's to refuse.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::address::{Class, Scope};

/// The number of host names whose class is remembered. More than that, and the memory starts anew.
const REMEMBERED: usize = 4_096;

/// Names that are looked up at one time.
static LOOKUPS: Semaphore = Semaphore::const_new(64);

/// Host names to addresses.
pub trait Lookup: Send + Sync {
    /// The addresses of `host`, in the order in which they are to be tried.
    fn addresses(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The resolver of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn addresses(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        async move {
            // The system's resolver blocks a thread and cannot be interrupted. The place is given back by that thread, not by
            // whoever has stopped waiting: however many names nobody answers for, they do not take all threads.
            let place = LOOKUPS.acquire().await.map_err(io::Error::other)?;
            let found = spawn_blocking(move || {
                let _place = place;
                let addresses = (host.as_str(), 0).to_socket_addrs();
                addresses.map(|found| found.map(|address| address.ip()).collect())
            });
            found.await.map_err(io::Error::other)?
        }
        .boxed()
    }
}

/// What kind of addresses host names had when they were last resolved. It decides how far a host may lead us.
///
/// A name that is missing was resolved by somebody else (a proxy), and counts as public.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<HashMap<String, Class>>);

/// The resolver of one HTTP client, for addresses of one scope.
pub(super) struct FencedLookup {
    pub(super) lookup: Arc<dyn Lookup>,
    pub(super) scope: Scope,
    pub(super) seen: Arc<Seen>,
    /// Host names of the configured HTTP proxies: wherever an operator runs those, we may go there.
    pub(super) proxies: Arc<[String]>,
}

/// No address of a name may be talked to. Found again as a source of the transport's error.
#[derive(Debug, thiserror::Error)]
#[error("{host} is {address}: {rule}")]
pub(super) struct RefusedAddress {
    /// The name.
    pub(super) host: String,
    /// The address that was refused last.
    pub(super) address: IpAddr,
    /// The rule that forbids it.
    pub(super) rule: &'static str,
}

// === impl Seen ===

impl Seen {
    pub(super) fn class(&self, host: &str) -> Option<Class> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(host)
            .copied()
    }

    fn remember(&self, host: &str, class: Class) {
        let mut classes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if classes.len() >= REMEMBERED && !classes.contains_key(host) {
            classes.clear();
        }
        classes.insert(host.to_owned(), class);
    }
}

// === impl FencedLookup ===

impl Resolve for FencedLookup {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_ascii_lowercase();
        let is_proxy = self.proxies.contains(&host);
        let scope = if is_proxy {
            Scope::AsWritten
        } else {
            self.scope
        };
        let seen = Arc::clone(&self.seen);
        let found = self.lookup.addresses(host.clone());
        Box::pin(async move {
            let allowed = admitted(&host, scope, found.await?)?;
            if !is_proxy {
                let class = allowed
                    .iter()
                    .map(|address| Class::of(*address))
                    .max()
                    .unwrap_or(Class::Public);
                seen.remember(&host, class);
            }
            // Port 0: the client puts in the port of the URL.
            let addresses: Addrs = Box::new(
                allowed
                    .into_iter()
                    .map(|address| SocketAddr::new(address, 0)),
            );
            Ok(addresses)
        })
    }
}

/// The addresses that the scope admits; an error when there are some and none is admitted.
fn admitted(host: &str, scope: Scope, found: Vec<IpAddr>) -> Result<Vec<IpAddr>, RefusedAddress> {
    let mut refused = None;
    let mut allowed = Vec::new();
    for address in found {
        match scope.admits(Class::of(address)) {
            Ok(()) => allowed.push(address),
            Err(rule) => {
                refused = Some(RefusedAddress {
                    host: host.to_owned(),
                    address,
                    rule,
                });
            }
        }
    }
    match refused {
        Some(refused) if allowed.is_empty() => Err(refused),
        _ => Ok(allowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn forbidden_addresses_of_a_name_are_dropped() {
        let found = addresses(&["169.254.169.254", "192.0.2.1", "fe80::1"]);
        assert_eq!(
            admitted("a", Scope::AsWritten, found).unwrap(),
            addresses(&["192.0.2.1"])
        );
        let error = admitted("a", Scope::AsWritten, addresses(&["169.254.169.254"])).unwrap_err();
        assert!(error.to_string().contains("169.254.169.254"), "{error}");
        assert!(admitted("a", Scope::FromPublic, addresses(&["10.0.0.1"])).is_err());
        assert!(admitted("a", Scope::AsWritten, addresses(&["10.0.0.1"])).is_ok());
        assert!(
            admitted("a", Scope::AsWritten, Vec::new())
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn the_memory_of_names_is_bounded() {
        let seen = Seen::default();
        for number in 0..REMEMBERED * 2 {
            seen.remember(&number.to_string(), Class::Private);
        }
        assert!(seen.0.lock().unwrap().len() <= REMEMBERED);
        assert_eq!(seen.class("8191"), Some(Class::Private));
        assert_eq!(seen.class("0"), None);
    }
}
