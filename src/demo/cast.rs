//! The cast of the demo: one image that is as it should be, and three that each lack one thing.

use serde_json::Value;

use super::registry::{Store, image as sample};
use super::signer::{
    AttestationOptions, SLSA_PROVENANCE_V02, SignatureOptions, SigningError, SigningKey,
    attach_attestation, attach_signature, slsa_v02,
};
use crate::image::Digest;

/// The builder that the policy asks for, as Tekton Chains names itself.
const BUILDER: &str = "https://tekton.dev/chains/v2";
const SOURCE: &str = "https://git.example/shop/app";
const COMMIT: &str = "7f0b2a5c1d9e4863a2b1c0d9e8f7a6b5c4d3e2f1";

/// One image, and what is to become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Repository and tag.
    pub image: &'static str,
    /// What is known about it, in words.
    pub story: &'static str,
    /// Whether it is to be admitted.
    pub admitted: bool,
    /// A phrase that the answer must contain; empty when it is admitted.
    pub phrase: &'static str,
}

/// The images of the demo, in the order in which they are tried.
pub const CAST: [Part; 4] = [
    Part {
        image: "shop/cart:1.4",
        story: "signed by the release key, built by Tekton Chains",
        admitted: true,
        phrase: "",
    },
    Part {
        image: "shop/unsigned:1.0",
        story: "nobody signed it",
        admitted: false,
        phrase: "no signatures found",
    },
    Part {
        image: "shop/stranger:1.0",
        story: "signed, by a key that nobody here knows",
        admitted: false,
        phrase: "no matching signatures",
    },
    Part {
        image: "shop/elsewhere:1.0",
        story: "signed by the release key, built somewhere else",
        admitted: false,
        phrase: "not by https://tekton.dev/chains/v2",
    },
];

/// Fills a registry with the cast, and gives the policy that tells them apart.
///
/// # Errors
/// No entropy for keys, or a registry that holds something else under these names.
pub fn set_the_stage(store: &Store) -> Result<String, SigningError> {
    let (release, stranger) = (SigningKey::generate()?, SigningKey::generate()?);
    let image = |name: &str, tag: &str| sample(store, name, tag, name);
    let ours = image("shop/cart", "1.4");
    image("shop/unsigned", "1.0");
    vouch(store, "shop/cart", &ours, &release, BUILDER)?;
    vouch(
        store,
        "shop/stranger",
        &image("shop/stranger", "1.0"),
        &stranger,
        BUILDER,
    )?;
    vouch(
        store,
        "shop/elsewhere",
        &image("shop/elsewhere", "1.0"),
        &release,
        "https://builder.example/elsewhere",
    )?;
    Ok(policy(release.public_key_pem()))
}

/// A signature and provenance, as Tekton Chains makes them.
fn vouch(
    store: &Store,
    repository: &str,
    image: &Digest,
    key: &SigningKey,
    builder: &str,
) -> Result<(), SigningError> {
    let signature = SignatureOptions {
        as_tekton_chains: true,
        ..SignatureOptions::default()
    };
    attach_signature(store, repository, image, key, &signature)?;
    let attestation = AttestationOptions {
        as_tekton_chains: true,
        ..AttestationOptions::default()
    };
    let predicate: Value = slsa_v02(builder, SOURCE, COMMIT);
    attach_attestation(
        store,
        repository,
        image,
        key,
        SLSA_PROVENANCE_V02,
        &predicate,
        &attestation,
    )?;
    Ok(())
}

/// Two policies: signed by the release key, and built by Tekton Chains.
fn policy(key: &str) -> String {
    let key: Vec<String> = key
        .lines()
        .map(|line| format!("          {line}"))
        .collect();
    let key = key.join(
        "
",
    ) + "
";
    format!(
        r#"# Two policies; an image must satisfy both.
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: signed-by-release
spec:
  images:
    - glob: "**/shop/**"
  authorities:
    - name: release
      key:
        data: |
{key}---
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: built-by-tekton-chains
spec:
  images:
    - glob: "**/shop/**"
  authorities:
    - name: tekton-chains
      key:
        data: |
{key}      attestations:
        - name: provenance
          predicateType: https://slsa.dev/provenance/v0.2
          policy:
            type: rego
            data: |
              package sigstore

              builder := "{BUILDER}"

              isCompliant[answer] {{
                input.predicate.builder.id == builder
                answer := {{"result": true}}
              }}

              isCompliant[answer] {{
                input.predicate.builder.id != builder
                answer := {{"result": false, "error": sprintf("built by %v, not by %v", [input.predicate.builder.id, builder])}}
              }}
"#
    )
}
