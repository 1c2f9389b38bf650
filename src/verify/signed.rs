//! What a signature is over, and by whom it turned out to be.

use std::str::FromStr as _;

use jiff::Timestamp;
use sigstore_types::bundle::{MessageDigest, MessageSignature, SignatureContent};
use sigstore_types::dsse::DsseSignature;
use sigstore_types::{
    Artifact, ArtifactDigest, DerCertificate, DsseEnvelope, HashAlgorithm, KeyId, PayloadBytes,
    SignatureBytes,
};

use super::{PublicKey, Rejection, Signer};
use crate::evidence::Envelope;
use crate::image::Digest;
use crate::limits::json::brief;

/// A signature and what it is over.
pub(super) enum Signed<'a> {
    /// A message: bytes, or as much of them as their digest.
    Message {
        /// The message.
        message: Message<'a>,
        /// The digest that somebody claims it has.
        claimed: Option<&'a MessageDigest>,
        /// The signature over it.
        signature: &'a [u8],
    },
    /// An envelope, by its pre-authentication encoding.
    Envelope {
        /// The envelope.
        envelope: &'a Envelope,
        /// What the statement in it must be about.
        about: Message<'a>,
    },
}

/// Bytes, or as much of them as their digest.
#[derive(Clone, Copy, Debug)]
pub enum Message<'a> {
    /// The bytes.
    Bytes(&'a [u8]),
    /// Their digest.
    Digest(&'a Digest),
}

/// Who signed, as was proven, and since when and for how long that is true.
#[derive(Clone, Debug)]
pub(super) struct Vouched {
    /// Who.
    pub(super) signer: Signer,
    /// The signer's certificate, where it was not a key.
    pub(super) certificate: Option<DerCertificate>,
    /// When, as the earliest authenticated source says.
    pub(super) time: Option<Timestamp>,
    /// How long the proof holds.
    pub(super) lasting: Lasting,
}

/// Why it is not proven that somebody signed.
#[derive(Debug)]
pub(super) enum Unproven {
    /// A check failed.
    Rejected(Rejection),
    /// Something else was signed or logged than what is judged. What it is, is told by what was signed.
    OtherArtifact {
        /// What differs.
        detail: String,
    },
}

/// How long a proof holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lasting {
    /// As long as what is trusted stays the same: it rests on times in the past.
    Always,
    /// No longer than this moment: nobody vouches for a time in the past, and what is valid now need not be valid then.
    Now,
}

// === impl Signed ===

impl Signed<'_> {
    /// The bytes of the signature.
    pub(super) fn signature(&self) -> &[u8] {
        match self {
            Self::Message { signature, .. } => signature,
            Self::Envelope { envelope, .. } => &envelope.signature,
        }
    }

    /// Whether it is an envelope that is a layer of its own: timestamps and old logs may be about the whole document.
    pub(super) fn is_layer(&self) -> bool {
        matches!(self, Self::Envelope { envelope, .. } if !envelope.document.is_empty())
    }

    /// What timestamps may be about: the signature, or the layer that it is in. Either shows that the signature was there at that time.
    pub(super) fn stamped(&self) -> Vec<&[u8]> {
        match self {
            Self::Envelope { envelope, .. } if self.is_layer() => {
                vec![&envelope.document, &envelope.signature]
            }
            Self::Envelope { .. } | Self::Message { .. } => vec![self.signature()],
        }
    }

    /// Whether the signature is this key's.
    pub(super) fn is_by(&self, key: &PublicKey) -> bool {
        match self {
            Self::Message {
                message, signature, ..
            } => match message {
                Message::Bytes(bytes) => key.verifies(bytes, signature),
                Message::Digest(digest) => key.verifies_digest(digest, signature),
            },
            Self::Envelope { envelope, .. } => {
                key.verifies(&envelope.signed_bytes(), &envelope.signature)
            }
        }
    }

    /// The same as the library takes it.
    pub(super) fn content(&self) -> SignatureContent {
        let bytes = SignatureBytes::from_bytes(self.signature());
        match self {
            Self::Message { claimed, .. } => {
                let message = MessageSignature::new(bytes);
                SignatureContent::MessageSignature(match claimed {
                    Some(claimed) => message.with_message_digest((*claimed).clone()),
                    None => message,
                })
            }
            Self::Envelope { envelope, .. } => SignatureContent::DsseEnvelope(DsseEnvelope::new(
                envelope.payload_type.clone(),
                PayloadBytes::from_bytes(&envelope.payload),
                DsseSignature::new(bytes, KeyId::default()),
            )),
        }
    }

    /// What the library compares with what was signed.
    pub(super) fn artifact(&self) -> Result<Artifact<'_>, Rejection> {
        match self {
            Self::Message { message, .. } | Self::Envelope { about: message, .. } => {
                message.artifact()
            }
        }
    }
}

// === impl Message ===

impl<'a> Message<'a> {
    fn artifact(self) -> Result<Artifact<'a>, Rejection> {
        let digest = match self {
            Self::Bytes(bytes) => return Ok(Artifact::from_blob(bytes)),
            Self::Digest(digest) => digest,
        };
        let unverifiable = |detail: &dyn std::fmt::Display| Rejection::Unverifiable {
            detail: brief(&detail),
        };
        let algorithm = HashAlgorithm::from_str(digest.algorithm().as_str());
        let algorithm = algorithm.map_err(|e| unverifiable(&e))?;
        ArtifactDigest::new(algorithm, digest.as_bytes().to_vec())
            .map(Artifact::from_digest)
            .map_err(|e| unverifiable(&e))
    }
}

// === impl Unproven ===

impl From<Rejection> for Unproven {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl Unproven {
    /// The rejection, where `bound` is what came of binding what was signed to what is judged.
    pub(super) fn rejection<T>(self, bound: impl FnOnce() -> Result<T, Rejection>) -> Rejection {
        match self {
            Self::Rejected(rejection) => rejection,
            // What was signed fits: so the log has recorded something else.
            Self::OtherArtifact { detail } => {
                bound().err().unwrap_or(Rejection::NotLogged { detail })
            }
        }
    }
}
