//! What a policy's author may not have meant: accepted, and weaker or narrower than it looks.

use crate::api;
use crate::go_regexp::GoRegexp;
use crate::policy::{Policy, Problem};
use crate::predicate_policy::Dialect;

/// Short names of predicate types for which policy-controller warns.
const DEPRECATED_TYPES: [&str; 7] = [
    "custom",
    "slsaprovenance",
    "spdx",
    "spdxjson",
    "cyclonedx",
    "link",
    "vuln",
];

/// Everything there is to say about a policy that is not wrong.
pub(super) fn about(policy: &api::ClusterImagePolicy, namespace: &str) -> Vec<Problem> {
    let spec = &policy.spec;
    let mut advice = Vec::new();
    for (index, image) in spec.images.iter().enumerate() {
        let field = format!("spec.images[{index}].glob");
        advice.extend(glob(&image.glob, &spec.images, &field));
    }
    for (index, entry) in spec.matches.iter().enumerate() {
        advice.extend(match_entry(entry, &format!("spec.match[{index}]")));
    }
    if spec.authorities.is_empty() && spec.policy.is_some() {
        advice.push(Problem::new(
            "the list is empty",
            "spec.authorities",
            "the policy is evaluated over authorityMatches: {}; policy-controller refuses this unless fail-on-empty-authorities is false",
        ));
    }
    for (index, authority) in spec.authorities.iter().enumerate() {
        let path = format!("spec.authorities[{index}]");
        advice.extend(static_pass(spec, authority, &path));
        advice.extend(identities(authority, &path));
        advice.extend(transparency(authority, &path));
        advice.extend(blocks(authority, &path));
        advice.extend(predicate_types(authority, &path));
        let at = format!("{path}.attestations.policy");
        let programs = authority.attestations.iter().flat_map(|a| &a.policy);
        advice.extend(programs.filter_map(|program| foreign_map(program, &at, namespace)));
    }
    let whole = spec.policy.iter();
    advice.extend(whole.filter_map(|program| foreign_map(program, "spec", namespace)));
    advice
}

/// Programs in a version of Rego that policy-controller does not read, unless they say so.
pub(super) fn dialects(policy: &Policy) -> Vec<Problem> {
    let authorities = policy.authorities.iter().enumerate();
    let rules = authorities.flat_map(|(index, authority)| {
        let path = format!("spec.authorities[{index}].attestations.policy");
        let rules = authority.attestation_rules().iter();
        rules.map(move |rule| (rule.program.as_ref(), path.clone()))
    });
    let whole = policy.program.as_ref().map(|whole| &whole.program);
    rules
        .chain([(whole, "spec.policy".to_owned())])
        .filter(|(program, _)| program.is_some_and(|program| program.dialect() == Dialect::V1))
        .map(|(_, path)| {
            Problem::new(
                "the policy is Rego v1 without saying so",
                path,
                "policy-controller refuses it; with `import rego.v1` after the package both read it",
            )
        })
        .collect()
}

/// A ConfigMap of another namespace than the webhook's, which is not where it is looked for.
fn foreign_map(program: &api::PredicatePolicy, path: &str, namespace: &str) -> Option<Problem> {
    let map = program.config_map_ref.as_ref()?;
    (!map.namespace.is_empty() && map.namespace != namespace).then(|| {
        Problem::new(
            "the namespace of a ConfigMap is not looked at",
            format!("{path}.configMapRef.namespace"),
            format!("ConfigMap {} is read from {namespace}", map.name),
        )
    })
}

/// Globs that match less than they seem to, or nothing. Matched is the full name, with its digest or its tag, and the reference as
/// it is written. `beside` are all images of the policy: what one glob leaves out another may take in.
fn glob(glob: &str, beside: &[api::ImagePattern], field: &str) -> Option<Problem> {
    let hub = ["docker.io/", "registry-1.docker.io/"]
        .iter()
        .any(|name| glob.starts_with(name));
    let (message, details) = if glob.contains("//") {
        (
            "glob can never match",
            "an image reference has no scheme and no empty part".to_owned(),
        )
    } else if hub {
        (
            "glob matches only references that are written like this",
            "Docker Hub is matched as index.docker.io/REPOSITORY, whatever the spelling".to_owned(),
        )
    } else if !glob.contains('/') && !glob.contains("**") && glob != "*" && !glob.is_empty() {
        (
            "glob matches only references that are written without a registry",
            format!(
                "full names are matched as REGISTRY/REPOSITORY; write index.docker.io/library/{glob} or **/{glob}"
            ),
        )
    } else if is_bare(glob) && !beside.iter().any(|other| takes_up(&other.glob, glob)) {
        (
            "glob matches only references without tag and digest",
            format!(
                "images are matched with their digest or tag; write {glob}@* beside it, or {glob}**"
            ),
        )
    } else if let Some(name) = name_of_tags(glob)
        && !beside
            .iter()
            .any(|other| takes_in_digests(&other.glob, name))
    {
        (
            "glob matches only references that are written with a tag",
            format!(
                "whoever writes the digest alone ({name}@sha256:…) is not matched, and not held to this policy; write {name}@* beside it, or {name}**"
            ),
        )
    } else {
        return None;
    };
    Some(Problem::new(message, field, details))
}

/// Whether a glob is the name of a repository, without wildcard, tag or digest.
fn is_bare(glob: &str) -> bool {
    let last = glob.rsplit('/').next().unwrap_or_default();
    glob.contains('/') && !glob.contains(['*', '@']) && !last.contains(':')
}

/// What a glob names before its tag, where it has one and no digest. A registry's port is no tag.
fn name_of_tags(glob: &str) -> Option<&str> {
    let (name, tag) = glob.rsplit_once(':')?;
    (!tag.contains(['/', '@'])).then_some(name)
}

/// Whether a glob also matches what is named like this, or everything that begins so, by its digest.
fn takes_in_digests(other: &str, name: &str) -> bool {
    let digests = other.strip_prefix(name);
    let is_whole = |open: &str| name.starts_with(open);
    digests.is_some_and(|rest| rest.starts_with(['@', '*']))
        || other.strip_suffix("**").is_some_and(is_whole)
}

/// Whether another glob names the same repository with a tag, a digest or anything behind it: then the bare name is meant as such.
fn takes_up(other: &str, bare: &str) -> bool {
    let rest = other.strip_prefix(bare);
    rest.is_some_and(|rest| rest.starts_with([':', '@', '*']))
}

fn match_entry(entry: &api::MatchResource, path: &str) -> Option<Problem> {
    let (field, details) = if entry.resource.is_empty() {
        ("resource", "without a resource it selects no object")
    } else if entry.version.is_empty() {
        (
            "version",
            "without a version it selects no object; * is any version",
        )
    } else {
        return None;
    };
    Some(Problem::new(
        "match never selects an object",
        format!("{path}.{field}"),
        details,
    ))
}

/// A fixed yes to every image, with no policy over it.
fn static_pass(
    spec: &api::ClusterImagePolicySpec,
    authority: &api::Authority,
    path: &str,
) -> Option<Problem> {
    let everything = spec
        .images
        .iter()
        .any(|image| ["**", "*/**", "**/*"].contains(&image.glob.as_str()));
    let passes = authority
        .static_
        .as_ref()
        .is_some_and(|fixed| fixed.action == "pass");
    (everything && passes && spec.policy.is_none()).then(|| {
        Problem::new(
            "every image is admitted without proof",
            format!("{path}.static.action"),
            "the policy matches every image, and one authority that is satisfied is enough",
        )
    })
}

fn identities(authority: &api::Authority, path: &str) -> Vec<Problem> {
    let identities = authority.keyless.iter().flat_map(|k| k.identities.iter());
    let patterns = identities.enumerate().flat_map(|(index, identity)| {
        let at = format!("{path}.keyless.identities[{index}]");
        [
            (&identity.issuer_reg_exp, format!("{at}.issuerRegExp")),
            (&identity.subject_reg_exp, format!("{at}.subjectRegExp")),
        ]
    });
    patterns
        .filter(|(pattern, _)| !pattern.is_empty())
        .filter(|(pattern, _)| GoRegexp::new(pattern).is_ok_and(|regexp| !regexp.is_anchored()))
        .map(|(_, field)| {
            Problem::new(
                "regular expression is not anchored",
                field,
                "it is searched for anywhere, so a longer text that contains a match matches too; begin it with ^ and end it with $",
            )
        })
        .collect()
}

/// A keyless authority with a TrustRoot of its own that does not say where signing is proven to have happened in time.
fn transparency(authority: &api::Authority, path: &str) -> Option<Problem> {
    let keyless = authority.keyless.as_ref()?;
    let has_log = authority
        .ctlog
        .as_ref()
        .is_some_and(|log| log.url.is_some() || !log.trust_root_ref.is_empty());
    let is_open =
        !keyless.trust_root_ref.is_empty() && !has_log && authority.rfc3161_timestamp.is_none();
    is_open.then(|| {
        Problem::new(
            "no transparency log is named",
            format!("{path}.ctlog"),
            "an entry is required if the TrustRoot has logs, else a timestamp if it has timestamp authorities, \
             else the certificate must be valid now; policy-controller always asks for the last. Name one of them",
        )
    })
}

fn blocks(authority: &api::Authority, path: &str) -> Vec<Problem> {
    let mut advice = Vec::new();
    if let Some(key) = &authority.key
        && key.data.matches(api::PEM_BEGIN).count() > 1
    {
        advice.push(Problem::new(
            "there are several PEM blocks",
            format!("{path}.key.data"),
            "only the first counts; give each key an authority of its own",
        ));
    }
    advice
}

/// Types that are no URI. The words are policy-controller's, and so is the path, without an index.
fn predicate_types(authority: &api::Authority, path: &str) -> Vec<Problem> {
    let types = authority.attestations.iter().map(|a| &a.predicate_type);
    types
        .filter(|written| !written.is_empty())
        .filter(|written| DEPRECATED_TYPES.contains(&written.as_str()) || !is_uri(written))
        .map(|written| {
            Problem::invalid(
                written,
                format!("{path}.attestations.predicateType"),
                "deprecated value, please use RFC 3986 conformant values",
            )
        })
        .collect()
}

/// Whether it is an absolute URI or an absolute path, without control characters.
fn is_uri(text: &str) -> bool {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    let has_scheme = text
        .split_once(':')
        .is_some_and(|(scheme, rest)| is_scheme(scheme) && !rest.is_empty());
    !text.contains(|c: char| c.is_ascii_control()) && (has_scheme || text.starts_with('/'))
}
