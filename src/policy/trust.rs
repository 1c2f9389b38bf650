//! What authorities ask of signatures: keys and identities, and which root is trusted for what.
//!
//! *In*: a well-formed authority and the roots that are there. *Out*: its [`Requirement`]; or that the root which it names is not
//! there, which concerns this authority alone ([`Missing`]); or problems of the policy.
//!
//! | authority | `ctlog` | log entry | time |
//! |---|---|---|---|
//! | key | absent or `{}` | not looked at | not asked |
//! | any | `url` | in a log of the default root; the URL is never called | integrated time |
//! | any | `trustRootRef` | in a log of that root | integrated time |
//! | keyless | absent or `{}`, no `trustRootRef` | in a log of the default root | integrated time |
//! | keyless | absent or `{}`, with `trustRootRef` | in a log of that root, if it has one | a timestamp if it has none; else now |
//! | key | with `rfc3161timestamp` | not looked at | every timestamp that is there |
//! | keyless | with `rfc3161timestamp` | not looked at | every timestamp; one at least |

use std::sync::Arc;

use super::key_source::{self, Sought};
use super::problem::Problem;
use super::referents::Referents;
use crate::api;
use crate::trust::{Parts, TrustMaterial};
use crate::verify::{
    Expected, Identities, Identity, KeyRequirement, KeyWitness, KeylessRequirement, KeylessWitness,
    Pattern, PublicKey, Requirement, Sct,
};

/// A root that an authority needs and that is not there, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing(pub(super) String);

/// What a key authority asks.
pub(super) fn of_key(
    authority: &api::Authority,
    key: PublicKey,
    referents: &Referents,
) -> Result<Requirement, Missing> {
    let witness = match (&authority.rfc3161_timestamp, log_root(authority, referents)) {
        // An empty block cancels no log that the policy names: policy-controller does not look at it then.
        (Some(stamps), Some(root)) if stamps.trust_root_ref.is_empty() => KeyWitness::Log(root?),
        (Some(stamps), _) => {
            KeyWitness::TimestampsIfPresent(with_timestamps(&stamps.trust_root_ref, referents)?)
        }
        (None, Some(root)) => KeyWitness::Log(root?),
        (None, None) => KeyWitness::WaivedByPolicy,
    };
    Ok(Requirement::Key(KeyRequirement { key, witness }))
}

/// What a keyless authority asks; `None` when there is a problem.
pub(super) fn of_identities(
    authority: &api::Authority,
    keyless: &api::KeylessRef,
    referents: &Referents,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Option<Result<Requirement, Missing>> {
    let before = problems.len();
    let identities = identities(keyless, path, problems);
    let own_authority = keyless
        .ca_cert
        .as_ref()
        .map(|ca| certificate_authority(ca, &format!("{path}.ca-cert"), referents, problems));
    if problems.len() != before {
        return None;
    }
    let roots = Roots::of(authority, keyless, own_authority.flatten(), referents);
    let requirement = roots.and_then(|roots| {
        let witness = roots.witness;
        let trust = roots.combined()?;
        Ok((witness, trust))
    });
    let identities = identities?;
    Some(requirement.map(|(witness, trust)| {
        let waived = keyless.insecure_ignore_sct == Some(true);
        Requirement::Keyless(KeylessRequirement {
            identities,
            trust,
            sct: if waived {
                Sct::WaivedByPolicy
            } else {
                Sct::Required
            },
            witness,
        })
    }))
}

/// Which root is trusted for what, and who must vouch for the time.
struct Roots {
    authorities: Arc<TrustMaterial>,
    base: Arc<TrustMaterial>,
    logs: Arc<TrustMaterial>,
    timestamps: Arc<TrustMaterial>,
    witness: KeylessWitness,
}

impl Roots {
    fn of(
        authority: &api::Authority,
        keyless: &api::KeylessRef,
        own_authority: Option<Arc<TrustMaterial>>,
        referents: &Referents,
    ) -> Result<Self, Missing> {
        let base = named(&keyless.trust_root_ref, referents)?;
        let log = log_root(authority, referents);
        let (logs, timestamps, witness) = match (&authority.rfc3161_timestamp, log) {
            (Some(stamps), Some(root)) if stamps.trust_root_ref.is_empty() => {
                (root?, Arc::clone(&base), KeylessWitness::Log)
            }
            (Some(stamps), _) => {
                // Without a name of its own: that of the identities, and the default root if they name none either.
                let name = match stamps.trust_root_ref.as_str() {
                    "" => &keyless.trust_root_ref,
                    name => name,
                };
                let root = with_timestamps(name, referents)?;
                (Arc::clone(&base), root, KeylessWitness::Timestamps)
            }
            (None, Some(root)) => (root?, Arc::clone(&base), KeylessWitness::Log),
            (None, None) => {
                let witness = if keyless.trust_root_ref.is_empty() || base.has_logs() {
                    KeylessWitness::Log
                } else if base.has_timestamp_authorities() {
                    KeylessWitness::Timestamps
                } else {
                    KeylessWitness::WaivedByPolicy
                };
                (Arc::clone(&base), Arc::clone(&base), witness)
            }
        };
        Ok(Self {
            authorities: own_authority.unwrap_or_else(|| Arc::clone(&base)),
            base,
            logs,
            timestamps,
            witness,
        })
    }

    fn combined(&self) -> Result<Arc<TrustMaterial>, Missing> {
        let combined = TrustMaterial::combined(Parts {
            authorities: &self.authorities,
            certificate_logs: &self.base,
            logs: &self.logs,
            timestamp_authorities: &self.timestamps,
        });
        combined
            .map(Arc::new)
            .map_err(|error| Missing(error.to_string()))
    }
}

/// The root whose logs must have recorded a signature, where the policy asks for that itself.
fn log_root(
    authority: &api::Authority,
    referents: &Referents,
) -> Option<Result<Arc<TrustMaterial>, Missing>> {
    let log = authority.ctlog.as_ref()?;
    let asked = log.url.is_some() || !log.trust_root_ref.is_empty();
    asked.then(|| {
        let root = named(&log.trust_root_ref, referents)?;
        if root.has_logs() {
            return Ok(root);
        }
        Err(lacks(&log.trust_root_ref, "transparency log"))
    })
}

/// A root that has timestamp authorities.
fn with_timestamps(name: &str, referents: &Referents) -> Result<Arc<TrustMaterial>, Missing> {
    let root = named(name, referents)?;
    if root.has_timestamp_authorities() {
        return Ok(root);
    }
    Err(lacks(name, "timestamp authority"))
}

/// A root by name; without a name, the default one.
fn named(name: &str, referents: &Referents) -> Result<Arc<TrustMaterial>, Missing> {
    if name.is_empty() {
        let missing = || Missing("there is no default trusted root".to_owned());
        return referents.default_trust.clone().ok_or_else(missing);
    }
    match referents.trust_roots.get(name) {
        Some(Ok(root)) => Ok(Arc::clone(root)),
        Some(Err(why)) => Err(Missing(format!(
            "trustRootRef {name} cannot be used: {why}"
        ))),
        None => Err(Missing(format!("trustRootRef {name} not found"))),
    }
}

fn lacks(name: &str, what: &str) -> Missing {
    Missing(match name {
        "" => format!("the default trusted root has no {what}"),
        name => format!("trustRootRef {name} has no {what}"),
    })
}

/// A certificate authority of one's own: its certificates, or its public key, which is what a key management service has.
fn certificate_authority(
    ca: &api::KeyRef,
    path: &str,
    referents: &Referents,
    problems: &mut Vec<Problem>,
) -> Option<Arc<TrustMaterial>> {
    let text = match key_source::text(ca, Sought::Authority, path, referents) {
        Ok(text) => text,
        Err(problem) => {
            problems.push(problem);
            return None;
        }
    };
    let error = match TrustMaterial::from_certificate_authority_pem(text.pem) {
        Ok(trust) => return Some(Arc::new(trust)),
        Err(error) => error,
    };
    problems.push(match text.found_in {
        None => {
            Problem::not_supported(text.field, &format!("this certificate authority ({error})"))
        }
        Some(place) => Problem::elsewhere(
            text.field,
            format!("{place} contains an invalid certificate authority: {error}"),
        ),
    });
    None
}

fn identities(
    keyless: &api::KeylessRef,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Option<Identities> {
    let mut identities = Vec::new();
    for (index, identity) in keyless.identities.iter().enumerate() {
        let at = format!("{path}.identities[{index}]");
        let issuer = expected(
            &identity.issuer,
            &identity.issuer_reg_exp,
            &format!("{at}.issuerRegExp"),
            problems,
        );
        let subject = expected(
            &identity.subject,
            &identity.subject_reg_exp,
            &format!("{at}.subjectRegExp"),
            problems,
        );
        if let (Some(issuer), Some(subject)) = (issuer, subject) {
            identities.push(Identity { issuer, subject });
        }
    }
    let identities = Identities::new(identities);
    if identities.is_none() && problems.is_empty() {
        problems.push(Problem::missing(format!("{path}.identities")));
    }
    identities
}

/// One side of an identity. Exactly one of the two is given.
fn expected(
    exact: &str,
    pattern: &str,
    field: &str,
    problems: &mut Vec<Problem>,
) -> Option<Expected> {
    if !exact.is_empty() {
        return Some(Expected::Exact(exact.to_owned()));
    }
    match Pattern::new(pattern) {
        Ok(pattern) => Some(Expected::Pattern(pattern)),
        Err(error) => {
            let details = format!("regex is invalid: {error}");
            problems.push(Problem::invalid(pattern, field, details));
            None
        }
    }
}

#[cfg(test)]
mod tests;
