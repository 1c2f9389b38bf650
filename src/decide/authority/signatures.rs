//! An authority that wants the image signed.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::memory;
use super::evidence::{Shortfall, search, signer_entry, summary};
use super::{Answer, Judge, Scope, Thoroughness};
use crate::evidence::Candidate;
use crate::gather::{FetchError, WantedEvidence};
use crate::image::PinnedImage;
use crate::policy::SignedBy;
use crate::verify::{self, SignedImage, Verified};

/// The first place that holds a proof answers, unless everything is wanted.
pub(super) async fn judge(
    judge: &Judge,
    signed: &SignedBy,
    image: &PinnedImage,
    scope: &Scope<'_>,
    thoroughness: Thoroughness,
) -> Result<Answer, FetchError> {
    let (requirement, now) = (&signed.requirement, judge.now());
    let key = |candidate: &Candidate| memory::key(image.digest(), candidate, requirement);
    let is_known = |candidate: &Candidate| judge.memory.has_signature(&key(candidate));
    let verify = |candidate: &Candidate| {
        let verify = || {
            verify::signature(
                candidate,
                image.digest(),
                requirement,
                &judge.limits.evidence,
                now,
            )
        };
        judge.memory.signature(key(candidate), verify)
    };
    let mut search = search(judge, signed, &WantedEvidence::Signatures, image, scope);
    let (mut found, mut shortfall, mut cut_short) = (Vec::new(), Shortfall::default(), None);
    loop {
        let gathered = match search.next().await {
            Ok(Some(gathered)) => gathered,
            Ok(None) => break,
            Err(error) if found.is_empty() => return Err(error),
            Err(error) => {
                cut_short = Some(error);
                break;
            }
        };
        let verified = shortfall
            .sort(gathered, &judge.parsing, is_known, verify)
            .await;
        if verified.is_empty() {
            continue;
        }
        if found.is_empty() {
            search.was_right();
        }
        found.extend(verified);
        if thoroughness == Thoroughness::Enough {
            break;
        }
    }
    if found.is_empty() {
        shortfall.all_read()?;
        return Ok(shortfall.nothing_proven(None));
    }
    let unread = cut_short.or_else(|| shortfall.all_read().err());
    Ok(satisfied(&distinct(found), unread))
}

/// A signature that is kept in two places is one signature.
fn distinct(mut found: Vec<Arc<Verified<SignedImage>>>) -> Vec<Arc<Verified<SignedImage>>> {
    let mut seen = BTreeSet::new();
    found.retain(|verified| seen.insert(verified.value().id.clone()));
    found
}

fn satisfied(verified: &[Arc<Verified<SignedImage>>], unread: Option<FetchError>) -> Answer {
    let entries: Vec<Value> = verified.iter().map(|v| signature_entry(v)).collect();
    let evidence = verified.iter().map(|v| summary(v, None)).collect();
    Answer::Satisfied {
        evidence,
        rego: None,
        authority_match: json!({ "signatures": entries }),
        unread,
    }
}

/// What a program over the whole policy sees of a signature. Members that are empty are left out, as in policy-controller, which
/// does not have `annotations`.
fn signature_entry(verified: &Verified<SignedImage>) -> Value {
    let SignedImage { annotations, id } = verified.value();
    let mut entry = signer_entry(verified.signer());
    entry.insert("id".to_owned(), json!(id));
    if !annotations.is_empty() {
        entry.insert("annotations".to_owned(), json!(annotations));
    }
    Value::Object(entry)
}
