//! All policies at one moment, and which of them speak about an image.

use std::sync::Arc;

use super::authority::{AuthorityKind, StaticAction};
use super::compile::{CompiledPolicy, Policy};
use super::select::ObjectFacts;
use crate::image::{GlobSet, GlobSetTooLarge, ImageGlob, ImageReference, Repository};
use crate::verdict::Mode;

/// An immutable snapshot of compiled policies, taken once per request.
#[derive(Debug)]
pub struct PolicySet {
    policies: Vec<Arc<CompiledPolicy>>,
    globs: GlobSet,
    /// For each glob of `globs`, the policy it belongs to.
    owners: Vec<usize>,
    names_digests: bool,
}

/// A policy that speaks about an image.
#[derive(Clone, Debug)]
pub struct Match {
    /// The policy.
    pub policy: Arc<CompiledPolicy>,
    /// It matches by the tag of a reference that has a digest, and it may admit what would otherwise be denied: so the tag must be
    /// confirmed to be that digest, or the policy does not match.
    pub needs_tag_confirmed: bool,
}

impl PolicySet {
    /// A set of these policies, sorted by name.
    ///
    /// # Errors
    /// The globs together are larger than one automaton may be.
    pub fn new<P: Into<Arc<CompiledPolicy>>>(policies: Vec<P>) -> Result<Self, GlobSetTooLarge> {
        Self::after(None, policies)
    }

    /// The same, in place of another set: where only what policies ask has changed, and not which images they are about, nothing is
    /// built again.
    ///
    /// # Errors
    /// The globs together are larger than one automaton may be.
    pub fn after<P: Into<Arc<CompiledPolicy>>>(
        before: Option<&Self>,
        policies: Vec<P>,
    ) -> Result<Self, GlobSetTooLarge> {
        let mut policies: Vec<Arc<CompiledPolicy>> = policies.into_iter().map(Into::into).collect();
        policies.sort_by(|a, b| a.name.cmp(&b.name));
        let all = policies.iter().enumerate();
        let owners = all.flat_map(|(index, policy)| policy.globs.iter().map(move |_| index));
        let owners = owners.collect();
        let globs: Vec<ImageGlob> = patterns(&policies).cloned().collect();
        let names_digests = globs.iter().any(names_a_digest);
        let same = before.filter(|before| globs.iter().eq(patterns(&before.policies)));
        let globs = match same {
            Some(before) => before.globs.clone(),
            None => GlobSet::new(&globs)?,
        };
        Ok(Self {
            policies,
            globs,
            owners,
            names_digests,
        })
    }

    /// Every policy, sorted by name.
    pub fn policies(&self) -> &[Arc<CompiledPolicy>] {
        &self.policies
    }

    /// Whether a glob names a particular digest. Such a policy may speak about a tag, and only its digest shows it.
    pub fn names_digests(&self) -> bool {
        self.names_digests
    }

    /// The registries in which policies keep evidence apart from the image.
    pub fn source_registries(&self) -> impl Iterator<Item = &str> {
        let bodies = self
            .policies
            .iter()
            .filter_map(|policy| policy.body.as_ref().ok());
        let kinds = bodies
            .flat_map(|body| &body.authorities)
            .map(|authority| &authority.kind);
        kinds.filter_map(|kind| match kind {
            AuthorityKind::Signed(signed) => {
                signed.place.repository.as_ref().map(Repository::registry)
            }
            AuthorityKind::Static(_) | AuthorityKind::Rootless { .. } => None,
        })
    }

    /// The policies that speak about this image in this object, sorted by name.
    ///
    /// Without an object (an image named on the command line), policies that select objects do not match, as in policy-controller's
    /// tester. A policy that does not compile matches whatever its selectors say.
    pub fn matching(&self, reference: &ImageReference, object: Option<&ObjectFacts>) -> Vec<Match> {
        // For each policy: does it match, and then only ever by tag?
        let mut by_tag_only: Vec<Option<bool>> = vec![None; self.policies.len()];
        for found in self.globs.matches(reference) {
            if let Some(slot) = self
                .owners
                .get(found.index)
                .and_then(|owner| by_tag_only.get_mut(*owner))
            {
                *slot = Some(slot.unwrap_or(true) && found.only_by_tag);
            }
        }
        let pairs = self.policies.iter().zip(by_tag_only);
        let named = pairs.filter_map(|(policy, by_tag)| by_tag.map(|by_tag| (policy, by_tag)));
        named
            .filter(|(policy, _)| policy.selects(object))
            .map(|(policy, by_tag)| Match {
                policy: Arc::clone(policy),
                needs_tag_confirmed: by_tag && could_admit(policy),
            })
            .collect()
    }
}

/// The globs of all these policies, one after the other.
fn patterns(policies: &[Arc<CompiledPolicy>]) -> impl Iterator<Item = &ImageGlob> {
    policies.iter().flat_map(|policy| &policy.globs)
}

/// Whether a part of a digest stands in the glob, and not stars alone.
fn names_a_digest(glob: &ImageGlob) -> bool {
    let digest = glob.as_str().split_once('@').map(|(_, digest)| digest);
    digest.is_some_and(|digest| !matches!(digest.trim_matches('*'), "" | "sha256:"))
}

/// Whether a match of this policy can turn a denial into an admission without any proof.
fn could_admit(policy: &CompiledPolicy) -> bool {
    let passes = |kind: &AuthorityKind| matches!(kind, AuthorityKind::Static(StaticAction::Pass));
    // A policy without authorities is decided by its program alone.
    let unproven = |body: &Policy| {
        body.authorities.is_empty() || body.authorities.iter().any(|a| passes(&a.kind))
    };
    policy.mode == Mode::Warn || policy.body.as_ref().is_ok_and(unproven)
}
