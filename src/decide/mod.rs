//! The decision: the way of one request through all stages.
//!
//! ```text
//! review ── covered? changed? ──► image fields ── each distinct reference once ──► image::judge
//!                                                                                   │ resolve   tag → digest
//!                                                                                   │ match     policies of the snapshot
//!                                                                                   │ authority gather → verify → predicate policy
//!                                                                                   ▼
//!                                                     fold: authorities → policies → images ──► ReviewVerdict
//! ```
//!
//! Everything that is awaited ends at the deadline of the request; what is pending then is *could not judge*. The snapshot of
//! policies and trust is taken once, so that one request never sees two states. What a policy demands is met
//! by [`crate::verify::Verified`] evidence alone. Without it only these admit: requests that change nothing that runs or are of a kind
//! that runs nothing (`unchanged`, `not-covered`), and what an operator wrote so (`static: pass`, `mode: warn`, Rego alone,
//! `--no-match-policy`).
//!
//! Beside it stands `pin`, which `/mutate` asks: the first steps of the same way, up to the digest that a tag names.

mod authority;
mod image;
mod input;
mod memory;
mod parsing;
mod pin;
mod policy;
mod rego;
mod tags;
mod unavailable;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::gather::{Access, Credentials, Gatherer};
use crate::image::ImageReference;
use crate::limits::Limits;
use crate::policy::{ObjectFacts, PolicySet};
use crate::trust::TrustMaterial;
use crate::verdict::{ImageVerdict, Judgement, NoMatchPolicy, Reason, ReviewVerdict, fold_review};
use crate::workload::{
    Change, FieldPath, ImageUse, Kind, Kinds, MalformedWorkload, Operation, PullScope, Request,
    images, what_changed,
};

pub use rego::reason as evaluation_reason;
pub use tags::TagMode;

use memory::Memory;
use parsing::Parsing;
use rego::RegoGate;

/// What is in force at one moment. Taken once per request.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The policies.
    pub policies: Arc<PolicySet>,
    /// What is trusted besides the keys in policies.
    pub trust: Arc<TrustMaterial>,
    /// What an image is answered that no policy matches.
    pub no_match: NoMatchPolicy,
    /// What is done about tags.
    pub tags: TagMode,
    /// The kinds that are read.
    pub kinds: Arc<Kinds>,
}

/// Judges requests. One per process: it holds what requests share.
pub struct Judge {
    gatherer: Gatherer,
    credentials: Arc<dyn Credentials>,
    memory: Memory,
    rego: RegoGate,
    /// The room for statements that are parsed.
    parsing: Parsing,
    limits: Limits,
    /// The time at which everything is judged, where that is not the present.
    at: Option<Timestamp>,
}

/// One request's view: what is in force, who asks, until when.
struct Scope<'a> {
    snapshot: &'a Snapshot,
    object: Option<&'a ObjectFacts>,
    /// The request, unless images are judged by their names alone.
    request: Option<&'a Request>,
    access: Access,
    /// Whether an image that must be proven must have its digest.
    demands_digest: bool,
}

/// Whose request it is, as far as the verdict on one image depends on it.
struct Asker<'a> {
    object: Option<&'a ObjectFacts>,
    request: Option<&'a Request>,
    pull: PullScope,
    demands_digest: bool,
    dry_run: bool,
}

// === impl Judge ===

impl Judge {
    /// A judge over these registries and credentials.
    pub fn new(gatherer: Gatherer, credentials: Arc<dyn Credentials>, limits: &Limits) -> Self {
        Self {
            gatherer,
            credentials,
            memory: Memory::new(),
            rego: RegoGate::new(limits),
            parsing: Parsing::new(limits),
            limits: limits.clone(),
            at: None,
        }
    }

    /// The same judge, for whom it is always this time.
    #[must_use]
    pub fn at(mut self, time: Timestamp) -> Self {
        self.at = Some(time);
        self
    }

    /// The time at which evidence is judged.
    fn now(&self) -> Timestamp {
        self.at.unwrap_or_else(Timestamp::now)
    }

    /// Judges one admission request.
    pub async fn review(
        &self,
        request: &Request,
        snapshot: &Snapshot,
        deadline: Instant,
    ) -> ReviewVerdict {
        let Some(kind) = snapshot.kinds.find(&request.group, &request.kind) else {
            return ReviewVerdict::admitted(Reason::NotCovered);
        };
        let uses = match covered(kind, request) {
            Ok(Covered::Judge(uses)) => uses,
            Ok(Covered::Admit(reason)) => return ReviewVerdict::admitted(reason),
            Err(error) => return fold_review(vec![unreadable(&error)]),
        };
        if uses.len() > self.limits.review.images {
            let detail = format!(
                "{} images in one object, {} are judged",
                uses.len(),
                self.limits.review.images
            );
            return fold_review(vec![unjudged(
                Vec::new(),
                "",
                Reason::LimitExceeded,
                detail,
            )]);
        }
        let object = facts(kind, request);
        let asker = Asker {
            object: Some(&object),
            request: Some(request),
            pull: PullScope::of(kind, &request.object, &request.namespace),
            demands_digest: snapshot.tags.demands_digest(kind, &request.object),
            dry_run: request.dry_run,
        };
        self.all(group(uses), snapshot, asker, deadline).await
    }

    /// Judges images by their names, each distinct one once, as nobody's: policies that select objects do not match, and tags are
    /// judged at the digest that they have now.
    pub async fn images(
        &self,
        images: &[String],
        snapshot: &Snapshot,
        deadline: Instant,
    ) -> ReviewVerdict {
        let mut named: Vec<(String, Vec<FieldPath>)> = Vec::new();
        for image in images {
            if !named.iter().any(|(known, _)| known == image) {
                named.push((image.clone(), Vec::new()));
            }
        }
        let asker = Asker {
            object: None,
            request: None,
            pull: PullScope::default(),
            demands_digest: false,
            dry_run: false,
        };
        self.all(named, snapshot, asker, deadline).await
    }

    async fn all(
        &self,
        images: Vec<(String, Vec<FieldPath>)>,
        snapshot: &Snapshot,
        asker: Asker<'_>,
        deadline: Instant,
    ) -> ReviewVerdict {
        let mut registries = registries_of(&images);
        let limit = self.limits.review.registries;
        if registries.len() > limit {
            let detail = format!(
                "images of {} registries at once, {limit} are asked",
                registries.len()
            );
            return unavailable::all(images, Reason::LimitExceeded, &detail);
        }
        registries.extend(snapshot.policies.source_registries().map(str::to_owned));
        let asked = self.credentials.keychain(&asker.pull, &registries);
        let keychain = match timeout_at(deadline, asked).await {
            Ok(Ok(keychain)) => keychain,
            Ok(Err(error)) => return unavailable::review(images, &error),
            Err(_) => return unavailable::deadline(images),
        };
        let scope = Scope {
            snapshot,
            object: asker.object,
            request: asker.request,
            access: Access {
                keychain,
                deadline,
                dry_run: asker.dry_run,
            },
            demands_digest: asker.demands_digest,
        };
        let judged = images
            .into_iter()
            .map(|(written, fields)| self.image(written, fields, &scope));
        fold_review(join_all(judged).await)
    }

    /// Judges one image that stands in these fields.
    async fn image(
        &self,
        written: String,
        fields: Vec<FieldPath>,
        scope: &Scope<'_>,
    ) -> ImageVerdict {
        match written.parse::<ImageReference>() {
            Ok(reference) => image::judge(self, reference, fields, scope).await,
            Err(error) => ImageVerdict {
                judgement: Judgement::Deny,
                ..unjudged(
                    fields,
                    &written,
                    Reason::InvalidReference,
                    error.to_string(),
                )
            },
        }
    }
}

/// Whether a request is one that we judge, and which images it is about.
enum Covered {
    Judge(Vec<ImageUse>),
    Admit(Reason),
}

/// CREATE, and an UPDATE that changes what runs. `deletionTimestamp` excuses nothing.
fn covered(kind: &Kind, request: &Request) -> Result<Covered, MalformedWorkload> {
    match (request.operation, request.subresource.as_str()) {
        (Operation::Create, "") => images(kind, &request.object).map(Covered::Judge),
        (Operation::Update, "" | "ephemeralcontainers") => {
            let nothing = Value::Null;
            let old = request.old_object.as_ref().unwrap_or(&nothing);
            match what_changed(kind, &request.subresource, &request.object, old)? {
                Change::Judge(uses) => Ok(Covered::Judge(uses)),
                Change::Unchanged => Ok(Covered::Admit(Reason::Unchanged)),
            }
        }
        _ => Ok(Covered::Admit(Reason::NotCovered)),
    }
}

/// An object whose image fields cannot be read is denied.
fn unreadable(error: &MalformedWorkload) -> ImageVerdict {
    let fields = vec![error.field.clone()];
    ImageVerdict {
        judgement: Judgement::Deny,
        ..unjudged(fields, "", Reason::InvalidReference, error.to_string())
    }
}

/// The registries that the images are in.
fn registries_of(images: &[(String, Vec<FieldPath>)]) -> BTreeSet<String> {
    let references = images
        .iter()
        .filter_map(|(written, _)| written.parse::<ImageReference>().ok());
    references
        .map(|reference| reference.repository().registry().to_owned())
        .collect()
}

fn facts(kind: &Kind, request: &Request) -> ObjectFacts {
    let labels = request
        .object
        .pointer("/metadata/labels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    ObjectFacts {
        group: request.group.clone(),
        version: request.version.clone(),
        resource: kind.resource.clone(),
        labels: labels
            .filter_map(|(key, value)| value.as_str().map(|value| (key.clone(), value.to_owned())))
            .collect(),
    }
}

/// The distinct images in the order of their first field, each with all fields that name it.
fn group(uses: Vec<ImageUse>) -> Vec<(String, Vec<FieldPath>)> {
    let mut order: Vec<(String, Vec<FieldPath>)> = Vec::new();
    let mut index: BTreeMap<String, usize> = BTreeMap::new();
    for ImageUse { field, image, .. } in uses {
        if let Some((_, fields)) = index.get(&image).and_then(|i| order.get_mut(*i)) {
            fields.push(field);
        } else {
            index.insert(image.clone(), order.len());
            order.push((image, vec![field]));
        }
    }
    order
}

/// An image about which nothing could be found out.
fn unjudged(fields: Vec<FieldPath>, written: &str, reason: Reason, detail: String) -> ImageVerdict {
    ImageVerdict {
        fields,
        written: written.to_owned(),
        reference: None,
        digest: None,
        resolved: false,
        policies: Vec::new(),
        judgement: Judgement::Unknown,
        reason,
        detail: Some(detail),
    }
}
