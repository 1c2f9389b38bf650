//! Every reason, cause and rejection in one sentence.
//!
//! Phrases that people grep for in the answers of policy-controller are kept to the letter: `no signatures found`,
//! `no matching signatures`, `no matching attestations with type T`, `failed evaluating rego policy for type N: …`,
//! `disallowed by static policy: …`. Lower case, no full stop: they stand inside other sentences.

use jiff::Timestamp;

use super::printable::{join, line};
use crate::evidence::Location;
use crate::statement::PredicateType;
use crate::verdict::{
    AuthorityVerdict, Cause, Class, EvidenceSummary, ImageVerdict, Judgement, Outcome,
    PolicyVerdict, Reason, RejectedEvidence,
};
use crate::verify::{Holder, Identities, Rejection, Signer};

/// The longest sentence about one authority or policy, in bytes.
pub(super) const SENTENCE: usize = 480;
/// What a predicate policy says, in bytes.
const SAID: usize = 360;
/// The longest single thing that somebody else chose, inside a sentence, in bytes.
const QUOTED: usize = 200;

/// The longest sentence about one rejected piece, in bytes: two identities must fit.
const REJECTION: usize = 440;

/// Whether the phrases that stand for *unsigned* may be used.
///
/// Of an image or a policy that could not be judged they must not stand in the text, even where one authority of several has
/// truly found nothing: who greps for them counts unsigned images, and this may be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wording {
    /// The phrases of policy-controller.
    Upstream,
    /// Others.
    Unjudged,
}

impl Wording {
    /// The wording for something with this outcome.
    pub(super) fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Satisfied | Outcome::Violated => Self::Upstream,
            Outcome::Unknown => Self::Unjudged,
        }
    }
}

/// What a reason means.
pub(super) fn meaning(reason: Reason) -> &'static str {
    match reason {
        Reason::Satisfied => "every matching policy holds",
        Reason::StaticPass => "a static authority lets it pass",
        Reason::Unchanged => "the request changes nothing that runs",
        Reason::NotCovered => "nothing in this request is judged",
        Reason::NoMatch => "no matching policies",
        Reason::Unsigned => "no signatures found",
        Reason::NoAttestation => "no matching attestations",
        Reason::UntrustedSigner => "signed, but not by anybody whom the policy trusts",
        Reason::IdentityMismatch => "signed by another identity than the policy names",
        Reason::NotLogged => "signature not found in transparency log",
        Reason::NoTimestamp => "no signed timestamp, which the policy requires",
        Reason::CertificateInvalid => "the certificate of the signature is not valid",
        Reason::SubjectMismatch => "signed, but about another image",
        Reason::PredicateMalformed => "what was found cannot be read as what it claims to be",
        Reason::PolicyDenied => "the Rego of the policy says no",
        Reason::StaticDeny => "disallowed by static policy",
        Reason::InvalidReference => "could not parse reference",
        Reason::TagNotPinned => "must be an image digest",
        Reason::PolicyInvalid => "the policy cannot be evaluated as it is written",
        Reason::PolicyBudget => "the policy used up its time or memory",
        Reason::TrustRootUnavailable => "the trust root that the policy names is not there",
        Reason::RegistryUnreachable => "the registry cannot be reached",
        Reason::RegistryAuth => "the registry refuses access",
        Reason::RegistryThrottled => "the registry asks us to slow down",
        Reason::RegistryMalformed => "the registry gave no answer that can be used",
        Reason::DigestMismatch => "the registry sent other bytes than asked for",
        Reason::LimitExceeded => "something is larger than its bound",
        Reason::Deadline => {
            "context was canceled before validation completed: the time for this request was over"
        }
        Reason::Overloaded => "too much is being judged at this moment",
        Reason::Internal => "an internal error",
    }
}

/// That something could not be judged, and why. Never *unsigned*.
pub(super) fn could_not_judge(reason: Reason, detail: Option<&str>) -> String {
    let what = match (detail, reason.class()) {
        (Some(detail), _) => line(detail, QUOTED),
        (None, Class::Unknown) => meaning(reason).to_owned(),
        // An unjudged thing with another reason is a fault in folding, and must not sound like a finding.
        (None, Class::Admitted | Class::Violated) => meaning(Reason::Internal).to_owned(),
    };
    format!("could not judge: {what}")
}

/// Why an authority is not satisfied; where it is, by whom.
pub(super) fn authority(authority: &AuthorityVerdict, wording: Wording) -> String {
    match (authority.outcome, &authority.cause) {
        (Outcome::Satisfied, _) => satisfied(authority),
        (_, Some(cause)) => self::cause(cause, authority.reason, wording),
        (Outcome::Violated, None) => violated(authority.reason, wording),
        (Outcome::Unknown, None) => could_not_judge(authority.reason, None),
    }
}

/// Why a policy is not satisfied, in one sentence: its own cause, or that of the authority which gave it its reason.
pub(super) fn policy(policy: &PolicyVerdict, wording: Wording) -> String {
    let deciding = policy
        .authorities
        .iter()
        .find(|a| a.outcome == policy.outcome && a.reason == policy.reason);
    match (policy.outcome, &policy.cause, deciding) {
        (Outcome::Satisfied, _, Some(deciding)) => satisfied(deciding),
        (Outcome::Satisfied, _, None) => "it holds".to_owned(),
        (_, None | Some(Cause::Authorities), Some(deciding)) => authority(deciding, wording),
        (_, Some(cause), _) => self::cause(cause, policy.reason, wording),
        (Outcome::Violated, None, None) => violated(policy.reason, wording),
        (Outcome::Unknown, None, None) => could_not_judge(policy.reason, None),
    }
}

/// What is wrong with an image that no policy is to blame for.
pub(super) fn image(image: &ImageVerdict) -> String {
    match (image.judgement, image_detail(image)) {
        (Judgement::Unknown, _) => could_not_judge(image.reason, image.detail.as_deref()),
        (Judgement::Admit | Judgement::Warn | Judgement::Deny, None) => {
            meaning(image.reason).to_owned()
        }
        (_, Some(detail)) => line(&format!("{}: {detail}", meaning(image.reason)), SENTENCE),
    }
}

/// The same without what the reason says already.
pub(super) fn image_detail(image: &ImageVerdict) -> Option<String> {
    let detail = image.detail.as_deref().map(|detail| line(detail, QUOTED));
    match (image.judgement, image.reason) {
        (Judgement::Unknown, reason) => Some(could_not_judge(reason, image.detail.as_deref())),
        // Where the registry does name a digest, that is not what was in the way.
        (_, Reason::TagNotPinned) if image.digest.is_none() => {
            detail.map(|detail| format!("it could not be pinned: {detail}"))
        }
        (Judgement::Admit | Judgement::Warn | Judgement::Deny, _) => detail,
    }
}

fn violated(reason: Reason, wording: Wording) -> String {
    match wording {
        Wording::Upstream => meaning(reason).to_owned(),
        Wording::Unjudged => "not satisfied".to_owned(),
    }
}

/// A cause. `reason` says what stands behind [`Cause::Unavailable`].
pub(super) fn cause(cause: &Cause, reason: Reason, wording: Wording) -> String {
    let text = match cause {
        Cause::NothingFound { wanted, looked } => nothing_found(wanted.as_ref(), looked, wording),
        Cause::OtherPredicates { wanted, found } => {
            format!(
                "{}, checked the following predicateTypes: \"{}\"",
                no_matching(Some(wanted)),
                quoted(found, ",")
            )
        }
        Cause::Rejected { wanted, rejections } => rejected(wanted.as_ref(), rejections, wording),
        Cause::PolicyDenied {
            attestation,
            messages,
        } => {
            let of = attestation.as_deref().unwrap_or("ClusterImagePolicy");
            // The pieces are one sentence: cut at its end, never in front of what the policy has to say.
            let said: Vec<String> = messages
                .iter()
                .take(64)
                .map(|message| line(message, SAID))
                .collect();
            format!(
                "failed evaluating rego policy for type {}: {}",
                line(of, 64),
                line(&said.join(" "), SAID)
            )
        }
        Cause::StaticDeny { message } => {
            format!("disallowed by static policy: {}", line(message, QUOTED))
        }
        Cause::NoAuthorities => {
            "it has neither authorities nor a policy of its own, so nothing can satisfy it"
                .to_owned()
        }
        Cause::Authorities => "none of its authorities is satisfied".to_owned(),
        Cause::Unavailable { detail } => could_not_judge(reason, Some(detail)),
        Cause::PolicyInvalid { problems } => {
            format!(
                "could not judge: {}: {}",
                meaning(Reason::PolicyInvalid),
                quoted(problems, "; ")
            )
        }
    };
    line(&text, SENTENCE)
}

fn nothing_found(wanted: Option<&PredicateType>, looked: &[Location], wording: Wording) -> String {
    let places: Vec<&str> = looked.iter().map(|place| place.as_str()).collect();
    let looked = if places.is_empty() {
        String::new()
    } else {
        format!(" (looked at {})", places.join(", "))
    };
    match (wording, wanted) {
        (Wording::Unjudged, _) => format!("nothing there{looked}"),
        (Wording::Upstream, None) => format!("no signatures found{looked}"),
        (Wording::Upstream, Some(_)) => format!("{}: none found{looked}", no_matching(wanted)),
    }
}

/// `no matching signatures`, or the phrase for attestations of a type.
fn no_matching(wanted: Option<&PredicateType>) -> String {
    match wanted {
        None => "no matching signatures".to_owned(),
        Some(wanted) => format!(
            "no matching attestations with type {}",
            line(wanted.written(), QUOTED)
        ),
    }
}

/// `no matching signatures: 2 found`
pub(super) fn found(wanted: Option<&PredicateType>, count: usize) -> String {
    format!("{}: {count} found", no_matching(wanted))
}

fn rejected(
    wanted: Option<&PredicateType>,
    rejections: &[RejectedEvidence],
    wording: Wording,
) -> String {
    let found = match wording {
        Wording::Upstream => found(wanted, rejections.len()),
        Wording::Unjudged => format!("{} found", rejections.len()),
    };
    let Some(first) = rejections.first().map(|first| rejection(&first.rejection)) else {
        return found;
    };
    match rejections
        .iter()
        .filter(|other| rejection(&other.rejection) != first)
        .count()
    {
        0 => format!("{found}, {first}"),
        others => format!(
            "{found}, {} {first}, {others} for other reasons",
            rejections.len() - others
        ),
    }
}

/// One rejected piece of evidence, with where it was found.
pub(super) fn piece(rejected: &RejectedEvidence) -> String {
    format!(
        "{} {}: {}",
        rejected.format,
        rejected.digest.short(),
        rejection(&rejected.rejection)
    )
}

/// What is wrong with a piece of evidence.
pub(super) fn rejection(rejection: &Rejection) -> String {
    let text = match rejection {
        Rejection::Undecodable(error) => format!("unreadable: {error}"),
        Rejection::NotASignature => "an attestation, which is not a signature".to_owned(),
        Rejection::NotAnAttestation => "a signature, which is not an attestation".to_owned(),
        Rejection::WrongKey { wanted } => {
            format!("by another key (the policy has {})", wanted.short())
        }
        Rejection::NoCertificate => "by a key, and the policy asks for a certificate".to_owned(),
        Rejection::OtherKey => "the signature is not by the holder of its certificate".to_owned(),
        Rejection::InvalidCertificate { detail } => detail.clone(),
        Rejection::OtherIdentity { found, wanted } => other_identity(found, wanted),
        Rejection::NotLogged { detail } => {
            format!("signature not found in transparency log: {detail}")
        }
        Rejection::NoTimestamp { detail } | Rejection::Unverifiable { detail } => detail.clone(),
        Rejection::PayloadType { found } => {
            format!(
                "invalid payloadType {}, expected application/vnd.in-toto+json",
                line(found, 64)
            )
        }
        Rejection::MalformedPayload { detail } => {
            format!("by the right signer, but the payload is unreadable: {detail}")
        }
        Rejection::PayloadKind { found } => format!(
            "by the right signer, but of type {}, which is no image signature",
            line(found, 64)
        ),
        Rejection::MalformedStatement(error) => {
            format!("by the right signer, but the statement is unreadable: {error}")
        }
        Rejection::SubjectMismatch { expected, found } => {
            // The claim comes first: where its list is long, what it should have been must not be cut away.
            let about = quoted(
                &found
                    .iter()
                    .map(|found| line(found, 80))
                    .collect::<Vec<_>>(),
                ", ",
            );
            format!(
                "by the right signer, but about another image: invalid or missing digest in claim: not {}, but {about}",
                expected.short()
            )
        }
    };
    line(&text, REJECTION)
}

/// What was found, and what was wanted. The phrase is policy-controller's.
fn other_identity(found: &Holder, wanted: &Identities) -> String {
    let mut wanted: Vec<String> = wanted
        .iter()
        .map(|identity| line(&identity.to_string(), QUOTED))
        .collect();
    let others = wanted.len().saturating_sub(1);
    wanted.truncate(1);
    if others > 0 {
        wanted.push(format!("{others} more"));
    }
    format!(
        "none of the expected identities matched what was in the certificate, got subjects [{}] with issuer {}; wanted {}",
        line(&found.subjects(), QUOTED),
        line(found.issuer(), 80),
        wanted.join(" or ")
    )
}

/// By whom an authority is satisfied.
fn satisfied(authority: &AuthorityVerdict) -> String {
    match authority.evidence.first() {
        None => meaning(Reason::StaticPass).to_owned(),
        Some(first) if authority.evidence.len() == 1 => vouched(first),
        Some(first) => format!(
            "{} (and {} more)",
            vouched(first),
            authority.evidence.len() - 1
        ),
    }
}

fn vouched(evidence: &EvidenceSummary) -> String {
    let what = evidence
        .predicate_type
        .as_ref()
        .map_or("signed".to_owned(), |t| format!("attested {}", line(t, 80)));
    format!(
        "{what} {} ({} {})",
        by(&evidence.signer, evidence.time),
        evidence.format,
        evidence.digest.short()
    )
}

/// By whom, and when, as far as that is known.
pub(super) fn by(by: &Signer, time: Option<Timestamp>) -> String {
    let when = time.map_or_else(String::new, |time| {
        format!(" at {}", time.strftime("%Y-%m-%d %H:%M UTC"))
    });
    format!("by {}{when}", signer(by))
}

fn signer(signer: &Signer) -> String {
    match signer {
        Signer::Key(key) => format!("key {}", key.short()),
        Signer::Identity(holder) => format!(
            "{}, issuer {}",
            line(holder.subject(), QUOTED),
            line(holder.issuer(), 80)
        ),
    }
}

/// Texts of others, each on one line, counted where there are too many.
fn quoted(texts: &[String], separator: &str) -> String {
    let lines: Vec<String> = texts
        .iter()
        .take(64)
        .map(|text| line(text, QUOTED))
        .collect();
    join(&lines, separator, QUOTED + 40)
}
