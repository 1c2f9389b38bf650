//! Repositories: a registry host and a path in it.
//!
//! In comes the part of a reference before tag and digest; out comes the repository that the container runtime would pull from:
//! the normalisation of `distribution/reference` (`ParseNormalizedNamed`), so that every spelling of a Docker Hub image is one
//! repository. Host and path are separate from here on: a rule about one can never be satisfied by the other
//! (`docker.io.evil.com`, `evil.com/docker.io`).

use std::fmt;
use std::str::FromStr;

use super::{ImageReference, InvalidReference};

/// Docker Hub, as `distribution/reference` writes it.
const DOCKER_HUB: &str = "docker.io";
/// Docker Hub, as go-containerregistry writes it; also an old spelling of users.
const DOCKER_HUB_INDEX: &str = "index.docker.io";
/// Every host of Docker Hub.
const DOCKER_HUB_HOSTS: [&str; 4] = [
    DOCKER_HUB,
    DOCKER_HUB_INDEX,
    "registry-1.docker.io",
    "registry.hub.docker.com",
];
/// Where Docker Hub keeps images whose name has one component.
const OFFICIAL_IMAGES: &str = "library/";
/// Longest path, in bytes.
const MAX_PATH_BYTES: usize = 255;

/// A repository: registry host (with its port) and path.
///
/// Docker Hub is always `docker.io`, and its official images have the path `library/…`. The host keeps the case it was written
/// in. `Display` is `registry/path`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository {
    registry: String,
    path: String,
}

// === impl Repository ===

impl Repository {
    /// Reads a repository with neither tag nor digest, as in a policy's `source[].oci`.
    ///
    /// # Errors
    /// [`InvalidReference`]: everything that is no reference, and [`InvalidReference::NotARepository`] for a tag or a digest.
    pub fn parse(text: &str) -> Result<Self, InvalidReference> {
        let reference: ImageReference = text.parse()?;
        match (reference.tag(), reference.digest()) {
            (None, None) => Ok(reference.repository().clone()),
            _ => Err(InvalidReference::NotARepository {
                found: text.to_owned(),
            }),
        }
    }

    /// The registry host, with its port where one was written: `docker.io`, `localhost:5000`, `[::1]:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path in the registry: `library/nginx`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The name that globs are written for: as `Display`, with Docker Hub as `index.docker.io`, as policy-controller has it.
    pub fn matching_name(&self) -> String {
        let registry = if self.registry == DOCKER_HUB {
            DOCKER_HUB_INDEX
        } else {
            &self.registry
        };
        format!("{registry}/{}", self.path)
    }

    /// The same repository under the plain name of its host, where it is written in another way: lower case, without the port
    /// that HTTPS has anyway, and Docker Hub's hosts by the one name of Docker Hub. `None` where it is written so already.
    ///
    /// `GHCR.IO/app` is pulled from `ghcr.io`, so a policy about `ghcr.io/**` must not be avoided by spelling it that way.
    pub(super) fn by_plain_host(&self) -> Option<Self> {
        let lower = self.registry.to_ascii_lowercase();
        let host = match lower.rsplit_once(':') {
            // `:0443` is 443 as well, for whoever dials it.
            Some((host, port)) if port.trim_start_matches('0') == "443" => host,
            _ => &lower,
        };
        let host = if DOCKER_HUB_HOSTS.contains(&host) {
            DOCKER_HUB
        } else {
            host
        };
        (host != self.registry).then(|| Self {
            registry: host.to_owned(),
            path: self.path.clone(),
        })
    }

    /// Reads `name` (a reference without its digest) into a repository and the text of its tag.
    ///
    /// 1. What stands before the first `/` is a host if it is `localhost`, contains `.` or `:`, or has an upper-case letter.
    /// 2. Without a host it is Docker Hub, and there a name of one component is an official image.
    /// 3. The first `:` after the host begins the tag.
    /// 4. Host and path must each follow their grammar.
    pub(super) fn split(name: &str) -> Result<(Self, Option<&str>), InvalidReference> {
        let (registry, rest) = match name.split_once('/') {
            Some((DOCKER_HUB_INDEX, rest)) => (DOCKER_HUB, rest),
            Some((first, rest)) if is_host(first) => (first, rest),
            _ => (DOCKER_HUB, name),
        };
        let (written_path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        let official = registry == DOCKER_HUB && !written_path.contains('/');
        let path = if official {
            format!("{OFFICIAL_IMAGES}{written_path}")
        } else {
            written_path.to_owned()
        };
        check_path(registry, &path)?;
        Ok((
            Self {
                registry: registry.to_owned(),
                path,
            },
            tag,
        ))
    }
}

impl FromStr for Repository {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        Self::parse(text)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

/// Whether the part before the first `/` is a registry host and not the first component of a path on Docker Hub.
fn is_host(first: &str) -> bool {
    first == "localhost"
        || first.contains(['.', ':'])
        || first.contains(|c: char| c.is_ascii_uppercase())
}

/// Checks host and path. A host such as `reg_istry.io` is none by the grammar, but the runtime takes the whole name for a path
/// and then pulls from its first component, so it is accepted where it is a path component, and counts towards its length.
fn check_path(registry: &str, path: &str) -> Result<(), InvalidReference> {
    let host_bytes = match (is_host_and_port(registry), is_path_component(registry)) {
        (true, _) => 0,
        (false, true) => registry.len() + 1,
        (false, false) => {
            return Err(InvalidReference::InvalidHost {
                found: registry.to_owned(),
            });
        }
    };
    if path.contains(|c: char| c.is_ascii_uppercase()) {
        return Err(InvalidReference::UpperCaseRepository {
            found: path.to_owned(),
        });
    }
    if let Some(component) = path
        .split('/')
        .find(|component| !is_path_component(component))
    {
        return Err(InvalidReference::InvalidPath {
            component: component.to_owned(),
            path: path.to_owned(),
        });
    }
    let found = host_bytes + path.len();
    if found > MAX_PATH_BYTES {
        return Err(InvalidReference::PathTooLong {
            found,
            max: MAX_PATH_BYTES,
        });
    }
    Ok(())
}

/// `domain[:port]` or `[ipv6][:port]`.
fn is_host_and_port(text: &str) -> bool {
    if let Some(address) = text.strip_prefix('[') {
        return address.split_once(']').is_some_and(|(address, port)| {
            let hex_or_colon = |b: u8| b.is_ascii_hexdigit() || b == b':';
            !address.is_empty()
                && address.bytes().all(hex_or_colon)
                && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
        });
    }
    match text.split_once(':') {
        Some((domain, port)) => is_domain(domain) && is_port(port),
        None => is_domain(text),
    }
}

/// Digits. The grammar has no upper bound; a port that does not exist cannot be reached.
fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Labels of letters, digits and inner `-`, joined by `.`; no trailing dot.
fn is_domain(text: &str) -> bool {
    text.split('.').all(|label| {
        let known = label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-');
        !label.is_empty() && known && !label.starts_with('-') && !label.ends_with('-')
    })
}

/// Lower-case letters and digits, joined by `.`, `_`, `__` or any number of `-`.
fn is_path_component(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !text.starts_with(alphanumeric) || !text.ends_with(alphanumeric) {
        return false;
    }
    text.split(alphanumeric)
        .all(|joint| matches!(joint, "" | "." | "_" | "__") || joint.bytes().all(|b| b == b'-'))
}
