//! Registries that are spoken to over plain HTTP: loopback, and those that the operator names.
//!
//! Everything else is HTTPS, and nothing ever falls back from one to the other. Evidence read over plain HTTP is still hashed and
//! verified; what is lost is the secrecy of the credentials.

use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;
use url::Host;

use super::hosts::RegistryHosts;

/// The hosts that an operator allows plain HTTP for. The default is none, which leaves loopback.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InsecureHosts {
    rules: Vec<Rule>,
}

/// One value of `--insecure-registry`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    /// `registry.example.com` (any port) or `registry.example.com:5000`.
    Host { host: String, port: Option<u16> },
    /// `*.example.com`: every host below it, not itself; any port.
    Suffix(String),
    /// `10.0.0.0/8`: registries that are written as such an address.
    Network { base: IpAddr, prefix: u8 },
}

/// A value that is none of host, `host:port`, `*.suffix` and CIDR.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("insecure registry {value:?} is none of host, host:port, *.suffix and CIDR")]
pub struct InvalidInsecureHost {
    /// What was given.
    pub value: String,
}

/// Who is spoken to over plain HTTP: what is said about a single host counts before `--insecure-registry` and loopback.
#[derive(Clone, Debug, Default)]
pub(super) struct PlainHttp {
    insecure: InsecureHosts,
    hosts: RegistryHosts,
}

// === impl PlainHttp ===

impl From<InsecureHosts> for PlainHttp {
    fn from(insecure: InsecureHosts) -> Self {
        Self {
            insecure,
            hosts: RegistryHosts::default(),
        }
    }
}

impl PlainHttp {
    pub(super) fn new(insecure: InsecureHosts, hosts: RegistryHosts) -> Self {
        Self { insecure, hosts }
    }

    /// Whether this host is spoken to over plain HTTP: loopback as written, or named by the operator.
    pub(super) fn applies(&self, url: &Url) -> bool {
        self.said(url).unwrap_or_else(|| self.insecure.applies(url))
    }

    /// Whether the operator named this host.
    pub(super) fn names(&self, url: &Url) -> bool {
        self.said(url).unwrap_or_else(|| self.insecure.names(url))
    }

    fn said(&self, url: &Url) -> Option<bool> {
        self.hosts.of(url).and_then(|settings| settings.plain_http)
    }
}

// === impl InsecureHosts ===

impl InsecureHosts {
    /// Reads the values of `--insecure-registry`.
    pub fn parse<S: AsRef<str>>(
        values: impl IntoIterator<Item = S>,
    ) -> Result<Self, InvalidInsecureHost> {
        let rules = values
            .into_iter()
            .map(|value| value.as_ref().parse())
            .collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }

    fn applies(&self, url: &Url) -> bool {
        is_loopback(url) || self.names(url)
    }

    fn names(&self, url: &Url) -> bool {
        self.rules.iter().any(|rule| rule.applies(url))
    }
}

/// Whether the host is loopback as it is written: 127.0.0.0/8, `::1`, `localhost`. A name that resolves to it is not.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

// === impl Rule ===

impl FromStr for Rule {
    type Err = InvalidInsecureHost;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidInsecureHost {
            value: value.chars().take(100).collect(),
        };
        if let Some((base, prefix)) = value.split_once('/') {
            let base: IpAddr = base.parse().map_err(|_| invalid())?;
            let prefix: u8 = prefix.parse().map_err(|_| invalid())?;
            let bits = if base.is_ipv4() { 32 } else { 128 };
            return if prefix <= bits {
                Ok(Self::Network { base, prefix })
            } else {
                Err(invalid())
            };
        }
        let (value_host, suffix) = value
            .strip_prefix("*.")
            .map_or((value, false), |rest| (rest, true));
        let url = Url::parse(&format!("vouchsafe://{value_host}")).map_err(|_| invalid())?;
        let plain = url.path().is_empty()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none();
        let host = Url::parse(&format!("http://{value_host}"))
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned));
        match host {
            Some(host) if plain && suffix && url.port().is_none() && !host.contains('*') => {
                Ok(Self::Suffix(format!(".{host}")))
            }
            Some(host) if plain && !suffix && !host.contains('*') => Ok(Self::Host {
                host,
                port: url.port(),
            }),
            _ => Err(invalid()),
        }
    }
}

impl Rule {
    fn applies(&self, url: &Url) -> bool {
        match self {
            Self::Host { host, port } => {
                url.host_str() == Some(host)
                    && port.is_none_or(|port| url.port_or_known_default() == Some(port))
            }
            Self::Suffix(suffix) => {
                matches!(url.host(), Some(Host::Domain(name)) if name.len() > suffix.len() && name.ends_with(suffix.as_str()))
            }
            Self::Network { base, prefix } => match (url.host(), base) {
                (Some(Host::Ipv4(address)), IpAddr::V4(base)) => {
                    let shift = 32_u32.saturating_sub(u32::from(*prefix));
                    address.to_bits().checked_shr(shift) == base.to_bits().checked_shr(shift)
                }
                (Some(Host::Ipv6(address)), IpAddr::V6(base)) => {
                    let shift = 128_u32.saturating_sub(u32::from(*prefix));
                    address.to_bits().checked_shr(shift) == base.to_bits().checked_shr(shift)
                }
                _ => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(host: &str) -> Url {
        Url::parse(&format!("https://{host}/v2/")).unwrap()
    }

    #[test]
    fn plain_http_is_for_loopback_and_for_nobody_else_by_default() {
        let none = InsecureHosts::default();
        for host in [
            "localhost:5000",
            "127.0.0.1:5000",
            "127.9.9.9",
            "[::1]:5000",
        ] {
            assert!(none.applies(&url(host)), "{host}");
        }
        for host in [
            "registry.local",
            "10.0.0.1:5000",
            "localhost.example.com",
            "evil.localhost",
            "example.com",
        ] {
            assert!(!none.applies(&url(host)), "{host}");
        }
    }

    #[test]
    fn each_form_names_what_it_says_and_nothing_beside_it() {
        let hosts = InsecureHosts::parse([
            "plain.example.com",
            "port.example.com:5000",
            "*.lab.example.com",
            "10.1.0.0/16",
            "fd12::/16",
        ])
        .unwrap();
        for host in [
            "plain.example.com",
            "plain.example.com:5000",
            "port.example.com:5000",
            "a.lab.example.com",
            "a.b.lab.example.com:1",
            "10.1.2.3:5000",
            "[fd12::1]",
        ] {
            assert!(hosts.names(&url(host)), "{host}");
        }
        for host in [
            "port.example.com",
            "port.example.com:5001",
            "lab.example.com",
            "evillab.example.com",
            "10.2.0.1",
            "[fd13::1]",
            "plain.example.com.evil.tld",
            "127.0.0.1",
        ] {
            assert!(!hosts.names(&url(host)), "{host}");
        }
        assert!(
            InsecureHosts::parse(["0.0.0.0/0"])
                .unwrap()
                .names(&url("8.8.8.8"))
        );
    }

    #[test]
    fn values_that_are_not_hosts_are_refused() {
        for value in [
            "",
            "*",
            "*.",
            "http://example.com",
            "example.com/path",
            "10.0.0.0/33",
            "user@example.com",
            "*.a:5000",
            "a b",
            "ex*mple.com",
        ] {
            assert!(InsecureHosts::parse([value]).is_err(), "{value:?}");
        }
    }
}
