//! What was found for an authority, stage after stage: what proves something, and what everything else comes to.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::Scope;
use super::super::parsing::Parsing;
use super::{Answer, Judge};
use crate::evidence::{Candidate, Location};
use crate::gather::{FetchError, Gathered, Search, Sought, WantedEvidence};
use crate::image::PinnedImage;
use crate::policy::SignedBy;
use crate::statement::PredicateType;
use crate::verdict::{Cause, EvidenceSummary, Reason, RejectedEvidence};
use crate::verify::{Rejection, Signer, Verified};

/// A search for what an authority wants, in the place where its policy says it is kept.
pub(super) fn search<'a>(
    judge: &'a Judge,
    signed: &'a SignedBy,
    wanted: &'a WantedEvidence,
    image: &'a PinnedImage,
    scope: &'a Scope<'_>,
) -> Search<'a> {
    let images_own = image.reference.repository();
    let sought = Sought {
        repository: signed.place.repository.as_ref().unwrap_or(images_own),
        tag_prefix: &signed.place.tag_prefix,
        image: image.digest(),
        wanted,
        bundles_only: signed.bundles_only,
    };
    judge.gatherer.search(sought, &scope.access)
}

/// What proved nothing, over all stages.
#[derive(Default)]
pub(super) struct Shortfall {
    pub(super) rejections: Vec<RejectedEvidence>,
    pub(super) passed_over: Vec<String>,
    pub(super) looked: Vec<Location>,
    unread: Option<FetchError>,
}

impl Shortfall {
    /// Notes what one stage came to, and gives the proofs in it. Others get their turn after each candidate: a stranger chose how
    /// many there are and how large.
    pub(super) async fn sort<T>(
        &mut self,
        gathered: Gathered,
        parsing: &Parsing,
        is_known: impl Fn(&Candidate) -> bool,
        verify: impl Fn(&Candidate) -> Result<Arc<Verified<T>>, Rejection>,
    ) -> Vec<Arc<Verified<T>>> {
        let mut verified = Vec::new();
        for candidate in &gathered.candidates {
            tokio::task::yield_now().await;
            // What was proven before is not parsed again, and waits for nobody.
            let _room = if is_known(candidate) {
                None
            } else {
                parsing.room_for(candidate).await
            };
            match verify(candidate) {
                Ok(proof) => verified.push(proof),
                Err(rejection) => self.rejections.push(RejectedEvidence {
                    format: candidate.format,
                    digest: candidate.digest.clone(),
                    rejection,
                }),
            }
        }
        self.rejections.sort_by(|a, b| {
            b.rejection
                .rank()
                .cmp(&a.rejection.rank())
                .then_with(|| a.digest.cmp(&b.digest))
        });
        self.passed_over.extend(gathered.passed_over);
        for place in gathered.looked {
            if !self.looked.contains(&place) {
                self.looked.push(place);
            }
        }
        self.unread = self.unread.take().or(gathered.unread);
        verified
    }

    /// Asked when nothing satisfied: an error where something that could have done so was not read.
    #[expect(
        clippy::result_large_err,
        reason = "the error of the trait names both digests of a mismatch"
    )]
    pub(super) fn all_read(&mut self) -> Result<(), FetchError> {
        self.unread.take().map_or(Ok(()), Err)
    }

    /// The answer where there is no proof at all.
    pub(super) fn nothing_proven(&self, wanted: Option<PredicateType>) -> Answer {
        let reason = match (self.rejections.first(), &wanted) {
            (Some(first), _) => reason(&first.rejection),
            (None, None) => Reason::Unsigned,
            (None, Some(_)) => Reason::NoAttestation,
        };
        let cause = if self.rejections.is_empty() {
            Cause::NothingFound {
                wanted,
                looked: self.looked.clone(),
            }
        } else {
            Cause::Rejected {
                wanted,
                rejections: self.rejections.clone(),
            }
        };
        Answer::Violated {
            reason,
            cause,
            rego: None,
        }
    }
}

fn reason(rejection: &Rejection) -> Reason {
    match rejection {
        Rejection::WrongKey { .. } | Rejection::NoCertificate | Rejection::OtherKey => {
            Reason::UntrustedSigner
        }
        Rejection::OtherIdentity { .. } => Reason::IdentityMismatch,
        Rejection::InvalidCertificate { .. } => Reason::CertificateInvalid,
        Rejection::NotLogged { .. } => Reason::NotLogged,
        Rejection::NoTimestamp { .. } => Reason::NoTimestamp,
        // Shown only where nothing else was found: evidence of the other kind is none of this kind.
        Rejection::NotASignature => Reason::Unsigned,
        Rejection::NotAnAttestation => Reason::NoAttestation,
        Rejection::SubjectMismatch { .. } => Reason::SubjectMismatch,
        Rejection::Undecodable(_)
        | Rejection::Unverifiable { .. }
        | Rejection::PayloadType { .. }
        | Rejection::MalformedPayload { .. }
        | Rejection::PayloadKind { .. }
        | Rejection::MalformedStatement(_) => Reason::PredicateMalformed,
    }
}

pub(super) fn summary<T>(
    verified: &Verified<T>,
    predicate_type: Option<String>,
) -> EvidenceSummary {
    EvidenceSummary {
        signer: verified.signer().clone(),
        format: verified.format(),
        digest: verified.evidence().clone(),
        predicate_type,
        time: verified.time(),
    }
}

/// Who vouched, in the members that policy-controller gives to policies. A member that would be empty is left out.
pub(super) fn signer_entry(signer: &Signer) -> Map<String, Value> {
    let holder = match signer {
        Signer::Key(_) => return Map::new(),
        Signer::Identity(holder) => holder,
    };
    let github = &holder.github;
    let members = [
        ("subject", Some(holder.subject())),
        ("issuer", Some(holder.issuer())),
        ("githubWorkflowTrigger", github.trigger.as_deref()),
        ("githubWorkflowSha", github.sha.as_deref()),
        ("githubWorkflowName", github.name.as_deref()),
        ("githubWorkflowRepo", github.repository.as_deref()),
        ("githubWorkflowRef", github.reference.as_deref()),
    ];
    let told = members
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name, value)));
    told.filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect()
}
