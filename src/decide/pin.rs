//! `/mutate`: tags become digests, so that what is judged afterwards is what runs.
//!
//! It never denies. What it cannot resolve it leaves, with the reason; `/validate` denies it where a policy must be proven for it. It
//! looks at exactly those fields that `/validate` judges, and of them at those that are tags and that a policy which looks at
//! evidence may speak about: nobody's registry is asked for an image that nobody would verify.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::image;
use super::{Covered, Judge, Scope, Snapshot, covered, facts, unavailable};
use crate::gather::{Access, Keychain};
use crate::image::{Digest, ImageReference};
use crate::policy::CompiledPolicy;
use crate::verdict::{LeftAsTag, Pin, Pinning, Reason};
use crate::workload::{FieldPath, ImageUse, PullScope, Request, Sticky};

/// A tag that is to be pinned.
struct Tagged {
    reference: ImageReference,
    /// Where it stands, and which digest stood there before under the same tag.
    fields: Vec<(ImageUse, Option<Digest>)>,
}

impl Judge {
    /// Decides what is pinned in one admission request.
    pub async fn pin(&self, request: &Request, snapshot: &Snapshot, deadline: Instant) -> Pinning {
        let kind = snapshot.kinds.find(&request.group, &request.kind);
        let Some(kind) = kind.filter(|kind| snapshot.tags.pins(kind, &request.object)) else {
            return Pinning::default();
        };
        // What cannot be read has nothing that could be pinned; `/validate` denies it.
        let Ok(Covered::Judge(uses)) = covered(kind, request) else {
            return Pinning::default();
        };
        if uses.len() > self.limits.review.images {
            return left_whole(
                Reason::LimitExceeded,
                format!(
                    "{} images in one object, {} are pinned",
                    uses.len(),
                    self.limits.review.images
                ),
            );
        }
        let object = facts(kind, request);
        let pull = PullScope::of(kind, &request.object, &request.namespace);
        let sticky = Sticky::of(kind, request.old_object.as_ref());
        let mut tagged = tagged(uses, &sticky);
        tagged.retain(|tag| {
            let possible = image::possible(&tag.reference, snapshot, Some(&object));
            possible.iter().any(|policy| policy.looks_at_evidence())
                || snapshot.policies.names_digests()
        });
        let keychain = match self.keychain(&tagged, &pull, deadline).await {
            Ok(keychain) => keychain,
            Err((reason, detail)) => return left_whole(reason, detail),
        };
        let scope = Scope {
            snapshot,
            object: Some(&object),
            request: Some(request),
            access: Access {
                keychain,
                deadline,
                dry_run: request.dry_run,
            },
            demands_digest: false,
        };
        let mut pinning = Pinning::default();
        for one in join_all(tagged.into_iter().map(|tag| self.pin_one(tag, &scope))).await {
            pinning.pins.extend(one.pins);
            pinning.left.extend(one.left);
        }
        pinning
    }

    /// The credentials for the registries that must be asked, if any.
    async fn keychain(
        &self,
        tagged: &[Tagged],
        pull: &PullScope,
        deadline: Instant,
    ) -> Result<Arc<Keychain>, (Reason, String)> {
        let asked = tagged.iter().filter(|tag| tag.must_be_asked());
        let registries: BTreeSet<String> = asked
            .map(|tag| tag.reference.repository().registry().to_owned())
            .collect();
        if registries.is_empty() {
            return Ok(Arc::default());
        }
        let limit = self.limits.review.registries;
        if registries.len() > limit {
            let found = registries.len();
            let detail = format!("images of {found} registries at once, {limit} are asked");
            return Err((Reason::LimitExceeded, detail));
        }
        let asked = self.credentials.keychain(pull, &registries);
        match timeout_at(deadline, asked).await {
            Ok(keychain) => {
                keychain.map_err(|error| (unavailable::reason(&error), error.to_string()))
            }
            Err(_) => Err((Reason::Deadline, unavailable::NO_TIME.to_owned())),
        }
    }

    /// Every field of one tag: what stood there before, or what the tag names now.
    async fn pin_one(&self, tag: Tagged, scope: &Scope<'_>) -> Pinning {
        let mut pinning = Pinning::default();
        let reference = tag.reference;
        let (kept, asked): (Vec<_>, Vec<_>) = tag
            .fields
            .into_iter()
            .partition(|(_, before)| before.is_some());
        for (found, before) in kept {
            if let Some(digest) = before {
                pin_field(found, &reference, digest, true, scope, &mut pinning);
            }
        }
        if asked.is_empty() {
            return pinning;
        }
        match image::resolve(self, &reference, scope).await {
            Ok(digest) => {
                for (found, _) in asked {
                    pin_field(
                        found,
                        &reference,
                        digest.clone(),
                        false,
                        scope,
                        &mut pinning,
                    );
                }
            }
            Err(why) => {
                let fields = asked.into_iter().map(|(found, _)| found.field).collect();
                let (reason, detail) = why.told(&reference);
                pinning.left.push(left(&reference, fields, reason, detail));
            }
        }
        pinning
    }
}

/// Pins one field, unless no policy that looks at evidence speaks about the image with this digest.
fn pin_field(
    found: ImageUse,
    reference: &ImageReference,
    digest: Digest,
    kept: bool,
    scope: &Scope<'_>,
    pinning: &mut Pinning,
) {
    if !is_looked_at(reference, &digest, scope) {
        return;
    }
    let (pinned, limit) = (
        reference.pinned_spelling(&digest),
        ImageReference::MAX_BYTES,
    );
    if pinned.len() > limit {
        let detail =
            format!("with its digest it would be longer than the {limit} bytes that are read");
        let left = left(reference, vec![found.field], Reason::LimitExceeded, detail);
        pinning.left.push(left);
        return;
    }
    pinning.pins.push(Pin {
        field: found.field,
        pointer: found.pointer,
        written: found.image,
        pinned,
        digest,
        kept,
    });
}

/// The tags among the images, each distinct one once, with every field that it stands in.
fn tagged(uses: Vec<ImageUse>, sticky: &Sticky) -> Vec<Tagged> {
    let mut found: Vec<Tagged> = Vec::new();
    let mut index: BTreeMap<String, usize> = BTreeMap::new();
    for image in uses {
        let Ok(reference) = image.image.parse::<ImageReference>() else {
            continue;
        };
        if reference.digest().is_some() {
            continue;
        }
        let before = sticky
            .before(&image)
            .and_then(|before| kept_digest(&reference, before));
        let at = *index.entry(image.image.clone()).or_insert(found.len());
        match found.get_mut(at) {
            Some(tag) => tag.fields.push((image, before)),
            None => found.push(Tagged {
                reference,
                fields: vec![(image, before)],
            }),
        }
    }
    found
}

/// The digest that stood here before, under the same tag of the same repository, in whatever spelling.
fn kept_digest(reference: &ImageReference, before: &str) -> Option<Digest> {
    let before: ImageReference = before.parse().ok()?;
    let same = before.repository() == reference.repository()
        && before.tag() == Some(&reference.tag_or_latest());
    before.digest().filter(|_| same).cloned()
}

/// Whether a policy that looks at evidence speaks about the image with this digest.
fn is_looked_at(reference: &ImageReference, digest: &Digest, scope: &Scope<'_>) -> bool {
    let pinned = reference.with_digest(digest);
    let matches = scope.snapshot.policies.matching(&pinned, scope.object);
    matches
        .iter()
        .any(|found| CompiledPolicy::looks_at_evidence(&found.policy))
}

fn left(
    reference: &ImageReference,
    fields: Vec<FieldPath>,
    reason: Reason,
    detail: String,
) -> LeftAsTag {
    LeftAsTag {
        fields,
        written: reference.written().to_owned(),
        reason,
        detail,
    }
}

/// Nothing is pinned, for one reason.
fn left_whole(reason: Reason, detail: String) -> Pinning {
    let whole = LeftAsTag {
        fields: Vec::new(),
        written: String::new(),
        reason,
        detail,
    };
    Pinning {
        pins: Vec::new(),
        left: vec![whole],
    }
}

// === impl Tagged ===

impl Tagged {
    /// Whether a field of it had no digest before.
    fn must_be_asked(&self) -> bool {
        self.fields.iter().any(|(_, before)| before.is_none())
    }
}

#[cfg(test)]
mod tests;
