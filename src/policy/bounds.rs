//! How large one policy may be.
//!
//! Whoever may apply a policy, or reach `/validate-policy`, makes us compile it: keys, patterns, and above all programs, each of which
//! may take a second. So what a policy may hold is counted before any of it is compiled. The bounds are far above what people write.

use super::problem::Problem;
use crate::api;

/// The most authorities of a policy.
const AUTHORITIES: usize = 64;
/// The most attestations of all its authorities, each with a program of its own.
const ATTESTATIONS: usize = 64;
/// The most identities of all its authorities, each with up to two patterns.
const IDENTITIES: usize = 256;

/// What there is too much of; nothing where the policy may be compiled.
pub(super) fn exceeded(spec: &api::ClusterImagePolicySpec) -> Vec<Problem> {
    let authorities = &spec.authorities;
    let attestations: usize = authorities.iter().map(|a| a.attestations.len()).sum();
    let keyless = authorities.iter().filter_map(|a| a.keyless.as_ref());
    let identities: usize = keyless.map(|keyless| keyless.identities.len()).sum();
    let counted = [
        ("spec.authorities", authorities.len(), AUTHORITIES),
        (
            "spec.authorities[*].attestations",
            attestations,
            ATTESTATIONS,
        ),
        (
            "spec.authorities[*].keyless.identities",
            identities,
            IDENTITIES,
        ),
    ];
    let too_many = counted.into_iter().filter(|(_, found, most)| found > most);
    too_many
        .map(|(field, found, most)| {
            let details =
                format!("{found} of them; a policy may have {most}: split it into several");
            Problem::new("too large", field, details)
        })
        .collect()
}
