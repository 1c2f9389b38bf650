//! The place where the scripts play: a registry, a Sigstore that the webhook trusts, a service account that signs, and Jobs.

use std::io::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::NamedTempFile;
use vouchsafe::app::webhook::WebhookSettings;
use vouchsafe::demo::registry::{Store, image};
use vouchsafe::image::Digest;

use crate::sigstore::{Act, Algorithm, Form, Identity, Key, Sigstore, Subject, cosign};
use crate::support::policies::{Policy, yaml};
use crate::support::registry::FaultyRegistry;
use crate::support::webhook::{Answered, Review, Webhook};

/// What `cosign attest --type custom` writes.
pub(crate) const CUSTOM: &str = "https://cosign.sigstore.dev/attestation/v1";
/// The name of the attestation that the scripts ask for.
pub(crate) const ATTESTATION: &str = "custom-match-predicate";
/// Where the image of a Job stands.
pub(crate) const IN_JOB: &str = "spec.template.spec.containers[0].image";

pub(crate) struct Stage {
    pub(crate) registry: FaultyRegistry,
    pub(crate) sigstore: Sigstore,
    trusted_root: NamedTempFile,
}

/// An image of the scripts.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) host: String,
    pub(crate) repository: String,
    pub(crate) digest: Digest,
    bytes: Vec<u8>,
}

/// The service account of the scripts signs.
pub(crate) fn account() -> Act {
    Act::by(Identity::uri(
        "https://kubernetes.io/namespaces/default/serviceaccounts/default",
        "https://kubernetes.default.svc",
    ))
}

pub(crate) fn new_key() -> Key {
    Key::generate(Algorithm::P256)
}

/// A policy of the scripts: about `**demo**`.
pub(crate) fn demo_policy(name: &str) -> Policy {
    Policy::new(name).glob("**demo**")
}

/// The identity of the service account, as the scripts write it.
pub(crate) fn identity(namespace: &str) -> Value {
    let issuer = match namespace {
        "default" => ".*kubernetes.default.*".to_owned(),
        other => format!(".*kubernetes.{other}.*"),
    };
    json!({
        "issuerRegExp": issuer,
        "subjectRegExp": format!(".*kubernetes.io/namespaces/{namespace}/serviceaccounts/{namespace}"),
    })
}

/// An authority: the service account, logged.
pub(crate) fn by_account() -> Value {
    json!({
        "keyless": {"url": "http://fulcio.fulcio-system.svc", "identities": [identity("default")]},
        "ctlog": {"url": "http://rekor.rekor-system.svc"},
    })
}

/// An authority: this key, logged.
pub(crate) fn by_key(key: &Key) -> Value {
    json!({"key": {"data": key.pem()}, "ctlog": {"url": "http://rekor.rekor-system.svc"}})
}

/// `authority` without a log.
pub(crate) fn unlogged(mut authority: Value) -> Value {
    authority.as_object_mut().unwrap().remove("ctlog");
    authority
}

/// `authority` with one more member.
pub(crate) fn with(mut authority: Value, member: &str, value: Value) -> Value {
    authority[member] = value;
    authority
}

/// `authority`, which wants a custom attestation that says `text`; in Rego.
pub(crate) fn saying(authority: Value, text: &str) -> Value {
    let rego = format!(
        "package sigstore\ndefault isCompliant = false\nisCompliant {{\n  attestation := input.predicate.Data\n  attestation == \"{text}\"\n}}\n"
    );
    let wanted = json!([{
        "name": ATTESTATION, "predicateType": CUSTOM,
        "policy": {"type": "rego", "data": rego},
    }]);
    with(authority, "attestations", wanted)
}

/// That a Job was denied by one policy, for this reason and in these words.
#[track_caller]
pub(crate) fn denies(answered: &Answered, policy: &str, reason: &str, words: &str) {
    answered.denied(reason);
    let begins = format!("validation failed: failed policy: {policy}: {IN_JOB}");
    let message = &answered.message;
    assert!(message.starts_with(&begins), "{begins}: {message}");
    assert!(message.contains(words), "{words}: {message}");
}

/// What the API server is asked for `kubectl create job --image=IMAGE`.
pub(crate) fn job(image: &str) -> Review {
    let container = json!({"name": "demo", "image": image});
    let pod = json!({"containers": [container], "restartPolicy": "Never"});
    Review::create("batch", "v1", "Job", json!({"template": {"spec": pod}}))
}

/// The verdict becomes `wanted`, as soon as files are read again, or what was not there is looked for again.
pub(crate) async fn becomes(webhook: &Webhook, review: &Review, wanted: &str) -> Answered {
    for _ in 0..400 {
        let answered = webhook.review(review).await;
        if answered.reason() == wanted {
            return answered;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let answered = webhook.review(review).await;
    assert_eq!(answered.reason(), wanted, "{}", answered.message);
    answered
}

// === impl Image ===

impl Image {
    /// As `ko publish` prints it.
    pub(crate) fn pinned(&self) -> String {
        format!("{}@{}", self.name(), self.digest)
    }

    pub(crate) fn tagged(&self) -> String {
        format!("{}:latest", self.name())
    }

    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }
}

// === impl Stage ===

impl Stage {
    pub(crate) async fn new() -> Self {
        let sigstore = Sigstore::new();
        let mut trusted_root = NamedTempFile::new().unwrap();
        let json = sigstore.trusted_root().json();
        trusted_root.write_all(json.as_bytes()).unwrap();
        Self {
            registry: FaultyRegistry::start(Store::new()).await,
            sigstore,
            trusted_root,
        }
    }

    // --- what is there ---

    /// An image that nobody signed.
    pub(crate) fn image(&self, name: &str) -> Image {
        let repository = format!("policy-controller/{name}");
        let digest = image(self.registry.store(), &repository, "latest", name);
        self.found(&repository, digest)
    }

    /// An image that is there already.
    pub(crate) fn found(&self, repository: &str, digest: Digest) -> Image {
        let manifest = self
            .registry
            .store()
            .manifest(repository, &digest.to_string());
        Image {
            host: self.registry.host(),
            repository: repository.to_owned(),
            digest,
            bytes: manifest.unwrap().bytes.to_vec(),
        }
    }

    /// `cosign sign`
    pub(crate) fn sign(&self, image: &Image, act: &Act) {
        self.sign_elsewhere(image, &image.repository, act);
    }

    /// `COSIGN_REPOSITORY=repository cosign sign`
    pub(crate) fn sign_elsewhere(&self, image: &Image, repository: &str, act: &Act) {
        let subject = Subject::of(&image.bytes);
        let signed = self.sigstore.sign(Form::Signature, &subject, act);
        cosign::attach(self.registry.store(), repository, &image.digest, &signed);
    }

    /// `cosign attest --type custom`, of a file with this text
    pub(crate) fn attest(&self, image: &Image, text: &str, act: &Act) {
        let predicate = json!({"Data": text, "Timestamp": "2025-06-01T12:00:00Z"});
        self.attest_type(image, CUSTOM, predicate, act);
    }

    /// `cosign attest --type TYPE`
    pub(crate) fn attest_type(&self, image: &Image, kind: &str, predicate: Value, act: &Act) {
        let subject = Subject::of(&image.bytes).predicate(kind, predicate);
        let signed = self.sigstore.sign(Form::Attestation, &subject, act);
        let store = self.registry.store();
        cosign::attach(store, &image.repository, &image.digest, &signed);
    }

    /// What was attested is kept under a tag with this prefix, as by `--attachment-tag-prefix`.
    pub(crate) fn prefix_attestations(&self, image: &Image, prefix: &str) {
        let store = self.registry.store();
        let tag = format!("sha256-{}.att", image.digest.hex());
        let kept = store.tag_digest(&image.repository, &tag).unwrap();
        store.retag(&image.repository, &format!("{prefix}{tag}"), &kept);
        assert!(store.remove_tag(&image.repository, &tag));
    }

    // --- who judges ---

    /// A webhook with these policies.
    pub(crate) async fn under(&self, policies: &[Policy]) -> Webhook {
        self.under_documents(&yaml(policies), |_| {}).await
    }

    /// A webhook with these documents and settings, which reads files again all the time.
    pub(crate) async fn under_documents(
        &self,
        documents: &str,
        change: impl FnOnce(&mut WebhookSettings),
    ) -> Webhook {
        Webhook::start_with(documents, |settings| {
            settings.judge.trust.trusted_root = Some(self.trusted_root.path().to_owned());
            settings.reload_interval = Duration::from_millis(20);
            change(settings);
        })
        .await
    }

    /// What `kubectl create job` is answered under these policies.
    pub(crate) async fn job(&self, policies: &[Policy], image: &Image) -> Answered {
        let webhook = self.under(policies).await;
        webhook.review(&job(&image.pinned())).await
    }

    /// Where the trusted root stands, for the command.
    pub(crate) fn trusted_root(&self) -> String {
        self.trusted_root.path().to_str().unwrap().to_owned()
    }
}
