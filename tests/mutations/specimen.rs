//! A piece of good evidence, taken apart into the documents that it is made of, and the question that it answers.

#![allow(
    dead_code,
    reason = "a bench asks no more than whether something is good, the tests ask what it proves"
)]

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use vouchsafe::evidence::{Candidate, EvidenceLayer, Format, attestation, bundle, simple_signing};
use vouchsafe::image::Digest;
use vouchsafe::limits::Limits;
use vouchsafe::policy::{AuthorityKind, Referents, compile};
use vouchsafe::trust::TrustMaterial;
use vouchsafe::verify::{self, Requirement, Signer};

use crate::mutation::Documents;
use crate::sigstore::{self, Act, By, Form, Signed, Sigstore, Subject, cosign, time};

/// The document that is the layer or the bundle; the others are annotations beside it.
const LAYER: &str = "layer";

/// When all of it is judged.
const NOW: &str = "2026-11-01T00:00:00Z";

/// What is asked to vouch for the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Log,
    Stamps,
    /// Nobody: it is signed by a key.
    Nobody,
}

/// Whether it is a signature that is wanted, or an attestation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Signature,
    Attestation,
}

pub(crate) struct Specimen {
    pub(crate) name: String,
    pub(crate) documents: Documents,
    pub(crate) format: Format,
    pub(crate) wanted: Wanted,
    pub(crate) asked: Asked,
    pub(crate) image: Digest,
    pub(crate) requirement: Requirement,
}

// === impl Specimen ===

impl Specimen {
    /// What our Sigstore makes of it.
    pub(crate) fn of(sigstore: &Sigstore, form: Form, act: &Act, asked: Asked) -> Self {
        let subject = Subject::of(b"a manifest");
        let signed = sigstore.sign(form, &subject, act);
        let (format, wanted) = match form {
            Form::Signature => (Format::SignatureTag, Wanted::Signature),
            Form::Attestation => (Format::AttestationTag, Wanted::Attestation),
            Form::Message(_) | Form::Statement(_) => (Format::Bundle, Wanted::Signature),
        };
        let mut authority = match &act.by {
            By::Key(key) => json!({"name": "a", "key": {"data": key.pem()}}),
            By::Identity(..) => anybody("r"),
        };
        match (asked, &act.by) {
            (Asked::Stamps, _) => authority["rfc3161timestamp"] = json!({"trustRootRef": "r"}),
            (Asked::Log, By::Key(_)) => authority["ctlog"] = json!({"trustRootRef": "r"}),
            (Asked::Log, By::Identity(..)) | (Asked::Nobody, _) => {}
        }
        Self {
            name: format!("{form:?} {:?} {asked:?}", act.logged),
            documents: documents(form, &signed),
            format,
            wanted,
            asked,
            image: subject.digest.parse().unwrap(),
            requirement: requirement(&authority, sigstore.trusted_root().json().as_bytes())
                .unwrap(),
        }
    }

    /// Whether it proves anything.
    pub(crate) fn is_good(&self) -> bool {
        let candidate = self.candidate(&self.documents);
        let (limits, now) = (Limits::default().evidence, time(NOW));
        let (image, asked) = (&self.image, &self.requirement);
        match self.wanted {
            Wanted::Signature => verify::signature(&candidate, image, asked, &limits, now).is_ok(),
            Wanted::Attestation => {
                verify::attestation(&candidate, image, asked, &limits, now).is_ok()
            }
        }
    }

    /// What these documents prove, in words; or why they prove nothing.
    pub(crate) fn proven(&self, documents: &Documents) -> Result<String, String> {
        let candidate = self.candidate(documents);
        let (limits, now) = (Limits::default().evidence, time(NOW));
        let said = |proof: &dyn Debug, signer: &Signer, at| match signer {
            // A key does not expire: when it signed decides nothing.
            Signer::Key(_) => format!("{proof:?} by {signer:?}"),
            Signer::Identity(_) => format!("{proof:?} by {signer:?} at {at:?}"),
        };
        match self.wanted {
            Wanted::Signature => {
                verify::signature(&candidate, &self.image, &self.requirement, &limits, now)
                    .map(|proof| said(proof.value(), proof.signer(), proof.time()))
            }
            Wanted::Attestation => {
                verify::attestation(&candidate, &self.image, &self.requirement, &limits, now)
                    .map(|proof| said(proof.value(), proof.signer(), proof.time()))
            }
        }
        .map_err(|rejection| rejection.to_string())
    }

    fn candidate(&self, documents: &Documents) -> Candidate {
        let (layer, beside): (Vec<_>, Vec<_>) =
            documents.iter().partition(|(name, _)| name == LAYER);
        let annotations: HashMap<String, String> = beside
            .into_iter()
            .map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned()))
            .collect();
        let bytes = Bytes::from(layer[0].1.clone());
        let layer = EvidenceLayer {
            format: self.format,
            // Where it was found does not decide what it proves.
            digest: self.image.clone(),
            size: bytes.len().try_into().unwrap(),
            annotations,
        };
        match self.format {
            Format::SignatureTag | Format::SignatureReferrer => {
                simple_signing::decode(&layer, bytes)
            }
            Format::AttestationTag | Format::AttestationReferrer => {
                attestation::decode(&layer, &bytes)
            }
            Format::Bundle => bundle::decode(&layer, &bytes),
        }
    }
}

/// An authority that trusts every identity of this root: what is proven is compared, not who may.
pub(crate) fn anybody(root: &str) -> Value {
    json!({"name": "a", "keyless": {
        "url": "https://fulcio.sigstore.test",
        "trustRootRef": root,
        "identities": [{"issuerRegExp": ".*", "subjectRegExp": ".*"}],
    }})
}

/// What an authority asks, as its policy is compiled; the root `r` is this one.
pub(crate) fn requirement(authority: &Value, root: &[u8]) -> Result<Requirement, String> {
    let policy = json!({
        "apiVersion": "policy.sigstore.dev/v1beta1",
        "kind": "ClusterImagePolicy",
        "metadata": {"name": "p"},
        "spec": {"images": [{"glob": "**"}], "authorities": [authority]},
    });
    let root = TrustMaterial::from_trusted_root_json(root).map_err(|error| error.to_string())?;
    let referents = Referents {
        trust_roots: [("r".to_owned(), Ok(Arc::new(root)))].into(),
        ..Referents::default()
    };
    let policy = compile(&serde_json::from_value(policy).unwrap(), &referents);
    match &policy.body.unwrap().authorities[0].kind {
        AuthorityKind::Signed(signed) => Ok(signed.requirement.clone()),
        other => panic!("{other:?} signs nothing"),
    }
}

fn documents(form: Form, signed: &Signed) -> Documents {
    let layer = |bytes: Vec<u8>| (LAYER.to_owned(), bytes);
    let mut documents = match form {
        Form::Message(version) | Form::Statement(version) => {
            return vec![layer(
                sigstore::bundle(signed, version).to_string().into_bytes(),
            )];
        }
        Form::Signature => {
            let signature = STANDARD.encode(&signed.signature).into_bytes();
            vec![
                layer(signed.content.payload().to_vec()),
                ("dev.cosignproject.cosign/signature".to_owned(), signature),
            ]
        }
        Form::Attestation => vec![layer(signed.content.envelope(&signed.signature))],
    };
    let beside = cosign::annotations(signed).into_iter();
    documents.extend(beside.map(|(name, value)| (name, value.into_bytes())));
    documents
}
