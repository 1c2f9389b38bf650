//! Where a registry may lead us: which scheme, which token service, which redirect, and with or without credentials (T-53).
//!
//! Everything here is decided from URLs, before a connection is made; the addresses behind host names are checked when they are
//! resolved (`lookup`), with the [`Scope`] that is decided here.

use reqwest::Url;
use url::Host;

use super::address::{Class, Scope};
use super::insecure::{PlainHttp, is_loopback};

/// The longest URL that we let a registry send us to, in bytes.
const URL_BYTES: usize = 8 << 10;

/// The rules.
#[derive(Clone, Debug)]
pub(super) struct Fence {
    insecure: PlainHttp,
    /// Pairs of registry host and realm host that an operator vouches for.
    token_realms: Vec<(String, String)>,
    /// Hosts of the proxies that are used. Their names are resolved to any address, since an operator named them; so nobody else may
    /// lead there.
    proxies: Vec<String>,
}

/// A place that we do not go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The host, or what could be read of it.
    pub(super) target: String,
    /// The rule.
    pub(super) rule: &'static str,
}

/// A token service that may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Realm {
    /// Its URL.
    pub(super) url: Url,
    /// The addresses that its name may resolve to.
    pub(super) scope: Scope,
    /// Whether it may see the credentials of the registry. A foreign service is only ever asked anonymously.
    pub(super) is_trusted: bool,
}

impl Fence {
    pub(super) fn new(insecure: impl Into<PlainHttp>, token_realms: Vec<(String, String)>) -> Self {
        let token_realms = token_realms
            .into_iter()
            .map(|(registry, realm)| (registry.to_ascii_lowercase(), realm.to_ascii_lowercase()))
            .collect();
        Self {
            insecure: insecure.into(),
            token_realms,
            proxies: Vec::new(),
        }
    }

    /// With these hosts of proxies, in lower case.
    pub(super) fn beside_proxies(mut self, proxies: impl IntoIterator<Item = String>) -> Self {
        self.proxies.extend(proxies);
        self
    }

    /// The address of a registry's API. Docker Hub is known under another name than it answers to.
    pub(super) fn base(&self, registry: &str) -> Result<Url, Refusal> {
        let host = if registry == "docker.io" || registry == "index.docker.io" {
            "registry-1.docker.io"
        } else {
            registry
        };
        let refuse = |rule| Refusal {
            target: printable(registry),
            rule,
        };
        let url = Url::parse(&format!("https://{host}/v2/"))
            .map_err(|_| refuse("the registry is not a host"))?;
        if !url.username().is_empty() || url.password().is_some() || url.path() != "/v2/" {
            return Err(refuse("the registry is not a host"));
        }
        if names_metadata(&url) {
            return Err(refuse(METADATA_RULE));
        }
        if !self.insecure.applies(&url) {
            return Ok(url);
        }
        Url::parse(&format!("http://{host}/v2/")).map_err(|_| refuse("the registry is not a host"))
    }

    /// Whether the token service at `realm` may be asked for the registry at `base`, whose address is of class `origin`.
    pub(super) fn realm(&self, base: &Url, origin: Class, realm: &str) -> Result<Realm, Refusal> {
        let url = parse(realm)?;
        let refuse = |rule| {
            Err(Refusal {
                target: host_of(&url),
                rule,
            })
        };
        if url.scheme() == "http" && !(base.scheme() == "http" && self.insecure.applies(&url)) {
            return refuse("a token service is asked over https only");
        }
        if url.host() == base.host() {
            return Ok(Realm {
                url,
                scope: Scope::AsWritten,
                is_trusted: true,
            });
        }
        if self.is_allowed_pair(base, &url) {
            return Ok(Realm {
                url,
                scope: Scope::of_hop_from(origin),
                is_trusted: true,
            });
        }
        if self.is_proxy(&url) {
            return refuse(PROXY_RULE);
        }
        if is_same_registrable_domain(base, &url) {
            return Ok(Realm {
                url,
                scope: Scope::of_hop_from(origin),
                is_trusted: true,
            });
        }
        if url.scheme() == "http" {
            return refuse("a token service of another domain is asked over https only");
        }
        Ok(Realm {
            url,
            scope: Scope::FromPublic,
            is_trusted: false,
        })
    }

    /// Where a redirect from `from` leads, and which addresses that may be. `reach` is the scope that the hops so far allow.
    pub(super) fn redirect(
        &self,
        base: &Url,
        from: &Url,
        reach: Scope,
        location: &str,
    ) -> Result<(Url, Scope), Refusal> {
        if location.len() > URL_BYTES {
            return Err(Refusal {
                target: unreadable(location),
                rule: "the address is too long",
            });
        }
        let joined = from.join(location).map_err(|_| Refusal {
            target: unreadable(location),
            rule: "it is not an address",
        })?;
        let to = parse(joined.as_str())?;
        let refuse = |rule| {
            Err(Refusal {
                target: host_of(&to),
                rule,
            })
        };
        match (from.scheme(), to.scheme()) {
            ("https", "http") if !self.insecure.names(&to) => {
                return refuse("https is not given up for http");
            }
            ("http", "http") if !self.insecure.applies(&to) => {
                return refuse("plain http is not allowed for this host");
            }
            _ => {}
        }
        let scope = if to.host() == base.host() {
            Scope::AsWritten
        } else if self.is_proxy(&to) {
            return refuse(PROXY_RULE);
        } else {
            reach
        };
        if scope != Scope::AsWritten && is_loopback(&to) {
            return refuse("a host that is not on loopback may not lead to loopback");
        }
        Ok((to, scope))
    }

    /// Whether a proxy that we use has this name.
    fn is_proxy(&self, url: &Url) -> bool {
        url.host_str().is_some_and(|host| {
            let host = host.trim_end_matches('.');
            self.proxies
                .iter()
                .any(|proxy| proxy.trim_end_matches('.') == host)
        })
    }

    fn is_allowed_pair(&self, base: &Url, realm: &Url) -> bool {
        let (Some(base), Some(realm)) = (base.host_str(), realm.host_str()) else {
            return false;
        };
        self.token_realms
            .iter()
            .any(|(registry, allowed)| registry == base && allowed == realm)
    }
}

/// Whether two URLs are the same place for a credential: scheme, host and port.
pub(super) fn is_same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host() == b.host()
        && a.port_or_known_default() == b.port_or_known_default()
}

/// The class of the host of `url` if it is written as an address or as `localhost`.
pub(super) fn class_as_written(url: &Url) -> Option<Class> {
    match url.host()? {
        Host::Ipv4(address) => Some(Class::of(address.into())),
        Host::Ipv6(address) => Some(Class::of(address.into())),
        Host::Domain("localhost") => Some(Class::Loopback),
        Host::Domain(_) => None,
    }
}

/// Host and port for messages.
pub(super) fn host_of(url: &Url) -> String {
    let host = printable(url.host_str().unwrap_or_default());
    url.port()
        .map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
}

/// Text from outside, made fit for a message: visible ASCII, and at most 200 characters.
pub(super) fn printable(text: &str) -> String {
    let visible = |c: char| {
        if c.is_ascii_graphic() || c == ' ' {
            c
        } else {
            '?'
        }
    };
    text.chars().take(200).map(visible).collect()
}

/// An address that could not be read, without what may be secret in it: a user, a query.
fn unreadable(text: &str) -> String {
    let place = text.split(['?', '#']).next().unwrap_or_default();
    printable(place.rsplit('@').next().unwrap_or_default())
}

/// An address that somebody sent us: http or https, with a host, without a user, not too long.
fn parse(text: &str) -> Result<Url, Refusal> {
    let refuse = |rule| Refusal {
        target: unreadable(text),
        rule,
    };
    if text.len() > URL_BYTES {
        return Err(refuse("the address is too long"));
    }
    let mut url = Url::parse(text).map_err(|_| refuse("it is not an address"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(refuse("it is not an http address"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal {
            target: host_of(&url),
            rule: "the address carries a user",
        });
    }
    if names_metadata(&url) {
        return Err(Refusal {
            target: host_of(&url),
            rule: METADATA_RULE,
        });
    }
    url.set_fragment(None);
    Ok(url)
}

/// Why the host of a proxy is refused where another host leads to it.
const PROXY_RULE: &str = "the host of a proxy is nowhere to be led to";

/// Why the name of a metadata service is refused.
const METADATA_RULE: &str = "cloud metadata services are never contacted";

/// Whether the host is a cloud's metadata service by its name. Addresses are checked when a name is resolved; behind an HTTP proxy
/// somebody else resolves it, so these names are refused by themselves.
pub(in crate::adapters) fn names_metadata(url: &Url) -> bool {
    const NAMES: [&str; 5] = [
        "metadata",
        "metadata.google.internal",
        "metadata.goog",
        "instance-data",
        "instance-data.ec2.internal",
    ];
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            NAMES.contains(&name.as_str())
        }
        _ => false,
    }
}

/// Whether both hosts are names below one domain that somebody registered (`registry.gitlab.com` and `gitlab.com`).
fn is_same_registrable_domain(a: &Url, b: &Url) -> bool {
    match (a.host(), b.host()) {
        (Some(Host::Domain(a)), Some(Host::Domain(b))) => {
            psl::domain_str(a).is_some_and(|domain| psl::domain_str(b) == Some(domain))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
