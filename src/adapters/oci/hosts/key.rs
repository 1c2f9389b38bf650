//! Which host an entry is about: `registry.example.com`, `registry.example.com:5000`, `*.example.com`.
//!
//! A host without a port is that host at the port that its scheme has anyway, and no other: another port is another server, and may be
//! somebody else's. A `*.suffix` is every host below it, label by label, and not the suffix itself.

use reqwest::Url;

/// The names of Docker Hub; it is known by the first.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// A host and its port; `None` is the port that the scheme has anyway.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HostKey {
    host: String,
    port: Option<u16>,
}

/// Every host below a suffix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostPattern {
    /// With the dot before it.
    suffix: String,
    port: Option<u16>,
}

/// What an entry is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    One(HostKey),
    Below(HostPattern),
}

// === impl Named ===

impl Named {
    /// Reads `host`, `host:port`, `*.suffix` or `*.suffix:port`; `None` for everything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("*.") {
            Some(rest) => {
                let HostKey { host, port } = HostKey::parse(rest)?;
                // An address has nothing below it.
                let is_name = host.chars().any(|c| c.is_ascii_alphabetic()) && !host.contains(':');
                let suffix = format!(".{host}");
                is_name.then_some(Self::Below(HostPattern { suffix, port }))
            }
            None => HostKey::parse(text).map(Self::One),
        }
    }
}

// === impl HostKey ===

impl HostKey {
    /// Reads `host` or `host:port`, in any spelling that a URL may have.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        if text.is_empty() || !text.chars().all(is_plain) {
            return None;
        }
        let url = Url::parse(&format!("https://{text}/")).ok()?;
        Some(Self::new(url.host_str()?, url.port()))
    }

    /// The keys under which the host of a URL may stand, the most exact one first.
    pub(super) fn all_of(url: &Url) -> Vec<Self> {
        let Some(host) = url.host_str() else {
            return Vec::new();
        };
        let exact = Self::new(host, url.port_or_known_default());
        let unwritten = url.port().is_none().then(|| Self::new(host, None));
        [Some(exact), unwritten].into_iter().flatten().collect()
    }

    fn new(host: &str, port: Option<u16>) -> Self {
        let host = host.to_ascii_lowercase();
        let host = if port.is_none_or(|port| port == 443) && DOCKER_HUB.contains(&host.as_str()) {
            "docker.io".to_owned()
        } else {
            host
        };
        Self { host, port }
    }
}

// === impl HostPattern ===

impl HostPattern {
    pub(super) fn applies(&self, key: &HostKey) -> bool {
        let is_below = || {
            key.host
                .strip_suffix(&self.suffix)
                .is_some_and(|below| !below.is_empty())
        };
        self.port == key.port && is_below()
    }

    /// How much of a host it says.
    pub(super) fn len(&self) -> usize {
        self.suffix.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applies(named: &str, url: &str) -> bool {
        let keys = HostKey::all_of(&Url::parse(url).unwrap());
        match Named::parse(named).unwrap() {
            Named::One(key) => keys.contains(&key),
            Named::Below(pattern) => keys.iter().any(|key| pattern.applies(key)),
        }
    }

    #[test]
    fn each_form_names_what_it_says() {
        for (named, url) in [
            ("registry.example.com", "https://registry.example.com/v2/"),
            ("registry.example.com", "http://registry.example.com/v2/"),
            ("REGISTRY.example.com", "https://registry.example.com/v2/"),
            ("registry.example.com:443", "https://registry.example.com/"),
            ("registry.example.com:80", "http://registry.example.com/"),
            (
                "registry.example.com:5000",
                "https://registry.example.com:5000/",
            ),
            ("*.example.com", "https://a.b.example.com/"),
            ("*.example.com:5000", "https://a.example.com:5000/"),
            ("10.1.2.3:5000", "https://10.1.2.3:5000/"),
            ("[::1]:5000", "https://[::1]:5000/"),
            ("docker.io", "https://registry-1.docker.io/v2/"),
            ("index.docker.io", "https://docker.io/v2/"),
        ] {
            assert!(applies(named, url), "{named} {url}");
        }
    }

    /// T-16: settings, and so credentials and certificates, are for the host that is named.
    #[test]
    fn t16_a_host_that_looks_like_the_one_named_is_another_host() {
        for (named, url) in [
            ("registry.example.com", "https://registry.example.com:5000/"),
            ("registry.example.com:5000", "https://registry.example.com/"),
            (
                "registry.example.com",
                "https://registry.example.com.evil.tld/",
            ),
            ("registry.example.com", "https://evilregistry.example.com/"),
            ("*.example.com", "https://example.com/"),
            ("*.example.com", "https://evilexample.com/"),
            ("*.example.com", "https://a.example.com:5000/"),
            ("*.example.com", "https://a.example.com.evil.tld/"),
            ("docker.io", "https://docker.io.evil.tld/"),
        ] {
            assert!(!applies(named, url), "{named} {url}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            "*",
            "*.",
            "a b",
            "https://a.example.com",
            "a.example.com/path",
            "user@a.example.com",
            "a.*.com",
            "*.10.0.0.1",
            "*.[::1]",
            "a.example.com:70000",
            "a?b",
            "a#b",
            "ä.example.com",
        ] {
            assert_eq!(Named::parse(text), None, "{text:?}");
        }
    }
}
