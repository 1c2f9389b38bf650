//! One image: the digest that is judged, the policies that speak about it, and what they say together.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;

use super::{Judge, Scope, Snapshot, policy, unavailable, unjudged};
use crate::gather::FetchError;
use crate::image::{Digest, ImageReference, PinnedImage};
use crate::policy::{CompiledPolicy, Match, ObjectFacts};
use crate::verdict::{
    Cause, ImageVerdict, Judgement, Mode, NoMatchPolicy, Outcome, PolicyVerdict, Reason, fold_image,
};
use crate::workload::FieldPath;

/// Judges one image.
pub(super) async fn judge(
    judge: &Judge,
    reference: ImageReference,
    fields: Vec<FieldPath>,
    scope: &Scope<'_>,
) -> ImageVerdict {
    let digest = match resolve(judge, &reference, scope).await {
        Ok(digest) => digest,
        Err(error) => return unresolved(reference, fields, scope, &error),
    };
    let pinned = PinnedImage::new(reference.clone(), digest);
    let (speaking, in_doubt) = confirmed(judge, &reference, &pinned, scope).await;
    if is_unpinned(&reference, &speaking, scope) {
        let detail = scope.snapshot.tags.unmet().to_owned();
        return ImageVerdict {
            digest: Some(pinned.digest().clone()),
            resolved: true,
            ..unpinned(reference, fields, detail)
        };
    }
    let judged = speaking
        .iter()
        .map(|policy| policy::judge(judge, policy, &pinned, scope));
    let mut policies = join_all(judged).await;
    policies.extend(in_doubt);
    policies.sort_by(|a, b| a.name.cmp(&b.name));
    let (judgement, reason) = fold_image(&policies, scope.snapshot.no_match);
    let name = reference.with_digest(pinned.digest());
    let detail = policies.is_empty().then(|| unmatched(&name, scope));
    ImageVerdict {
        fields,
        written: reference.written().to_owned(),
        digest: Some(pinned.digest().clone()),
        resolved: reference.digest().is_none(),
        reference: Some(reference),
        policies,
        judgement,
        reason,
        detail,
    }
}

/// Which name no policy speaks about, so that its author can compare it with the globs.
fn unmatched(reference: &ImageReference, scope: &Scope<'_>) -> String {
    let policies = scope.snapshot.policies.policies().len();
    let name = reference.matching_name();
    match policies {
        0 => format!("there is no policy to speak about {name}"),
        1 => format!("the only policy does not speak about {name}"),
        _ => format!("none of {policies} policies speaks about {name}"),
    }
}

/// The digest to judge: the one that is written, or what the tag names now.
pub(super) async fn resolve(
    judge: &Judge,
    reference: &ImageReference,
    scope: &Scope<'_>,
) -> Result<Digest, Unresolved> {
    if let Some(digest) = reference.digest() {
        return Ok(digest.clone());
    }
    match judge.gatherer.resolve(reference, &scope.access).await {
        Ok(Some(digest)) => Ok(digest),
        Ok(None) => Err(Unresolved::NoSuchTag),
        Err(error) => Err(Unresolved::Unavailable(error)),
    }
}

/// Why there is no digest to judge.
pub(super) enum Unresolved {
    /// The registry does not know the tag.
    NoSuchTag,
    /// The registry could not be asked.
    Unavailable(FetchError),
}

impl Unresolved {
    /// The same as a reason and in words.
    pub(super) fn told(&self, reference: &ImageReference) -> (Reason, String) {
        match self {
            Self::NoSuchTag => {
                let tag = reference.tag_or_latest();
                let registry = reference.repository().registry();
                let path = reference.repository().path();
                (
                    Reason::RegistryMalformed,
                    format!("registry {registry} knows no tag {tag} of {path}"),
                )
            }
            Self::Unavailable(error) => (unavailable::reason(error), error.to_string()),
        }
    }
}

/// Whether the image is a tag where a digest is demanded, because one of these policies must be proven for what runs.
fn is_unpinned(
    reference: &ImageReference,
    speaking: &[Arc<CompiledPolicy>],
    scope: &Scope<'_>,
) -> bool {
    let demands =
        |policy: &Arc<CompiledPolicy>| policy.mode == Mode::Enforce && policy.looks_at_evidence();
    scope.demands_digest && reference.digest().is_none() && speaking.iter().any(demands)
}

/// A tag where a digest is demanded. It is not judged any further: a verdict about what the tag names now says nothing about what
/// it names when it is pulled.
fn unpinned(reference: ImageReference, fields: Vec<FieldPath>, detail: String) -> ImageVerdict {
    let written = reference.written().to_owned();
    ImageVerdict {
        reference: Some(reference),
        judgement: Judgement::Deny,
        ..unjudged(fields, &written, Reason::TagNotPinned, detail)
    }
}

/// The policies that speak about an image, without those that match only by a tag which does not name this digest. Where the
/// registry could not be asked which digest the tag names, such policies could not judge.
async fn confirmed(
    judge: &Judge,
    reference: &ImageReference,
    pinned: &PinnedImage,
    scope: &Scope<'_>,
) -> (Vec<Arc<CompiledPolicy>>, Vec<PolicyVerdict>) {
    let name = reference.with_digest(pinned.digest());
    let matches = scope.snapshot.policies.matching(&name, scope.object);
    let written_together = reference.digest().is_some() && reference.tag().is_some();
    let (unconfirmed, mut certain): (Vec<Match>, Vec<Match>) = matches
        .into_iter()
        .partition(|found| written_together && found.needs_tag_confirmed);
    let mut in_doubt = Vec::new();
    if !unconfirmed.is_empty() {
        match judge.gatherer.resolve(reference, &scope.access).await {
            Ok(Some(digest)) if digest == *pinned.digest() => certain.extend(unconfirmed),
            Ok(_) => {}
            Err(error) => {
                let reason = unavailable::reason(&error);
                let unknown = |found: &Match| unknown(&found.policy, reason, error.to_string());
                in_doubt = unconfirmed.iter().map(unknown).collect();
            }
        }
    }
    let speaking = certain.into_iter().map(|found| found.policy).collect();
    (speaking, in_doubt)
}

/// A policy that could not judge, as a whole.
fn unknown(policy: &CompiledPolicy, reason: Reason, detail: String) -> PolicyVerdict {
    PolicyVerdict {
        name: Arc::clone(&policy.name),
        mode: policy.mode,
        outcome: Outcome::Unknown,
        reason,
        cause: Some(Cause::Unavailable { detail }),
        authorities: Vec::new(),
        rego: None,
        input: None,
    }
}

/// A tag without a digest: nothing can be judged, and the policies that might speak about it say so.
fn unresolved(
    reference: ImageReference,
    fields: Vec<FieldPath>,
    scope: &Scope<'_>,
    why: &Unresolved,
) -> ImageVerdict {
    let (reason, detail) = why.told(&reference);
    let written = reference.written().to_owned();
    let policies = possible(&reference, scope.snapshot, scope.object);
    if is_unpinned(&reference, &policies, scope) {
        return unpinned(reference, fields, detail);
    }
    let verdicts: Vec<PolicyVerdict> = policies
        .iter()
        .map(|policy| unknown(policy, reason, detail.clone()))
        .collect();
    let blank = unjudged(fields, &written, reason, detail);
    // Which policies match can hang on the digest that is not known. So a tag that was not resolved is never left to the setting
    // for unmatched images, unless that denies it.
    let no_match = scope.snapshot.no_match;
    let (judgement, reason) = match (verdicts.is_empty(), no_match) {
        (true, NoMatchPolicy::Allow | NoMatchPolicy::Warn) => (blank.judgement, reason),
        _ => fold_image(&verdicts, no_match),
    };
    let detail = match reason {
        Reason::NoMatch => Some(unmatched(&reference, scope)),
        _ => blank.detail.clone(),
    };
    ImageVerdict {
        detail,
        reference: Some(reference),
        policies: verdicts,
        judgement,
        reason,
        ..blank
    }
}

/// Policies that speak about a tag whatever digest it has: by its tag, or by any digest.
pub(super) fn possible(
    reference: &ImageReference,
    snapshot: &Snapshot,
    object: Option<&ObjectFacts>,
) -> Vec<Arc<CompiledPolicy>> {
    let some_digest = Digest::sha256_of(b"a digest that is not known");
    let by_tag = snapshot.policies.matching(reference, object);
    let by_digest = snapshot
        .policies
        .matching(&reference.with_digest(&some_digest), object);
    let named: BTreeMap<Arc<str>, Arc<CompiledPolicy>> = by_tag
        .into_iter()
        .chain(by_digest)
        .map(|found| (Arc::clone(&found.policy.name), found.policy))
        .collect();
    named.into_values().collect()
}
