//! One image: the digest that is judged, the policies that speak about it, and what they say together.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;

use super::{Judge, Scope, policy, unavailable, unjudged};
use crate::gather::FetchError;
use crate::image::{Digest, ImageReference, PinnedImage};
use crate::policy::{CompiledPolicy, Match};
use crate::verdict::{Cause, ImageVerdict, Mode, Outcome, PolicyVerdict, Reason, fold_image};
use crate::workload::FieldPath;

/// Judges one image.
pub(super) async fn judge(
    judge: &Judge,
    reference: ImageReference,
    fields: Vec<FieldPath>,
    scope: &Scope<'_>,
) -> ImageVerdict {
    let pinned = match pin(judge, &reference, scope).await {
        Ok(pinned) => pinned,
        Err(error) => return unresolved(reference, fields, scope, &error),
    };
    let matches = confirmed(judge, &reference, &pinned, scope).await;
    let policies = matches
        .iter()
        .map(|found| policy::judge(judge, &found.policy, &pinned, scope));
    let policies = join_all(policies).await;
    let (judgement, reason) = fold_image(&policies, scope.snapshot.no_match);
    ImageVerdict {
        fields,
        written: reference.written().to_owned(),
        digest: Some(pinned.digest().clone()),
        resolved: reference.digest().is_none(),
        reference: Some(reference),
        policies,
        judgement,
        reason,
        detail: None,
    }
}

/// The digest to judge: the one that is written, or what the tag names now.
async fn pin(
    judge: &Judge,
    reference: &ImageReference,
    scope: &Scope<'_>,
) -> Result<PinnedImage, Unresolved> {
    let digest = match reference.digest() {
        Some(digest) => digest.clone(),
        None => match judge.gatherer.resolve(reference, &scope.access).await {
            Ok(Some(digest)) => digest,
            Ok(None) => return Err(Unresolved::NoSuchTag),
            Err(error) => return Err(Unresolved::Unavailable(error)),
        },
    };
    Ok(PinnedImage::new(reference.clone(), digest))
}

/// Why there is no digest to judge.
enum Unresolved {
    /// The registry does not know the tag.
    NoSuchTag,
    /// The registry could not be asked.
    Unavailable(FetchError),
}

/// The policies that speak about an image, without those that match only by a tag which does not name this digest.
async fn confirmed(
    judge: &Judge,
    reference: &ImageReference,
    pinned: &PinnedImage,
    scope: &Scope<'_>,
) -> Vec<Match> {
    let mut matches = scope
        .snapshot
        .policies
        .matching(&reference.pinned(pinned.digest()), scope.object);
    let written_together = reference.digest().is_some() && reference.tag().is_some();
    if written_together && matches.iter().any(|found| found.needs_tag_confirmed) {
        let named = judge.gatherer.resolve(reference, &scope.access).await;
        // A tag that names something else, or cannot be asked for, gives no policy that may admit.
        if !matches!(named, Ok(Some(digest)) if digest == *pinned.digest()) {
            matches.retain(|found| !found.needs_tag_confirmed);
        }
    }
    matches
}

/// A tag without a digest: nothing can be judged, and the policies that might speak about it say so.
fn unresolved(
    reference: ImageReference,
    fields: Vec<FieldPath>,
    scope: &Scope<'_>,
    why: &Unresolved,
) -> ImageVerdict {
    let (reason, detail) = match why {
        Unresolved::NoSuchTag => {
            let tag = reference.tag_or_latest();
            let registry = reference.repository().registry();
            (
                Reason::RegistryMalformed,
                format!(
                    "registry {registry} knows no tag {tag} of {}",
                    reference.repository().path()
                ),
            )
        }
        Unresolved::Unavailable(error) => (unavailable::reason(error), error.to_string()),
    };
    let written = reference.written().to_owned();
    let policies = possible(&reference, scope);
    let unknown = |policy: &Arc<CompiledPolicy>| PolicyVerdict {
        name: Arc::clone(&policy.name),
        mode: policy.mode,
        outcome: Outcome::Unknown,
        reason,
        cause: Some(Cause::Unavailable {
            detail: detail.clone(),
        }),
        authorities: Vec::new(),
        rego: None,
    };
    let verdicts: Vec<PolicyVerdict> = policies.iter().map(unknown).collect();
    let unknown = unjudged(fields, &written, reason, detail);
    // Which policies match can hang on a digest that is not known: then no setting for unmatched images applies.
    let undecided = verdicts.iter().all(|policy| policy.mode == Mode::Warn)
        && scope.snapshot.policies.names_digests();
    let (judgement, reason) = if undecided {
        (unknown.judgement, reason)
    } else {
        fold_image(&verdicts, scope.snapshot.no_match)
    };
    ImageVerdict {
        reference: Some(reference),
        policies: verdicts,
        judgement,
        reason,
        ..unknown
    }
}

/// Policies that speak about a tag whatever digest it has: by its tag, or by any digest.
fn possible(reference: &ImageReference, scope: &Scope<'_>) -> Vec<Arc<CompiledPolicy>> {
    let some_digest = Digest::sha256_of(b"a digest that is not known");
    let policies = &scope.snapshot.policies;
    let by_tag = policies.matching(reference, scope.object);
    let by_digest = policies.matching(&reference.pinned(&some_digest), scope.object);
    let named: BTreeMap<Arc<str>, Arc<CompiledPolicy>> = by_tag
        .into_iter()
        .chain(by_digest)
        .map(|found| (Arc::clone(&found.policy.name), found.policy))
        .collect();
    named.into_values().collect()
}
