//! The place where every test of this suite plays: one image, the key that policies trust, and the key of a stranger.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::time::Instant;
use vouchsafe::adapters::oci::{OciRegistry, OciSettings};
use vouchsafe::decide::{Judge, Snapshot, TagMode};
use vouchsafe::demo::registry::{IMAGE_INDEX, IMAGE_MANIFEST, Store, image};
use vouchsafe::demo::signer::{
    BundleOptions, ReferrerOptions, Referring, SLSA_PROVENANCE_V02, SigningKey,
    attach_bundle_attestation, attach_bundle_signature, attach_document, slsa_v02,
};
use vouchsafe::gather::{Credentials, FetchError, Gatherer, Keychain};
use vouchsafe::image::Digest;
use vouchsafe::limits::Limits;
use vouchsafe::policy::{PolicySet, Referents, compile};
use vouchsafe::trust::TrustMaterial;
use vouchsafe::verdict::{ImageVerdict, Judgement, NoMatchPolicy, Reason};
use vouchsafe::workload::PullScope;

use crate::support::registry::FaultyRegistry;

/// The repository of the image.
pub(crate) const REPOSITORY: &str = "shop/cart";

/// The predicate type that [`Stage::provenance`] asks for.
pub(crate) const PROVENANCE: &str = SLSA_PROVENANCE_V02;

/// The builder that [`Stage::provenance`] asks for.
pub(crate) const BUILDER: &str = "https://tekton.dev/chains/v2";

/// The stage.
pub(crate) struct Stage {
    pub(crate) registry: FaultyRegistry,
    pub(crate) image: Digest,
    pub(crate) release: SigningKey,
    pub(crate) stranger: SigningKey,
    judge: Judge,
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

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with_limits(&Limits::default()).await
    }

    pub(crate) async fn with_limits(limits: &Limits) -> Self {
        // Another test of this binary may have installed it already.
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let store = Store::new();
        let image = image(&store, REPOSITORY, "v1", "seed");
        Self {
            registry: FaultyRegistry::start(store).await,
            image,
            release: SigningKey::generate().unwrap(),
            stranger: SigningKey::generate().unwrap(),
            judge: judge(limits),
        }
    }

    pub(crate) fn store(&self) -> &Store {
        self.registry.store()
    }

    // --- what is attached ---

    pub(crate) fn sign(&self, key: &SigningKey, options: &BundleOptions) {
        attach_bundle_signature(self.store(), REPOSITORY, &self.image, key, options).unwrap();
    }

    pub(crate) fn attest(&self, key: &SigningKey, builder: &str, options: &BundleOptions) {
        let predicate = slsa_v02(builder, "https://git.example/shop", "c0ffee");
        attach_bundle_attestation(
            self.store(),
            REPOSITORY,
            &self.image,
            key,
            PROVENANCE,
            &predicate,
            options,
        )
        .unwrap();
    }

    /// Documents of other kinds, all different.
    pub(crate) fn litter(&self, artifact_type: &str, count: usize) {
        let (store, options) = (self.store(), ReferrerOptions::default());
        // An index under the fallback tag is written once for all of them.
        let api = store.serves_referrers();
        store.serve_referrers(true);
        let attach = |number: usize| {
            let document = format!("{artifact_type} {number}").into_bytes();
            attach_document(
                store,
                REPOSITORY,
                &self.image,
                artifact_type,
                &document,
                &options,
            )
            .unwrap()
        };
        let attached: Vec<Referring> = (0..count).map(attach).collect();
        store.serve_referrers(api);
        if !api {
            self.list_under_fallback_tag(artifact_type, &attached);
        }
    }

    fn list_under_fallback_tag(&self, artifact_type: &str, attached: &[Referring]) {
        let tag = self.image.tag_with_suffix("", "").unwrap();
        let index = self.store().manifest(REPOSITORY, tag.as_str());
        let mut index: Value = index.map_or_else(
            || json!({"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": []}),
            |index| serde_json::from_slice(&index.bytes).unwrap(),
        );
        let entries = attached.iter().map(|referring| {
            json!({
                "mediaType": IMAGE_MANIFEST,
                "size": 1,
                "digest": referring.manifest,
                "artifactType": artifact_type,
            })
        });
        index["manifests"].as_array_mut().unwrap().extend(entries);
        self.store().push_manifest(
            REPOSITORY,
            Some(tag.as_str()),
            IMAGE_INDEX,
            index.to_string(),
        );
    }

    // --- what is asked ---

    /// A policy that wants the image signed by the release key.
    pub(crate) fn signed(&self) -> Value {
        self.policy(&json!({}))
    }

    /// A policy that wants provenance of [`BUILDER`], by the release key.
    pub(crate) fn provenance(&self) -> Value {
        let rego = format!(
            "package sigstore\nisCompliant {{ input.predicate.builder.id == \"{BUILDER}\" }}\n"
        );
        self.policy(&json!({"attestations": [{
            "name": "provenance",
            "predicateType": PROVENANCE,
            "policy": {"type": "rego", "data": rego},
        }]}))
    }

    /// A policy with one authority, the release key, and what is asked of it.
    pub(crate) fn policy(&self, more: &Value) -> Value {
        let mut authority =
            json!({"name": "release", "key": {"data": self.release.public_key_pem()}});
        let more = more.as_object().unwrap().clone();
        authority.as_object_mut().unwrap().extend(more);
        json!({
            "apiVersion": "policy.sigstore.dev/v1beta1",
            "kind": "ClusterImagePolicy",
            "metadata": {"name": "release"},
            "spec": {"images": [{"glob": "**"}], "authorities": [authority]},
        })
    }

    /// What becomes of the image under this policy.
    pub(crate) async fn judged(&self, policy: &Value) -> ImageVerdict {
        self.judged_in(REPOSITORY, policy).await
    }

    pub(crate) async fn judged_in(&self, repository: &str, policy: &Value) -> ImageVerdict {
        self.judged_within(Duration::from_mins(1), repository, policy)
            .await
    }

    pub(crate) async fn judged_within(
        &self,
        time: Duration,
        repository: &str,
        policy: &Value,
    ) -> ImageVerdict {
        let policy = compile(
            &serde_json::from_value(policy.clone()).unwrap(),
            &Referents::default(),
        );
        assert_eq!(policy.body.as_ref().err(), None);
        let snapshot = Snapshot {
            policies: Arc::new(PolicySet::new(vec![policy]).unwrap()),
            trust: Arc::new(TrustMaterial::keys_only()),
            no_match: NoMatchPolicy::Deny,
            tags: TagMode::Resolve,
            kinds: Arc::default(),
        };
        let image = format!("{}/{repository}@{}", self.registry.host(), self.image);
        let deadline = Instant::now() + time;
        let review = self.judge.images(&[image], &snapshot, deadline).await;
        review.images.into_iter().next().unwrap()
    }

    /// That the image is admitted.
    pub(crate) async fn admits(&self, policy: &Value) {
        let verdict = self.judged(policy).await;
        assert_eq!(verdict.judgement, Judgement::Admit, "{verdict:#?}");
    }

    /// That the image is not admitted, for this reason.
    pub(crate) async fn refuses(&self, policy: &Value, reason: Reason) {
        let verdict = self.judged(policy).await;
        assert_ne!(verdict.judgement, Judgement::Admit, "{verdict:#?}");
        assert_eq!(verdict.reason, reason, "{verdict:#?}");
    }

    /// How many requests the registry got since the last time.
    pub(crate) fn asked(&self) -> usize {
        let asked = self.registry.counts().total();
        self.registry.reset_counts();
        asked
    }
}

fn judge(limits: &Limits) -> Judge {
    let registry = OciRegistry::new(&OciSettings::default()).unwrap();
    let gatherer = Gatherer::new(Arc::new(registry), limits);
    Judge::new(gatherer, Arc::new(Anonymous), limits)
}
