//! From a ClusterImagePolicy as written to what it means.

use std::sync::Arc;

use super::authority::{
    AttestationRule, Authority, AuthorityKind, Place, SignedBy, StaticAction, Wanted,
};
use super::bounds;
use super::key_source::{self, Sought};
use super::problem::Problem;
use super::program::{self, WholeProgram};
use super::pull_secret;
use super::referents::Referents;
use super::select::{self, ObjectFacts, Selector};
use super::shape;
use super::trust;
use crate::api;
use crate::image::{ImageGlob, Repository};
use crate::statement::PredicateType;
use crate::verdict::Mode;
use crate::verify::{InvalidKey, PublicKey, Requirement, UnknownHash};

/// A policy, compiled or found to be broken. Either way it matches its images.
#[derive(Clone, Debug)]
pub struct CompiledPolicy {
    /// `metadata.name`.
    pub name: Arc<str>,
    /// Whether it denies or warns.
    pub mode: Mode,
    /// The images it is about. A glob that cannot be read counts as `**`: what it would have matched is not known.
    pub globs: Vec<ImageGlob>,
    /// The objects it is about; empty means all.
    pub selectors: Vec<Selector>,
    /// What it asks, or what is wrong with it.
    pub body: Result<Policy, Vec<Problem>>,
}

/// What a policy asks.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its authorities; any that is satisfied is enough.
    pub authorities: Vec<Authority>,
    /// What must hold for all that its authorities found.
    pub program: Option<WholeProgram>,
}

/// Compiles one policy. Never fails: what is wrong with it becomes its [`CompiledPolicy::body`].
pub fn compile(policy: &api::ClusterImagePolicy, referents: &Referents) -> CompiledPolicy {
    let spec = &policy.spec;
    let mut problems = bounds::exceeded(spec);
    let is_too_large = !problems.is_empty();
    let globs = globs(&spec.images, &mut problems);
    let mode = mode(&spec.mode, &mut problems);
    let selectors = selectors(&spec.matches, &mut problems);
    let (authorities, program) = if is_too_large {
        (Vec::new(), None)
    } else {
        let authorities = authorities(&spec.authorities, referents, &mut problems);
        let whole = spec.policy.as_ref();
        let program = whole.and_then(|policy| program::whole(policy, referents, &mut problems));
        (authorities, program)
    };
    if spec.authorities.is_empty() && spec.policy.is_none() {
        problems.push(Problem::missing("spec.authorities"));
    }
    let body = if problems.is_empty() {
        Ok(Policy {
            authorities,
            program,
        })
    } else {
        Err(Problem::merged(problems))
    };
    let name = Arc::from(policy.metadata.name.as_deref().unwrap_or_default());
    CompiledPolicy {
        name,
        mode,
        globs,
        selectors,
        body,
    }
}

/// A policy that cannot be read: broken, and about the images that it names. Where those cannot be read either, it is about all.
pub fn unreadable(policy: &api::UnreadablePolicy) -> CompiledPolicy {
    let mut problems = Vec::new();
    let globs = globs(&policy.images, &mut problems);
    let mode = mode(&policy.mode, &mut problems);
    // What else is wrong is told when it can be read.
    let problem = Problem::new(
        "cannot be read",
        policy.error.at().to_string(),
        policy.error.to_string(),
    );
    CompiledPolicy {
        name: Arc::from(policy.metadata.name.as_deref().unwrap_or_default()),
        mode,
        globs,
        selectors: Vec::new(),
        body: Err(vec![problem]),
    }
}

/// What stands where the policies are not there yet: it denies every image, and says so.
pub fn unready() -> CompiledPolicy {
    let problem = Problem::new(
        "policies are not there yet",
        "spec",
        "they have not been read from the API server since the start; try again in a moment",
    );
    CompiledPolicy {
        name: Arc::from("policies-not-read-yet"),
        mode: Mode::Enforce,
        globs: ImageGlob::new("**").into_iter().collect(),
        selectors: Vec::new(),
        body: Err(vec![problem]),
    }
}

// === impl CompiledPolicy ===

impl CompiledPolicy {
    /// Whether the policy is about this object.
    pub fn selects(&self, object: Option<&ObjectFacts>) -> bool {
        self.body.is_err()
            || self.selectors.is_empty()
            || object.is_some_and(|object| self.selectors.iter().any(|s| s.selects(object)))
    }

    /// Whether its outcome can depend on which bytes an image is. One of static authorities alone says the same about all; of one
    /// that does not compile nobody knows.
    pub fn looks_at_evidence(&self) -> bool {
        let is_static = |a: &Authority| matches!(a.kind, AuthorityKind::Static(_));
        match &self.body {
            Ok(policy) => policy.program.is_some() || !policy.authorities.iter().all(is_static),
            Err(_) => true,
        }
    }
}

fn globs(images: &[api::ImagePattern], problems: &mut Vec<Problem>) -> Vec<ImageGlob> {
    if images.is_empty() {
        problems.push(Problem::missing("spec.images"));
    }
    let mut everything = images.is_empty();
    let mut globs = Vec::new();
    for (index, image) in images.iter().enumerate() {
        let field = format!("spec.images[{index}].glob");
        if image.glob.is_empty() {
            problems.push(Problem::missing(field));
            everything = true;
            continue;
        }
        match ImageGlob::new(&image.glob) {
            Ok(glob) => globs.push(glob),
            Err(error) => {
                let details = if shape::is_syntax_error(&image.glob) {
                    "glob is invalid: syntax error in pattern".to_owned()
                } else {
                    format!("glob is invalid: {error}")
                };
                problems.push(Problem::invalid(&image.glob, field, details));
                everything = true;
            }
        }
    }
    if everything {
        globs.extend(ImageGlob::new("**"));
    }
    globs
}

fn mode(written: &str, problems: &mut Vec<Problem>) -> Mode {
    match written {
        "" | "enforce" => Mode::Enforce,
        "warn" => Mode::Warn,
        other => {
            problems.push(Problem::invalid(other, "spec.mode", "unsupported mode"));
            Mode::Enforce
        }
    }
}

fn selectors(matches: &[api::MatchResource], problems: &mut Vec<Problem>) -> Vec<Selector> {
    const RESOURCES: [&str; 7] = [
        "replicasets",
        "deployments",
        "pods",
        "cronjobs",
        "jobs",
        "statefulsets",
        "daemonsets",
    ];
    let mut selectors = Vec::new();
    for (index, entry) in matches.iter().enumerate() {
        let path = format!("spec.match[{index}]");
        if entry.selector.is_some()
            && entry.group.is_empty()
            && entry.version.is_empty()
            && entry.resource.is_empty()
        {
            let details = "selector requires a resource type to match the labels";
            problems.push(Problem::invalid("", format!("{path}.selector"), details));
        } else if !entry.resource.is_empty() && !RESOURCES.contains(&entry.resource.as_str()) {
            problems.push(Problem::invalid(
                &entry.resource,
                format!("{path}.resource"),
                "unsupported resource name",
            ));
        }
        if let Some(Err(error)) = entry.selector.as_ref().map(select::check) {
            problems.push(Problem::invalid(
                "selector",
                format!("{path}.selector"),
                error.to_string(),
            ));
        }
        selectors.push(Selector {
            group: entry.group.clone(),
            version: entry.version.clone(),
            resource: entry.resource.clone(),
            labels: entry.selector.clone(),
        });
    }
    selectors
}

/// The authorities that are well-formed and that this version can ask; for each of the others there is a problem.
fn authorities(
    written: &[api::Authority],
    referents: &Referents,
    problems: &mut Vec<Problem>,
) -> Vec<Authority> {
    let compiled = written.iter().enumerate().map(|(index, authority)| {
        let path = format!("spec.authorities[{index}]");
        let wrong = shape::authority(authority, &path);
        if !wrong.is_empty() {
            problems.extend(wrong);
            return None;
        }
        let kind = authority_kind(authority, &path, referents, problems)?;
        let name = if authority.name.is_empty() {
            format!("authority-{index}")
        } else {
            authority.name.clone()
        };
        Some(Authority {
            name: Arc::from(name),
            kind,
        })
    });
    compiled.flatten().collect()
}

/// How a well-formed authority decides; `None` when there is a problem.
fn authority_kind(
    authority: &api::Authority,
    path: &str,
    referents: &Referents,
    problems: &mut Vec<Problem>,
) -> Option<AuthorityKind> {
    match (&authority.static_, &authority.key, &authority.keyless) {
        (Some(fixed), _, _) if fixed.action == "pass" => {
            Some(AuthorityKind::Static(StaticAction::Pass))
        }
        (Some(fixed), _, _) => Some(AuthorityKind::Static(StaticAction::Fail {
            message: fixed.message.clone(),
        })),
        (None, Some(key), _) => {
            let key = public_key(key, &format!("{path}.key"), referents, problems);
            let requirement = key.map(|key| trust::of_key(authority, key, referents));
            signed(authority, requirement, path, referents, problems)
        }
        (None, None, Some(keyless)) => {
            let at = format!("{path}.keyless");
            let requirement = trust::of_identities(authority, keyless, referents, &at, problems);
            signed(authority, requirement, path, referents, problems)
        }
        // A well-formed authority is of one kind.
        (None, None, None) => None,
    }
}

/// An authority that recognises signatures, where there is no problem with what it asks of them, nor with the rest of it.
fn signed(
    authority: &api::Authority,
    requirement: Option<Result<Requirement, trust::Missing>>,
    path: &str,
    referents: &Referents,
    problems: &mut Vec<Problem>,
) -> Option<AuthorityKind> {
    let place = place(&authority.sources, path, referents, problems);
    let wanted = wanted(&authority.attestations, path, referents, problems);
    let (requirement, place, wanted) = (requirement?, place?, wanted?);
    Some(match requirement {
        Ok(requirement) => AuthorityKind::Signed(SignedBy {
            requirement,
            place,
            bundles_only: authority.signature_format == "bundle",
            wanted,
        }),
        Err(trust::Missing(detail)) => AuthorityKind::Rootless {
            keyless: authority.keyless.is_some(),
            wanted,
            detail,
        },
    })
}

/// The key that is referred to, with the hash that the policy names for it. A key in `data` is well-formed, so what is wrong with it is
/// that it is of a kind that is not verified with; what was found elsewhere may be anything.
fn public_key(
    key: &api::KeyRef,
    path: &str,
    referents: &Referents,
    problems: &mut Vec<Problem>,
) -> Option<PublicKey> {
    let text = match key_source::text(key, Sought::Key, path, referents) {
        Ok(text) => text,
        Err(problem) => {
            problems.push(problem);
            return None;
        }
    };
    let read = match key.hash_algorithm.parse() {
        _ if key.hash_algorithm.is_empty() => PublicKey::from_pem(text.pem),
        Ok(hash) => PublicKey::from_pem_with_hash(text.pem, hash),
        Err(UnknownHash) => {
            let field = format!("{path}.hashAlgorithm");
            problems.push(Problem::not_supported(field, "with this hash, a signature"));
            return None;
        }
    };
    let error = match read {
        Ok(key) => return Some(key),
        Err(error) => error,
    };
    problems.push(match (&error, text.found_in) {
        (InvalidKey::Hash { .. }, _) => Problem::not_supported(
            format!("{path}.hashAlgorithm"),
            &format!("this key ({error})"),
        ),
        (_, None) => Problem::not_supported(text.field, &format!("this key ({error})")),
        (_, Some(place)) => Problem::elsewhere(
            text.field,
            format!("{place} contains an invalid public key: {error}"),
        ),
    });
    None
}

fn place(
    sources: &[api::Source],
    path: &str,
    referents: &Referents,
    problems: &mut Vec<Problem>,
) -> Option<Place> {
    let Some(source) = sources.first() else {
        return Some(Place::default());
    };
    let path = format!("{path}.source[0]");
    let pull_secrets = pull_secret::of_source(source, &path, referents, problems);
    let tag_prefix = source.tag_prefix.clone().unwrap_or_default();
    if source.oci.is_empty() {
        return Some(Place {
            repository: None,
            tag_prefix,
            pull_secrets,
        });
    }
    match Repository::parse(&source.oci) {
        Ok(repository) => Some(Place {
            repository: Some(repository),
            tag_prefix,
            pull_secrets,
        }),
        Err(error) => {
            problems.push(Problem::invalid(
                &source.oci,
                format!("{path}.oci"),
                error.to_string(),
            ));
            None
        }
    }
}

fn wanted(
    attestations: &[api::Attestation],
    path: &str,
    referents: &Referents,
    problems: &mut Vec<Problem>,
) -> Option<Wanted> {
    if attestations.is_empty() {
        return Some(Wanted::Signature);
    }
    let before = problems.len();
    let mut rules = Vec::new();
    for (index, attestation) in attestations.iter().enumerate() {
        let at = format!("{path}.attestations[{index}].policy");
        let program = attestation
            .policy
            .as_ref()
            .map(|policy| program::program(policy, &at, referents, problems));
        rules.push(AttestationRule {
            name: Arc::from(attestation.name.as_str()),
            predicate_type: PredicateType::new(&attestation.predicate_type),
            program: program.flatten(),
        });
    }
    // A program that did not compile leaves `None` behind, which must never be read as "no program": there is a problem then.
    (problems.len() == before).then_some(Wanted::Attestations(rules))
}
