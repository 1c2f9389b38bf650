//! How a key of a docker config applies to a repository, as the kubelet reads `dockerconfigjson`.
//!
//! A key is `host`, `host:port`, `host/path`, or a URL of those. The host matches label by label, a `*` standing for any part of one
//! label; the port must be the same; the path is a prefix, here of whole path components. Docker Hub has several names. A key that
//! merely looks like the registry gets nothing (T-16, CVE-2025-27403).

use crate::image::Repository;

/// The names under which Docker Hub is written in docker configs.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// How specific `pattern` is for `repository` (the longer the path, the more), or `None` when it does not apply.
pub(super) fn specificity(pattern: &str, repository: &Repository) -> Option<usize> {
    let (host, path) = parts(pattern);
    (host_applies(host, repository.registry()) && path_applies(path, repository.path()))
        .then_some(path.len())
}

/// The same where the host is known to be the right one.
pub(super) fn path_specificity(pattern: &str, repository: &Repository) -> Option<usize> {
    let (_, path) = parts(pattern);
    path_applies(path, repository.path()).then_some(path.len())
}

/// Host and path of a key.
fn parts(pattern: &str) -> (&str, &str) {
    let pattern = pattern
        .strip_prefix("https://")
        .or_else(|| pattern.strip_prefix("http://"))
        .unwrap_or(pattern);
    let (host, path) = pattern.split_once('/').unwrap_or((pattern, ""));
    (host, repository_path(path))
}

/// The path without the version of the registry's API: `https://index.docker.io/v1/` names no repository.
fn repository_path(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    match path {
        "v1" | "v2" => "",
        _ => path
            .strip_prefix("v1/")
            .or_else(|| path.strip_prefix("v2/"))
            .unwrap_or(path),
    }
}

fn host_applies(pattern: &str, registry: &str) -> bool {
    let (pattern, registry) = (pattern.to_ascii_lowercase(), registry.to_ascii_lowercase());
    if DOCKER_HUB.contains(&pattern.as_str()) {
        return DOCKER_HUB.contains(&registry.as_str());
    }
    let (pattern_host, pattern_port) = split_port(&pattern);
    let (host, port) = split_port(&registry);
    if pattern_port != port {
        return false;
    }
    // A star stays within its label, as in Kubernetes: `*.example.com` is not `a.b.example.com`.
    let (pattern, host): (Vec<_>, Vec<_>) =
        (pattern_host.split('.').collect(), host.split('.').collect());
    pattern.len() == host.len()
        && pattern
            .iter()
            .zip(&host)
            .all(|(pattern, label)| label_applies(pattern, label))
}

/// Whether a label matches a pattern in which `*` stands for any text.
fn label_applies(pattern: &str, label: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == label;
    };
    let Some(mut label) = label.strip_prefix(head) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let Some((_, after)) = label.split_once(piece) else {
            return false;
        };
        label = after;
    }
    label.ends_with(last)
}

fn path_applies(pattern: &str, path: &str) -> bool {
    pattern.is_empty()
        || path
            .strip_prefix(pattern)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (name, Some(port)),
        _ => (host, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applies(pattern: &str, repository: &str) -> bool {
        specificity(pattern, &Repository::parse(repository).unwrap()).is_some()
    }

    #[test]
    fn keys_apply_to_what_they_name() {
        for (pattern, repository) in [
            ("registry.example.com", "registry.example.com/shop/cart"),
            (
                "https://registry.example.com",
                "registry.example.com/shop/cart",
            ),
            (
                "http://registry.example.com/v2/",
                "registry.example.com/shop/cart",
            ),
            (
                "https://registry.example.com/v1/shop",
                "registry.example.com/shop/cart",
            ),
            ("Registry.Example.com", "registry.example.com/shop/cart"),
            (
                "registry.example.com:5000",
                "registry.example.com:5000/shop/cart",
            ),
            (
                "registry.example.com/shop",
                "registry.example.com/shop/cart",
            ),
            (
                "registry.example.com/shop/",
                "registry.example.com/shop/cart",
            ),
            (
                "registry.example.com/shop/cart",
                "registry.example.com/shop/cart",
            ),
            ("*.example.com", "registry.example.com/shop/cart"),
            (
                "registry-*.example.com",
                "registry-eu.example.com/shop/cart",
            ),
            ("r*y-*u.example.com", "registry-eu.example.com/shop/cart"),
            ("*.*.com:5000/shop", "registry.example.com:5000/shop/cart"),
            ("[::1]:5000", "[::1]:5000/shop/cart"),
            ("10.0.0.1", "10.0.0.1/shop/cart"),
        ] {
            assert!(applies(pattern, repository), "{pattern} {repository}");
        }
    }

    #[test]
    fn look_alikes_get_nothing() {
        for (pattern, repository) in [
            ("acr.azurecr.io", "acr.azurecr.io.evil.tld/shop/cart"),
            ("azurecr.io", "acr.azurecr.io/shop/cart"),
            ("*.azurecr.io", "acr.azurecr.io.evil.tld/shop/cart"),
            ("*.azurecr.io", "a.b.azurecr.io/shop/cart"),
            ("*.azurecr.io", "evilazurecr.io/shop/cart"),
            ("*", "registry.example.com/shop/cart"),
            ("", "registry.example.com/shop/cart"),
            ("registry.example.com", "evil.tld/registry.example.com/cart"),
            (
                "registry.example.com",
                "registry.example.com:5000/shop/cart",
            ),
            (
                "registry.example.com:5000",
                "registry.example.com/shop/cart",
            ),
            (
                "registry.example.com:5000",
                "registry.example.com:50000/shop/cart",
            ),
            (
                "registry.example.com/shop",
                "registry.example.com/shopping/cart",
            ),
            (
                "registry.example.com/shop/cart",
                "registry.example.com/shop",
            ),
            (
                "user@registry.example.com",
                "registry.example.com/shop/cart",
            ),
            ("*.com", "registry.example.com/shop/cart"),
            ("docker.io", "docker.io.evil.tld/library/nginx"),
            ("docker.io", "evil.tld/docker.io/nginx"),
        ] {
            assert!(!applies(pattern, repository), "{pattern} {repository}");
        }
    }

    #[test]
    fn docker_hub_goes_by_every_one_of_its_names() {
        for pattern in [
            "docker.io",
            "index.docker.io",
            "https://index.docker.io/v1/",
            "https://index.docker.io/v2/",
            "registry-1.docker.io",
        ] {
            assert!(applies(pattern, "nginx"), "{pattern}");
        }
        assert!(!applies("hub.docker.io", "nginx"));
        assert!(applies("docker.io/shop", "shop/cart"));
        assert!(!applies("docker.io/shop", "library/nginx"));
    }

    #[test]
    fn a_longer_path_is_more_specific() {
        let repository = Repository::parse("registry.example.com/shop/cart").unwrap();
        assert!(
            specificity("registry.example.com/shop", &repository)
                > specificity("*.example.com", &repository)
        );
    }
}
