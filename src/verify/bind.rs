//! Binding: what was signed, and that it is about exactly these bytes.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use sigstore_types::DerCertificate;

use super::{Message, Rejection};
use crate::evidence::bundle::IMAGE_SIGNATURE;
use crate::evidence::simple_signing::Claim;
use crate::evidence::{Envelope, MessageSignature, SimpleSigning};
use crate::image::{Algorithm, Digest};
use crate::limits::EvidenceLimits;
use crate::statement::Statement;

/// The payload type of in-toto statements.
pub(super) const IN_TOTO_PAYLOAD: &str = "application/vnd.in-toto+json";

/// The type of simple-signing payloads that cosign and Tekton Chains write, and the older one of the format's specification.
const SIGNATURE_KINDS: [&str; 2] = [
    "cosign container image signature",
    "atomic container signature",
];

/// How many subjects of a statement about another image are shown.
const SHOWN_SUBJECTS: usize = 3;

/// An image that somebody signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedImage {
    /// The annotations that the signer added.
    pub annotations: BTreeMap<String, Value>,
    /// SHA-256 over the signature and the signer's certificate in PEM: the `id` that policies see, as in policy-controller.
    pub id: String,
}

/// A statement about this image, signed by somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// What it says.
    pub statement: Statement,
    /// SHA-256 over the signer's certificate in PEM, which is nothing for a key: the `id` that policies see, as in policy-controller.
    pub id: String,
}

/// Reads a verified payload and binds it to the image.
///
/// `docker-reference` is not compared: the same bytes may be mirrored, and the digest decides (documented default; policy-controller
/// does the same).
pub(super) fn claim(
    evidence: &SimpleSigning,
    certificate: Option<&DerCertificate>,
    image: &Digest,
    limits: &EvidenceLimits,
) -> Result<SignedImage, Rejection> {
    let claim = Claim::parse(&evidence.payload, limits.json_depth)
        .map_err(|detail| Rejection::MalformedPayload { detail })?;
    if !SIGNATURE_KINDS.contains(&claim.kind.as_str()) {
        let found = claim.kind.chars().take(64).collect();
        return Err(Rejection::PayloadKind { found });
    }
    // Compared as text with the one canonical spelling: another spelling of the digest is another claim.
    if claim.manifest_digest != image.to_string() {
        return Err(Rejection::SubjectMismatch {
            expected: image.clone(),
            found: vec![shortened(&claim.manifest_digest)],
        });
    }
    Ok(SignedImage {
        annotations: claim.annotations,
        id: id(&evidence.signature, certificate),
    })
}

/// Reads a verified payload as a statement that is a signature of the image, as cosign writes it into bundles. Annotations that the
/// signer added stand beside the subject there.
pub(super) fn signature_statement(
    envelope: &Envelope,
    certificate: Option<&DerCertificate>,
    image: &Digest,
    limits: &EvidenceLimits,
) -> Result<SignedImage, Rejection> {
    let Attestation { statement, .. } = statement(envelope, certificate, image, limits)?;
    if statement.predicate_type() != IMAGE_SIGNATURE {
        return Err(Rejection::NotASignature);
    }
    let said = statement
        .subject(image)
        .and_then(|subject| subject.annotations.as_object());
    let said = said.into_iter().flatten();
    Ok(SignedImage {
        annotations: said
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        id: id(&envelope.signature, certificate),
    })
}

/// A signature that was verified over the image's digest. What the bundle claims to have signed must be that too.
pub(super) fn message(
    message: &MessageSignature,
    certificate: Option<&DerCertificate>,
    image: &Digest,
) -> Result<SignedImage, Rejection> {
    claimed(message, Message::Digest(image))?;
    Ok(SignedImage {
        annotations: BTreeMap::new(),
        id: id(&message.signature, certificate),
    })
}

/// What a bundle claims to have signed must be what it is judged about. A claim by another hash than the digest at hand cannot be
/// compared; the signature was verified all the same.
pub(super) fn claimed(message: &MessageSignature, artifact: Message<'_>) -> Result<(), Rejection> {
    let Some(claimed) = &message.claimed else {
        return Ok(());
    };
    let Ok(algorithm) = claimed.algorithm.as_rekor_str().parse::<Algorithm>() else {
        return Ok(());
    };
    let expected = match artifact {
        Message::Bytes(bytes) => Digest::of(algorithm, bytes),
        Message::Digest(digest) if digest.algorithm() == algorithm => digest.clone(),
        Message::Digest(_) => return Ok(()),
    };
    if claimed.digest.as_bytes() == expected.as_bytes() {
        return Ok(());
    }
    let found = shortened(&format!("{algorithm}:{}", claimed.digest.to_hex()));
    Err(Rejection::SubjectMismatch {
        expected,
        found: vec![found],
    })
}

/// Reads a verified payload as a statement and binds it to any artifact.
pub(super) fn about(
    envelope: &Envelope,
    artifact: Message<'_>,
    limits: &EvidenceLimits,
) -> Result<(), Rejection> {
    match artifact {
        Message::Digest(digest) => statement(envelope, None, digest, limits).map(|_| ()),
        Message::Bytes(bytes) => {
            let by = |algorithm| statement(envelope, None, &Digest::of(algorithm, bytes), limits);
            by(Algorithm::Sha256)
                .or_else(|rejection| by(Algorithm::Sha512).map_err(|_| rejection))
                .map(|_| ())
        }
    }
}

fn id(signature: &[u8], certificate: Option<&DerCertificate>) -> String {
    let mut hash = Sha256::new_with_prefix(signature);
    if let Some(certificate) = certificate {
        hash.update(pem(certificate));
    }
    hex::encode(hash.finalize())
}

/// As Go's `encoding/pem` writes it, which the ids of policy-controller hash: lines of 64 characters, each with a line feed.
fn pem(certificate: &DerCertificate) -> String {
    let base64 = certificate.to_base64();
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in base64.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

/// Reads a verified payload as a statement and binds it to the image.
pub(super) fn statement(
    envelope: &Envelope,
    certificate: Option<&DerCertificate>,
    image: &Digest,
    limits: &EvidenceLimits,
) -> Result<Attestation, Rejection> {
    let statement =
        Statement::parse(&envelope.payload, limits).map_err(Rejection::MalformedStatement)?;
    if !statement.is_about(image) {
        let digests = statement
            .subjects()
            .iter()
            .flat_map(|subject| &subject.digest);
        let found = digests
            .take(SHOWN_SUBJECTS)
            .map(|(algorithm, hex)| shortened(&format!("{algorithm}:{hex}")))
            .collect();
        return Err(Rejection::SubjectMismatch {
            expected: image.clone(),
            found,
        });
    }
    Ok(Attestation {
        statement,
        id: id(&[], certificate),
    })
}

/// A digest as a signer wrote it, cut to what a message needs.
fn shortened(digest: &str) -> String {
    digest.parse::<Digest>().map_or_else(
        |_| digest.chars().take(24).collect(),
        |digest| digest.short(),
    )
}
