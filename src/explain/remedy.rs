//! What to do next: one remedy per reason, in the imperative, with the names that a person needs.

use super::printable::{cut, line};
use crate::statement::PredicateType;
use crate::verdict::{AuthorityKind, Cause, ImageVerdict, Outcome, PolicyVerdict, Reason};

/// The longest remedy, in bytes: it must stand in the first KiB together with the verdict.
pub(super) const REMEDY: usize = 180;
/// The longest name inside a remedy, in bytes.
const NAME: usize = 40;

/// The remedy for an image that `policy` does not admit; without a policy, for an image that none is to blame for.
pub(super) fn remedy(image: &ImageVerdict, policy: Option<&PolicyVerdict>) -> String {
    let reason = policy.map_or(image.reason, |policy| policy.reason);
    let name = policy.map_or_else(
        || "its policies".to_owned(),
        |policy| line(&policy.name, NAME),
    );
    let registry = registry(image);
    let text = match reason {
        Reason::Unsigned | Reason::UntrustedSigner | Reason::NoAttestation | Reason::PredicateMalformed => vouch("", policy),
        Reason::SubjectMismatch => vouch("very ", policy),
        Reason::IdentityMismatch => format!("sign this digest as an identity that {name} names, then apply again"),
        Reason::NotLogged => "sign this digest again, with an entry in the transparency log, then apply again".to_owned(),
        Reason::NoTimestamp => "sign this digest again, with a timestamp, then apply again".to_owned(),
        Reason::CertificateInvalid => format!("sign this digest again, with a certificate that {name} trusts, then apply again"),
        Reason::PolicyDenied => format!("change what {name} objects to, or ask its owner; then apply again"),
        Reason::StaticDeny => format!("use another image: {name} refuses this one, signed or not"),
        Reason::NoMatch => "use an image that a policy covers, or add a ClusterImagePolicy whose images match this one".to_owned(),
        Reason::InvalidReference => "correct the image reference, then apply again".to_owned(),
        Reason::TagNotPinned => "write the image with its digest (NAME@sha256:…), then apply again".to_owned(),
        Reason::PolicyInvalid => format!("fix policy {name} (vouchsafe lint shows what is wrong), then apply again"),
        Reason::PolicyBudget => format!("simplify the Rego of {name}, or make what it reads smaller; then apply again"),
        Reason::TrustRootUnavailable => format!("apply the TrustRoot that {name} names, then apply again"),
        Reason::RegistryUnreachable => format!("check that the cluster reaches {registry}, then apply again"),
        Reason::RegistryAuth => format!("check the image pull secret for {registry} and what it may read, then apply again"),
        Reason::RegistryThrottled => format!("apply again in a minute; {registry} limits our requests"),
        Reason::RegistryMalformed => format!("check that {registry} has this image; if it has, tell who runs it; then apply again"),
        Reason::DigestMismatch => format!("do not use this image: tell who runs {registry} that it sends wrong content"),
        Reason::LimitExceeded => "remove what exceeds the bound, or ask the platform team to raise it; then apply again".to_owned(),
        Reason::Deadline => format!("apply again; if that does not help, see how fast {registry} answers"),
        Reason::Overloaded => "apply again in a moment".to_owned(),
        Reason::Internal => "apply again; if that does not help, give the request below to the platform team".to_owned(),
        Reason::Satisfied | Reason::StaticPass | Reason::Unchanged | Reason::NotCovered => "apply again".to_owned(),
    };
    cut(text, REMEDY)
}

/// Sign or attest, as those do whom the policy trusts.
fn vouch(emphasis: &str, policy: Option<&PolicyVerdict>) -> String {
    let what = match policy.and_then(wanted) {
        None => format!("sign this {emphasis}digest"),
        Some(wanted) => format!(
            "attest this {emphasis}digest with type {}",
            line(wanted.written(), 60)
        ),
    };
    format!(
        "{what} {}, then apply again",
        policy.map_or_else(|| "as its policies ask".to_owned(), as_who)
    )
}

/// The predicate type that is missing, where one is.
fn wanted(policy: &PolicyVerdict) -> Option<&PredicateType> {
    let deciding = policy
        .authorities
        .iter()
        .find(|a| a.outcome == policy.outcome && a.reason == policy.reason)?;
    match deciding.cause.as_ref()? {
        Cause::NothingFound { wanted, .. } | Cause::Rejected { wanted, .. } => wanted.as_ref(),
        Cause::OtherPredicates { wanted, .. } => Some(wanted),
        Cause::PolicyDenied { .. }
        | Cause::StaticDeny { .. }
        | Cause::NoAuthorities
        | Cause::Authorities
        | Cause::Unavailable { .. }
        | Cause::PolicyInvalid { .. } => None,
    }
}

/// `as ci does`, `as ci or github do`, `as ci, github or 2 others do`.
fn as_who(policy: &PolicyVerdict) -> String {
    let unsatisfied = policy
        .authorities
        .iter()
        .filter(|a| a.outcome != Outcome::Satisfied && a.kind != AuthorityKind::Static);
    let names: Vec<String> = unsatisfied.map(|a| line(&a.name, NAME / 2)).collect();
    match names.as_slice() {
        [] => format!("as policy {} asks", line(&policy.name, NAME)),
        [one] => format!("as {one} does"),
        [one, two] => format!("as {one} or {two} do"),
        [one, two, three] => format!("as {one}, {two} or {three} do"),
        [one, two, rest @ ..] => format!("as {one}, {two} or {} others do", rest.len()),
    }
}

fn registry(image: &ImageVerdict) -> String {
    image.reference.as_ref().map_or_else(
        || "the registry".to_owned(),
        |r| line(r.repository().registry(), 80),
    )
}
