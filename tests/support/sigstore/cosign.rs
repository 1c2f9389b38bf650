//! Puts what was signed into a registry, as cosign does: `.sig` and `.att` layers with annotations, and bundles that refer to the image.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use vouchsafe::demo::registry::Store;
use vouchsafe::demo::signer::{
    AttestationOptions, BundleOptions, SignatureOptions, SigningKey, attach_attestation,
    attach_bundle_attestation, attach_message_signature, attach_signature,
};
use vouchsafe::image::Digest;

use super::act::{Form, Signed, Signer};
use super::bundle::{Version, bundle};
use super::certificate;

/// The annotations of a layer, besides its signature.
pub(crate) fn annotations(signed: &Signed) -> BTreeMap<String, String> {
    let mut annotations = BTreeMap::new();
    let mut say = |name: &str, value: String| {
        annotations.insert(format!("dev.sigstore.cosign/{name}"), value);
    };
    if let Signer::Certificate(issued) = &signed.signer {
        say("certificate", certificate::pem(&issued.certificate));
        say(
            "chain",
            issued
                .chain
                .iter()
                .map(|der| certificate::pem(der))
                .collect(),
        );
    }
    if let Some(entry) = signed.entries.first() {
        let promise = entry.promise.as_deref().unwrap_or_default();
        let bundle = json!({
            "SignedEntryTimestamp": STANDARD.encode(promise),
            "Payload": entry.payload(),
        });
        say("bundle", bundle.to_string());
    }
    if let Some(stamp) = signed.stamps.first() {
        let stamp = json!({"SignedRFC3161Timestamp": STANDARD.encode(stamp)});
        say("rfc3161timestamp", stamp.to_string());
    }
    annotations
}

/// Attaches `signed` to `image`.
pub(crate) fn attach(store: &Store, repository: &str, image: &Digest, signed: &Signed) {
    // Signs nothing: every signature is given.
    let nobody = SigningKey::generate().unwrap();
    match signed.form {
        Form::Signature => {
            let options = SignatureOptions {
                payload: Some(signed.content.payload().to_vec()),
                signature: Some(STANDARD.encode(&signed.signature)),
                layer_annotations: annotations(signed),
                ..SignatureOptions::default()
            };
            attach_signature(store, repository, image, &nobody, &options).unwrap();
        }
        Form::Attestation => {
            let options = AttestationOptions {
                layer: Some(signed.content.envelope(&signed.signature)),
                layer_annotations: annotations(signed),
                ..AttestationOptions::default()
            };
            let kind = &signed.predicate_type;
            attach_attestation(
                store,
                repository,
                image,
                &nobody,
                kind,
                &json!({}),
                &options,
            )
            .unwrap();
        }
        Form::Message(version) => {
            let options = bundled(signed, version);
            attach_message_signature(store, repository, image, &nobody, &options).unwrap();
        }
        Form::Statement(version) => {
            let (options, kind) = (bundled(signed, version), &signed.predicate_type);
            attach_bundle_attestation(
                store,
                repository,
                image,
                &nobody,
                kind,
                &json!({}),
                &options,
            )
            .unwrap();
        }
    }
}

fn bundled(signed: &Signed, version: Version) -> BundleOptions {
    BundleOptions {
        version: Some(version.media_type().to_owned()),
        layer: Some(bundle(signed, version).to_string().into_bytes()),
        ..BundleOptions::default()
    }
}
