//! Policies as users write them: one builder call for each thing that a test says about a ClusterImagePolicy, and YAML out.

use serde_json::{Value, json};
use vouchsafe::demo::signer::SigningKey;

/// A ClusterImagePolicy. As made by [`Policy::new`] it is about every image, enforces, and has no authority.
#[derive(Clone, Debug)]
pub struct Policy(Value);

// === impl Policy ===

impl Policy {
    /// A policy of this name.
    pub fn new(name: &str) -> Self {
        Self(json!({
            "apiVersion": "policy.sigstore.dev/v1beta1",
            "kind": "ClusterImagePolicy",
            "metadata": {"name": name},
            "spec": {"images": [{"glob": "**"}], "authorities": []},
        }))
    }

    /// About these images alone.
    #[must_use]
    pub fn glob(self, glob: &str) -> Self {
        self.spec("images", json!([{ "glob": glob }]))
    }

    /// `enforce` or `warn`.
    #[must_use]
    pub fn mode(self, mode: &str) -> Self {
        self.spec("mode", json!(mode))
    }

    /// One more authority: a signature by this key.
    #[must_use]
    pub fn key(self, name: &str, key: &SigningKey) -> Self {
        self.authority(json!({"name": name, "key": {"data": key.public_key_pem()}}))
    }

    /// One more authority: an attestation of this predicate type by this key, and what its Rego says.
    #[must_use]
    pub fn attested(
        self,
        name: &str,
        key: &SigningKey,
        predicate_type: &str,
        rego: Option<&str>,
    ) -> Self {
        let mut attestation = json!({"name": "wanted", "predicateType": predicate_type});
        if let Some(text) = rego {
            attestation["policy"] = json!({"type": "rego", "data": text});
        }
        let key = json!({"data": key.public_key_pem()});
        self.authority(json!({"name": name, "key": key, "attestations": [attestation]}))
    }

    /// One more authority: `pass` or `fail`, whatever the image.
    #[must_use]
    pub fn fixed(self, action: &str) -> Self {
        self.authority(json!({"name": "fixed", "static": {"action": action}}))
    }

    /// One more authority, as it stands.
    #[must_use]
    pub fn authority(mut self, authority: Value) -> Self {
        let authorities = self.0["spec"]["authorities"].as_array_mut();
        authorities.expect("a list").push(authority);
        self
    }

    /// The policy over what all authorities found.
    #[must_use]
    pub fn rego(self, text: &str) -> Self {
        self.spec("policy", json!({"type": "rego", "data": text}))
    }

    /// Any field of `spec`.
    #[must_use]
    pub fn spec(mut self, field: &str, value: Value) -> Self {
        self.0["spec"][field] = value;
        self
    }
}

/// The policies as one file.
pub fn yaml(policies: &[Policy]) -> String {
    let documents = policies
        .iter()
        .map(|policy| serde_saphyr::to_string(&policy.0).expect("JSON can be written as YAML"));
    documents.collect::<Vec<_>>().join("\n---\n")
}
