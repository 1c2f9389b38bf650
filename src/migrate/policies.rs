//! One ClusterImagePolicy: what is judged otherwise than by policy-controller, and what cannot be judged.

use serde_json::Value;

use super::globs::could_match_by_digest;
use super::{Finding, Known, Severity, Subject, text};
use crate::api;
use crate::apply::{self, Severity as Applied, Surroundings};

/// What is found in one. `object` is the policy as it is written.
pub(super) fn check(
    subject: &Subject,
    object: &Value,
    policy: &api::ClusterImagePolicy,
    known: &Known<'_>,
) -> Vec<Finding> {
    let spec = &policy.spec;
    let mut found = applied(subject, policy, known);
    for (index, image) in spec.images.iter().enumerate() {
        let field = format!("spec.images[{index}].glob");
        found.extend(glob(subject, &image.glob, &field));
        found.extend(plain_http(subject, &image.glob, &field));
    }
    for (index, entry) in spec.matches.iter().enumerate() {
        if entry.selector.is_some() {
            found.push(subject.finding(
                Severity::Changes,
                "labels",
                format!("spec.match[{index}].selector"),
                "an edit of labels alone is not judged; policy-controller judges the object again".to_owned(),
                ["let nobody choose these labels who must not choose the policy"],
            ));
        }
    }
    found.extend(empty(subject, spec, known));
    if spec.mode == "warn" {
        found.push(subject.finding(
            Severity::Note,
            "warn",
            "spec.mode",
            "it never denies; policy-controller denies here too what has no digest".to_owned(),
            [],
        ));
    }
    let lossy = text(object, "/apiVersion").ends_with("/v1beta1");
    for (index, authority) in spec.authorities.iter().enumerate() {
        let path = format!("spec.authorities[{index}]");
        found.extend(transparency(subject, authority, &path, lossy));
        found.extend(keyless(subject, authority, &path, known));
        found.extend(sources(subject, authority, &path));
        found.extend(keys(subject, authority, &path, known));
        let programs = authority.attestations.iter().flat_map(|a| &a.policy);
        let at = format!("{path}.attestations.policy");
        found.extend(programs.flat_map(|program| texts(subject, program, &at, known)));
    }
    let whole = spec.policy.iter();
    found.extend(whole.flat_map(|program| texts(subject, program, "spec.policy", known)));
    if spec.mode == "warn" {
        // Whatever is wrong with it, it denies nothing.
        let blocking = found
            .iter_mut()
            .filter(|finding| finding.severity == Severity::Blocks);
        for finding in blocking {
            finding.severity = Severity::Changes;
            finding.message.push_str("; with mode warn it only warns");
        }
    }
    found
}

/// What this version refuses, or cannot judge by.
fn applied(subject: &Subject, policy: &api::ClusterImagePolicy, known: &Known<'_>) -> Vec<Finding> {
    let around = Surroundings::Partly(&known.referents);
    let findings = apply::check_policy(policy, &known.target.namespace, around);
    let told = findings.iter().filter_map(|finding| {
        let problem = &finding.problem;
        let field = problem.fields().join(", ");
        let is_cue = problem.details().contains("CUE");
        if is_cue {
            return Some(subject.finding(
                Severity::Blocks,
                "cue",
                field,
                "it is written in CUE, which is not evaluated: images that it matches are denied".to_owned(),
                ["write it in Rego, try it with vouchsafe verify, and apply it before enforcing"],
            ));
        }
        if finding.severity == Applied::Refused {
            let why = problem.details().lines().next().unwrap_or_default();
            return Some(subject.finding(
                Severity::Blocks,
                "refused",
                field,
                format!("{}: it would be refused, and denies what it matches: {why}", problem.message()),
                ["correct it and apply it; vouchsafe lint says what is wrong"],
            ));
        }
        if problem.is_not_supported() || problem.is_elsewhere() {
            return Some(subject.finding(
                Severity::Blocks,
                "not-supported",
                field,
                format!("{}: {}", problem.message(), problem.details()),
                ["change it before enforcing; vouchsafe lint says what is wrong"],
            ));
        }
        (problem.message() == "regular expression is not anchored").then(|| {
            subject.finding(
                Severity::Note,
                "unanchored",
                field,
                "it is searched for anywhere, here as there: a longer text that contains a match matches too".to_owned(),
                ["begin it with ^ and end it with $"],
            )
        })
    });
    told.collect()
}

/// A glob that selected nothing, and does now.
fn glob(subject: &Subject, glob: &str, field: &str) -> Option<Finding> {
    if glob.starts_with("localhost/") || glob.starts_with("index.docker.io/localhost/") {
        return Some(subject.finding(
            Severity::Changes,
            "localhost",
            field,
            "localhost/NAME is the registry localhost, as for the container runtime; policy-controller reads a repository of Docker Hub".to_owned(),
            ["write the glob for the registry that is meant"],
        ));
    }
    (!could_match_by_digest(glob)).then(|| {
        subject.finding(
            Severity::Changes,
            "glob",
            field,
            format!("{glob} matches nothing under policy-controller, which knows images by their digest alone; here it also matches the reference as it is written, with its tag: the policy judges images that it never judged"),
            ["see in shadow what it denies; take the glob away if that is not meant"],
        )
    })
}

/// A registry that policy-controller would speak plain HTTP with.
fn plain_http(subject: &Subject, written: &str, field: &str) -> Option<Finding> {
    let host = written.split('/').next().unwrap_or_default();
    let name = host.split(':').next().unwrap_or_default();
    let below = [".local", ".localhost"];
    let is_local = below.iter().any(|suffix| name.ends_with(suffix)) || is_private(name);
    (is_local && !host.contains('*') && written.contains('/')).then(|| {
        subject.finding(
            Severity::Changes,
            "plain-http",
            field,
            format!("policy-controller speaks plain HTTP with {host} where it must; here HTTPS is spoken, and nothing else"),
            [&format!("if it has no HTTPS: --insecure-registry {host}, or insecure: true in registries.yaml")],
        )
    })
}

/// RFC 1918.
fn is_private(host: &str) -> bool {
    let octets: Option<Vec<u8>> = host.split('.').map(|octet| octet.parse().ok()).collect();
    matches!(
        octets.as_deref(),
        Some([10, _, _, _] | [172, 16..=31, _, _] | [192, 168, _, _])
    )
}

fn empty(
    subject: &Subject,
    spec: &api::ClusterImagePolicySpec,
    known: &Known<'_>,
) -> Option<Finding> {
    let (severity, message) = match (spec.authorities.is_empty(), &spec.policy) {
        (false, _) => return None,
        (true, Some(_)) => (
            Severity::Changes,
            "its policy is evaluated over authorityMatches: {}; policy-controller admits without evaluating it",
        ),
        (true, None) if known.empty_authorities_fail => (
            Severity::Note,
            "it has no authorities and denies what it matches",
        ),
        (true, None) => (
            Severity::Blocks,
            "it has no authorities and denies what it matches; policy-controller admits that (fail-on-empty-authorities: false)",
        ),
    };
    Some(subject.finding(
        severity,
        "empty-authorities",
        "spec.authorities",
        message.to_owned(),
        ["name an authority; static: {action: pass} admits everything"],
    ))
}

/// Which log and which time are asked.
fn transparency(
    subject: &Subject,
    authority: &api::Authority,
    path: &str,
    lossy: bool,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let log = authority.ctlog.as_ref();
    let by_url = log.is_some_and(|log| log.url.is_some());
    let by_root = log.is_some_and(|log| !log.trust_root_ref.is_empty());
    let stamped = authority.rfc3161_timestamp.is_some();
    if lossy && by_root && !by_url {
        found.push(subject.finding(
            Severity::Changes,
            "lost-in-conversion",
            format!("{path}.ctlog"),
            "policy-controller stores a v1beta1 policy without a ctlog that has no url, and asks for no log entry; here it is asked for".to_owned(),
            ["see in shadow that its signatures have an entry in that log"],
        ));
    }
    if let (Some(keyless), false, false, false) = (&authority.keyless, by_url, by_root, stamped) {
        let message = match (log.is_some(), keyless.trust_root_ref.is_empty()) {
            (false, true) => None,
            (true, true) => Some(
                "ctlog: {} does not switch the log off: an entry in a log of the default root is asked for, where policy-controller asks whether the certificate is valid now",
            ),
            (_, false) => Some(
                "an entry is asked for if the TrustRoot has a log, else a timestamp if it has timestamp authorities; policy-controller asks whether the certificate is valid now",
            ),
        };
        found.extend(message.map(|message| {
            subject.finding(
                Severity::Changes,
                "transparency",
                format!("{path}.ctlog"),
                message.to_owned(),
                ["see in shadow that its signatures have an entry; name a ctlog or an rfc3161timestamp to say what is meant"],
            )
        }));
    }
    if by_url && !stamped {
        found.push(subject.finding(
            Severity::Note,
            "no-online-search",
            format!("{path}.ctlog.url"),
            "the log entry must come with the signature, as cosign writes it; policy-controller searches the log online where it does not".to_owned(),
            [],
        ));
    }
    found
}

/// Authorities that could vouch for nothing under policy-controller, and roots that are missing.
fn keyless(
    subject: &Subject,
    authority: &api::Authority,
    path: &str,
    known: &Known<'_>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let keyless = authority.keyless.as_ref();
    if keyless.is_some_and(|keyless| keyless.ca_cert.is_some()) {
        found.push(subject.finding(
            Severity::Changes,
            "ca-cert",
            format!("{path}.keyless.ca-cert"),
            "it vouches for images; under policy-controller such an authority is never satisfied"
                .to_owned(),
            ["check that it is meant"],
        ));
    }
    let is_bundle = authority.signature_format == "bundle";
    if is_bundle && (authority.key.is_some() || authority.attestations.is_empty()) {
        found.push(subject.finding(
            Severity::Changes,
            "bundle",
            format!("{path}.signatureFormat"),
            "bundles of signatures, and bundles signed by a key, count; under policy-controller such an authority is never satisfied".to_owned(),
            ["check that it is meant"],
        ));
    }
    let named = [
        keyless.map(|keyless| (&keyless.trust_root_ref, "keyless.trustRootRef")),
        authority
            .ctlog
            .as_ref()
            .map(|log| (&log.trust_root_ref, "ctlog.trustRootRef")),
        authority
            .rfc3161_timestamp
            .as_ref()
            .map(|stamp| (&stamp.trust_root_ref, "rfc3161timestamp.trustRootRef")),
    ];
    let Some(roots) = &known.roots else {
        return found;
    };
    let missing = named
        .into_iter()
        .flatten()
        .filter(|(name, _)| !name.is_empty() && !roots.contains(*name));
    found.extend(missing.map(|(name, field)| {
        subject.finding(
            Severity::Note,
            "no-trust-root",
            format!("{path}.{field}"),
            format!(
                "there is no TrustRoot {name}: what the policy matches is denied, here as there"
            ),
            ["apply it"],
        )
    }));
    found
}

/// Where evidence is kept.
fn sources(subject: &Subject, authority: &api::Authority, path: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, source) in authority.sources.iter().enumerate() {
        let at = format!("{path}.source[{index}]");
        found.extend(plain_http(subject, &source.oci, &format!("{at}.oci")));
        if authority.signature_format == "bundle" && !source.oci.is_empty() {
            found.push(subject.finding(
                Severity::Changes,
                "bundle-source",
                format!("{at}.oci"),
                "bundles are looked for there; policy-controller looks beside the image".to_owned(),
                ["see in shadow that they are found"],
            ));
        }
    }
    found
}

/// Keys that are kept elsewhere.
fn keys(
    subject: &Subject,
    authority: &api::Authority,
    path: &str,
    known: &Known<'_>,
) -> Vec<Finding> {
    let Some(key) = &authority.key else {
        return Vec::new();
    };
    let mut found = Vec::new();
    if let Some(secret) = &key.secret_ref {
        found.push(subject.finding(
            Severity::Note,
            "secret",
            format!("{path}.key.secretRef"),
            format!(
                "Secret {} is read in Vouchsafe's namespace, {}",
                secret.name, known.target.namespace
            ),
            ["install Vouchsafe into policy-controller's namespace, or copy the Secret"],
        ));
    }
    if !key.kms.is_empty() {
        found.push(subject.finding(
            Severity::Note,
            "kms",
            format!("{path}.key.kms"),
            "Vouchsafe fetches the key itself".to_owned(),
            ["give its service account what policy-controller's has, and see in shadow that vouchsafe_references{kind=\"key\",state=\"missing\"} is 0"],
        ));
    }
    found
}

/// Programs whose text is kept elsewhere.
fn texts(
    subject: &Subject,
    program: &api::PredicatePolicy,
    path: &str,
    known: &Known<'_>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(map) = &program.config_map_ref
        && !known.referents.config_maps.contains_key(&map.name)
    {
        found.push(subject.finding(
            Severity::Note,
            "config-map",
            format!("{path}.configMapRef"),
            format!(
                "ConfigMap {} is not among what was looked at, so its text was not checked",
                map.name
            ),
            ["give the ConfigMap to this command as well"],
        ));
    }
    if program.remote.is_some() {
        found.push(subject.finding(
            Severity::Note,
            "remote",
            format!("{path}.remote"),
            "Vouchsafe fetches the text itself, over HTTPS and without redirects to other hosts; it was not checked here".to_owned(),
            ["let its Pods reach that host"],
        ));
    }
    if program.include_spec == Some(true) || program.include_type_meta == Some(true) {
        found.push(subject.finding(
            Severity::Note,
            "input",
            path.to_owned(),
            "it is given the whole spec, and kind and API version of Pods as well; policy-controller leaves out what it does not know".to_owned(),
            [],
        ));
    }
    found
}
