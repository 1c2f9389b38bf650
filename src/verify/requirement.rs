//! What an authority asks of a signature: who must have made it, and who else must vouch for when.
//!
//! Whatever is *not* asked is spelled out ([`KeyWitness::WaivedByPolicy`], [`Sct::WaivedByPolicy`]): there is no field that asks for
//! nothing because somebody forgot to set it.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::{HashAlgorithm, Identity, PublicKey};
use crate::trust::TrustMaterial;

/// What must be proven for an authority. There is no variant that accepts anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Signed by the holder of a key.
    Key(KeyRequirement),
    /// Signed by somebody for whom a certificate authority vouches.
    Keyless(KeylessRequirement),
}

/// Signed by the holder of this key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRequirement {
    /// The key.
    pub key: PublicKey,
    /// Who else must vouch for the signature.
    pub witness: KeyWitness,
}

/// Who besides its signer must vouch for a signature by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyWitness {
    /// Nobody: a key does not expire, and the policy asks for no log. What is there is not looked at.
    WaivedByPolicy,
    /// A transparency log of this trust material.
    Log(Arc<TrustMaterial>),
    /// Timestamp authorities of this trust material, where there is a timestamp: each must be good, none must be there.
    TimestampsIfPresent(Arc<TrustMaterial>),
}

/// Signed by one of these identities, with a certificate that was valid then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeylessRequirement {
    /// Who may have signed.
    pub identities: Identities,
    /// Whose certificate authorities, logs and timestamp authorities count.
    pub trust: Arc<TrustMaterial>,
    /// Whether the certificate itself must have been logged.
    pub sct: Sct,
    /// Who vouches for the time at which the certificate must have been valid.
    pub witness: KeylessWitness,
}

/// Whether a certificate must prove that it was logged, by a signed certificate timestamp (RFC 6962).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sct {
    /// It must.
    Required,
    /// `insecureIgnoreSCT`.
    WaivedByPolicy,
}

/// Who vouches for the time of a signature by certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeylessWitness {
    /// A transparency log, in which the signature must be.
    Log,
    /// Timestamp authorities; a log is not asked.
    Timestamps,
    /// Both.
    LogAndTimestamps,
    /// Nobody: the policy trusts a root without logs and timestamp authorities. The certificate must be valid now.
    WaivedByPolicy,
}

/// Identities of which any is enough. There is at least one: an empty list never means anybody (T-77).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identities(Vec<Identity>);

/// The identity of a requirement: equal identity, equal answer for the same evidence. It keys what is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VerifierId([u8; 32]);

// === impl Requirement ===

impl Requirement {
    /// Signed by the holder of this key, and nobody else is asked.
    pub fn key(key: PublicKey) -> Self {
        Self::Key(KeyRequirement {
            key,
            witness: KeyWitness::WaivedByPolicy,
        })
    }

    /// Its identity.
    pub fn id(&self) -> VerifierId {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(bytes);
        };
        match self {
            Self::Key(KeyRequirement { key, witness }) => {
                part(b"key");
                part(key.fingerprint().as_bytes());
                // The same key with another hash accepts other signatures.
                part(
                    key.hash_algorithm()
                        .map_or("any", HashAlgorithm::as_str)
                        .as_bytes(),
                );
                let (name, trust) = match witness {
                    KeyWitness::WaivedByPolicy => ("waived", None),
                    KeyWitness::Log(trust) => ("log", Some(trust)),
                    KeyWitness::TimestampsIfPresent(trust) => ("timestamps", Some(trust)),
                };
                part(name.as_bytes());
                let epoch = trust.map(|trust| trust.epoch());
                part(epoch.as_ref().map_or(&[], |epoch| epoch.as_bytes()));
            }
            Self::Keyless(keyless) => {
                part(b"keyless");
                part(keyless.trust.epoch().as_bytes());
                part(match keyless.sct {
                    Sct::Required => b"sct".as_slice(),
                    Sct::WaivedByPolicy => b"sct waived",
                });
                part(match keyless.witness {
                    KeylessWitness::Log => b"log".as_slice(),
                    KeylessWitness::Timestamps => b"timestamps",
                    KeylessWitness::LogAndTimestamps => b"log and timestamps",
                    KeylessWitness::WaivedByPolicy => b"waived",
                });
                for identity in keyless.identities.iter() {
                    part(identity.to_string().as_bytes());
                }
            }
        }
        VerifierId(hash.finalize().into())
    }
}

// === impl KeylessWitness ===

impl KeylessWitness {
    /// Whether a log entry is required.
    pub(super) fn asks_log(self) -> bool {
        matches!(self, Self::Log | Self::LogAndTimestamps)
    }

    /// Whether a timestamp is required.
    pub(super) fn asks_timestamps(self) -> bool {
        matches!(self, Self::Timestamps | Self::LogAndTimestamps)
    }
}

// === impl Identities ===

impl Identities {
    /// These identities; `None` when there is none.
    pub fn new(identities: Vec<Identity>) -> Option<Self> {
        (!identities.is_empty()).then_some(Self(identities))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Identity> {
        self.0.iter()
    }
}

// === impl VerifierId ===

impl VerifierId {
    /// The bytes that key what is remembered.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
