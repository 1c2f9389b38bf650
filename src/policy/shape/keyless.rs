//! Keyless authorities: identities and the certificate authority that vouches for them.

use super::super::problem::Problem;
use super::key;
use crate::api;
use crate::go_regexp::GoRegexp;

/// What is wrong with a keyless authority, beside [`no_identities`].
pub(super) fn keyless(keyless: &api::KeylessRef, path: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(ca) = &keyless.ca_cert {
        if keyless.url.is_some() {
            problems.push(Problem::both(
                ["url", "ca-cert"].map(|field| format!("{path}.{field}")),
            ));
        }
        problems.extend(key::certificate_authority(ca, &format!("{path}.ca-cert")));
    }
    for (index, identity) in keyless.identities.iter().enumerate() {
        let at = format!("{path}.identities[{index}]");
        problems.extend(side(
            &at,
            "issuer",
            &identity.issuer,
            &identity.issuer_reg_exp,
        ));
        problems.extend(side(
            &at,
            "subject",
            &identity.subject,
            &identity.subject_reg_exp,
        ));
    }
    problems
}

/// An empty list of identities, which would let anybody sign. Absent, it is refused by the API server; empty, by the webhook: the
/// texts of both stand here, because this reading does not tell the two apart.
pub(super) fn no_identities(keyless: &api::KeylessRef, path: &str) -> Option<Problem> {
    let field = format!("{path}.identities");
    let details = format!("{field}: Invalid value: \"null\": at least one identity is needed");
    keyless
        .identities
        .is_empty()
        .then(|| Problem::new("missing field(s)", field, details))
}

/// One side of an identity: a text or a regular expression, exactly one.
fn side(path: &str, name: &str, exact: &str, pattern: &str) -> Vec<Problem> {
    let fields = [format!("{path}.{name}"), format!("{path}.{name}RegExp")];
    let mut problems = Vec::new();
    match (exact.is_empty(), pattern.is_empty()) {
        (true, true) => problems.push(Problem::all_missing(fields)),
        (false, false) => problems.push(Problem::both(fields)),
        (true, false) | (false, true) => {}
    }
    if let Err(error) = GoRegexp::new(pattern) {
        let details = format!("regex is invalid: {error}");
        problems.push(Problem::invalid(
            pattern,
            format!("{path}.{name}RegExp"),
            details,
        ));
    }
    problems
}
