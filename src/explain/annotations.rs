//! The audit annotations: the verdict for the audit log, in seven keys of at most 1 KiB.
//!
//! The API server files them as `NAME-OF-THE-WEBHOOK/KEY`. A key without a value is left out.

use std::collections::{BTreeMap, BTreeSet};

use super::printable::{join, line};
use super::{Context, Enforcement};
use crate::verdict::{EvidenceSummary, ImageVerdict, Outcome, ReviewVerdict};
use crate::verify::Signer;

/// One value, in bytes.
const VALUE: usize = 1 << 10;
/// One name inside a value, in bytes.
const NAME: usize = 253;

/// `verdict`, `reason`, `policies`, `digests`, `signers` and `trust-epoch`; `enforcement` where denials are not carried out.
pub(super) fn annotations(
    verdict: &ReviewVerdict,
    context: &Context<'_>,
) -> BTreeMap<String, String> {
    let values = [
        ("verdict", verdict.judgement.as_str().to_owned()),
        ("reason", verdict.reason.as_str().to_owned()),
        ("policies", list(verdict.images.iter().flat_map(policies))),
        (
            "digests",
            list(
                verdict
                    .images
                    .iter()
                    .filter_map(|image| image.digest.as_ref())
                    .map(ToString::to_string),
            ),
        ),
        (
            "signers",
            list(
                verdict
                    .images
                    .iter()
                    .flat_map(evidence)
                    .map(|evidence| signer(&evidence.signer)),
            ),
        ),
        ("trust-epoch", line(&context.trust_epoch, VALUE)),
        (
            "enforcement",
            match context.enforcement {
                Enforcement::Enforce => String::new(),
                Enforcement::Shadow => "shadow".to_owned(),
            },
        ),
    ];
    let told = values.into_iter().filter(|(_, value)| !value.is_empty());
    told.map(|(key, value)| (key.to_owned(), value)).collect()
}

/// `release=violated:untrusted-signer`, `base=satisfied`.
fn policies(image: &ImageVerdict) -> impl Iterator<Item = String> + '_ {
    image.policies.iter().map(|policy| {
        let (name, outcome) = (line(&policy.name, NAME), policy.outcome.as_str());
        match policy.outcome {
            Outcome::Satisfied => format!("{name}={outcome}"),
            Outcome::Violated | Outcome::Unknown => format!("{name}={outcome}:{}", policy.reason),
        }
    })
}

/// The evidence that satisfied something.
fn evidence(image: &ImageVerdict) -> impl Iterator<Item = &EvidenceSummary> {
    image
        .policies
        .iter()
        .flat_map(|policy| &policy.authorities)
        .flat_map(|authority| &authority.evidence)
}

fn signer(signer: &Signer) -> String {
    match signer {
        Signer::Key(fingerprint) => format!("key:{fingerprint}"),
        Signer::Identity(holder) => format!(
            "identity:{} issuer:{}",
            line(holder.subject(), NAME),
            line(holder.issuer(), NAME)
        ),
    }
}

/// Sorted, each once.
fn list(values: impl Iterator<Item = String>) -> String {
    let values: Vec<String> = values.collect::<BTreeSet<_>>().into_iter().collect();
    join(&values, ",", VALUE)
}
