//! An authority that wants the image signed.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::memory;
use super::evidence::{Shortfall, search, summary};
use super::{Answer, Judge, Scope};
use crate::evidence::Candidate;
use crate::gather::{FetchError, WantedEvidence};
use crate::image::PinnedImage;
use crate::policy::SignedBy;
use crate::verify::{self, SignedImage, Verified};

/// The first place that holds a proof answers.
pub(super) async fn judge(
    judge: &Judge,
    signed: &SignedBy,
    image: &PinnedImage,
    scope: &Scope<'_>,
) -> Result<Answer, FetchError> {
    let trust = &scope.snapshot.trust;
    let verify = |candidate: &Candidate| {
        let key = memory::key(image.digest(), candidate, &signed.requirement, trust);
        let verify = || {
            verify::signature(
                candidate,
                image.digest(),
                &signed.requirement,
                trust,
                &judge.limits.evidence,
            )
        };
        judge.memory.signature(key, verify)
    };
    let mut search = search(judge, signed, &WantedEvidence::Signatures, image, scope);
    let mut shortfall = Shortfall::default();
    while let Some(gathered) = search.next().await? {
        let verified = shortfall.sort(gathered, verify).await;
        if !verified.is_empty() {
            search.was_right();
            return Ok(satisfied(&verified));
        }
    }
    shortfall.all_read()?;
    Ok(shortfall.nothing_proven(None))
}

fn satisfied(verified: &[Arc<Verified<SignedImage>>]) -> Answer {
    let entries: Vec<Value> = verified.iter().map(|v| signature_entry(v)).collect();
    let evidence = verified.iter().map(|v| summary(v, None)).collect();
    Answer::Satisfied {
        evidence,
        rego: None,
        authority_match: json!({ "signatures": entries }),
    }
}

fn signature_entry(verified: &Verified<SignedImage>) -> Value {
    json!({ "id": verified.value().id })
}
