//! Where signatures are kept: repositories and registries as go-containerregistry's strict reading has them.
//!
//! That reading only says what is refused when a policy is written; which repository is then asked is decided where policies are
//! compiled, by the container runtime's reading.

use super::super::problem::Problem;
use crate::api;

/// What a repository's path is made of.
const REPOSITORY: &str = "abcdefghijklmnopqrstuvwxyz0123456789_-./";

/// What is wrong with an authority's sources.
pub(super) fn sources(sources: &[api::Source], path: &str) -> Vec<Problem> {
    let source = match sources {
        [] => return Vec::new(),
        [source] => source,
        _ => {
            let details = "only single source is supported";
            return vec![Problem::invalid(
                "source",
                format!("{path}.source"),
                details,
            )];
        }
    };
    let path = format!("{path}.source[0]");
    let mut problems = Vec::new();
    if let Err(details) = repository(&source.oci) {
        problems.push(Problem::invalid(
            &source.oci,
            format!("{path}.oci"),
            details,
        ));
    }
    let secrets = source.signature_pull_secrets.iter().enumerate();
    let nameless = secrets.filter(|(_, secret)| secret.name.is_empty());
    problems.extend(
        nameless.map(|(index, _)| {
            Problem::missing(format!("{path}.signaturePullSecrets[{index}].name"))
        }),
    );
    problems
}

/// Nothing, a registry, or a registry and a repository.
fn repository(oci: &str) -> Result<(), String> {
    match oci.split_once('/') {
        _ if oci.is_empty() => Ok(()),
        Some((registry, path)) if registry.contains(['.', ':']) => {
            if !(2..=255).contains(&path.chars().count()) {
                return Err(format!(
                    "repository must be between 2 and 255 characters in length: {path}"
                ));
            }
            if path.contains(|c| !REPOSITORY.contains(c)) {
                return Err(format!(
                    "repository can only contain the characters `{REPOSITORY}`: {path}"
                ));
            }
            authority(registry)?;
            if ["docker.io", "index.docker.io"].contains(&registry) && !path.contains('/') {
                return Err(
                    "strict validation requires the full repository path (missing 'library')"
                        .to_owned(),
                );
            }
            Ok(())
        }
        _ => authority(oci),
    }
}

/// RFC 3986 §3.2, without user information: a host, with a port or without.
fn authority(registry: &str) -> Result<(), String> {
    let (host, port) = match registry.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (registry, ""),
    };
    let is_host = match host.strip_prefix('[') {
        Some(address) => address.strip_suffix(']').is_some_and(|address| {
            !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
        }),
        None => host.chars().all(is_host_character),
    };
    if is_host && port.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(());
    }
    Err(format!(
        "registries must be valid RFC 3986 URI authorities: {registry}"
    ))
}

/// What Go leaves in a host as it is; all else would be escaped, or ends the host.
fn is_host_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.~!$&'()*+,;=\"<>".contains(c) || !c.is_ascii()
}
