//! Which registries are those of a cloud, by their whole names (T-16, CVE-2025-27403).
//!
//! Everything that a cloud's credentials may see is decided here: a host that merely looks like one of these is not one of these. A
//! port is never part of them.

use std::str::FromStr;

use crate::adapters::identity::aws::{is_region, suffix};

/// A registry of a cloud.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::adapters) enum CloudRegistry {
    /// Elastic Container Registry of an account: `123456789012.dkr.ecr.eu-west-1.amazonaws.com`.
    Ecr {
        /// The region, by which it gives tokens.
        region: String,
        /// Whether it is asked at its endpoint for FIPS 140.
        is_fips: bool,
    },
    /// `public.ecr.aws`.
    EcrPublic,
    /// Artifact Registry and Container Registry: `europe-docker.pkg.dev`, `gcr.io`, `eu.gcr.io`.
    Google,
    /// Azure Container Registry: `shop.azurecr.io`.
    Azure {
        /// The registry.
        host: String,
        /// Where its tokens come from.
        authority: &'static str,
    },
}

/// The domains of Azure's registries, and who speaks for their users.
const AZURE: [(&str, &str); 3] = [
    ("io", "https://login.microsoftonline.com/"),
    ("cn", "https://login.chinacloudapi.cn/"),
    ("us", "https://login.microsoftonline.us/"),
];
/// Digits of the number of an AWS account.
const ACCOUNT: usize = 12;

/// Some registries of clouds: a host, or `*.` and the end of hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    host: String,
    is_end: bool,
}

/// Not a host, and not the end of hosts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{written:?} is neither the host of a registry, nor `*.` and the end of such hosts")]
pub struct HostPatternError {
    written: String,
}

// === impl HostPattern ===

impl HostPattern {
    /// Whether this host is meant. An end begins at a dot.
    pub(super) fn matches(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        if !self.is_end {
            return host == self.host;
        }
        let before = host.strip_suffix(&self.host);
        before.is_some_and(|before| before.len() > 1 && before.ends_with('.'))
    }
}

impl FromStr for HostPattern {
    type Err = HostPatternError;

    fn from_str(written: &str) -> Result<Self, HostPatternError> {
        let lower = written.to_ascii_lowercase();
        let end = lower.strip_prefix("*.");
        let host = end.unwrap_or(&lower);
        if !host.contains('.') || !host.split('.').all(is_label) {
            let written = written.to_owned();
            return Err(HostPatternError { written });
        }
        Ok(Self {
            host: host.to_owned(),
            is_end: end.is_some(),
        })
    }
}

// === impl CloudRegistry ===

impl CloudRegistry {
    /// The registry with this host, as references have it; `None` for one of no cloud.
    pub(in crate::adapters) fn of(host: &str) -> Option<Self> {
        let host = host.to_ascii_lowercase();
        let labels: Vec<&str> = host.split('.').collect();
        match labels.as_slice() {
            [
                account,
                "dkr",
                kind @ ("ecr" | "ecr-fips"),
                region,
                rest @ ..,
            ] => {
                let domain = rest.join(".");
                let is_ours = is_account(account) && is_region(region) && domain == suffix(region);
                is_ours.then(|| Self::ecr(region, *kind == "ecr-fips"))
            }
            [
                account,
                kind @ ("dkr-ecr" | "dkr-ecr-fips"),
                region,
                "on",
                "aws",
            ] => {
                let is_ours = is_account(account) && is_region(region);
                is_ours.then(|| Self::ecr(region, *kind == "dkr-ecr-fips"))
            }
            ["public", "ecr", "aws"] => Some(Self::EcrPublic),
            ["gcr", "io"] => Some(Self::Google),
            [part, "gcr", "io"] => is_label(part).then_some(Self::Google),
            [part, "pkg", "dev"] => {
                let location = part.strip_suffix("-docker");
                location.is_some_and(is_label).then_some(Self::Google)
            }
            [name, "azurecr", top] => {
                let (_, authority) = AZURE.into_iter().find(|(known, _)| known == top)?;
                is_label(name).then(|| Self::Azure {
                    host: host.clone(),
                    authority,
                })
            }
            _ => None,
        }
    }

    fn ecr(region: &str, is_fips: bool) -> Self {
        Self::Ecr {
            region: region.to_owned(),
            is_fips,
        }
    }
}

fn is_account(label: &str) -> bool {
    label.len() == ACCOUNT && label.bytes().all(|b| b.is_ascii_digit())
}

fn is_label(label: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    !label.is_empty() && label.len() <= 63 && label.bytes().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_of_clouds_are_known_by_their_whole_names() {
        let of = CloudRegistry::of;
        for (host, region, is_fips) in [
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
                "eu-west-1",
                false,
            ),
            (
                "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
                "us-gov-west-1",
                true,
            ),
            (
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
                "cn-north-1",
                false,
            ),
            ("123456789012.dkr-ecr.us-east-1.on.aws", "us-east-1", false),
        ] {
            assert_eq!(
                of(host),
                Some(CloudRegistry::ecr(region, is_fips)),
                "{host}"
            );
        }
        assert_eq!(of("public.ecr.aws"), Some(CloudRegistry::EcrPublic));
        for host in ["gcr.io", "eu.gcr.io", "EUROPE-docker.pkg.dev"] {
            assert_eq!(of(host), Some(CloudRegistry::Google), "{host}");
        }
        for (host, login) in [
            ("shop.azurecr.io", "https://login.microsoftonline.com/"),
            ("shop-1.azurecr.cn", "https://login.chinacloudapi.cn/"),
            ("shop.azurecr.us", "https://login.microsoftonline.us/"),
        ] {
            let expected = CloudRegistry::Azure {
                host: host.to_owned(),
                authority: login,
            };
            assert_eq!(of(host), Some(expected), "{host}");
        }
    }

    #[test]
    fn a_pattern_is_a_host_or_the_end_of_hosts() {
        let matches =
            |pattern: &str, host: &str| pattern.parse::<HostPattern>().unwrap().matches(host);
        assert!(matches("shop.azurecr.io", "SHOP.azurecr.io"));
        assert!(!matches("shop.azurecr.io", "x.azurecr.io"));
        let ends = "*.dkr.ecr.eu-west-1.amazonaws.com";
        assert!(matches(
            ends,
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
        ));
        assert!(!matches(
            ends,
            "123456789012.dkr.ecr.eu-west-2.amazonaws.com"
        ));
        assert!(!matches("*.azurecr.io", "shopazurecr.io"));
        assert!(!matches("*.azurecr.io", "azurecr.io"));
        for wrong in [
            "",
            "*",
            "*.",
            "*.io.",
            "shop",
            "shop.*.io",
            "shop.azurecr.io:443",
            "https://shop.azurecr.io",
        ] {
            assert!(wrong.parse::<HostPattern>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn t16_a_host_that_only_looks_like_one_of_a_cloud_is_none() {
        for host in [
            "123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.example",
            "x.dkr.ecr.us-east-1.amazonaws.com",
            "12345678901.dkr.ecr.us-east-1.amazonaws.com",
            "a.123456789012.dkr.ecr.us-east-1.amazonaws.com",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com:8443",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com.cn",
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com",
            "123456789012.dkr.ecr.evil.amazonaws.com",
            "123456789012.dkr.ecr.us-east-1.evil.com",
            "123456789012.dkr.ecr.us-east-1",
            "123456789012.dkr-ecr.us-east-1.on.aws.evil.example",
            "evil.dkr.ecr.us-east-1@123456789012.amazonaws.com",
            "public.ecr.aws.evil.example",
            "notpublic.ecr.aws",
            "evil.public.ecr.aws",
            "gcr.io.evil.example",
            "evilgcr.io",
            "a.b.gcr.io",
            ".gcr.io",
            "gcr.io:443",
            "pkg.dev",
            "-docker.pkg.dev",
            "evil.pkg.dev",
            "europe-docker.pkg.dev.evil.example",
            "europe-docker.evil.pkg.dev",
            "azurecr.io",
            "shopazurecr.io",
            "shop.azurecr.io.evil.example",
            "shop.azurecr.io:444",
            "a.shop.azurecr.io",
            "shop.azurecr.de",
            "shop.azurecr.com",
            "sh_op.azurecr.io",
            "docker.io",
            "localhost",
            "",
        ] {
            assert_eq!(CloudRegistry::of(host), None, "{host}");
        }
    }
}
