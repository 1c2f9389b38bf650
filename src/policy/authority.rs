//! Authorities: who may vouch, for what, and where their evidence is kept.

use std::fmt;
use std::sync::Arc;

use crate::image::Repository;
use crate::predicate_policy::Program;
use crate::statement::PredicateType;
use crate::verify::Requirement;

/// One authority of a policy.
#[derive(Clone, Debug)]
pub struct Authority {
    /// Its name, unique enough to be shown; policies see its result under it.
    pub name: Arc<str>,
    /// How it decides.
    pub kind: AuthorityKind,
}

/// How an authority decides.
#[derive(Clone, Debug)]
pub enum AuthorityKind {
    /// It does not look at evidence.
    Static(StaticAction),
    /// Somebody it trusts must have signed.
    Signed(SignedBy),
    /// Somebody must have signed, and whom to trust is not known: the root that says so is not there.
    Rootless {
        /// Whether it names identities; else a key.
        keyless: bool,
        /// What must be signed.
        wanted: Wanted,
        /// What is missing, in words.
        detail: String,
    },
}

impl Authority {
    /// The attestations that it wants; none where it wants a signature, or nothing at all.
    pub fn attestation_rules(&self) -> &[AttestationRule] {
        let wanted = match &self.kind {
            AuthorityKind::Signed(signed) => &signed.wanted,
            AuthorityKind::Rootless { wanted, .. } => wanted,
            AuthorityKind::Static(_) => return &[],
        };
        match wanted {
            Wanted::Attestations(rules) => rules,
            Wanted::Signature => &[],
        }
    }
}

/// What a static authority does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StaticAction {
    /// It lets every image pass.
    Pass,
    /// It refuses every image.
    Fail {
        /// What its author has to say; may be empty.
        message: String,
    },
}

/// An authority that recognises signatures.
#[derive(Clone, Debug)]
pub struct SignedBy {
    /// Whose signatures.
    pub requirement: Requirement,
    /// Where evidence is kept.
    pub place: Place,
    /// Whether only sigstore bundles count (`signatureFormat: bundle`).
    pub bundles_only: bool,
    /// What must be signed.
    pub wanted: Wanted,
}

/// Where evidence about an image is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// The repository, where it is not the image's own.
    pub repository: Option<Repository>,
    /// A prefix of the tags, usually empty.
    pub tag_prefix: String,
    /// The pull secrets to read it with, in the order in which they are tried. Where there are some, they take the place of the
    /// workload's.
    pub pull_secrets: Vec<PullSecret>,
}

/// Credentials that a policy names for its source.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum PullSecret {
    /// A Secret of our own namespace, as it stands there.
    Held {
        /// Its name.
        name: String,
        /// Which of the two forms that a pull secret has.
        form: PullSecretForm,
        /// Its JSON, not read yet.
        json: Arc<[u8]>,
    },
    /// A Secret of this name in the namespace of each workload, read when an image is judged.
    OfWorkload {
        /// Its name.
        name: String,
    },
}

/// The two types of pull secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PullSecretForm {
    /// `kubernetes.io/dockerconfigjson`.
    DockerConfigJson,
    /// `kubernetes.io/dockercfg`, which is older.
    DockerCfg,
}

/// Without what is secret.
impl fmt::Debug for PullSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { name, form, .. } => f
                .debug_struct("Held")
                .field("name", name)
                .field("form", form)
                .finish_non_exhaustive(),
            Self::OfWorkload { name } => f.debug_struct("OfWorkload").field("name", name).finish(),
        }
    }
}

/// What an authority must have signed.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// The image.
    Signature,
    /// Attestations, each of these; the image's signature is not looked at.
    Attestations(Vec<AttestationRule>),
}

/// An attestation that is required.
#[derive(Clone, Debug)]
pub struct AttestationRule {
    /// The name under which policies see it.
    pub name: Arc<str>,
    /// Its type.
    pub predicate_type: PredicateType,
    /// What must hold for its statement; without it, that it exists is enough.
    pub program: Option<Arc<Program>>,
}
