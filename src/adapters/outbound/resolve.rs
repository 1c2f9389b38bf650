//! Name resolution behind the fence: addresses that may not be talked to are dropped before a connection is made, so that a name
//! cannot be made to mean another address afterwards.

use std::net::{IpAddr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

use crate::adapters::oci::address::Class;
use crate::adapters::oci::{Lookup as _, SystemLookup};

/// The resolver of one HTTP client.
pub(super) struct FencedResolver {
    /// Whether it is for the metadata service of a cloud, which is link-local.
    pub(super) admits_metadata: bool,
}

/// No address of a name may be talked to. Found again as a source of the transport's error.
#[derive(Debug, thiserror::Error)]
#[error("{rule}")]
pub(super) struct RefusedAddress {
    /// The rule that forbids it.
    pub(super) rule: &'static str,
}

impl Resolve for FencedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let admits_metadata = self.admits_metadata;
        let found = SystemLookup.addresses(name.as_str().to_owned());
        Box::pin(async move {
            let found = found.await?;
            let is_empty = found.is_empty();
            let admitted: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| admits_metadata || Class::of(*address) != Class::Forbidden)
                // Port 0: the client puts in the port of the URL.
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            if admitted.is_empty() && !is_empty {
                let rule = "link-local, metadata and reserved addresses are never contacted";
                return Err(RefusedAddress { rule }.into());
            }
            let addresses: Addrs = Box::new(admitted.into_iter());
            Ok(addresses)
        })
    }
}

/// Whether the host is written as an address that may not be talked to.
pub(super) fn is_forbidden(url: &Url) -> bool {
    class(url) == Some(Class::Forbidden)
}

/// Whether the host is written as this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    matches!(url.host(), Some(Host::Domain("localhost"))) || class(url) == Some(Class::Loopback)
}

fn class(url: &Url) -> Option<Class> {
    let address: IpAddr = match url.host()? {
        Host::Ipv4(address) => address.into(),
        Host::Ipv6(address) => address.into(),
        Host::Domain(_) => return None,
    };
    Some(Class::of(address))
}
