//! The place where every test of this suite plays: images in a registry, a Sigstore, and policies that trust it under a name.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::time::Instant;
use vouchsafe::adapters::oci::{OciRegistry, OciSettings};
use vouchsafe::decide::{Judge, Snapshot, TagMode};
use vouchsafe::demo::registry::{Store, image};
use vouchsafe::gather::{Credentials, FetchError, Gatherer, Keychain};
use vouchsafe::image::Digest;
use vouchsafe::limits::Limits;
use vouchsafe::policy::{PolicySet, Referents, compile};
use vouchsafe::trust::TrustMaterial;
use vouchsafe::verdict::{ImageVerdict, Judgement, NoMatchPolicy, Reason};
use vouchsafe::workload::PullScope;

use crate::sigstore::{
    Act, Form, Identity, Setup, Signed, Sigstore, Subject, TrustedRoot, Version, cosign,
};
use crate::support::registry::FaultyRegistry;

pub(crate) const ISSUER: &str = "https://accounts.example";
pub(crate) const WHO: &str = "release@shop.example";
pub(crate) const PROVENANCE: &str = "https://slsa.dev/provenance/v1";
/// The name of the TrustRoot.
pub(crate) const OURS: &str = "ours";

/// Every shape of a signature.
pub(crate) const SIGNATURES: [Form; 7] = [
    Form::Signature,
    Form::Message(Version::V01),
    Form::Message(Version::V02),
    Form::Message(Version::V03),
    Form::Statement(Version::V01),
    Form::Statement(Version::V02),
    Form::Statement(Version::V03),
];

pub(crate) struct Stage {
    pub(crate) registry: FaultyRegistry,
    pub(crate) sigstore: Sigstore,
    judge: Judge,
    images: AtomicUsize,
}

/// An image in a repository of its own.
pub(crate) struct Image {
    pub(crate) repository: String,
    pub(crate) digest: Digest,
    pub(crate) bytes: Vec<u8>,
}

/// Nobody has credentials here.
struct Anonymous;

impl Credentials for Anonymous {
    fn keychain<'a>(
        &'a self,
        _: &'a PullScope,
        _: &'a BTreeSet<String>,
    ) -> BoxFuture<'a, Result<Arc<Keychain>, FetchError>> {
        async { Ok(Arc::new(Keychain::anonymous())) }.boxed()
    }

    fn secrets<'a>(
        &'a self,
        _: &'a str,
        _: &'a [String],
    ) -> BoxFuture<'a, Result<Arc<Keychain>, FetchError>> {
        async { Ok(Arc::new(Keychain::anonymous())) }.boxed()
    }
}

/// Somebody whom the policies trust, as a new act of signing.
pub(crate) fn release() -> Act {
    Act::by(Identity::email(WHO, ISSUER))
}

/// An authority that trusts one identity of [`OURS`].
pub(crate) fn keyless() -> Value {
    keyless_of(&json!([{"issuer": ISSUER, "subject": WHO}]))
}

/// An authority that trusts these identities of [`OURS`].
pub(crate) fn keyless_of(identities: &Value) -> Value {
    json!({"name": "release", "keyless": {
        "url": "https://fulcio.sigstore.test",
        "trustRootRef": OURS,
        "identities": identities,
    }})
}

/// `authority` with more members, or others.
pub(crate) fn and(authority: &Value, more: &Value) -> Value {
    let mut authority = authority.clone();
    let more = more.as_object().unwrap().clone();
    authority.as_object_mut().unwrap().extend(more);
    authority
}

/// `authority`, which wants provenance instead of a signature.
pub(crate) fn provenance(authority: &Value) -> Value {
    let wanted = json!([{"name": "provenance", "predicateType": PROVENANCE}]);
    and(authority, &json!({"attestations": wanted}))
}

/// The authority that goes with evidence of this form.
pub(crate) fn wanting(form: Form, authority: &Value) -> Value {
    match form {
        Form::Attestation => provenance(authority),
        Form::Signature | Form::Message(_) | Form::Statement(_) => authority.clone(),
    }
}

// === impl Stage ===

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        // Another test of this binary may have installed it already.
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let limits = Limits::default();
        let registry = OciRegistry::new(&OciSettings::default()).unwrap();
        let gatherer = Gatherer::new(Arc::new(registry), &limits);
        Self {
            registry: FaultyRegistry::start(Store::new()).await,
            sigstore: Sigstore::with(setup),
            judge: Judge::new(gatherer, Arc::new(Anonymous), &limits),
            images: AtomicUsize::new(0),
        }
    }

    pub(crate) fn root(&self) -> TrustedRoot {
        self.sigstore.trusted_root()
    }

    // --- what is there ---

    /// A new image that nobody signed.
    pub(crate) fn image(&self) -> Image {
        let number = self.images.fetch_add(1, Ordering::Relaxed);
        let repository = format!("shop/{number}");
        let store = self.registry.store();
        let digest = image(store, &repository, "v1", &repository);
        let manifest = store.manifest(&repository, &digest.to_string()).unwrap();
        Image {
            repository,
            digest,
            bytes: manifest.bytes.to_vec(),
        }
    }

    /// Signs `image` and attaches that.
    pub(crate) fn attach(&self, image: &Image, form: Form, act: &Act) -> Signed {
        let signed = self.sigstore.sign(form, &image.subject(form), act);
        self.keep(image, &signed);
        signed
    }

    pub(crate) fn keep(&self, image: &Image, signed: &Signed) {
        cosign::attach(
            self.registry.store(),
            &image.repository,
            &image.digest,
            signed,
        );
    }

    /// A new image with one piece of evidence.
    pub(crate) fn signed(&self, form: Form, act: &Act) -> Image {
        let image = self.image();
        self.attach(&image, form, act);
        image
    }

    // --- what is asked ---

    /// What becomes of the image under a policy with this authority, where [`OURS`] and the default root are `root`.
    pub(crate) async fn judged(
        &self,
        image: &Image,
        authority: &Value,
        root: &TrustedRoot,
    ) -> ImageVerdict {
        self.judged_under(image, authority, Some(root), Some(root))
            .await
    }

    /// The same, where they differ.
    pub(crate) async fn judged_under(
        &self,
        image: &Image,
        authority: &Value,
        ours: Option<&TrustedRoot>,
        default: Option<&TrustedRoot>,
    ) -> ImageVerdict {
        let policy = json!({
            "apiVersion": "policy.sigstore.dev/v1beta1",
            "kind": "ClusterImagePolicy",
            "metadata": {"name": "release"},
            "spec": {"images": [{"glob": "**"}], "authorities": [authority]},
        });
        let material = |root: &TrustedRoot| {
            TrustMaterial::from_trusted_root_json(root.json().as_bytes())
                .map(Arc::new)
                .map_err(|error| error.to_string())
        };
        let referents = Referents {
            trust_roots: ours
                .map(|root| (OURS.to_owned(), material(root)))
                .into_iter()
                .collect(),
            default_trust: default.map(|root| material(root).unwrap()),
            ..Referents::default()
        };
        let policy = compile(&serde_json::from_value(policy).unwrap(), &referents);
        let snapshot = Snapshot {
            policies: Arc::new(PolicySet::new(vec![policy]).unwrap()),
            trust: Arc::new(TrustMaterial::keys_only()),
            no_match: NoMatchPolicy::Deny,
            tags: TagMode::Resolve,
            kinds: Arc::default(),
        };
        let host = self.registry.host();
        let image = format!("{host}/{}@{}", image.repository, image.digest);
        let deadline = Instant::now() + Duration::from_mins(1);
        let review = self.judge.images(&[image], &snapshot, deadline).await;
        review.images.into_iter().next().unwrap()
    }

    /// That the image is admitted.
    pub(crate) async fn admits(&self, image: &Image, authority: &Value, root: &TrustedRoot) {
        let verdict = self.judged(image, authority, root).await;
        assert_eq!(verdict.judgement, Judgement::Admit, "{verdict:#?}");
    }

    /// That the image is not admitted, for this reason.
    pub(crate) async fn refuses(
        &self,
        image: &Image,
        authority: &Value,
        root: &TrustedRoot,
        reason: Reason,
    ) {
        let verdict = self.judged(image, authority, root).await;
        assert_ne!(verdict.judgement, Judgement::Admit, "{verdict:#?}");
        assert_eq!(verdict.reason, reason, "{verdict:#?}");
    }
}

// === impl Image ===

impl Image {
    /// What is signed of it in this form: an attestation is about where it was built.
    pub(crate) fn subject(&self, form: Form) -> Subject {
        let subject = Subject::of(&self.bytes);
        match form {
            Form::Attestation => subject.predicate(PROVENANCE, predicate()),
            Form::Signature | Form::Message(_) | Form::Statement(_) => subject,
        }
    }
}

/// A predicate that names a builder.
pub(crate) fn predicate() -> Value {
    json!({"runDetails": {"builder": {"id": "https://builder.example/release"}}})
}
