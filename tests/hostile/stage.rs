//! The place where every test of this suite plays: a registry that misbehaves on request, the key that policies trust, and the key
//! of a stranger.

use serde_json::{Value, json};
use vouchsafe::demo::registry::{Store, image};
use vouchsafe::demo::signer::{
    Attached, AttestationOptions, SLSA_PROVENANCE_V02, SignatureOptions, SigningKey,
    attach_attestation, attach_signature, slsa_v02,
};
use vouchsafe::image::Digest;

use crate::support::policies::{Policy, yaml};
use crate::support::registry::FaultyRegistry;
use crate::support::webhook::Webhook;

/// The builder that [`Stage::provenance`] asks for.
pub(crate) const BUILDER: &str = "https://tekton.dev/chains/v2";

/// The Rego of [`Stage::provenance`].
pub(crate) const BUILT_BY_CHAINS: &str = r#"package sigstore
isCompliant[answer] {
  input.predicate.builder.id == "https://tekton.dev/chains/v2"
  answer := {"result": true}
}
isCompliant[answer] {
  input.predicate.builder.id != "https://tekton.dev/chains/v2"
  answer := {"result": false, "error": "another builder"}
}
"#;

/// The stage.
pub(crate) struct Stage {
    /// The registry.
    pub(crate) registry: FaultyRegistry,
    /// The key that the policies name.
    pub(crate) release: SigningKey,
    /// A key that nobody knows.
    pub(crate) stranger: SigningKey,
}

/// An image on the stage.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// Its repository's path.
    pub(crate) name: String,
    /// Its digest.
    pub(crate) digest: Digest,
    /// The registry.
    pub(crate) host: String,
}

// === impl Image ===

impl Image {
    /// By digest.
    pub(crate) fn pinned(&self) -> String {
        format!("{}/{}@{}", self.host, self.name, self.digest)
    }

    /// By the tag `v1`.
    pub(crate) fn tagged(&self) -> String {
        format!("{}/{}:v1", self.host, self.name)
    }

    /// The tag of its signatures.
    pub(crate) fn sig(&self) -> String {
        format!("sha256-{}.sig", self.digest.hex())
    }

    /// The tag of its attestations.
    pub(crate) fn att(&self) -> String {
        format!("sha256-{}.att", self.digest.hex())
    }
}

// === impl Stage ===

impl Stage {
    pub(crate) async fn new() -> Self {
        Self {
            registry: FaultyRegistry::start(Store::new()).await,
            release: SigningKey::generate().unwrap(),
            stranger: SigningKey::generate().unwrap(),
        }
    }

    pub(crate) fn store(&self) -> &Store {
        self.registry.store()
    }

    /// An image that nobody signed, under the tag `v1`.
    pub(crate) fn image(&self, name: &str) -> Image {
        Image {
            name: name.to_owned(),
            digest: image(self.store(), name, "v1", name),
            host: self.registry.host(),
        }
    }

    /// An image that the release key signed.
    pub(crate) fn signed(&self, name: &str) -> Image {
        let image = self.image(name);
        self.sign(&image, &SignatureOptions::default());
        image
    }

    /// An image with provenance by the release key.
    pub(crate) fn built(&self, name: &str) -> Image {
        let image = self.image(name);
        self.attest(&image, &AttestationOptions::default());
        image
    }

    /// One more signature by the release key.
    pub(crate) fn sign(&self, image: &Image, options: &SignatureOptions) -> Attached {
        self.sign_as(&self.release, image, options)
    }

    /// One more signature.
    pub(crate) fn sign_as(
        &self,
        key: &SigningKey,
        image: &Image,
        options: &SignatureOptions,
    ) -> Attached {
        attach_signature(self.store(), &image.name, &image.digest, key, options).unwrap()
    }

    /// Provenance by the release key.
    pub(crate) fn attest(&self, image: &Image, options: &AttestationOptions) -> Attached {
        self.attest_as(&self.release, image, SLSA_PROVENANCE_V02, options)
    }

    /// One more attestation, with the predicate of provenance whatever its type.
    pub(crate) fn attest_as(
        &self,
        key: &SigningKey,
        image: &Image,
        predicate_type: &str,
        options: &AttestationOptions,
    ) -> Attached {
        let predicate = slsa_v02(BUILDER, "https://git.example/shop/app", "7f0b2a5c");
        let (name, digest) = (&image.name, &image.digest);
        attach_attestation(
            self.store(),
            name,
            digest,
            key,
            predicate_type,
            &predicate,
            options,
        )
        .unwrap()
    }

    /// Signed by the release key.
    pub(crate) fn release(&self) -> Policy {
        Policy::new("release").key("release", &self.release)
    }

    /// Built by Tekton Chains, says the release key.
    pub(crate) fn provenance(&self) -> Policy {
        let rego = Some(BUILT_BY_CHAINS);
        Policy::new("provenance").attested("chains", &self.release, SLSA_PROVENANCE_V02, rego)
    }

    /// A webhook that wants a signature of the release key.
    pub(crate) async fn wants_signature(&self) -> Webhook {
        Webhook::start(&yaml(&[self.release()])).await
    }

    /// A webhook that wants provenance of the release key.
    pub(crate) async fn wants_provenance(&self) -> Webhook {
        Webhook::start(&yaml(&[self.provenance()])).await
    }
}

/// A statement about `image` with these fields instead of the honest ones.
pub(crate) fn statement(image: &Image, changed: &Value) -> Vec<u8> {
    let mut statement = json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": SLSA_PROVENANCE_V02,
        "subject": [{"name": image.name, "digest": {"sha256": image.digest.hex()}}],
        "predicate": {"builder": {"id": BUILDER}},
    });
    for (field, value) in changed.as_object().unwrap() {
        statement[field] = value.clone();
    }
    statement.to_string().into_bytes()
}
